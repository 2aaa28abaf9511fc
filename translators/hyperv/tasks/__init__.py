"""What scheduled tasks of ours run on hosts: scripts that are put there as files, never as text."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources
from typing import Final

_VERSION_DIGITS: Final = 16


@functools.cache
def transfer() -> bytes:
    """The script of a disk's way to the depot or from it."""
    return resources.files(__package__).joinpath("transfer.ps1").read_bytes()


@functools.cache
def console_function() -> str:
    """The function that reads consoles: the agent holds it too, for hosts without the task."""
    return resources.files(__package__).joinpath("console.ps1").read_text(encoding="utf-8")


@functools.cache
def console() -> bytes:
    """The script of the task that reads consoles for as long as the host runs.

    Its working directory says where.
    """
    run = "Read-Consoles -Folder ([System.Environment]::CurrentDirectory) -Resident\n"
    return (console_function() + run).encode("utf-8")


@functools.cache
def console_digest() -> str:
    return hashlib.sha256(console()).hexdigest()


@functools.cache
def console_version() -> str:
    """What the task tells its version by."""
    return console_digest()[:_VERSION_DIGITS]
