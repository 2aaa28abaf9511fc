"""Whether a value fits a parameter's type: PowerShell's conversions, less the surprising ones.

PowerShell turns "false" into true, null into 0 and 1.5 into 2; a plan that relied on it would be
wrong, so numbers must be numbers, Booleans Booleans, and enumerations go by their exact name.

Source: about_Parameters and about_Type_Conversion (Windows PowerShell 5.1).
"""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ec2gw.lab.binding import tables

WIDTHS: Mapping[str, tuple[int, int]] = {
    "uint8": (0, 2**8 - 1),
    "uint16": (0, 2**16 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}


@runtime_checkable
class Classed(Protocol):
    """A live object: it says of which class it is (``VirtualMachine``, ``root/cimv2:Win32_X``)."""

    @property
    def class_name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Typed:
    """A value that is not known yet, only its type: what a reference in a plan will bring."""

    class_name: str


class Misfit(Exception):
    """The value is not of that type and does not convert."""


def convert(value: object, type_name: str) -> object:
    """Bring a value into a parameter's type.

    :raises Misfit: when PowerShell would not convert it, or not as meant
    """
    base = type_name.removesuffix("?")
    if value is None and base != type_name:
        return None
    if base.endswith("[]"):
        # A scalar binds to an array of one.
        items = value if isinstance(value, list | tuple) else [value]
        if isinstance(value, Typed) and value.class_name.endswith("[]"):
            return [convert(Typed(value.class_name[:-2]), base[:-2])]
        return [convert(item, base[:-2]) for item in items]
    if isinstance(value, list | tuple):
        # Not even a list of one binds to a scalar.
        raise Misfit(f"a list is no {base}")
    if isinstance(value, Typed):
        return _static(value, base)
    return _scalar(value, base)


def _scalar(value: object, base: str) -> object:
    if base in ("object", "psobject"):
        return value
    if base in ("bool", "switch"):
        return _of(value, bool, base)
    if base in WIDTHS:
        low, high = WIDTHS[base]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Misfit(f"{value!r} is no {base}")
        return value
    if base in tables.enums():
        name = value.name if isinstance(value, enum.Enum) else value
        if name not in tables.enums()[base]:
            raise Misfit(f"{value!r} is no name of {base}")
        return name
    if base == "guid":
        return _guid(value)
    if base in ("string", "version", "uri"):
        if value is None and base == "string":
            return ""  # PowerShell's null is an empty text to a cmdlet
        return str(value) if isinstance(value, uuid.UUID) else _of(value, str, base)
    if base == "double":
        return _of(value, float, base)
    if base == "datetime":
        return _of(value, datetime.datetime, base)
    if base == "dictionary":
        return _of(value, dict, base)
    return _instance(value, base)


def _of(value: object, kind: type, base: str) -> object:
    if not isinstance(value, kind):
        raise Misfit(f"{value!r} is no {base}")
    return value


def _guid(value: object) -> uuid.UUID:
    if isinstance(value, uuid.UUID):
        return value
    if not isinstance(value, str):
        raise Misfit(f"{value!r} is no guid")
    try:
        return uuid.UUID(value)
    except ValueError:
        raise Misfit(f"{value!r} is no guid") from None


def _instance(value: object, base: str) -> object:
    if isinstance(value, Classed) and isa(value.class_name, base):
        return value
    what = value.class_name if isinstance(value, Classed) else repr(value)
    raise Misfit(f"{what} is no {base}")


def _static(value: Typed, base: str) -> object:
    given = value.class_name.removesuffix("?")
    same_text = base in ("string", "guid") and given in ("string", "guid")
    widths = given in WIDTHS and base in WIDTHS
    wider = widths and WIDTHS[base][0] <= WIDTHS[given][0] and WIDTHS[given][1] <= WIDTHS[base][1]
    if given == base or base in ("object", "psobject") or same_text or wider or isa(given, base):
        return value
    raise Misfit(f"{given} is no {base}")


def isa(class_name: str, base: str) -> bool:
    if base == "CimInstance" and ":" in class_name:
        return True
    return class_name == base or base in tables.BASES.get(class_name, ())
