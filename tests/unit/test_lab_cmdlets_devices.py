"""Simulated disks, drives, adapters and files: what they do, and what they refuse."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent.host import CmdletError
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench, fails

ONE = rf"{ROOT}\instances\i-1"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


# -- virtual disks


def test_a_differencing_disk_is_as_large_as_its_parent_or_larger(bench: Bench) -> None:
    child = bench.one("New-VHD", Path=ROOT + r"\a.vhdx", ParentPath=LINUX, Differencing=True)
    assert child.property("Size") == 8 * GIB
    assert child.property("ParentPath") == LINUX
    assert child.property("FileSize") == 4 * 1024**2
    grown = bench.one("New-VHD", Path=ROOT + r"\b.vhdx", ParentPath=LINUX, SizeBytes=9 * GIB)
    assert grown.property("Size") == 9 * GIB
    assert grown.property("DiskIdentifier") != child.property("DiskIdentifier")
    with fails("InvalidParameter"):
        bench("New-VHD", Path=ROOT + r"\c.vhdx", ParentPath=LINUX, SizeBytes=GIB)


@pytest.mark.parametrize(
    ("path", "size", "identifier", "hresult"),
    [
        (LINUX, GIB, "OperationFailed", "0x80070050"),
        (ROOT + r"\nowhere\a.vhdx", GIB, "OperationFailed", "0x80070003"),
        (ROOT + r"\a.img", GIB, "InvalidParameter", ""),
        (ROOT + r"\a.vhdx", GIB + 1, "InvalidParameter", ""),
        (ROOT + r"\a.vhdx", 65 * 1024 * GIB, "InvalidParameter", ""),
    ],
)
def test_a_disk_that_cannot_be_made_is_refused(
    bench: Bench, path: str, size: int, identifier: str, hresult: str
) -> None:
    with fails(identifier, hresult=hresult):
        bench("New-VHD", Path=path, SizeBytes=size)


def test_a_fixed_disk_takes_its_whole_size(bench: Bench) -> None:
    disk = bench.one("New-VHD", Path=ROOT + r"\a.vhdx", SizeBytes=20 * GIB, Fixed=True)
    assert disk.property("FileSize") == 20 * GIB
    with fails("OperationFailed", hresult="0x80070070"):
        bench("New-VHD", Path=ROOT + r"\b.vhdx", SizeBytes=80 * GIB, Fixed=True)


def test_a_disk_grows_while_it_is_used_on_scsi_and_never_shrinks(bench: Bench) -> None:
    bench.start("i-1")
    disk = ONE + r"\root.vhdx"
    bench("Resize-VHD", Path=disk, SizeBytes=10 * GIB)
    assert bench.one("Get-VHD", Path=disk).property("Size") == 10 * GIB
    with fails("InvalidParameter"):
        bench("Resize-VHD", Path=disk, SizeBytes=9 * GIB)
    with fails("ObjectInUse", "ResourceBusy", "0x80070020"):
        bench("Resize-VHD", Path=LINUX, SizeBytes=10 * GIB)


def test_a_disk_that_a_backup_holds_is_in_use(bench: Bench) -> None:
    bench.console.lock_file(bench.host, LINUX, 30)
    with pytest.raises(CmdletError) as caught:
        bench("Get-VHD", Path=LINUX)
    assert caught.value.id == "ObjectInUse,Microsoft.Vhd.PowerShell.Cmdlets.GetVHD"
    bench.clock.advance(31)
    assert bench.one("Get-VHD", Path=LINUX).property("Attached") is False


def test_test_vhd_says_true_or_fails(bench: Bench) -> None:
    bench.create("i-1")
    assert bench.invoke("Test-VHD", Path=ONE + r"\root.vhdx").objects == [True]
    bench.console.delete_file(bench.host, LINUX)
    with fails("OperationFailed", hresult="0x80070002"):
        bench("Test-VHD", Path=ONE + r"\root.vhdx")


def test_a_disk_gets_a_new_identity_while_nobody_uses_it(bench: Bench) -> None:
    vm = bench.create("i-1")
    disk = ONE + r"\root.vhdx"
    before = bench.one("Get-VHD", Path=disk).property("DiskIdentifier")
    bench("Set-VHD", Path=disk, ResetDiskIdentifier=True, Force=True)
    assert bench.one("Get-VHD", Path=disk).property("DiskIdentifier") != before
    bench("Start-VM", VM=vm)
    with fails("ObjectInUse", "ResourceBusy"):
        bench("Set-VHD", Path=disk, ResetDiskIdentifier=True, Force=True)


def test_a_parent_in_use_cannot_be_removed_and_one_at_rest_can(bench: Bench) -> None:
    vm = bench.start("i-1")
    with fails("FileInUse", "ResourceBusy"):
        bench("Agent\\Remove-Tree", Path=LINUX)
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench.clock.advance(2)
    bench("Agent\\Remove-Tree", Path=LINUX)
    with fails("OperationFailed", hresult="0x80070002"):
        bench("Start-VM", VM=vm)


# -- drives


def test_a_place_takes_one_drive_and_a_disk_one_place(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("New-VHD", Path=ONE + r"\data.vhdx", SizeBytes=GIB)
    with fails("InvalidParameter"):
        bench("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\root.vhdx")
    with fails("InvalidParameter"):
        bench("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\data.vhdx", ControllerLocation=0)
    with fails("InvalidParameter"):
        bench("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\data.vhdx", ControllerLocation=64)
    with fails("OperationFailed", hresult="0x80070002"):
        bench("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\none.vhdx")
    drive = bench.one("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\data.vhdx", Passthru=True)
    assert drive.property("ControllerLocation") == 1


def test_scsi_drives_come_and_go_while_the_machine_runs(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("New-VHD", Path=ONE + r"\data.vhdx", SizeBytes=GIB)
    drive = bench.one("Add-VMHardDiskDrive", VM=vm, Path=ONE + r"\data.vhdx", Passthru=True)
    bench("Remove-VMHardDiskDrive", VMHardDiskDrive=drive)
    assert len(bench("Get-VMHardDiskDrive", VM=vm)) == 1
    with fails("ObjectNotFound"):
        bench("Remove-VMHardDiskDrive", VMHardDiskDrive=drive)


def test_ide_drives_do_not(bench: Bench) -> None:
    image = bench.console.add_image(bench.host, "old.vhdx", generation=1)
    vm = bench.create("i-1", generation=1, image=image)
    bench("Start-VM", VM=vm)
    bench("New-VHD", Path=ONE + r"\data.vhdx", SizeBytes=GIB)
    with fails("InvalidState", "InvalidOperation"):
        bench("Add-VMHardDiskDrive", VM=vm, ControllerType="IDE", Path=ONE + r"\data.vhdx")


def test_a_disc_is_ejected_while_the_machine_runs(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench.console.put_file(bench.host, ONE + r"\seed.iso", "seed")
    bench(
        "Add-VMDvdDrive", VM=vm, ControllerNumber=0, ControllerLocation=63, Path=ONE + r"\seed.iso"
    )
    bench("Start-VM", VM=vm)
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Remove-Tree", Path=ONE + r"\seed.iso")
    (drive,) = bench("Get-VMDvdDrive", VM=vm)
    bench("Set-VMDvdDrive", VMDvdDrive=drive, Path=None)
    bench("Agent\\Remove-Tree", Path=ONE + r"\seed.iso")
    (drive,) = bench("Get-VMDvdDrive", VM=vm)
    assert drive.property("Path") is None


# -- adapters


def test_an_adapter_is_made_guarded_and_connected(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("Remove-VMNetworkAdapter", VMNetworkAdapter=bench("Get-VMNetworkAdapter", VM=vm))
    nic = bench.one(
        "Add-VMNetworkAdapter",
        VM=vm,
        Name="eni-1",
        StaticMacAddress="02-aa-bb-cc-dd-ee",
        DeviceNaming="On",
        Passthru=True,
    )
    bench("Set-VMNetworkAdapter", VMNetworkAdapter=nic, DhcpGuard="On", RouterGuard="On")
    bench("Set-VMNetworkAdapterVlan", VMNetworkAdapter=nic, Access=True, VlanId=7)
    bench("Connect-VMNetworkAdapter", VMNetworkAdapter=nic, SwitchName="EC2GW")
    (view,) = bench.world.snapshot()[bench.host]["vms"][0]["nics"]
    assert view == {
        "name": "eni-1",
        "mac": "02AABBCCDDEE",
        "switch": "ec2gw",
        "vlan": 7,
        "mac_spoofing": "Off",
        "dhcp_guard": "On",
        "router_guard": "On",
    }
    (vlan,) = bench("Get-VMNetworkAdapterVlan", VMNetworkAdapter=nic)
    assert vlan.property("AccessVlanId") == 7
    bench("Disconnect-VMNetworkAdapter", VMNetworkAdapter=nic)
    assert nic.property("Connected") is False


def test_a_dynamic_address_is_given_at_the_first_start(bench: Bench) -> None:
    vm = bench.start("i-1")
    (nic,) = bench("Get-VMNetworkAdapter", VM=vm)
    first = str(nic.property("MacAddress"))
    assert first.startswith("00155D")
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench("Start-VM", VM=vm)
    assert bench("Get-VMNetworkAdapter", VM=vm)[0].property("MacAddress") == first


@pytest.mark.parametrize("mac", ["01AABBCCDDEE", "02AABBCCDD", "02AABBCCDDEG"])
def test_what_is_no_unicast_address_is_refused(bench: Bench, mac: str) -> None:
    vm = bench.create("i-1")
    with fails("InvalidParameter"):
        bench("Add-VMNetworkAdapter", VM=vm, StaticMacAddress=mac)


def test_an_address_changes_only_while_the_machine_is_off(bench: Bench) -> None:
    vm = bench.start("i-1")
    (nic,) = bench("Get-VMNetworkAdapter", VM=vm)
    with fails("InvalidState"):
        bench("Set-VMNetworkAdapter", VMNetworkAdapter=nic, StaticMacAddress="02AABBCCDDEE")
    bench("Set-VMNetworkAdapter", VMNetworkAdapter=nic, MacAddressSpoofing="Off")


def test_vlans_and_switches_that_do_not_exist_are_refused(bench: Bench) -> None:
    vm = bench.create("i-1")
    with fails("InvalidParameter"):
        bench("Set-VMNetworkAdapterVlan", VM=vm, Access=True, VlanId=4095)
    with fails("InvalidParameter"):
        bench("Set-VMNetworkAdapterVlan", VM=vm, Access=True, Untagged=True)
    with fails("ObjectNotFound"):
        bench("Connect-VMNetworkAdapter", VMName="i-1", SwitchName="elsewhere")
    with fails("ObjectNotFound"):
        bench("Set-VMNetworkAdapter", VMName="i-1", Name="none", DhcpGuard="On")


# -- files


def test_files_of_a_machine_stay_open_for_a_moment_after_it_is_off(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench("Remove-VM", VM=vm, Force=True)
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Remove-Tree", Path=ONE)
    bench.clock.advance(1)
    bench("Agent\\Remove-Tree", Path=ONE)
    assert bench("Agent\\Get-FileState", Path=ONE) == []


def test_the_folder_of_a_machine_cannot_be_removed_while_it_has_files_in_use(bench: Bench) -> None:
    vm = bench.start("i-1")
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Remove-Tree", Path=ONE)
    bench("Stop-VM", VM=vm, TurnOff=True)
    with fails("FileInUse"):
        bench("Agent\\Remove-Tree", Path=ONE)
    bench.clock.advance(2)
    with fails("FileInUse"):  # its configuration, as long as the machine is registered
        bench("Agent\\Remove-Tree", Path=ONE)


def test_removing_what_is_not_there_succeeds(bench: Bench) -> None:
    assert bench("Agent\\Remove-Tree", Path=ROOT + r"\instances\none") == []


AGENTS_OWN = ["Remove-Tree", "New-Folder", "Get-FileState"]


@pytest.mark.parametrize("path", [r"C:\Windows", ROOT + r"\..\x", r"C:\ec2gwx", "D:\\x", ""])
@pytest.mark.parametrize("name", AGENTS_OWN)
def test_the_agents_own_functions_stay_below_the_root(bench: Bench, name: str, path: str) -> None:
    with pytest.raises(CmdletError) as caught:
        bench(f"Agent\\{name}", Path=path)
    assert caught.value.category in ("OperationStopped", "InvalidData")
    assert bench.one("Agent\\Test-Root").property("Exists") is True


def test_the_root_is_made_and_never_removed(bench: Bench) -> None:
    bench("Agent\\New-Folder", Path=ROOT)
    with pytest.raises(CmdletError):
        bench("Agent\\Remove-Tree", Path=ROOT)
    assert bench.one("Agent\\Test-Root").property("Exists") is True


@pytest.mark.parametrize("name", AGENTS_OWN)
def test_a_reparse_point_leads_nowhere(bench: Bench, name: str) -> None:
    bench.console.put_reparse_point(bench.host, ROOT + r"\instances\i-9")
    for path in (r"\instances\i-9", r"\instances\i-9\deeper"):
        with pytest.raises(CmdletError) as caught:
            bench(f"Agent\\{name}", Path=ROOT + path)
        assert caught.value.kind == "System.UnauthorizedAccessException"
    with pytest.raises(CmdletError):
        bench("New-VHD", Path=ROOT + r"\instances\i-9\a.vhdx", SizeBytes=GIB)


def test_a_name_that_is_no_folder_name_is_refused(bench: Bench) -> None:
    with fails("InvalidParameter", "InvalidArgument"):
        bench("New-VM", Name="a?b", MemoryStartupBytes=GIB, Path=ROOT)


def test_a_file_comes_in_chunks_and_is_completed_once(bench: Bench) -> None:
    content = bytes(range(256)) * 500
    digest = hashlib.sha256(content).hexdigest()
    path = ROOT + r"\images\seed.iso"
    for offset in [65536, 0, 0]:  # in any order, and again
        chunk = base64.b64encode(content[offset : offset + 65536]).decode()
        bench("Agent\\Write-FileChunk", Path=path, Offset=offset, Base64=chunk)
    with fails("BadDigest", "InvalidData"):
        bench("Agent\\Complete-File", Path=path, Sha256="0" * 64, Length=len(content))
    for _ in range(2):
        made = bench.one("Agent\\Complete-File", Path=path, Sha256=digest, Length=len(content))
        assert made.property("Length") == len(content)
    state = bench.one("Agent\\Get-FileState", Path=path, Hash=True)
    assert state.property("Sha256") == digest
    assert bench("Agent\\Get-FileState", Path=path + ".part") == []


def test_chunks_that_do_not_fit_are_refused(bench: Bench) -> None:
    path = ROOT + r"\images\seed.iso"
    too_large = base64.b64encode(bytes(65537)).decode()
    for offset, text in ((0, too_large), (-1, "AAAA"), (0, "no base64!")):
        with fails("BadChunk", "InvalidArgument"):
            bench("Agent\\Write-FileChunk", Path=path, Offset=offset, Base64=text)
    with fails("PathNotFound"):
        bench("Agent\\Write-FileChunk", Path=ROOT + r"\none\a", Offset=0, Base64="AAAA")


def test_the_root_tells_its_owner_and_what_is_free(bench: Bench) -> None:
    root = bench.one("Agent\\Test-Root")
    assert root.property("Exists") is True
    assert root.property("Owner") == r"BUILTIN\Administrators"
    free = root.property("FreeBytes")
    assert isinstance(free, int)
    assert 80 * GIB < free < 100 * GIB


def test_the_journal_grows_and_is_replaced(bench: Bench) -> None:
    assert bench.machine.journal_read() == b""
    bench.machine.journal_append(b"one\n")
    bench.machine.journal_append(b"two\n")
    assert bench.machine.journal_read() == b"one\ntwo\n"
    bench.machine.journal_replace(b"new\n")
    bench.machine.journal_append(b"more\n")
    assert bench.machine.journal_read() == b"new\nmore\n"
    lines = [b"%05d\n" % number for number in range(2000)]
    for line in lines:
        bench.machine.journal_append(line)
    assert bench.machine.journal_read() == b"new\nmore\n" + b"".join(lines)
    bench.console.press_disk(bench.host, 100)
    with pytest.raises(OSError, match="full"):
        bench.machine.journal_append(b"three\n")
