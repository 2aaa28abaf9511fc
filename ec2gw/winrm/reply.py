"""What the agent says, read and judged: hello, answers, refusals, what it was told badly; no I/O.

Everything here came over the network: forms are checked, texts are cut, nothing is trusted.

Source: docs/architecture.md, "Frames".
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from translators.hyperv.host import Answer, Damaged, Failed, Faulty, Fenced, Flat, HostFault, Token

_LONGEST_TEXT = 4096

Message = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Hello:
    """What an agent tells of itself and its host when it starts."""

    version: str
    """Of PowerShell."""
    mode: str
    """The language mode; anything but FullLanguage cannot work."""
    epoch: int
    """The highest epoch that the host's journal has seen."""
    agent: str
    """SHA-256 of the agent's text as it arrived there."""
    host: str = ""
    boot: datetime.datetime | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    """Cmdlets of the allow list that the host lacks."""
    limits: Mapping[str, object] = field(default_factory=dict)
    damaged: int = 0
    """Lines of the journal that are damaged, not only torn."""
    journal: str = ""
    """The journal's own name; another one means that it was replaced."""


def hello(message: Message) -> Hello:
    """Read the agent's first frame.

    :raises Faulty: when a member is missing or of another kind
    """
    boot = _text(message, "boot", "")
    try:
        booted = datetime.datetime.fromisoformat(boot) if boot else None
    except ValueError:
        raise Faulty("the hello's boot time is no time") from None
    if booted is not None and booted.tzinfo is None:
        raise Faulty("the hello's boot time has no zone")
    return Hello(
        version=_text(message, "version", ""),
        mode=_text(message, "mode", ""),
        epoch=_integer(message, "epoch", 0),
        agent=_text(message, "agent", ""),
        host=_text(message, "host", ""),
        boot=booted.astimezone(datetime.UTC) if booted else None,
        modules={str(k): str(v) for k, v in _mapping(message.get("modules")).items()},
        missing=tuple(str(name) for name in _sequence(message.get("missing"))),
        limits=_mapping(message.get("limits")),
        damaged=_integer(message, "damaged", 0),
        journal=_text(message, "journal", ""),
    )


def judge(message: Message, *, fenced: bool) -> Answer:
    """Turn the agent's last word about a request into an answer, or raise what it means.

    An answer that could not be told (too large, or odd) has run all the same: with a token that is
    `Token("done", ...)`, so that the caller looks; a read would fail so again: `Faulty`.

    :raises HostError: Fenced, Token, Failed or Faulty
    """
    if "bad" in message:
        _bad(message, fenced)
    if "refused" in message:
        _refused(message)
    done = _integer(message, "done", 0)
    if message.get("ok") is True:
        return Answer(
            results=_results(message.get("results")),
            done=done,
            warnings=tuple(_cut(str(w)) for w in _sequence(message.get("warnings"))),
            elapsed_ms=_integer(message, "ms", 0),
        )
    if message.get("ok") is not False:
        raise Faulty("an answer is ok or not")
    raise Failed(_text(message, "stage", "call"), _fault(message.get("error")), done)


def _bad(message: Message, fenced: bool) -> NoReturn:
    if message["bad"] == "answer" and fenced:
        ok = message.get("ok")
        raise Token("done", {True: "ok", False: "failed"}.get(ok) if type(ok) is bool else None)
    raise Faulty(f"bad {_cut(str(message['bad']))}: {_cut(str(message.get('why', '')))}")


def _refused(message: Message) -> NoReturn:
    match message["refused"]:
        case "epoch":
            raise Fenced("epoch", _integer(message, "seen", 0))
        case "generation":
            raise Fenced("generation", _integer(message, "seen", 0))
        case "done":
            raise Token("done", _text(message, "outcome", "") or None)
        case "begun":
            raise Token("begun", None)
        case "running":
            raise Token("running", None)
        case "damaged":
            raise Damaged(_integer(message, "seen", 0))
        case other:
            raise Faulty(f"refused for an unknown reason: {_cut(str(other))}")


def _results(value: object) -> dict[str, list[dict[str, Flat]]]:
    return {
        name: [
            {member: _flat(flat) for member, flat in _mapping(item).items()}
            for item in _sequence(items)
        ]
        for name, items in _mapping(value).items()
    }


def _flat(value: object) -> Flat:
    match value:
        case None | bool() | int() | str():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return value
        case _:
            raise Faulty(f"a {type(value).__name__} is no flat value")


def _fault(value: object) -> HostFault:
    error = _mapping(value)
    return HostFault(
        id=_text(error, "id", ""),
        category=_text(error, "category", ""),
        hresult=tuple(str(code) for code in _sequence(error.get("hresult"))[:20]),
        activity=_text(error, "activity", ""),
        target=_text(error, "target", ""),
        kind=_text(error, "kind", ""),
        text=_text(error, "text", ""),
    )


def _text(message: Message, name: str, default: str) -> str:
    value = message.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise Faulty(f"{name} is no text")
    return _cut(value)


def _integer(message: Message, name: str, default: int) -> int:
    value = message.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise Faulty(f"{name} is no number")
    return value


def _mapping(value: object) -> Message:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Faulty("an object is missing")
    return value


def _sequence(value: object) -> list[object]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Faulty("a list is missing")
    return value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
