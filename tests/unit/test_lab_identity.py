"""What a simulated machine's firmware says of it, and where its COM ports lead."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.world import model
from tests.unit.lab_host import Bench, fails

UUID = "ec212ec0-c0c0-4a4a-0123-456789abcdef"
PIPE = "\\\\.\\pipe\\i-1"
_SET = "Agent\\Set-VMIdentity"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def record(bench: Bench) -> model.Vm:
    with bench.world.reading(bench.host) as session:
        [vm] = session.vms()
        return vm


def settings(bench: Bench) -> tuple[object, object, object]:
    [found] = bench(
        "CimCmdlets\\Get-CimInstance",
        Namespace="root\\virtualization\\v2",
        ClassName="Msvm_VirtualSystemSettingData",
    )
    names = ("BIOSGUID", "BIOSSerialNumber", "ChassisAssetTag")
    guid, serial, tag = (found.property(name) for name in names)
    return guid, serial, tag


def test_a_machine_has_an_identity_of_its_own_and_takes_another_one(bench: Bench) -> None:
    vm = bench.create("i-1")
    guid, serial, tag = settings(bench)
    assert str(uuid.UUID(str(guid))) != UUID
    assert len(str(serial)) == len(str(tag)) == 32
    bench(_SET, Id=vm.property("Id"), AssetTag="ec2gw", BiosGuid=UUID, SerialNumber=UUID)
    assert settings(bench) == (f"{{{UUID.upper()}}}", UUID, "ec2gw")


def test_only_the_asset_tag_is_needed(bench: Bench) -> None:
    vm = bench.create("i-1")
    guid, serial, _ = settings(bench)
    bench(_SET, Id=vm.property("Id"), AssetTag="ec2gw")
    assert settings(bench) == (guid, serial, "ec2gw")


def test_a_running_machine_keeps_its_identity_and_its_ports(bench: Bench) -> None:
    vm = bench.start("i-1")
    before = settings(bench)
    with fails("SettingsRefused", "InvalidResult"):
        bench(_SET, Id=vm.property("Id"), AssetTag="ec2gw", BiosGuid=UUID, SerialNumber=UUID)
    with fails("InvalidState", "InvalidOperation"):
        bench("Set-VMComPort", VM=vm, Number=1, Path=PIPE)
    assert settings(bench) == before
    assert record(bench).com_ports == ["", ""]


def test_a_refused_serial_number_is_a_warning(bench: Bench) -> None:
    vm = bench.create("i-1")
    _, serial, _ = settings(bench)
    bench.console.inject(bench.host, _SET, "serial")
    given = {"AssetTag": "ec2gw", "BiosGuid": UUID, "SerialNumber": UUID}
    invoked = bench.invoke(_SET, Id=vm.property("Id"), **given)
    assert [one.partition(":")[0] for one in invoked.warnings] == ["the serial number was refused"]
    assert settings(bench) == (f"{{{UUID.upper()}}}", serial, "ec2gw")


def test_no_machine_has_an_identity_that_is_not_there(bench: Bench) -> None:
    with fails("VMNotFound", "ObjectNotFound"):
        bench(_SET, Id=uuid.uuid4(), AssetTag="ec2gw")


def test_a_com_port_leads_to_a_pipe_or_nowhere(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Set-VMComPort", VM=vm, Number=1, Path=PIPE)
    shown = [(one.property("Name"), one.property("Path")) for one in bench("Get-VMComPort", VM=vm)]
    assert shown == [("COM 1", PIPE), ("COM 2", "")]
    assert [one.property("Path") for one in bench("Get-VMComPort", VM=vm, Number=2)] == [""]
    with fails("InvalidParameter"):
        bench("Set-VMComPort", VM=vm, Number=1, Path="C:\\log.txt")
