"""What a frame asks for: the setup and the requests, read as strictly as the agent reads them.

Holds their form alone; what a call may do is `plan`'s, whether it may run now is `journal`'s.

Source: docs/agent.md; the agent's Receive-Request and Get-Field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NUMBER = re.compile(r"[0-9]{1,15}")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_SUBJECT = re.compile(r"[a-z]{1,16}-[0-9a-f]{1,32}")
_MEMBERS = ("id", "epoch", "calls", "token", "subject", "generation")
_OWN = frozenset(
    {
        "Agent\\Complete-File",
        "Agent\\Compress-Journal",
        "Agent\\Get-Console",
        "Agent\\Get-ConsoleReader",
        "Agent\\Get-FileState",
        "Agent\\Get-Thumbnail",
        "Agent\\Move-File",
        "Agent\\New-Folder",
        "Agent\\Remove-Tree",
        "Agent\\Get-Transfer",
        "Agent\\Remove-Transfer",
        "Agent\\Set-VMIdentity",
        "Agent\\Start-ConsoleReader",
        "Agent\\Start-DiskCopy",
        "Agent\\Start-Transfer",
        "Agent\\Stop-ConsoleReader",
        "Agent\\Test-Root",
        "Agent\\Watch-Console",
        "Agent\\Write-FileChunk",
    }
)
_ROOT = re.compile(r"[A-Za-z]:(\\[^\\/:*?\"<>|\x00-\x1f]*[^\\/:*?\"<>|\x00-\x1f. ])+")


class BadRequest(ValueError):
    """A frame that is whole and asks for nothing that an agent does."""


@dataclass(frozen=True, slots=True)
class Request:
    """One plan with what fences it. `calls` is unread: that is the plan's check."""

    id: int
    epoch: int
    calls: list[object]
    token: str | None
    subject: str | None
    generation: int | None


@dataclass(frozen=True, slots=True)
class Setup:
    """What the first frame configures."""

    root: str
    modules: tuple[str, ...]
    allowed: Mapping[str, frozenset[str]]
    paths: Mapping[str, frozenset[str]]


def id_of(message: object) -> object:
    """What a bad request is told under: whatever it calls its id."""
    return message.get("id") if isinstance(message, dict) else None


def read(message: object) -> Request:
    """Read a request.

    :raises BadRequest: it is none
    """
    if not isinstance(message, dict):
        raise BadRequest("a request is an object")
    for name in message:
        if name not in _MEMBERS:
            raise BadRequest(f"a request has no '{name}'")
    its_id = _number(message, "id")
    epoch = _number(message, "epoch")
    token = _text(message, "token", _TOKEN)
    subject = _text(message, "subject", _SUBJECT)
    generation = _number(message, "generation")
    calls = message.get("calls")
    if its_id is None or epoch is None or not isinstance(calls, list):
        raise BadRequest("a request has id, epoch and calls")
    if (subject is None) != (generation is None):
        raise BadRequest("subject and generation go together")
    return Request(its_id, epoch, calls, token, subject, generation)


def read_setup(message: object) -> Setup:
    """Read the first frame.

    :raises BadRequest: it configures nothing
    """
    if not isinstance(message, dict):
        raise BadRequest("the setup is an object")
    if sorted(message) != ["allowed", "modules", "paths", "root"]:
        raise BadRequest("the setup has root, modules, allowed and paths")
    root = message["root"]
    if not isinstance(root, str) or not _ROOT.fullmatch(root):
        raise BadRequest(f"no local folder in its canonical form: {root}")
    modules = _texts(message["modules"], "modules")
    allowed = _table(message["allowed"], "allowed")
    paths = _table(message["paths"], "paths")
    for do in allowed:
        if do.startswith("Agent\\") and do not in _OWN:
            raise BadRequest(f"no function of ours: {do}")
    for do, names in paths.items():
        if not names <= allowed.get(do, frozenset()):
            raise BadRequest(f"a path of what is not allowed: {do}")
    return Setup(root, modules, allowed, paths)


def _number(message: Mapping[str, object], name: str) -> int | None:
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        raise BadRequest(f"bad {name}")
    return value


def _text(message: Mapping[str, object], name: str, form: re.Pattern[str]) -> str | None:
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not form.fullmatch(value):
        raise BadRequest(f"bad {name}")
    return value


def _texts(value: object, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadRequest(f"{name} are texts")
    return tuple(value)


def _table(value: object, name: str) -> dict[str, frozenset[str]]:
    if not isinstance(value, dict):
        raise BadRequest(f"{name} is an object")
    return {do: frozenset(_texts(names, name)) for do, names in value.items()}
