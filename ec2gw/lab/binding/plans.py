"""Binds whole plans without a host: calls, references, properties brought back, CIM methods.

A plan that binds against every table is as good as bound on every version of Windows Server;
what binds in some only has to be probed for.

Source: `data/README.md`; the agent's rules for references and casts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.binding import binder, tables, types, values
from translators.hyperv.host import Argument, Call, Cim, Path, Plan, Ref

EVERY = "every version"
CIMV2 = "root/cimv2"
_TAKE = re.compile(r"([A-Za-z0-9_.]*):(text|int|bool|time|texts)")
_CONDITION = re.compile(r"\s*([A-Za-z_]+)\s*=\s*('[^']*'|\"[^\"]*\"|[0-9]+)\s*")
_ADAPTERS = ("Get", "Add", "Set", "Remove", "Connect", "Disconnect", "Rename")


@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a call of a plan from running as meant, and where."""

    plan: str
    call: int
    cmdlet: str
    version: str
    text: str

    def __str__(self) -> str:
        return f"{self.plan}, call {self.call}, {self.cmdlet} ({self.version}): {self.text}"


class _Wrong(Exception):
    """A fault of the plan itself, on whatever host."""


def bind_plan(plan: Plan, versions: Sequence[str] = tables.VERSIONS) -> list[Problem]:
    """Bind every call against every version; an empty list means that the plan holds."""
    problems: list[Problem] = []
    kept: dict[str, str] = {}
    for number, call in enumerate(plan.calls):

        def note(version: str, text: str, number: int = number, call: Call = call) -> None:
            problems.append(Problem(plan.purpose, number, call.cmdlet, version, text))

        try:
            arguments = {name: _static(one, kept) for name, one in call.parameters.items()}
        except (_Wrong, types.NoSuchProperty) as wrong:
            note(EVERY, str(wrong))
            arguments = None
        output = ""
        if arguments is not None:
            for version in versions:
                try:
                    binder.bind(call.cmdlet, arguments, version)
                except binder.BindingError as error:
                    note(version, str(error))
            try:
                output = _output(call, arguments)
            except (_Wrong, types.NoSuchProperty) as wrong:
                note(EVERY, str(wrong))
        for text in _results(call, output, kept):
            note(EVERY, text)
        if call.keep:
            kept[call.keep] = output
    return problems


def _static(value: Argument | Cim, kept: Mapping[str, str]) -> object:
    """What is known of a value before any host is asked."""
    if isinstance(value, Ref):
        return _referred(value, kept)
    if isinstance(value, Path):
        return values.Typed("string")
    if isinstance(value, Mapping):
        return {name: _static(one, kept) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_static(one, kept) for one in value]
    return value


def _referred(ref: Ref, kept: Mapping[str, str]) -> values.Typed:
    if ref.name not in kept:
        raise _Wrong(f"no earlier call keeps '{ref.name}'")
    class_name = kept[ref.name]
    if not class_name:
        raise _Wrong(f"'{ref.name}' keeps nothing: its call brings nothing back")
    whole = class_name if ref.at is not None else f"{class_name}[]"
    if ref.property is None:
        return values.Typed(whole)
    return values.Typed(types.walk(whole, ref.property))


def _results(call: Call, output: str, kept: Mapping[str, str]) -> list[str]:
    """What is wrong with how a call keeps and takes what it brings back."""
    if call.take and not call.keep:
        return ["what is taken must be kept"]
    if not call.keep:
        return []
    if call.keep in kept:
        return [f"'{call.keep}' is kept twice"]
    if not call.take:
        return []
    if not output:
        return ["it brings nothing back; -Passthru may be missing"]
    found = []
    for name, path in call.take.items():
        match = _TAKE.fullmatch(path)
        if match is None:
            found.append(f"{name}: '{path}' is no property and cast")
            continue
        try:
            types.check_cast(types.walk(output, match[1]), match[2])
        except (types.NoSuchProperty, types.WrongCast) as wrong:
            found.append(f"{name}: {wrong}")
    return found


