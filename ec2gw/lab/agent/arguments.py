"""JSON values of a call as arguments: references to live objects, WMI values, places on disk.

A type must fit before it is converted; nothing is guessed.

Source: the agent's ConvertTo-Argument; DMTF DSP0004 (WMI's types and their ranges).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from ec2gw.lab.agent import casts
from ec2gw.lab.agent.host import CmdletError, WmiValue

_MAX_PATH = 259

_RANGES = {
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "sint8": (-(2**7), 2**7 - 1),
    "sint16": (-(2**15), 2**15 - 1),
    "sint32": (-(2**31), 2**31 - 1),
    "sint64": (-(2**63), 2**63 - 1),
}


def convert(
    with_: Mapping[str, object], live: Mapping[str, list[object]], root: str
) -> dict[str, object]:
    """The arguments of a call whose form was checked.

    :raises CmdletError: a reference to nothing, or a value that does not fit
    """
    return {name: _convert(value, live, root) for name, value in with_.items()}


def place(value: object, root: str) -> object:
    """A path parameter's value, wherever it comes from, in its canonical form below the root.

    :raises CmdletError: it lies elsewhere
    """
    if isinstance(value, list):
        return [place(one, root) for one in value]
    text = value.replace("/", "\\") if isinstance(value, str) else ""
    parts = text.split("\\")
    plain = all(part and part == part.rstrip(" .") for part in parts)
    if not plain or not text.lower().startswith(root.lower() + "\\"):
        raise _odd(f"not below the root: {value}", "System.UnauthorizedAccessException")
    if len(text) > _MAX_PATH:
        raise _odd(f"a path of {len(text)} characters", "System.IO.PathTooLongException")
    return text


def _convert(value: object, live: Mapping[str, list[object]], root: str) -> object:
    if isinstance(value, dict):
        if "$ref" in value:
            return _referred(value, live)
        if "$cim" in value:
            return _wmi(value)
        if "$path" in value:
            return root + "\\" + str(value["$path"]).replace("/", "\\")
        return {name: _convert(inner, live, root) for name, inner in value.items()}
    if isinstance(value, list):
        made: list[object] = []
        for item in value:
            one = _convert(item, live, root)
            if isinstance(item, dict) and isinstance(one, list):
                made += one  # a list of references is one flat list of objects
            else:
                made.append(one)
        return made
    return value


def _referred(value: Mapping[str, object], live: Mapping[str, list[object]]) -> object:
    for key in value:
        if key not in ("$ref", "at", "property"):
            raise _odd(f"a reference has no '{key}'")
    name = value["$ref"]
    if not isinstance(name, str) or name not in live:
        raise _odd(f"no result named '{name}'")
    objects = live[name]
    found: object = objects
    if "at" in value:
        at = value["at"]
        if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < len(objects):
            raise _odd(f"no object {at} in '{name}'")
        found = objects[at]
    elif not objects:
        raise _odd(f"nothing in '{name}'")
    if "property" in value:
        steps = value["property"]
        if not isinstance(steps, str):
            raise _odd("a property is a text")
        for step in steps.split("."):
            found = casts.member(found, step)
    return found


def _wmi(value: Mapping[str, object]) -> WmiValue:
    given = value.get("value")
    if len(value) != 2 or given is None:
        raise _odd("a WMI value is {$cim, value}")
    name = value["$cim"]
    base = name.removesuffix("[]") if isinstance(name, str) else ""
    if base not in _RANGES and base not in ("boolean", "string", "datetime"):
        raise _odd(f"no WMI type '{name}'")
    many = name != base
    if isinstance(given, list) and not many:
        raise _odd(f"not one {base}")
    values = given if isinstance(given, list) else [given]
    for one in values:
        if not _fits(one, base):
            raise _odd(f"not a {base}")
    return WmiValue(cast(str, name), list(values) if many else given)


def _fits(value: object, base: str) -> bool:
    if base == "boolean":
        return isinstance(value, bool)
    if base in ("string", "datetime"):
        return isinstance(value, str)
    low, high = _RANGES[base]
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _odd(text: str, kind: str = "System.ArgumentException") -> CmdletError:
    codes = {
        "System.ArgumentException": "0x80070057",
        "System.UnauthorizedAccessException": "0x80070005",
        "System.IO.PathTooLongException": "0x800700CE",
    }
    return CmdletError(text, "OperationStopped", text, kind=kind, hresult=(codes[kind],))
