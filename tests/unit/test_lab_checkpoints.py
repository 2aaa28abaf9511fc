"""Checkpoints: what holds a disk still, what merges afterwards, and what is refused meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.world import disks
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench, fails, guid

ONE = rf"{ROOT}\instances\i-1"
DISK = ONE + r"\root.vhdx"
COPY = ROOT + r"\copy.vhdx"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def checkpoint(bench: Bench, vm: Live, kind: str = "ProductionOnly", name: str = "snap-1") -> Live:
    bench("Set-VM", VM=vm, CheckpointType=kind)
    return bench.one("Checkpoint-VM", VM=vm, SnapshotName=name, Passthru=True)


def leaf(bench: Bench, vm: Live) -> str:
    (drive,) = bench("Get-VMHardDiskDrive", VM=vm)
    return str(drive.property("Path"))


def remove(bench: Bench, vm: Live, name: str = "*") -> None:
    bench("Remove-VMSnapshot", VM=vm, Name=name)


def status(bench: Bench, vm: Live) -> list[str]:
    found = bench.look(vm).property("OperationalStatus")
    assert isinstance(found, list)
    return [str(one.name) for one in found]


def leftovers(bench: Bench) -> list[str]:
    found = bench.world.snapshot()[bench.host]["files"]
    return [path for path in found if path.endswith(".avhdx") or "\\Snapshots\\" in path]


def test_a_production_checkpoint_freezes_the_disk_of_a_running_machine(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.guest_writes(bench.host, "i-1", "before")
    made = checkpoint(bench, vm)
    bench.console.guest_writes(bench.host, "i-1", "after")
    top = leaf(bench, vm)
    assert top.startswith(ONE + "\\root_")
    assert top.endswith(".avhdx")
    assert bench.one("Get-VHD", Path=top).property("ParentPath") == DISK
    assert bench.console.disk_content(bench.host, DISK) == "before"
    assert bench.console.disk_content(bench.host, top) == "before after"
    (frozen,) = bench("Get-VMHardDiskDrive", VMSnapshot=made)
    assert frozen.property("Path") == DISK
    assert frozen.property("VMSnapshotId") == made.property("Id")


def test_the_parent_is_copied_while_the_machine_runs(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.guest_writes(bench.host, "i-1", "before")
    checkpoint(bench, vm)
    bench("Agent\\Start-DiskCopy", Source=DISK, Destination=COPY)
    bench.console.guest_writes(bench.host, "i-1", "after")
    bench.clock.advance(60)
    assert bench.console.disk_content(bench.host, COPY) == "before"
    remove(bench, vm)
    bench.clock.advance(60)
    assert leaf(bench, vm) == DISK
    assert bench.console.disk_content(bench.host, DISK) == "before after"
    assert leftovers(bench) == []


def test_a_merge_goes_on_and_keeps_others_away_meanwhile(bench: Bench) -> None:
    vm = bench.start("i-1")
    checkpoint(bench, vm)
    bench.console.guest_writes(bench.host, "i-1", "after", mib=800)
    remove(bench, vm)
    assert bench("Get-VMSnapshot", VM=vm) == []
    assert status(bench, vm) == ["Ok", "MergingDisks"]
    top = leaf(bench, vm)
    assert top.endswith(".avhdx"), "the old name comes back at the end"
    bench("New-VHD", Path=ONE + r"\data.vhdx", SizeBytes=GIB)
    with fails("InvalidState", "InvalidOperation"):
        bench("Add-VMHardDiskDrive", VM=vm, ControllerLocation=3, Path=ONE + r"\data.vhdx")
    with fails("InvalidState", "InvalidOperation"):
        bench("Remove-VMHardDiskDrive", VMHardDiskDrive=bench("Get-VMHardDiskDrive", VM=vm))
    with fails("InvalidState", "InvalidOperation"):
        bench("Resize-VHD", Path=top, SizeBytes=9 * GIB)
    with fails("InvalidState", "InvalidOperation"):
        bench("Checkpoint-VM", VM=vm)
    bench.clock.advance(30)
    assert status(bench, vm) == ["Ok"]
    assert leaf(bench, vm) == DISK
    bench("Resize-VHD", Path=DISK, SizeBytes=9 * GIB)


def test_a_guest_without_vss_refuses_a_production_checkpoint(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.set_guest(bench.host, "i-1", "vss", "false")
    with fails("OperationFailed", "NotSpecified"):
        checkpoint(bench, vm)
    assert leaf(bench, vm) == DISK
    fallen_back = checkpoint(bench, vm, "Production", "a")
    assert getattr(fallen_back.property("State"), "name", "") == "Saved"
    with_memory = checkpoint(bench, vm, "Standard", "b")
    assert with_memory.property("ParentSnapshotName") == "a"


def test_a_guest_that_still_boots_refuses_it_too_and_a_machine_that_is_off_does_not(
    bench: Bench,
) -> None:
    vm = bench.create("i-1")
    checkpoint(bench, vm, name="off")
    bench("Start-VM", VM=vm)
    with fails("OperationFailed", "NotSpecified"):
        bench("Checkpoint-VM", VM=vm)


def test_a_machine_whose_checkpoints_are_disabled_makes_none(bench: Bench) -> None:
    vm = bench.start("i-1")
    with fails("OperationFailed", "NotSpecified"):
        checkpoint(bench, vm, "Disabled")


def test_a_standard_checkpoint_needs_room_for_the_memory(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.press_disk(bench.host, 89)
    with fails("OperationFailed", hresult="0x80070070"):
        checkpoint(bench, vm, "Standard")
    checkpoint(bench, vm)


def test_the_fifty_first_checkpoint_is_refused(bench: Bench) -> None:
    vm = bench.create("i-1")
    for number in range(50):
        bench.console.add_checkpoint(bench.host, "i-1", str(number))
    with fails("OperationFailed", hresult="0x800705AA"):
        checkpoint(bench, vm)


def test_a_checkpoint_is_made_although_whoever_asked_is_gone(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Set-VM", VM=vm, CheckpointType="ProductionOnly")
    with bench.world.changing(bench.host) as session:
        disks.begin_checkpoint(session, session.vms()[0], "snap-1", with_memory=False)
    assert status(bench, vm) == ["Ok", "CreatingSnapshot"]
    with fails("InvalidState"):
        bench("Set-VM", VM=vm, Notes="now")
    with fails("InvalidState"):
        bench("Checkpoint-VM", VM=vm)
    bench.clock.advance(1.5)
    (made,) = bench("Get-VMSnapshot", VM=vm)
    assert made.property("Name") == "snap-1"
    assert leaf(bench, vm).endswith(".avhdx")


def test_of_several_checkpoints_the_middle_one_merges_into_the_lower(bench: Bench) -> None:
    vm = bench.start("i-1")
    for word in ("one", "two", "three"):
        bench.console.guest_writes(bench.host, "i-1", word)
        checkpoint(bench, vm, name=word)
    bench.console.guest_writes(bench.host, "i-1", "four")
    top = leaf(bench, vm)
    remove(bench, vm, "two")
    bench.clock.advance(30)
    names = [one.property("Name") for one in bench("Get-VMSnapshot", VM=vm)]
    assert names == ["one", "three"]
    assert leaf(bench, vm) == top
    assert bench.console.disk_content(bench.host, top) == "one two three four"
    assert bench.invoke("Test-VHD", Path=top).objects == [True]
    remove(bench, vm)
    bench.clock.advance(30)
    assert leaf(bench, vm) == DISK
    assert bench.console.disk_content(bench.host, DISK) == "one two three four"
    assert leftovers(bench) == []


def test_a_checkpoint_goes_with_those_that_came_after_it(bench: Bench) -> None:
    vm = bench.create("i-1")
    for name in ("one", "two", "three"):
        bench.console.add_checkpoint(bench.host, "i-1", name)
    (two,) = bench("Get-VMSnapshot", VM=vm, Name="two")
    bench("Remove-VMSnapshot", VMSnapshot=two, IncludeAllChildSnapshots=True)
    assert [one.property("Name") for one in bench("Get-VMSnapshot", VM=vm)] == ["one"]
    bench.clock.advance(30)
    assert len(list(filter(lambda path: path.endswith(".avhdx"), leftovers(bench)))) == 1


def test_a_machine_that_goes_leaves_its_checkpoints_merging(bench: Bench) -> None:
    vm = bench.start("i-1")
    checkpoint(bench, vm)
    bench.console.guest_writes(bench.host, "i-1", "after", mib=800)
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench.clock.advance(2)
    bench("Remove-VM", VM=vm, Force=True)
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Remove-Tree", Path=ONE)
    bench.clock.advance(30)
    assert leftovers(bench) == []
    assert bench.console.disk_content(bench.host, DISK) == "after"
    bench("Agent\\Remove-Tree", Path=ONE)


def test_a_merged_disk_stays_open_for_a_moment(bench: Bench) -> None:
    vm = bench.create("i-1")
    checkpoint(bench, vm)
    remove(bench, vm)
    bench.clock.advance(0.4)
    with fails("OperationFailed", hresult="0x80070020"):
        bench("Start-VM", VM=vm)
    bench.clock.advance(1)
    bench("Start-VM", VM=vm)


def test_a_machine_starts_and_stops_while_it_merges(bench: Bench) -> None:
    vm = bench.start("i-1")
    checkpoint(bench, vm)
    bench.console.guest_writes(bench.host, "i-1", "after", mib=4000)
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench.clock.advance(2)
    remove(bench, vm)
    bench("Start-VM", VM=vm)
    assert status(bench, vm) == ["Ok", "MergingDisks"]
    bench.clock.advance(30)
    assert leaf(bench, vm) == DISK
    assert bench.console.disk_content(bench.host, DISK) == "after"


def test_a_merge_waits_for_a_copy_of_what_it_merges_into(bench: Bench) -> None:
    vm = bench.start("i-1")
    checkpoint(bench, vm)
    bench("Agent\\Start-DiskCopy", Source=DISK, Destination=COPY)
    remove(bench, vm)
    bench.clock.advance(3)
    assert status(bench, vm) == ["Ok", "MergingDisks"]
    assert not bench.world.snapshot()[bench.host]["jobs"][0]["ended"]
    bench.clock.advance(2)
    assert status(bench, vm) == ["Ok"]


def test_a_stuck_merge_outlives_a_restart_of_the_host(bench: Bench) -> None:
    vm = bench.start("i-1")
    checkpoint(bench, vm)
    bench.console.inject(bench.host, "Hyper-V\\Remove-VMSnapshot", "stuck")
    remove(bench, vm)
    bench.console.reboot_host(bench.host)
    bench.clock.advance(1e6)
    assert status(bench, vm) == ["Ok", "MergingDisks"]


def test_a_merge_ends_while_no_laboratory_runs(tmp_path: Path) -> None:
    first = Bench(tmp_path / "world.sqlite3")
    vm = first.start("i-1")
    checkpoint(first, vm)
    remove(first, vm)
    first.world.close()
    second = Bench(tmp_path / "world.sqlite3")
    second.clock.advance(first.clock.now() - second.clock.now() + 60)
    (found,) = second("Get-VM")
    assert leaf(second, found) == DISK
    assert leftovers(second) == []
    second.world.close()
    third = Bench(tmp_path / "world.sqlite3")
    assert leaf(third, found) == DISK, "and it stays so for who comes with an earlier clock"
    third.world.close()


def test_files_of_a_checkpoint_are_held_until_it_goes(bench: Bench) -> None:
    vm = bench.create("i-1")
    checkpoint(bench, vm)
    (kept,) = [path for path in leftovers(bench) if path.endswith(".vmrs")]
    with fails("FileInUse", "ResourceBusy"):
        bench("Agent\\Remove-Tree", Path=kept)


def test_a_shared_image_survives_the_merges_of_its_children(bench: Bench) -> None:
    one, two = bench.start("i-1"), bench.start("i-2")
    checkpoint(bench, one)
    remove(bench, one)
    bench.clock.advance(30)
    assert bench.invoke("Test-VHD", Path=rf"{ROOT}\instances\i-2\root.vhdx").objects == [True]
    assert bench.one("Get-VHD", Path=DISK).property("ParentPath") == LINUX
    bench("Restart-VM", VM=two)
    bench.clock.advance(10)
    assert bench.show(two, "Heartbeat") == ["OkApplicationsUnknown"]


def test_a_checkpoint_that_is_gone_is_not_found(bench: Bench) -> None:
    vm = bench.create("i-1")
    made = checkpoint(bench, vm)
    remove(bench, vm)
    with fails("ObjectNotFound"):
        bench("Remove-VMSnapshot", VMSnapshot=made)
    with fails("InvalidParameter"):
        bench("Get-VMSnapshot", Id=guid())
