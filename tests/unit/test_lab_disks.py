"""Disks that are copied, grown, attached and taken away: what a host does, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent.host import WmiValue
from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.console import NoSuchThing
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench, fails, guid

ONE = rf"{ROOT}\instances\i-1"
DISK = ONE + r"\root.vhdx"
DATA = ONE + r"\data.vhdx"
COPY = ROOT + r"\copy.vhdx"
MIB = 1024**2


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def begin(bench: Bench, source: str, destination: str = COPY) -> str:
    answer = bench.one("Agent\\Start-DiskCopy", Source=source, Destination=destination)
    assert answer.property("Code") == 4096
    return str(answer.property("Job"))


def jobs(bench: Bench, job: str) -> list[Live]:
    return bench(
        "CimCmdlets\\Get-CimInstance",
        Namespace=r"root\virtualization\v2",
        ClassName="Msvm_StorageJob",
        Filter=f"InstanceID='{job}'",
    )


def state(bench: Bench, job: str) -> tuple[object, object, object]:
    (found,) = jobs(bench, job)
    return (
        found.property("JobState"),
        found.property("PercentComplete"),
        found.property("ErrorCode"),
    )


def files(bench: Bench) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = bench.world.snapshot()[bench.host]["files"]
    return found


# -- copies


def test_a_copy_grows_by_the_clock_and_is_flat_when_it_ends(bench: Bench) -> None:
    bench.create("i-1")
    bench.console.set_disk_rate(bench.host, 100)
    job = begin(bench, DISK)
    bench.clock.advance(6.5)
    running, percent, _ = state(bench, job)
    assert running == 4
    assert 45 <= int(str(percent)) <= 55
    with fails("ObjectInUse", "ResourceBusy"):
        bench("Get-VHD", Path=COPY)
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Remove-Tree", Path=COPY)
    half = bench.one("Agent\\Get-FileState", Path=COPY).property("Length")
    bench.clock.advance(10)
    assert state(bench, job) == (7, 100, 0)
    made = bench.one("Get-VHD", Path=COPY)
    assert made.property("ParentPath") == ""
    assert made.property("Size") == 8 * GIB
    assert made.property("FileSize") == 1_300_000_000
    assert 0 < int(str(half)) < 1_300_000_000
    assert made.property("DiskIdentifier") != bench.one("Get-VHD", Path=DISK).property(
        "DiskIdentifier"
    )


def test_a_machine_starts_from_a_copy_of_the_disk_of_another(bench: Bench) -> None:
    bench.create("i-1")
    begin(bench, DISK)
    bench.clock.advance(60)
    vm = bench.create("i-2", image=COPY)
    bench("Start-VM", VM=vm)
    bench.clock.advance(10)
    assert bench.show(vm, "Heartbeat") == ["OkApplicationsUnknown"]


def test_a_copy_goes_on_while_no_laboratory_runs(tmp_path: Path) -> None:
    first = Bench(tmp_path / "world.sqlite3")
    first.create("i-1")
    job = begin(first, DISK)
    first.world.close()
    second = Bench(tmp_path / "world.sqlite3")
    second.clock.advance(first.clock.now() - second.clock.now() + 60)
    assert state(second, job) == (7, 100, 0)
    assert second.one("Get-VHD", Path=COPY).property("FileSize") == 1_300_000_000
    second.world.close()


def test_a_job_is_forgotten_five_minutes_after_its_end_and_its_file_stays(bench: Bench) -> None:
    bench.create("i-1")
    job = begin(bench, DISK)
    bench.clock.advance(120)
    assert len(jobs(bench, job)) == 1
    bench.clock.advance(300)
    assert jobs(bench, job) == []
    assert COPY in files(bench)


@pytest.mark.parametrize(
    ("injected", "seen"), [("exception", (10, 50, 32768)), ("warnings", (32768, 100, 0))]
)
def test_a_copys_job_ends_as_a_test_wants(
    bench: Bench, injected: str, seen: tuple[int, int, int]
) -> None:
    bench.create("i-1")
    bench.console.inject(bench.host, "Agent\\Start-DiskCopy", injected)
    job = begin(bench, DISK)
    bench.clock.advance(60)
    assert state(bench, job) == seen
    if seen[0] == 10:
        with fails("InvalidParameter"):
            bench("Get-VHD", Path=COPY)
        bench("Agent\\Remove-Tree", Path=COPY)
    second = begin(bench, DISK, ROOT + r"\second.vhdx")
    bench.clock.advance(60)
    assert state(bench, second) == (7, 100, 0), "it was injected once"


def test_a_copy_that_is_stuck_never_ends(bench: Bench) -> None:
    bench.create("i-1")
    bench.console.inject(bench.host, "Agent\\Start-DiskCopy", "stuck")
    job = begin(bench, DISK)
    bench.clock.advance(1e6)
    assert state(bench, job) == (4, 0, 0)


def test_a_copy_that_finds_the_disk_full_leaves_what_it_wrote(bench: Bench) -> None:
    bench.create("i-1")
    bench.console.press_disk(bench.host, 89)
    before = bench.one("Agent\\Test-Root").property("FreeBytes")
    assert int(str(before)) < 1_300_000_000
    job = begin(bench, DISK)
    bench.clock.advance(60)
    found = jobs(bench, job)[0]
    assert found.property("JobState") == 10
    assert "0x80070070" in str(found.property("ErrorDescription"))
    assert bench.one("Agent\\Test-Root").property("FreeBytes") < before  # type: ignore[operator]
    bench("Agent\\Remove-Tree", Path=COPY)
    assert bench.one("Agent\\Test-Root").property("FreeBytes") == before


def test_what_cannot_be_copied_is_refused_or_said_by_the_job(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench.console.put_file(bench.host, ROOT + r"\text.vhdx", "no disk")
    for source, code in ((ROOT + r"\none.vhdx", 32779), (ROOT + r"\text.vhdx", 32773)):
        answer = bench.one("Agent\\Start-DiskCopy", Source=source, Destination=COPY)
        assert (answer.property("Job"), answer.property("Code")) == ("", code)
    bench("Start-VM", VM=vm)
    cases = {DISK: ("0x80070020", COPY), LINUX: ("0x80070050", DISK)}
    for source, (code_, destination) in cases.items():
        job = begin(bench, source, destination)
        found = jobs(bench, job)[0]
        assert found.property("JobState") == 10
        assert code_ in str(found.property("ErrorDescription"))
    assert COPY not in files(bench)
    assert bench.one("Get-VHD", Path=DISK).property("ParentPath") == LINUX, "nothing is overwritten"


def test_a_disk_that_is_being_copied_is_not_written(bench: Bench) -> None:
    bench.create("i-1")
    begin(bench, DISK)
    with fails("ObjectInUse", "ResourceBusy"):
        bench("Resize-VHD", Path=DISK, SizeBytes=9 * GIB)
    with fails("OperationFailed", hresult="0x80070020"):
        bench("Start-VM", Name="i-1")
    bench.clock.advance(60)
    bench("Start-VM", Name="i-1")


def test_a_restart_of_the_service_forgets_jobs_and_leaves_half_a_file(bench: Bench) -> None:
    bench.create("i-1")
    job = begin(bench, DISK)
    bench.clock.advance(1.5)
    bench.console.restart_service(bench.host)
    bench.clock.advance(60)
    assert jobs(bench, job) == []
    with fails("InvalidParameter"):
        bench("Get-VHD", Path=COPY)
    bench("Agent\\Remove-Tree", Path=COPY)


def test_a_job_that_is_terminated_leaves_half_a_file(bench: Bench) -> None:
    bench.create("i-1")
    job = begin(bench, DISK)
    bench.clock.advance(1.5)

    def terminate() -> object:
        (answer,) = bench(
            "CimCmdlets\\Invoke-CimMethod",
            InputObject=jobs(bench, job)[0],
            MethodName="RequestStateChange",
            Arguments={"RequestedState": WmiValue("uint16", 4)},
        )
        return answer.property("ReturnValue")

    assert terminate() == 0
    assert state(bench, job)[0] == 8
    assert terminate() == 32775
    with fails("InvalidParameter"):
        bench("Get-VHD", Path=COPY)
    bench("Agent\\Remove-Tree", Path=COPY)


# -- names


def test_a_file_gets_its_final_name_once(bench: Bench) -> None:
    bench.create("i-1")
    begin(bench, DISK)
    final = ROOT + r"\images\snap.vhdx"
    with fails("FileInUse", "ResourceBusy", "0x80070020"):
        bench("Agent\\Move-File", Path=COPY, Destination=final)
    bench.clock.advance(60)
    with fails("PathNotFound", "ObjectNotFound"):
        bench("Agent\\Move-File", Path=COPY, Destination=ROOT + r"\none\snap.vhdx")
    with fails("FileExists", "ResourceExists"):
        bench("Agent\\Move-File", Path=COPY, Destination=LINUX)
    bench("Agent\\Move-File", Path=COPY, Destination=final, ReadOnly=True)
    assert files(bench)[final]["read_only"] is True
    with fails("FileNotFound", "ObjectNotFound"):
        bench("Agent\\Move-File", Path=COPY, Destination=ROOT + r"\again.vhdx")
    with fails("not below the root: C:\\elsewhere.vhdx"):
        bench("Agent\\Move-File", Path=final, Destination=r"C:\elsewhere.vhdx")
    with fails("OperationFailed", hresult="0x80070005"):
        bench("Resize-VHD", Path=final, SizeBytes=9 * GIB)


# -- size


def test_a_disk_grows_online_on_scsi_alone(bench: Bench) -> None:
    image = bench.console.add_image(bench.host, "old.vhdx", generation=1)
    old = bench.create("i-2", generation=1, image=image)
    bench("Start-VM", VM=old)
    ide = rf"{ROOT}\instances\i-2\root.vhdx"
    with fails("ObjectInUse", "ResourceBusy"):
        bench("Resize-VHD", Path=ide, SizeBytes=9 * GIB)
    bench("Stop-VM", VM=old, TurnOff=True)
    bench.clock.advance(5)
    bench("Resize-VHD", Path=ide, SizeBytes=9 * GIB)
    bench.start("i-1")
    bench("Resize-VHD", Path=DISK, SizeBytes=9 * GIB)
    assert bench.one("Get-VHD", Path=DISK).property("Size") == 9 * GIB


def test_a_parent_and_a_disk_with_checkpoints_do_not_grow(bench: Bench) -> None:
    vm = bench.create("i-1")
    bench("New-VHD", Path=DATA, ParentPath=DISK, Differencing=True)
    with fails("OperationFailed", hresult="0x80070032"):
        bench("Resize-VHD", Path=DISK, SizeBytes=9 * GIB)
    bench("Agent\\Remove-Tree", Path=DATA)
    bench("Checkpoint-VM", VM=vm)
    (drive,) = bench("Get-VMHardDiskDrive", VM=vm)
    with fails("OperationFailed", hresult="0x80070032"):
        bench("Resize-VHD", Path=drive.property("Path"), SizeBytes=9 * GIB)


def test_a_fixed_disk_grows_into_free_space_only(bench: Bench) -> None:
    bench("New-VHD", Path=COPY, SizeBytes=10 * GIB, Fixed=True)
    with fails("OperationFailed", hresult="0x80070070"):
        bench("Resize-VHD", Path=COPY, SizeBytes=95 * GIB)
    bench("Resize-VHD", Path=COPY, SizeBytes=20 * GIB)
    assert bench.one("Get-VHD", Path=COPY).property("FileSize") == 20 * GIB


# -- chains


def test_a_child_is_broken_by_whatever_writes_into_its_parent(bench: Bench) -> None:
    vm = bench.create("i-1")
    child = ONE + r"\child.vhdx"
    bench("New-VHD", Path=child, ParentPath=DISK, Differencing=True)
    assert bench.invoke("Test-VHD", Path=child).objects == [True]
    bench("Start-VM", VM=vm)
    with fails("OperationFailed", hresult="0xC03A000E"):
        bench("Test-VHD", Path=child)
    with fails("ObjectInUse", "ResourceBusy"):
        bench("New-VHD", Path=DATA, ParentPath=DISK, Differencing=True)


def test_what_guests_write_is_read_through_the_chain(bench: Bench) -> None:
    bench.start("i-1")
    bench.console.guest_writes(bench.host, "i-1", "one")
    bench.console.guest_writes(bench.host, "i-1", "two")
    assert bench.console.disk_content(bench.host, DISK) == "one two"
    assert bench.one("Get-VHD", Path=DISK).property("FileSize") == (4 + 64 + 64) * MIB
    with pytest.raises(NoSuchThing):
        bench.console.guest_writes(bench.host, "i-1", "three", location=7)


def test_a_machine_without_room_to_write_is_paused_until_there_is(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.press_disk(bench.host, 200)
    bench.console.guest_writes(bench.host, "i-1", "lost")
    assert bench.show(vm, "State", "Heartbeat") == ["PausedCritical", "Paused"]
    with fails("OperationFailed", hresult="0x80070070"):
        bench("Resume-VM", VM=vm)
    bench.console.press_disk(bench.host, 0)
    bench("Resume-VM", VM=vm)
    bench.console.guest_writes(bench.host, "i-1", "kept")
    assert bench.console.disk_content(bench.host, DISK) == "kept"


# -- drives


def add(bench: Bench, vm: Live, location: int, path: str = DATA) -> Live:
    return bench.one(
        "Add-VMHardDiskDrive",
        VM=vm,
        ControllerType="SCSI",
        ControllerNumber=0,
        ControllerLocation=location,
        Path=path,
        Passthru=True,
    )


def test_a_disk_of_another_running_machine_is_not_attached_while_running(bench: Bench) -> None:
    one, two = bench.start("i-1"), bench.start("i-2")
    bench("New-VHD", Path=DATA, SizeBytes=GIB, Dynamic=True)
    drive = add(bench, one, 1)
    with fails("OperationFailed", hresult="0x80070020"):
        add(bench, two, 1)
    with fails("InvalidParameter"):
        add(bench, one, 2)
    bench("Remove-VMHardDiskDrive", VMHardDiskDrive=drive)
    add(bench, two, 1)


def test_half_an_attachment_leaves_an_empty_drive_in_its_place(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("New-VHD", Path=DATA, SizeBytes=GIB)
    bench.console.inject(bench.host, "Hyper-V\\Add-VMHardDiskDrive", "half")
    with fails("OperationFailed"):
        add(bench, vm, 5)
    empty = [one for one in bench("Get-VMHardDiskDrive", VM=vm) if not one.property("Path")]
    assert [one.property("ControllerLocation") for one in empty] == [5]
    with fails("InvalidParameter"):
        add(bench, vm, 5)
    bench("Remove-VMHardDiskDrive", VMHardDiskDrive=empty[0])
    add(bench, vm, 5)


def test_an_empty_drive_of_a_running_machine_is_filled_and_a_full_one_is_not_changed(
    bench: Bench,
) -> None:
    vm = bench.start("i-1")
    bench("New-VHD", Path=DATA, SizeBytes=GIB)
    bench.console.inject(bench.host, "Hyper-V\\Add-VMHardDiskDrive", "half")
    with fails("OperationFailed"):
        add(bench, vm, 5)
    (empty,) = bench("Get-VMHardDiskDrive", VM=vm, ControllerLocation=5)
    bench("Set-VMHardDiskDrive", VMHardDiskDrive=empty, Path=DATA)
    (full,) = bench("Get-VMHardDiskDrive", VM=vm, ControllerLocation=5)
    assert full.property("Path") == DATA
    bench("New-VHD", Path=ONE + r"\other.vhdx", SizeBytes=GIB)
    with fails("InvalidState", "InvalidOperation"):
        bench("Set-VMHardDiskDrive", VMHardDiskDrive=full, Path=ONE + r"\other.vhdx")


def test_limits_of_iops_are_kept_and_must_fit(bench: Bench) -> None:
    vm = bench.start("i-1")
    (drive,) = bench("Get-VMHardDiskDrive", VM=vm)
    bench("Set-VMHardDiskDrive", VMHardDiskDrive=drive, MaximumIOPS=16000, MinimumIOPS=0)
    (drive,) = bench("Get-VMHardDiskDrive", VM=vm)
    assert drive.property("MaximumIOPS") == 16000
    with fails("InvalidParameter"):
        bench("Set-VMHardDiskDrive", VMHardDiskDrive=drive, MinimumIOPS=16001)


def test_a_read_only_disk_is_no_top_of_a_running_machine(bench: Bench) -> None:
    vm = bench.start("i-1")
    with fails("OperationFailed", hresult="0x80070005"):
        add(bench, vm, 1, bench.console.add_image(bench.host, "other.vhdx"))


# -- faults that tests put in


def test_a_cmdlet_fails_before_or_after_its_effect(bench: Bench) -> None:
    bench.console.inject(bench.host, "Hyper-V\\New-VHD", "before:0x80070070")
    bench.console.inject(bench.host, "Hyper-V\\New-VHD", "after")
    with fails("OperationFailed", hresult="0x80070070"):
        bench("New-VHD", Path=COPY, SizeBytes=GIB)
    assert COPY not in files(bench)
    with fails("OperationFailed", hresult="0x80004005"):
        bench("New-VHD", Path=COPY, SizeBytes=GIB)
    assert COPY in files(bench)
    bench("New-VHD", Path=ROOT + r"\two.vhdx", SizeBytes=GIB)


def test_there_is_no_fault_of_an_unknown_name(bench: Bench) -> None:
    for cmdlet, what in (("Hyper-V\\New-VHD", "half"), ("Agent\\Start-DiskCopy", "stuck:0x1")):
        with pytest.raises(NoSuchThing):
            bench.console.inject(bench.host, cmdlet, what)
    with pytest.raises(NoSuchThing):
        bench.console.guest_writes(bench.host, guid(), "word")


def test_the_root_tells_its_file_system(bench: Bench) -> None:
    assert bench.one("Agent\\Test-Root").property("FileSystem") == "NTFS"
    bench.console.set_file_system(bench.host, "ReFS")
    assert bench.one("Agent\\Test-Root").property("FileSystem") == "ReFS"
