"""Types along a property path: what `Uptime.TotalSeconds` of a VirtualMachine is, and its cast.

Source: `data/README.md`; .NET's TimeSpan, DateTime, Version; about_Member-Access_Enumeration.
"""

from __future__ import annotations

from collections.abc import Mapping

from ec2gw.lab.binding import tables, values

_TIMESPAN = {
    **{f"Total{one}": "double" for one in ("Days", "Hours", "Minutes", "Seconds", "Milliseconds")},
    **{one: "int32" for one in ("Days", "Hours", "Minutes", "Seconds", "Milliseconds")},
    "Ticks": "int64",
}
MEMBERS: Mapping[str, Mapping[str, str]] = {
    "timespan": _TIMESPAN,
    "datetime": {"Ticks": "int64", "Year": "int32", "Month": "int32", "Day": "int32"},
    "version": {"Major": "int32", "Minor": "int32", "Build": "int32", "Revision": "int32"},
    "string": {"Length": "int32"},
}
LIST_MEMBERS = {"Count": "int32", "Length": "int32"}
SIGNED = {f"s{name}": bounds for name, bounds in values.WIDTHS.items() if name.startswith("int")}
NUMBERS = {*values.WIDTHS, *SIGNED, "double", "number"}
TEXTUAL = {"string", "guid", "version", "timespan", "bool", "boolean", "object", *NUMBERS}


class NoSuchProperty(Exception):
    """A path that leads nowhere."""


class WrongCast(Exception):
    """A cast that the property's type does not allow."""


def walk(class_name: str, path: str) -> str:
    """The type at the end of a path; through a list it is a list of what its items have.

    :raises NoSuchProperty: naming the step that fails
    """
    at = class_name.removesuffix("?")
    for step in filter(None, path.split(".")):
        base = at.removesuffix("[]").removesuffix("?")
        if at.endswith("[]") and step in LIST_MEMBERS:
            at = LIST_MEMBERS[step]
            continue
        found = members(base).get(step)
        if found is None:
            raise NoSuchProperty(f"{base} has no property {step}")
        kind = found.removesuffix("?")
        at = f"{kind.removesuffix('[]')}[]" if at.endswith("[]") else kind
    return at


def members(class_name: str) -> Mapping[str, str]:
    """Names and types of what a class or value type has.

    :raises NoSuchProperty: when no table knows it
    """
    if class_name in MEMBERS:
        return MEMBERS[class_name]
    if class_name in TEXTUAL or class_name in tables.enums():
        return {}
    if ":" in class_name:
        namespace, _, name = class_name.partition(":")
        table = tables.wmi(namespace, name)
        if table is None:
            raise NoSuchProperty(f"no table knows the class {class_name}")
        found: Mapping[str, str] = table["properties"]
        return found
    recorded = tables.properties(class_name)
    if recorded is None:
        raise NoSuchProperty(f"no table knows the class {class_name}")
    return recorded


def check_cast(type_name: str, cast: str) -> None:
    """Hold a cast against the type it is to flatten.

    :raises WrongCast: when the agent could not, or when it would mean something else
    """
    listed = type_name.endswith("[]")
    base = type_name.removesuffix("[]").removesuffix("?")
    enumeration = base in tables.enums()
    fits = {
        "text": not listed and (base in TEXTUAL or enumeration),
        "texts": base in TEXTUAL or enumeration,
        # The number of an enumeration moved between builds: they go by name.
        "int": not listed and base in NUMBERS,
        "bool": not listed and base in ("bool", "boolean"),
        "time": not listed and base == "datetime",
    }
    if not fits.get(cast, False):
        raise WrongCast(f"{type_name} does not go as {cast}")
