"""The tables that calls are held against: cmdlets, classes, enumerations, WMI. Only reads them.

Source: `data/README.md` beside this file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ec2gw.lab.binding import own

DOCUMENTED = ("documented 2016", "documented 2019", "documented 2022", "documented 2025")
RECORDED = ("recorded 2016", "recorded 2019")
VERSIONS = DOCUMENTED + RECORDED
LABORATORY = "recorded 2019"
"""The table that the laboratory's own cmdlets bind against: the one with all attributes."""

BASES: Mapping[str, Sequence[str]] = {
    "VirtualMachine": ("VirtualMachineBase",),
    "VMSnapshot": ("VirtualMachineBase",),
    "VMNetworkAdapter": ("VMNetworkAdapterBase", "VMComponentObject"),
    "VMInternalNetworkAdapter": ("VMNetworkAdapterBase",),
    "HardDiskDrive": ("Drive", "VMComponentObject"),
    "DvdDrive": ("Drive", "VMComponentObject"),
    "VMScsiController": ("VMDriveController", "VMComponentObject"),
    "VMIdeController": ("VMDriveController", "VMComponentObject"),
}
"""What an object also is. Source: learn.microsoft.com, classes of Microsoft.HyperV.PowerShell."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str
    values: tuple[str, ...]
    range: tuple[int, int] | None
    checks: frozenset[str]


@dataclass(frozen=True, slots=True)
class ParameterSet:
    name: str
    mandatory: frozenset[str]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cmdlet:
    """One definition of a cmdlet, as one version of the tables has it."""

    name: str
    module: str
    default_set: str
    output: tuple[str, ...]
    parameters: Mapping[str, Parameter]
    sets: tuple[ParameterSet, ...]


@functools.cache
def loaded(name: str) -> dict[str, Any]:
    """One of the files beside this one."""
    text = resources.files(__package__).joinpath("data", name).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@functools.cache
def cmdlet(qualified: str, version: str) -> Cmdlet | None:
    r"""Find a cmdlet by its module-qualified name, ``Hyper-V\Get-VM``."""
    module, _, name = qualified.rpartition("\\")
    own_row = own.row(qualified)
    if own_row is not None:
        return _cmdlet(name, module, own_row)
    found = loaded("cmdlets.json").get(name)
    if found is None or found["module"] != module:
        return None
    for one in found["definitions"]:
        if version in one["versions"]:
            return _cmdlet(name, module, one)
    return None


def _cmdlet(name: str, module: str, row: Mapping[str, Any]) -> Cmdlet:
    parameters = {
        one: Parameter(
            name=one,
            type=facts["type"],
            values=tuple(facts.get("values", ())),
            range=(int(facts["range"][0]), int(facts["range"][1])) if "range" in facts else None,
            checks=frozenset(facts.get("checks", ())),
        )
        for one, facts in row["parameters"].items()
    }
    sets = tuple(
        ParameterSet(
            name=one["name"],
            mandatory=frozenset(one["mandatory"]),
            names=frozenset(one["mandatory"]) | frozenset(one["optional"]),
        )
        for one in row["sets"]
    )
    return Cmdlet(name, module, row["default_set"], tuple(row["output"]), parameters, sets)


def enums() -> Mapping[str, Mapping[str, int]]:
    found: Mapping[str, Mapping[str, int]] = loaded("classes.json")["enums"]
    return found


@functools.cache
def properties(class_name: str) -> Mapping[str, str] | None:
    """Names and types of a .NET class by its short name; None for an unknown one."""
    if class_name in own.CLASSES:
        return own.CLASSES[class_name]
    found = loaded("classes.json")["classes"].get(class_name)
    return None if found is None else dict(found["properties"])


@functools.cache
def full_name(class_name: str) -> str:
    found = loaded("classes.json")["classes"].get(class_name)
    return class_name if found is None else str(found["name"])


def wmi(namespace: str, class_name: str) -> Mapping[str, Any] | None:
    r"""Find a WMI class; both ``root/cimv2`` and ``root\cimv2`` name the namespace."""
    found: Mapping[str, Any] | None
    found = loaded("wmi.json").get(namespace.replace("\\", "/").lower(), {}).get(class_name)
    return found
