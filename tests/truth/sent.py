"""Plans that reached hosts in end-to-end tests, as they are recorded, and what is wrong with one.

Holds the way back from a request to its plan, the reviewed lists of what binds not everywhere, and
one change of each kind that binding must tell; no test.

Source: tests/data/agent/README.md (frames); docs/agent.md, "Frames".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path as File
from typing import Any, Final

from ec2gw.lab.binding import VERSIONS, bind_plan, tables
from translators.hyperv import allowed, trials
from translators.hyperv.host import Argument, Call, Cim, Path, Plan, Ref

FRAMES: Final = File(__file__).parents[1] / "data" / "agent" / "frames.json"


def frames() -> dict[str, Plan]:
    """The plan of each recorded frame."""
    held = json.loads(FRAMES.read_text(encoding="utf-8"))["frames"]
    return {f"frame {number}": plan(one["request"], number) for number, one in enumerate(held)}


def plan(request: Mapping[str, Any], number: int = 0) -> Plan:
    """The plan that was sent as this request."""
    calls = [
        Call(
            call["do"],
            {name: _argument(value) for name, value in call["with"].items()},
            call.get("as"),
            call.get("take"),
        )
        for call in request["calls"]
    ]
    return Plan(f"frame {number}", tuple(calls))


def _argument(value: Any) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return Ref(value["$ref"], value.get("at"), value.get("property"))
        if "$path" in value:
            return Path(value["$path"])
        if "$cim" in value:
            return Cim(value["$cim"], value["value"])
        return {name: _argument(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_argument(one) for one in value]
    return value


def problems(plans: Mapping[str, Plan]) -> list[str]:
    """What keeps which plan from binding, on whatever version."""
    return [f"{name}: {one}" for name, each in plans.items() for one in bind_plan(each)]


# -- reviewed lists


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Lacking:
    """A cmdlet or a parameter that one version lacks, and the probe that it stands behind."""

    cmdlet: str
    parameter: str
    version: str
    why: str = dataclasses.field(compare=False)


LACKING: Final[tuple[Lacking, ...]] = ()
"""All that plans use is on every version: nothing has to be probed for. Add nothing lightly."""

BY_HAND: Final = {
    "Microsoft.PowerShell.Diagnostics\\Get-WinEvent": (
        "no table holds its module; from the documentation of Windows PowerShell 5.1"
    ),
}
"""Cmdlets of Windows that are bound by a definition written by hand."""

MADE_UP: Final = {
    "making.create/least": "a disk without a parent has a size; the least of arguments has none",
    "volume.create/least": "a disk without a parent has a size; the least of arguments has none",
    "trials.differing_from/least": "puts a parent into a plan that is made up here",
    "trials.differing_from/all": "puts a parent into a plan that is made up here",
}
"""Plans of made-up arguments that need not bind; tests make them with real ones."""


def lacking() -> set[Lacking]:
    """What of all that agents may run some version does not have."""
    found = set()
    for qualified, parameters in (*allowed.ALLOWED.items(), *trials.ALLOWED.items()):
        for version in VERSIONS:
            cmdlet = tables.cmdlet(qualified, version)
            names = cmdlet.parameters if cmdlet else {}
            missing = [one for one in parameters if one not in names] if cmdlet else [""]
            found |= {Lacking(qualified, one, version, "") for one in missing}
    return found


def by_hand() -> set[str]:
    """Cmdlets of Windows that agents may run and that no table holds."""
    theirs = {do for do in (*allowed.ALLOWED, *trials.ALLOWED) if not do.startswith("Agent\\")}
    held = {f"{row['module']}\\{name}" for name, row in tables.loaded("cmdlets.json").items()}
    return theirs - held


# -- changes that must be told

Change = Callable[[Call], Iterator[Call]]


def _with(call: Call, **parameters: Argument) -> Call:
    return dataclasses.replace(call, parameters={**call.parameters, **parameters})


def _without(call: Call, name: str) -> dict[str, Argument]:
    return {one: value for one, value in call.parameters.items() if one != name}


def misspelt(call: Call) -> Iterator[Call]:
    for name, value in call.parameters.items():
        changed = {**_without(call, name), f"{name}x": value}
        yield dataclasses.replace(call, parameters=changed)


def another_type(call: Call) -> Iterator[Call]:
    """A number where a text is, a text where a number or a switch is."""
    for name, value in call.parameters.items():
        if isinstance(value, bool) or (isinstance(value, int) and not isinstance(value, bool)):
            yield _with(call, **{name: "x"})
        elif isinstance(value, str | Path):
            yield _with(call, **{name: 5})


def another_value(call: Call) -> Iterator[Call]:
    """What no enumeration, list of values or range has."""
    cmdlet = _cmdlet(call)
    for name, value in call.parameters.items():
        parameter = cmdlet.parameters[name]
        listed = parameter.values or parameter.type.removesuffix("?") in tables.enums()
        if listed and isinstance(value, str):
            yield _with(call, **{name: f"{value}x"})
        elif parameter.range and isinstance(value, int):
            yield _with(call, **{name: parameter.range[1] + 1})


_SOME: Final[Mapping[str, Argument]] = {
    "switch": True,
    "bool": True,
    "string": "x",
    "string[]": ["x"],
    "guid": "6f5416f5-0304-4494-a55c-00afe1a709d3",
}


def two_sets(call: Call) -> Iterator[Call]:
    """One parameter more, which no set has together with those that are there."""
    cmdlet = _cmdlet(call)
    for name, parameter in cmdlet.parameters.items():
        names = {*call.parameters, name}
        if parameter.type in _SOME and not any(names <= one.names for one in cmdlet.sets):
            yield _with(call, **{name: _SOME[parameter.type]})


def one_less(call: Call) -> Iterator[Call]:
    """Without a parameter that every set wants which has the others."""
    cmdlet = _cmdlet(call)
    for name in call.parameters:
        rest = call.parameters.keys() - {name}
        if not any(one.mandatory <= rest <= one.names for one in cmdlet.sets):
            yield dataclasses.replace(call, parameters=_without(call, name))


def _cmdlet(call: Call) -> tables.Cmdlet:
    found = tables.cmdlet(call.cmdlet, tables.LABORATORY)
    assert found is not None
    return found


def nothing_given(call: Call) -> Iterator[Call]:
    """A null; where one means something there is nothing to tell."""
    for name, value in call.parameters.items():
        if value is not None and not _takes_null(_cmdlet(call), name):
            yield _with(call, **{name: None})


def _takes_null(cmdlet: tables.Cmdlet, name: str) -> bool:
    parameter = cmdlet.parameters[name]
    always = all(name in one.mandatory for one in cmdlet.sets if name in one.names)
    plain = parameter.type == "string" or parameter.type.endswith("?")
    return plain and not always and not parameter.checks


def another_path(call: Call) -> Iterator[Call]:
    for name, take in (call.take or {}).items():
        path, _, cast = take.partition(":")
        yield dataclasses.replace(call, take={**(call.take or {}), name: f"{path}x:{cast}"})


def another_width(call: Call) -> Iterator[Call]:
    given = call.parameters.get("Arguments")
    for name, value in given.items() if isinstance(given, Mapping) else ():
        if isinstance(value, Cim):
            other = "uint8" if value.type != "uint8" else "uint64"
            arguments: Any = {**given, name: Cim(other, value.value)}  # type: ignore[dict-item]
            yield _with(call, Arguments=arguments)


def another_name_of_wmi(call: Call) -> Iterator[Call]:
    for name in ("ClassName", "MethodName", "Namespace"):
        value = call.parameters.get(name)
        if isinstance(value, str):
            yield _with(call, **{name: f"{value}x"})


CHANGES: Final[Mapping[str, Change]] = {
    "a misspelt parameter": misspelt,
    "two sets at once": two_sets,
    "a mandatory parameter left out": one_less,
    "a value of another type": another_type,
    "a value that is not accepted": another_value,
    "a null where none is allowed": nothing_given,
    "another property path": another_path,
    "another width": another_width,
    "another class, method or namespace": another_name_of_wmi,
}


def changed(plans: Iterable[Plan], change: Change) -> Iterator[Plan]:
    """Plans with one thing of one call changed: each thing, of each form of a call once."""
    seen = set()
    for whole in plans:
        for number, call in enumerate(whole.calls):
            form = call.cmdlet, tuple(call.parameters), tuple((call.take or {}).items())
            if form in seen and "Arguments" not in call.parameters:
                continue
            seen.add(form)
            for other in change(call):
                calls = (*whole.calls[:number], other, *whole.calls[number + 1 :])
                yield dataclasses.replace(whole, calls=calls)