def _output(call: Call, arguments: Mapping[str, object]) -> str:
    """The class of what a call brings back; nothing without -Passthru where that is needed."""
    cmdlet = tables.cmdlet(call.cmdlet, tables.LABORATORY)
    if cmdlet is None:
        return ""
    if cmdlet.module == "CimCmdlets":
        return _cim_output(cmdlet.name, arguments)
    if "Passthru" in cmdlet.parameters and arguments.get("Passthru") is not True:
        return ""
    if cmdlet.name in [f"{verb}-VMNetworkAdapter" for verb in _ADAPTERS]:
        return "VMInternalNetworkAdapter" if "ManagementOS" in arguments else "VMNetworkAdapter"
    if cmdlet.name == "Get-ChildItem":  # what it brings is the provider's
        if not str(arguments.get("Path")).startswith("WSMan:"):
            raise _Wrong("-Path of another drive than WSMan: is not understood")
        return "WSManConfigLeafElement"
    return cmdlet.output[0] if cmdlet.output else ""


# -- CIM


def _cim_output(name: str, arguments: Mapping[str, object]) -> str:
    if name == "Get-CimInstance":
        return _instances(arguments)
    source = arguments.get("InputObject")
    if not isinstance(source, values.Typed):
        raise _Wrong("only -InputObject from an earlier call is understood")
    class_name = source.class_name.removesuffix("[]")
    if name == "Invoke-CimMethod":
        return _method(class_name, arguments)
    wanted = arguments.get("ResultClassName")
    if not isinstance(wanted, str):
        raise _Wrong("-ResultClassName must say what is associated")
    return _known(f"{class_name.partition(':')[0]}:{wanted}")


def _known(class_name: str) -> str:
    types.members(class_name)
    return class_name


def _instances(arguments: Mapping[str, object]) -> str:
    namespace = str(arguments.get("Namespace", CIMV2)).replace("\\", "/").lower()
    class_name = _known(f"{namespace}:{arguments.get('ClassName')}")
    condition = arguments.get("Filter", "")
    for part in re.split(r"(?i)\bAND\b", str(condition)) if condition else []:
        match = _CONDITION.fullmatch(part)
        if match is None:
            raise _Wrong(f"-Filter is not understood: {part}")
        types.walk(class_name, match[1])
    return class_name


def _method(class_name: str, arguments: Mapping[str, object]) -> str:
    namespace, _, name = class_name.partition(":")
    table = tables.wmi(namespace, name)
    method = arguments.get("MethodName")
    if table is None or method not in table["methods"]:
        raise _Wrong(f"{class_name} has no method {method}")
    rows = {one: (way, kind) for one, way, kind in table["methods"][method]}
    given = arguments.get("Arguments", {})
    if not isinstance(given, Mapping):
        raise _Wrong("-Arguments is no table")
    for parameter, value in given.items():
        way, kind = rows.get(parameter, ("", ""))
        if "in" not in way:
            raise _Wrong(f"{method} takes no argument {parameter}")
        _check_width(parameter, kind, value)
    return "MethodResult"


def _check_width(parameter: str, kind: str, value: object) -> None:
    if kind.removesuffix("[]") == "number":
        raise _Wrong(f"{parameter}: no table tells its width")
    if isinstance(value, Cim):
        given = value.type
    elif isinstance(value, values.Typed):
        given = value.class_name.partition(":")[2] + " REF" if ":" in value.class_name else ""
    elif isinstance(value, bool):
        given = "boolean"
    elif isinstance(value, str):
        given = "string"
    else:
        given = f"{value!r} without a width"
    if given != kind and not (given.endswith(" REF") and kind.endswith(" REF")):
        raise _Wrong(f"{parameter} is {kind}, not {given}")
