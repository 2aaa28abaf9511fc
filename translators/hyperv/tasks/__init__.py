"""What scheduled tasks of ours run on hosts: scripts that are put there as files, never as text."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def transfer() -> bytes:
    """The script of a disk's way to the depot or from it."""
    return resources.files(__package__).joinpath("transfer.ps1").read_bytes()
