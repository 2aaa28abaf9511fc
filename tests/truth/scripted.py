"""The calls of WMI that the agent's own text makes, read out of it and held against the tables.

Plans name such calls as data; what no cmdlet offers, the agent's functions ask for themselves.

Source: ec2gw/lab/binding/data/README.md (WMI of live hosts); MS-DTYP for the widths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ec2gw.lab.binding import tables

VIRTUALIZATION: Final = "root/virtualization/v2"
CIMV2: Final = "root/cimv2"
JOB: Final = "Msvm_ConcreteJob"
"""What a reference to a CIM_ConcreteJob leads to here."""

_CALL: Final = re.compile(r"CimCmdlets\\(Get|New|Invoke)-Cim(?:Instance|Class|Method|\w+)[^\n]*")
_CLASS: Final = re.compile(r"-(?:Result)?ClassName '?(\w+)'?")
_KEPT: Final = re.compile(
    r"\$(\w+) (?:=|in) (?:@\()?(?:foreach \(\$(\w+) in @\()?CimCmdlets\\([\w-]+)([^\n]*)"
)
_METHOD: Final = re.compile(
    r"\$(\w+) = CimCmdlets\\Invoke-CimMethod -InputObject \$(\w+) -MethodName '(\w+)'"
    r" -Arguments @\{ ([^\n]*) \}$",
    re.MULTILINE,
)
_FILTER: Final = re.compile(r'-Filter "([^"]*)"')
_MADE: Final = re.compile(r"-CimClass \$(\w+) -ClientOnly -Property @\{ ([^}]*) \}")
_WIDTH: Final = re.compile(r"\[(u?int(?:8|16|32|64))\] ")
_OF_OBJECTS: Final = {"Count", "Length", "PSObject"}


def calls(text: str) -> int:
    return len(_CALL.findall(text))


def wrong(text: str) -> list[str]:
    """What no table of WMI has: classes, properties, methods, their parameters and widths."""
    return [
        said
        for function in re.split(r"^ *function ", text, flags=re.MULTILINE)
        for said in _wrong_in(function)
    ]


def _wrong_in(text: str) -> Iterator[str]:
    kept: dict[str, str] = {}
    for match in _KEPT.finditer(text):
        found = _CLASS.findall(match[4])
        if made := _MADE.search(match[0]):
            found = [kept[made[1]]]
        if match[3] != "Invoke-CimMethod":
            for variable in filter(None, match.groups()[:2]):
                kept[variable] = found[-1] if found else JOB
    for name in _CLASS.findall(text) + re.findall(r"-Association '(\w+)'", text):
        if _table(name) is None:
            yield f"no class {name}"
    for line in text.splitlines():
        yield from _wrong_filter(line)
    for variable, properties in _MADE.findall(text):
        yield from _wrong_values(properties, _properties(kept[variable]), kept[variable])
    for answer, source, method, given in _METHOD.findall(text):
        rows = (_table(kept[source]) or {"methods": {}})["methods"].get(method)
        if rows is None:
            yield f"{kept[source]} has no method {method}"
            continue
        takes = {name: kind for name, way, kind in rows if "in" in way}
        yield from _wrong_values(given, takes, method)
        for name in takes.keys() - _given(given).keys():
            yield f"{method} lacks {name}"
        gives = {name for name, way, _ in rows if "out" in way} | {"ReturnValue"}
        read = re.findall(rf"\${answer}\.(?:PSObject\.Properties\[')?(\w+)", text)
        for name in {*read} - gives - _OF_OBJECTS:
            yield f"{method} gives no {name}"
    for variable, name in kept.items():
        for one in re.findall(rf"\${variable}(?:\[0\])?\.([A-Z]\w+)", text):
            if one not in _properties(name) and one not in _OF_OBJECTS:
                yield f"{name} has no {one}"


def _wrong_filter(line: str) -> Iterator[str]:
    condition, name = _FILTER.search(line), _CLASS.search(line)
    for one in re.findall(r"(\w+) ?= ?'", condition[1]) if condition and name else ():
        if name and one not in _properties(name[1]):
            yield f"{name[1]} has no {one}"


def _wrong_values(given: str, kinds: Mapping[str, str], where: str) -> Iterator[str]:
    for name, value in _given(given).items():
        kind = kinds.get(name)
        width = _WIDTH.match(value)
        if kind is None:
            yield f"{where} takes no {name}"
        elif (width and width[1] != kind) or (not width and kind.startswith(("uint", "sint"))):
            yield f"{where}: {name} is {kind}, not {value}"


def _given(text: str) -> dict[str, str]:
    pairs = (one.partition(" = ") for one in text.split("; "))
    return {name: value for name, _, value in pairs}


def _table(name: str) -> Mapping[str, Any] | None:
    return tables.wmi(VIRTUALIZATION, name) or tables.wmi(CIMV2, name)


def _properties(name: str) -> Mapping[str, str]:
    found: Mapping[str, str] = (_table(name) or {"properties": {}})["properties"]
    return found
