#!/usr/bin/env python3
"""Renew `ec2gw/lab/binding/data` from the full tables of cmdlets, classes and WMI.

Usage: ``scripts/renew-binding-data.py [FROM [TO]]``, where FROM holds `hyperv-cmdlets.json`,
`hyperv-recorded.json` and `hyperv-wmi.json` (default: `../shared`). The result is deterministic;
what is kept and where it comes from is told in the README beside the data.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
DATA = HERE / "ec2gw" / "lab" / "binding" / "data"


def words(text: str) -> list[str]:
    return text.split()


CMDLETS = words("""
Get-VM New-VM Set-VM Start-VM Stop-VM Restart-VM Save-VM Suspend-VM Resume-VM Rename-VM Remove-VM
Get-VMProcessor Set-VMProcessor Get-VMMemory Set-VMMemory
Get-VMFirmware Set-VMFirmware Get-VMBios Set-VMBios Get-VMComPort Set-VMComPort
Get-VMNetworkAdapter Add-VMNetworkAdapter Remove-VMNetworkAdapter Set-VMNetworkAdapter
Connect-VMNetworkAdapter Disconnect-VMNetworkAdapter Rename-VMNetworkAdapter
Add-VMNetworkAdapterExtendedAcl Get-VMNetworkAdapterExtendedAcl
Remove-VMNetworkAdapterExtendedAcl
Get-VMNetworkAdapterVlan Set-VMNetworkAdapterVlan
Get-VMHardDiskDrive Add-VMHardDiskDrive Set-VMHardDiskDrive Remove-VMHardDiskDrive
Get-VMDvdDrive Add-VMDvdDrive Set-VMDvdDrive Remove-VMDvdDrive Get-VMScsiController
Checkpoint-VM Get-VMSnapshot Remove-VMSnapshot
New-VHD Get-VHD Test-VHD Resize-VHD Set-VHD Convert-VHD
Get-VMHost Get-VMSwitch Get-VMIntegrationService
Get-CimInstance Get-CimAssociatedInstance Invoke-CimMethod
Get-Item Remove-Item Get-ChildItem Get-Process
""")
MODULES = {"Hyper-V", "CimCmdlets", "Microsoft.PowerShell.Management"}
DOCUMENTED = ["2016", "2019", "2022", "2025"]

WMI_CLASSES = {
    "root/virtualization/v2": words("""
        Msvm_ComputerSystem Msvm_VirtualSystemSettingData Msvm_ShutdownComponent
        Msvm_HeartbeatComponent Msvm_KvpExchangeComponent Msvm_SummaryInformation
        Msvm_VirtualSystemManagementService Msvm_VirtualSystemManagementServiceSettingData
        Msvm_VirtualEthernetSwitch Msvm_GuestNetworkAdapterConfiguration
        Msvm_SyntheticEthernetPort Msvm_SyntheticEthernetPortSettingData Msvm_ConcreteJob
        Msvm_StorageJob Msvm_ProcessorSettingData Msvm_MemorySettingData Msvm_VideoHead
        Msvm_SystemDevice Msvm_SettingsDefineState Msvm_ImageManagementService
        Msvm_VirtualHardDiskSettingData
    """),
    "root/cimv2": words("""
        Win32_OperatingSystem Win32_ComputerSystem Win32_LogicalDisk Win32_Volume Win32_Processor
        Win32_ComputerSystemProduct
    """),
}
# Recordings show a datetime as string, and root/cimv2 has no documented tables here.
# Source: learn.microsoft.com, Win32_OperatingSystem and CIM_ManagedSystemElement classes.
PLAIN = re.compile(r"(?i)((u|s)int(8|16|32|64)|string)(\[\])?|boolean|datetime")
DATETIMES = {"LastBootUpTime", "LocalDateTime", "InstallDate"}

ACCELERATORS = {
    "int": "int32", "int32": "int32", "long": "int64", "int64": "int64", "short": "int16",
    "int16": "int16", "uint16": "uint16", "ushort": "uint16", "uint32": "uint32",
    "uint64": "uint64", "string": "string", "bool": "bool", "boolean": "bool", "guid": "guid",
    "version": "version", "uri": "uri", "datetime": "datetime", "timespan": "timespan",
    "double": "double", "idictionary": "dictionary", "hashtable": "dictionary",
    "ciminstance": "CimInstance", "cimclass": "CimClass", "psobject": "psobject",
    "switchparameter": "switch", "object": "object", "byte": "uint8",
}  # fmt: skip


def short(name: str) -> str:
    """One vocabulary for three: `System.Nullable[long]` -> `int64?`, `String[]` -> `string[]`."""
    nullable = re.fullmatch(r"System\.Nullable(?:\[(.+)\]|<(.+)>)", name)
    if nullable:
        return short(nullable[1] or nullable[2]) + "?"
    if name.endswith("[]"):
        return short(name[:-2]) + "[]"
    listed = re.fullmatch(r"System\.Collections\.Generic\.(?:IReadOnly)?List<(.+)>", name)
    if listed:
        return short(listed[1]) + "[]"
    last = re.split(r"[.+]", name)[-1]
    return ACCELERATORS.get(last.lower(), last)


def definition(cmdlet: dict[str, Any], versions: list[str]) -> dict[str, Any]:
    parameters = {}
    for name, facts in cmdlet["parameters"].items():
        kept: dict[str, Any] = {"type": "switch" if facts.get("switch") else short(facts["type"])}
        for key in ("values", "range"):
            if facts.get(key):
                kept[key] = facts[key]
        checks = [check for check in facts.get("checks", []) if check.startswith("ValidateNot")]
        if checks:
            kept["checks"] = sorted(checks)
        parameters[name] = kept
    sets = [
        {
            "name": one.get("name", f"set {number}"),
            "mandatory": [row[0] for row in one["parameters"] if row[1]],
            "optional": [row[0] for row in one["parameters"] if not row[1]],
        }
        for number, one in enumerate(cmdlet["sets"], start=1)
    ]
    default = cmdlet.get("default_set") or sets[0]["name"]
    return {
        "versions": versions,
        "default_set": default,
        "output": [short(one) for one in cmdlet.get("output", [])],
        "parameters": parameters,
        "sets": sets,
    }


def cmdlets(documented: dict[str, Any], recorded: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name in CMDLETS:
        found = []
        for cmdlet in documented["cmdlets"]:
            if cmdlet["name"] != name or cmdlet["module"] not in MODULES:
                continue
            if cmdlet["versions"] == ["PS5.1"]:
                # Windows PowerShell 5.1 is the same on all of them; no recording of 2019 has it.
                versions = [f"documented {year}" for year in DOCUMENTED] + ["recorded 2019"]
            else:
                versions = [f"documented {year}" for year in cmdlet["versions"]]
            found.append((cmdlet["module"], definition(cmdlet, versions)))
        for year in ("2016", "2019"):
            for cmdlet in recorded["cmdlets"][year]:
                if cmdlet["name"] == name and cmdlet["module"] in MODULES:
                    found.append((cmdlet["module"], definition(cmdlet, [f"recorded {year}"])))
        if not found:
            raise SystemExit(f"no table knows {name}")
        kept[name] = {"module": found[0][0], "definitions": [one for _, one in found]}
    return kept


def classes(recorded: dict[str, Any]) -> dict[str, Any]:
    def ours(name: str) -> bool:
        return name.startswith(("Microsoft.HyperV.", "Microsoft.Vhd.", "Microsoft.Virtualization."))

    return {
        "classes": {
            short(name): {
                "name": name,
                "properties": {one: short(kind) for one, kind in facts["properties"].items()},
            }
            for name, facts in sorted(recorded["classes"].items())
            if ours(name) and not facts.get("unknown")
        },
        "enums": {
            short(name): facts["values"]
            for name, facts in sorted(recorded["enums"].items())
            if ours(name)
        },
    }


def wmi(full: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for namespace, names in WMI_CLASSES.items():
        kept[namespace] = {}
        for name in sorted(names):
            kept[namespace][name] = wmi_class(full, namespace, name)
    return kept


def wmi_class(full: dict[str, Any], namespace: str, name: str) -> dict[str, Any]:
    page = full["documented"].get(name, {"properties": {}, "methods": {}})
    page_types = {one.lower(): kind for one, kind in page["properties"].items()}
    seen: dict[str, dict[str, str]] = {}
    methods: dict[str, Any] = {}
    ancestors: list[str] = []
    for version in ("2019", "23H2"):
        table = full["recorded"][version][namespace]
        properties: dict[str, str] = {}
        own_methods: dict[str, Any] = {}
        ancestors = []
        at: str | None = name
        while at:
            facts = table["classes"].get(at)
            if facts is None:
                break
            if at != name:
                ancestors.append(at)
            for one, kind in facts["properties"].items():
                properties.setdefault(one, kind)
            for method, rows in facts["methods"].items():
                own_methods.setdefault(method, rows)
            at = facts["inherits"]
        seen[version] = {
            one: wmi_type(one, kind, page_types.get(one.lower()), table["enums"])
            for one, kind in properties.items()
        }
        documented_methods = {one.lower(): rows for one, rows in page["methods"].items()}
        for method, rows in own_methods.items():
            widths = {row[0].lower(): row[2] for row in documented_methods.get(method.lower(), [])}
            methods.setdefault(method, {})[version] = [
                [one, way, wmi_type(one, kind, widths.get(one.lower()), table["enums"])]
                for one, way, kind in rows
            ]
    both = {one: kind for one, kind in seen["2019"].items() if one in seen["23H2"]}
    return {
        "inherits": ancestors,
        "properties": both,
        "only": {
            version: sorted(set(seen[version]) - set(both))
            for version in seen
            if set(seen[version]) - set(both)
        },
        "methods": {
            method: versions["2019"]
            for method, versions in sorted(methods.items())
            if {"2019", "23H2"} <= set(versions)
        },
    }


def wmi_type(name: str, recorded: str, documented: str | None, enums: dict[str, Any]) -> str:
    """The width of a number: the page tells it where the recording names an enumeration."""
    base = recorded.removesuffix("[]")
    if documented and PLAIN.fullmatch(documented):
        return documented.lower()
    if recorded == "string" and name in DATETIMES:
        return "datetime"
    if base in enums:
        return "number" + recorded[len(base) :]
    if documented and documented.lower().endswith(" ref"):
        return documented
    return recorded


def write(folder: Path, name: str, value: object) -> None:
    lines = json.dumps(value, indent=None, separators=(",", ":"), ensure_ascii=False)
    # One cmdlet or class a line, so that a renewal can be reviewed.
    text = re.sub(r'(\{"name":"Microsoft|\{"module":|\{"inherits":)', r"\n\1", lines)
    (folder / name).write_text(text + "\n", encoding="utf-8")
    print(f"{name}: {len(text)} bytes")


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "shared"
    documented = json.loads((folder / "hyperv-cmdlets.json").read_text(encoding="utf-8"))
    recorded = json.loads((folder / "hyperv-recorded.json").read_text(encoding="utf-8"))
    full = json.loads((folder / "hyperv-wmi.json").read_text(encoding="utf-8"))
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else DATA
    write(target, "cmdlets.json", cmdlets(documented, recorded))
    write(target, "classes.json", classes(recorded))
    write(target, "wmi.json", wmi(full))


if __name__ == "__main__":
    main()
