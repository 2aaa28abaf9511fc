r"""Values between the laboratory and the generated functions, as JSON; and paths, which differ.

A live object is `{"#ref": number, "#type": [names], ...}` with all properties that it has a model
of; one that comes back is known by its number alone. A PowerShell on Linux has no drives: what
lies at `C:\x` on the simulated host lies at `BASE/C/x` there, and texts that are paths change on
the way.

Source: proxies.py (Send-Call and ConvertTo-Sent); docs/laboratory.md.
"""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ec2gw.lab.agent import casts
from ec2gw.lab.agent.host import CmdletError, WmiValue
from ec2gw.lab.binding import tables
from ec2gw.lab.cmdlets.objects import Live

REF: Final = "#ref"
TYPE: Final = "#type"
KINDS: Final = "#kinds"
_KEPT: Final = 20_000
"""Objects that are known at most: a plan refers to its own, and only two run at a time."""
_DEEPEST: Final = 3
_SPANS: Final = ("Days", "Hours", "Minutes", "Seconds", "Milliseconds", "Ticks")
_TOTALS: Final = tuple(f"Total{one}" for one in _SPANS[:-1])
WIDTHS: Final = {
    "System.Byte": "uint8",
    "System.UInt16": "uint16",
    "System.UInt32": "uint32",
    "System.UInt64": "uint64",
    "System.SByte": "sint8",
    "System.Int16": "sint16",
    "System.Int32": "sint32",
}
"""Types that only a WMI value is of: the numbers of a request are Int64, as JSON's are."""

Json = object
Texts = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a host's drives lie for a PowerShell that has none."""

    base: str

    def here(self, text: str) -> str:
        match = re.match(r"([A-Za-z]):\\", text)
        if match is None:
            return text
        return "/".join((self.base, match[1].upper(), *filter(None, text[3:].split("\\"))))

    def there(self, text: str) -> str:
        prefix = f"{self.base}/"
        drive, _, rest = text.removeprefix(prefix).partition("/")
        if not text.startswith(prefix) or len(drive) != 1:
            return text
        return f"{drive}:\\" + rest.replace("/", "\\")


def mapped(value: Json, change: Texts) -> Json:
    """The same value with each of its texts changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: mapped(one, change) for name, one in value.items()}
    if isinstance(value, list):
        return [mapped(one, change) for one in value]
    return value


class Objects:
    """The live objects that a PowerShell was given, by number."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Live] = OrderedDict()
        self._last = 0

    def give(self, value: object) -> Json:
        """What a cmdlet brought back, as JSON."""
        return _json(value, self, _DEEPEST)

    def remember(self, live: Live) -> int:
        self._last += 1
        self._known[self._last] = live
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return self._last

    def arguments(self, sent: Mapping[str, Json]) -> dict[str, object]:
        """A bound call's arguments, as the laboratory's cmdlets take them."""
        kinds = sent.get(KINDS)
        widths = kinds if isinstance(kinds, dict) else {}
        taken: dict[str, object] = {}
        for name, value in sent.items():
            if name == KINDS:
                continue
            taken[name] = self._take(value)
            if isinstance(value, dict) and REF not in value:
                taken[name] = {
                    key: _wide(self._take(one), str(widths.get(key, "")))
                    for key, one in value.items()
                }
        return taken

    def _take(self, value: Json) -> object:
        if isinstance(value, list):
            return [self._take(one) for one in value]
        if isinstance(value, dict):
            number = value.get(REF)
            if number is None:
                return {name: self._take(one) for name, one in value.items()}
            if not isinstance(number, int) or number not in self._known:
                raise CmdletError("LabObject", "ObjectNotFound", f"no live object {number}")
            return self._known[number]
        return value


def _wide(value: object, kind: str) -> object:
    many = kind.endswith("[]")
    width = WIDTHS.get(kind.removesuffix("[]"))
    if width is None:
        return value
    return WmiValue(f"{width}[]" if many else width, value)


def _json(value: object, objects: Objects, depth: int) -> Json:
    match value:
        case Live():
            return _object(value, objects, depth)
        case None | bool() | int() | float() | str():
            return value
        case enum.Enum():
            return value.name
        case uuid.UUID():
            return str(value)
        case datetime.datetime():
            return casts.time(value)
        case datetime.timedelta():
            return {name: casts.member(value, name) for name in (*_SPANS, *_TOTALS)}
        case Sequence():
            return [_json(one, objects, depth) for one in value]
    raise TypeError(f"a {type(value).__name__} cannot travel")


def _object(live: Live, objects: Objects, depth: int) -> dict[str, Json]:
    told: dict[str, Json] = {REF: objects.remember(live), TYPE: types(live.class_name)}
    for name in sorted(live.modelled()) if depth else ():
        try:
            told[name] = _json(live.property(name), objects, depth - 1)
        except CmdletError:
            continue  # as on a host whose getter fails: it is missed when somebody asks
    return told


def types(class_name: str) -> list[str]:
    """The names by which a parameter knows an object, its own last."""
    if ":" in class_name:
        return ["Lab.CimInstance"]
    return [f"Lab.{name}" for name in (*reversed(tables.BASES.get(class_name, ())), class_name)]
