"""Writes down what agents are asked, what was bound of it and what came back; for tests.

A line of JSON each: `{setup, request, bound, answer}`. Objects are told with the properties that
their plan reads, so that a PowerShell can be given the same ones again.

Source: tests/agent/record.py, which makes the frames that are replayed out of these lines.
"""

from __future__ import annotations

import contextlib
import datetime
import enum
import json
import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ec2gw.lab import binding
from ec2gw.lab.agent import casts
from ec2gw.lab.agent.host import CmdletError, Invoked, Live, WmiValue
from ec2gw.lab.agent.request import Request, Setup

VARIABLE: Final = "EC2GW_LAB_RECORD"
"""Names the folder that lines are written to, a file a process."""

Invoke = Callable[[str, dict[str, object]], Invoked]
_lock = threading.Lock()


class Recorder:
    """One request's record. `invoke` is what its plan calls; `close` writes the line."""

    def __init__(self, folder: Path, request: Request, invoke: Invoke) -> None:
        self._file = folder / f"{os.getpid()}.jsonl"
        self._request = request
        self._invoke = invoke
        self._bound: list[dict[str, object]] = []
        self._given: list[object] = []
        self._paths = list(_paths(request.calls))

    def invoke(self, do: str, arguments: dict[str, object]) -> Invoked:
        told: dict[str, object] = {"do": do}
        with contextlib.suppress(binding.BindingError):  # the cmdlet tells it as its own error
            bound = binding.bind(do, arguments, binding.LABORATORY)
            told |= {"set": bound.set_name, "with": self._spoken(bound.arguments)}
        number = len(self._bound)
        self._bound.append(told)
        try:
            invoked = self._invoke(do, arguments)
        except CmdletError as failed:
            told["error"] = {
                "id": failed.id,
                "category": failed.category,
                "activity": failed.activity,
                "target": failed.target,
                "hresult": list(failed.hresult),
                "text": failed.text,
            }
            raise
        told["objects"] = [self._object(one, self._paths[number]) for one in invoked.objects]
        told["warnings"] = list(invoked.warnings)
        return invoked

    def close(self, setup: Setup, answer: Mapping[str, object]) -> None:
        request = self._request
        line = {
            "setup": {
                "root": setup.root,
                "modules": list(setup.modules),
                "allowed": {do: sorted(names) for do, names in sorted(setup.allowed.items())},
                "paths": {do: sorted(names) for do, names in sorted(setup.paths.items())},
            },
            "request": {
                "epoch": request.epoch,
                "calls": request.calls,
                "token": request.token,
                "subject": request.subject,
                "generation": request.generation,
            },
            "bound": self._bound,
            "answer": answer,
        }
        with _lock, self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _object(self, live: object, paths: Sequence[str]) -> object:
        told = {"#ref": self._number(live)}
        class_name = getattr(live, "class_name", None)
        if class_name is not None:
            told["#class"] = class_name
        steps = [path.split(".") for path in paths if path]
        return _picked(live, steps, told)

    def _number(self, live: object) -> int:
        for number, one in enumerate(self._given, 1):
            if one is live:
                return number
        self._given.append(live)
        return len(self._given)

    def _spoken(self, value: object) -> Any:
        match value:
            case WmiValue():
                return {"#cim": value.type, "value": value.value}
            case Live():
                return {"#ref": self._number(value)}
            case Mapping():
                return {name: self._spoken(one) for name, one in value.items()}
            case list() | tuple():
                return [self._spoken(one) for one in value]
        return leaf(value)


def recorder(request: Request, invoke: Invoke) -> Recorder | None:
    folder = os.environ.get(VARIABLE)
    return Recorder(Path(folder), request, invoke) if folder else None


def _paths(calls: Sequence[Any]) -> Sequence[list[str]]:
    """Which properties of each call's objects the plan reads."""
    read: list[list[str]] = []
    for number, call in enumerate(calls):
        takes = call.get("take", {}).values() if isinstance(call, dict) else ()
        found = {str(take).partition(":")[0] for take in takes}
        if isinstance(call, dict) and "as" in call:
            found |= set(_referred(list(calls[number + 1 :]), call["as"]))
        read.append(sorted(found))
    return read


def _referred(value: object, name: object) -> list[str]:
    if isinstance(value, list):
        return [one for inner in value for one in _referred(inner, name)]
    if isinstance(value, dict):
        if value.get("$ref") == name:
            return [str(value["property"])] if "property" in value else []
        return [one for inner in value.values() for one in _referred(inner, name)]
    return []


def _picked(value: object, steps: Sequence[Sequence[str]], told: dict[str, Any]) -> Any:
    """The properties that the paths lead to, as nested JSON."""
    for name in sorted({one[0] for one in steps}):
        deeper = [one[1:] for one in steps if one[0] == name and len(one) > 1]
        with contextlib.suppress(CmdletError):  # there is none: the projection says so
            told[name] = _inner(casts.member(value, name), deeper)
    return told


def _inner(value: object, deeper: Sequence[Sequence[str]]) -> Any:
    if not deeper or value is None:
        return leaf(value)
    if isinstance(value, list):
        return [_inner(one, deeper) for one in value]
    return _picked(value, deeper, {})


def leaf(value: object) -> Any:
    """A value that has no properties worth reading, as JSON has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case enum.Enum():
            return value.name
        case uuid.UUID():
            return str(value)
        case datetime.datetime():
            return casts.time(value)
        case list():
            return [leaf(one) for one in value]
    raise TypeError(f"a {type(value).__name__} has no JSON of its own")
