"""A plan of calls: checked whole before its first call, then run call by call.

Holds the rules of what a call may name and the answer that a plan leaves; what an argument or a
property becomes is `arguments`' and `casts`'.

Source: the agent's Test-Call and Invoke-Calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ec2gw.lab.agent import arguments, casts
from ec2gw.lab.agent.host import CmdletError, Invoked
from ec2gw.lab.agent.request import Setup

Answer = dict[str, object]
Invoke = Callable[[str, dict[str, object]], Invoked]

_TAKE = re.compile(r"[A-Za-z0-9_.]*:(?:text|int|bool|time|texts)")
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_JOURNAL = re.compile(r"journal(?:[./]|\Z)", re.IGNORECASE)
_EJECTS = "Hyper-V\\Set-VMDvdDrive"
"""The one cmdlet that no path means something to: the disc is taken out."""
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Call:
    do: str
    with_: dict[str, object]
    name: str | None
    take: dict[str, str] | None


@dataclass(slots=True)
class _Run:
    """What a plan has come to so far."""

    done: int = 0
    results: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    live: dict[str, list[object]] = field(default_factory=dict)


class Dropped(Exception):
    """The process was killed between two calls: nobody is left to answer."""


def run(calls: list[object], setup: Setup, invoke: Invoke, dropped: Callable[[], bool]) -> Answer:
    """Check the plan, run its calls until one fails, and say what came of it.

    :raises Dropped: `dropped` was true before a call
    """
    state = _Run()
    stage = "check"
    error: dict[str, object] | None = None
    try:
        for call in check(calls, setup):
            stage = "call"
            if dropped():
                raise Dropped
            values = arguments.convert(call.with_, state.live, setup.root)
            for name in setup.paths.get(call.do, frozenset()) & values.keys():
                if call.with_[name] is None:
                    continue
                values[name] = arguments.place(values[name], setup.root)
            invoked = invoke(call.do, values)
            state.warnings += invoked.warnings
            state.done += 1  # the effect is there, whatever becomes of the projection
            stage = "projection"
            objects = list(invoked.objects)
            if call.name is not None:
                state.live[call.name] = objects
                if call.take is not None:
                    take = call.take
                    state.results[call.name] = [
                        {name: casts.flat(one, path) for name, path in take.items()}
                        for one in objects
                    ]
    except CmdletError as failed:
        error = {
            "id": failed.id,
            "category": failed.category,
            "activity": failed.activity,
            "target": failed.target,
            "kind": failed.kind,
            "hresult": list(failed.hresult),
            "text": failed.text,
        }
    answer: Answer = {"ok": error is None, "done": state.done, "results": state.results}
    if error is not None:
        answer |= {"stage": stage, "error": error}
    return answer | {"warnings": state.warnings}


def check(calls: list[object], setup: Setup) -> list[_Call]:
    """Hold the whole plan against what the setup allows; names by ordinal comparison.

    :raises CmdletError: the plan names what it may not, or not as it must
    """
    named: set[str] = set()
    return [_check_call(call, setup, named) for call in calls]


def _check_call(call: object, setup: Setup, named: set[str]) -> _Call:
    if not isinstance(call, dict):
        raise _refused("a call is an object")
    for key in call:
        if key not in ("do", "with", "as", "take"):
            raise _refused(f"a call has no '{key}'")
    do, with_ = call.get("do"), call.get("with")
    if not isinstance(do, str) or do not in setup.allowed:
        raise _refused(f"not allowed: {do}")
    if not isinstance(with_, dict):
        raise _refused("arguments go by name")
    for parameter, value in with_.items():
        if parameter not in setup.allowed[do]:
            raise _refused(f"not allowed: {do} -{parameter}")
        if value is None and do == _EJECTS:
            continue
        if parameter in setup.paths.get(do, ()):
            _check_path(value, f"{do} -{parameter}")
        else:
            _check_no_path(value)
    name = call.get("as")
    if "as" in call:
        if not isinstance(name, str) or name in named:
            raise _refused("a result has a name of its own")
        named.add(name)
    take = call.get("take")
    if "take" in call:
        if "as" not in call or not isinstance(take, dict):
            raise _refused("what is taken has a result and is named")
        for path in take.values():
            if not isinstance(path, str) or not _TAKE.fullmatch(path):
                raise _refused(f"no such property and cast: {path}")
    return _Call(do, with_, name, take)


def _check_path(value: object, where: str) -> None:
    """A place below the root, a property of an earlier result, or a list of such."""
    for one in value if isinstance(value, list) and value else [value]:
        if isinstance(one, dict) and "$path" in one:
            text = one["$path"]
            if len(one) != 1 or not isinstance(text, str):
                raise _refused("a path is {$path}")
            if _JOURNAL.match(text):
                raise _refused("the journal is no place")
            for segment in text.split("/"):
                formed = _SEGMENT.fullmatch(segment) and not segment.endswith(".")
                if not formed or _DEVICE.fullmatch(segment):
                    raise _refused(f"no place below the root: {text}")
        elif not (isinstance(one, dict) and "$ref" in one and "property" in one):
            raise _refused(f"no path: {where}")


def _check_no_path(value: object) -> None:
    if isinstance(value, dict):
        if "$path" in map(str.lower, value):
            raise _refused("no path goes there")
        for inner in value.values():
            _check_no_path(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_no_path(inner)


def _refused(text: str) -> CmdletError:
    kind = "System.UnauthorizedAccessException"
    return CmdletError(text, "OperationStopped", text, kind=kind, hresult=("0x80070005",))
