"""Fidelity: what the laboratory's objects show has the names and types of the recorded classes."""

from __future__ import annotations

import datetime
import enum
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.binding import tables
from ec2gw.lab.binding.values import WIDTHS
from ec2gw.lab.cmdlets.objects import Live
from tests.unit.lab_host import LINUX, ROOT, Bench

ONE = rf"{ROOT}\instances\i-1"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def objects(bench: Bench) -> list[Live]:
    vm = bench.start("i-1")
    bench("Add-VMDvdDrive", VM=vm)
    nics = bench("Get-VMNetworkAdapter", VM=vm)
    bench("Checkpoint-VM", VM=vm)
    bench(
        "Add-VMNetworkAdapterExtendedAcl",
        VMNetworkAdapter=nics,
        Action="Deny",
        Direction="Inbound",
        Weight=1,
    )
    found = [
        *bench("Get-VM"),
        *nics,
        *bench("Get-VMNetworkAdapterVlan", VMNetworkAdapter=nics),
        *bench("Get-VMHardDiskDrive", VM=vm),
        *bench("Get-VMDvdDrive", VM=vm),
        *bench("Get-VMFirmware", VM=vm),
        *bench("Get-VMIntegrationService", VM=vm),
        *bench("Get-VMSnapshot", VM=vm),
        *bench("Get-VMNetworkAdapterExtendedAcl", VMNetworkAdapter=nics),
        *bench("Agent\\Start-DiskCopy", Source=LINUX, Destination=ONE + r"\copy.vhdx"),
        *bench("Get-VMProcessor", VM=vm),
        *bench("Get-VMMemory", VM=vm),
        *bench("Get-VHD", Path=[LINUX, ONE + r"\root.vhdx"]),
        *bench("Get-VMHost"),
        *bench("Get-VMSwitch"),
        *bench("CimCmdlets\\Get-CimInstance", ClassName="Win32_OperatingSystem"),
        *bench("CimCmdlets\\Get-CimInstance", ClassName="Win32_ComputerSystem"),
    ]
    for name in (
        *("Msvm_ComputerSystem", "Msvm_VirtualSystemSettingData", "Msvm_ShutdownComponent"),
        "Msvm_StorageJob",
    ):
        namespace = "root/virtualization/v2"
        found += bench("CimCmdlets\\Get-CimInstance", ClassName=name, Namespace=namespace)
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench.clock.advance(5)
    return [*found, *bench("Get-VM"), *bench("Get-VMNetworkAdapter", VM=vm)]


def is_a(value: object, kind: str) -> bool:
    base = kind.removesuffix("?")
    if value is None:
        # .NET texts and objects may be null, as whatever the table marks so.
        return kind.endswith("?") or base == "string"
    if base.endswith("[]"):
        return isinstance(value, list) and all(is_a(one, base[:-2]) for one in value)
    if base in tables.enums():
        return isinstance(value, enum.Enum) and value.name in tables.enums()[base]
    if base in WIDTHS:
        low, high = WIDTHS[base]
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and low <= int(str(value)) <= high
    plain: dict[str, type] = {
        "string": str,
        "bool": bool,
        "boolean": bool,
        "guid": uuid.UUID,
        "timespan": datetime.timedelta,
        "datetime": datetime.datetime,
        "number": int,
        "sint16": int,
    }
    if base in plain:
        return isinstance(value, plain[base])
    return isinstance(value, Live) and value.class_name in (base, "VMNetworkAdapter")


def test_every_property_shown_has_the_recorded_type(bench: Bench) -> None:
    shown = 0
    for live in objects(bench):
        if ":" in live.class_name:
            table = tables.wmi(*live.class_name.split(":", 1))
            kinds = table["properties"] if table else {}
        else:
            kinds = tables.properties(live.class_name) or {}
        for name, kind in kinds.items():
            if name not in live.modelled():
                continue
            shown += 1
            value = live.property(name)
            assert is_a(value, kind), f"{live.class_name}.{name} is {value!r}, not {kind}"
    assert shown > 300


def test_no_object_shows_more_than_its_class_has(bench: Bench) -> None:
    for live in objects(bench):
        extra = set(live.modelled()) - live.known()
        assert not extra, f"{live.class_name} has no {extra}"
