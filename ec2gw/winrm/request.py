"""A plan as the agent's request: calls, references, WMI values and paths as plain data; no I/O.

Whatever the agent would refuse for its form is refused here already, before anything is sent.

Source: docs/architecture.md, "Frames".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from translators.hyperv.host import Argument, Call, Cim, Faulty, Fence, Path, Plan, Ref

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TAKE = re.compile(r"[A-Za-z0-9_.]*:(text|int|bool|time|texts)")
_CIM = re.compile(r"(boolean|[us]int(8|16|32|64)|string|datetime)(\[\])?")
_TOKEN = re.compile(r"[0-9a-f]{32}")
_SUBJECT = re.compile(r"[a-z]{1,16}-[0-9a-f]{1,32}")

_DEEPEST = 16
_LARGEST = 2**64
_MOST = 10**15


def encode(plan: Plan, *, request_id: int, epoch: int, fence: Fence | None) -> dict[str, object]:
    """The request's body for a frame.

    :raises Faulty: when the plan or its fence is not of the agreed form
    """
    request: dict[str, object] = {"id": request_id, "epoch": _number(epoch, "epoch")}
    if fence is not None:
        if fence.token is None:
            if plan.calls:
                raise Faulty(f"{plan.purpose}: calls under a fence have a token")
        elif not _TOKEN.fullmatch(fence.token):
            raise Faulty("a token is 32 lower-case hex digits")
        else:
            request["token"] = fence.token
        if not _SUBJECT.fullmatch(fence.subject):
            raise Faulty("a subject is letters, a hyphen and lower-case hex digits")
        request["subject"] = fence.subject
        request["generation"] = _number(fence.generation, "generation")
    kept: set[str] = set()
    request["calls"] = [_call(call, kept) for call in plan.calls]
    return request


def _call(call: Call, kept: set[str]) -> dict[str, object]:
    encoded: dict[str, object] = {
        "do": call.cmdlet,
        "with": _table(call.parameters, kept, 0),
    }
    if call.take is not None and call.keep is None:
        raise Faulty(f"{call.cmdlet}: what is taken belongs to a kept result")
    if call.keep is not None:
        if not _NAME.fullmatch(call.keep) or call.keep in kept:
            raise Faulty(f"{call.cmdlet}: {call.keep!r} is no result's own name")
        kept.add(call.keep)
        encoded["as"] = call.keep
    if call.take is not None:
        for name, take in call.take.items():
            if not _NAME.fullmatch(name) or not _TAKE.fullmatch(take):
                raise Faulty(f"{call.cmdlet}: {name!r} = {take!r} is no property and cast")
        encoded["take"] = dict(call.take)
    return encoded


def _table(values: Mapping[str, Argument], kept: set[str], depth: int) -> dict[str, object]:
    # PowerShell's own JSON refuses keys that differ in case only, and "$" is ours.
    if len({name.casefold() for name in values}) != len(values):
        raise Faulty("two names differ in case only")
    for name in values:
        if not name or name.startswith("$"):
            raise Faulty(f"{name!r} is no name")
    return {name: _argument(value, kept, depth + 1) for name, value in values.items()}


def _argument(value: Argument, kept: set[str], depth: int) -> object:
    if depth > _DEEPEST:
        raise Faulty("arguments are nested too deep")
    match value:
        case None | bool() | str():
            return value
        case int():
            if not -_LARGEST // 2 <= value < _LARGEST:
                raise Faulty("a number is too large for 64 bits")
            return value
        case Ref():
            return _reference(value, kept)
        case Cim():
            return _wmi(value)
        case Path():
            return {"$path": _path(value)}
        case Mapping():
            return _table(value, kept, depth)
        case Sequence() if not isinstance(value, bytes | bytearray | memoryview):
            return [_argument(item, kept, depth + 1) for item in value]
        case _:
            raise Faulty(f"a {type(value).__name__} cannot travel")


def _reference(ref: Ref, kept: set[str]) -> dict[str, object]:
    if ref.name not in kept:
        raise Faulty(f"no earlier result is named {ref.name!r}")
    encoded: dict[str, object] = {"$ref": ref.name}
    if ref.at is not None:
        encoded["at"] = _number(ref.at, "at")
    if ref.property is not None:
        encoded["property"] = ref.property
    return encoded


def _wmi(cim: Cim) -> dict[str, object]:
    form = _CIM.fullmatch(cim.type)
    if form is None:
        raise Faulty(f"no WMI type {cim.type!r}")
    values = cim.value if form[3] else [cim.value]
    if not isinstance(values, list | tuple):
        raise Faulty(f"a {cim.type} is a list")
    fits: type = {"boolean": bool, "string": str, "datetime": str}.get(form[1], int)
    for value in values:
        if not isinstance(value, fits) or (fits is int and isinstance(value, bool)):
            raise Faulty(f"a {type(value).__name__} is no {form[1]}")
    return {"$cim": cim.type, "value": list(values) if form[3] else cim.value}


def _path(path: Path) -> str:
    for segment in path.segments.split("/"):
        if not _SEGMENT.fullmatch(segment) or segment.endswith("."):
            raise Faulty("a path is plain names between forward slashes")
    return path.segments


def _number(value: int, what: str) -> int:
    if isinstance(value, bool) or not 0 <= value < _MOST:
        raise Faulty(f"{what} is a number below {_MOST}")
    return value
