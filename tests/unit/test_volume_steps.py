"""The steps of volumes and of their modifications: what is decided for each sight of the host."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from translators import steps
from translators.ec2.volumes import modifications
from translators.ec2.volumes import steps as ours
from translators.ec2.volumes.intents import Intent, Machine, Sight
from translators.hyperv import drive, vm, volume
from translators.hyperv.file import FileState
from translators.hyperv.host import HostFault, Path
from translators.settings import Settings

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
GIB = 2**30
ID = "vol-0123456789abcdef0"
GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
ROOT = "C:\\ec2gw"
PATH = Path(f"volumes/{ID}.vhdx")
WHOLE = f"c:\\EC2GW\\volumes\\{ID}.vhdx"
CHECKPOINTED = f"C:\\ec2gw\\volumes\\{ID}_1B4C2D3E-0000-4111-8222-933344445555.avhdx"
MACHINE = Machine(
    host_key=1,
    vm_id=GUID,
    leaving=False,
    checkpointed=False,
    taken=frozenset({6}),
    generation=2,
)
INTENT = Intent(
    key=1,
    id=ID,
    host_key=1,
    phase="creating",
    generation=1,
    since=NOW - dt.timedelta(seconds=2),
    now=NOW,
    attempt=None,
    settings=Settings(),
    root=ROOT,
    disk=drive.Disk(PATH, None, 5 * GIB),
    maximum_iops=3000,
    place=drive.Place("SCSI", 5),
    is_root=False,
    machine=MACHINE,
    copied=False,
    written=False,
    target_host_key=1,
    carried="there",
    folder=None,
)
FILE = FileState(4 * 2**20, False, None)


def on(phase: Any, **changed: Any) -> Intent:
    return dataclasses.replace(INTENT, phase=phase, **changed)


def machine(**changed: Any) -> Machine:
    return dataclasses.replace(MACHINE, **changed)


def sight(*drives: tuple[int, str], state: str = "Running", controller: Any = "SCSI") -> Sight:
    seen = vm.Vm(GUID, "i-1", state, "", "", 100, None, 2, GIB)
    return Sight(
        vm=seen,
        drives=tuple(
            volume.Drive(drive.Place(controller, location), path, 3000) for location, path in drives
        ),
    )


def purpose(decision: steps.Decision) -> str:
    assert isinstance(decision, steps.Do), decision
    return decision.plan.purpose


def found(decision: steps.Decision) -> str:
    assert isinstance(decision, steps.Rest), decision
    return decision.found


def why(decision: steps.Decision) -> str:
    assert isinstance(decision, steps.Wait), decision
    return decision.why or ""


def tried(intent: Any, purpose: str, tries: int, error: HostFault | None) -> Any:
    last = steps.Last(purpose, NOW - dt.timedelta(hours=1), ran=True, error=error, tries=tries)
    return dataclasses.replace(intent, tried={purpose: last})


REFUSED = HostFault("OperationFailed,Microsoft.Vhd.PowerShell.Cmdlets.NewVhd", "NotSpecified")
BUSY = HostFault("InvalidState,Microsoft.HyperV.PowerShell.Commands.AddVMHardDiskDrive", "x")


# -- made


def test_a_disk_is_made_unless_it_is_there_and_whole() -> None:
    assert purpose(ours.create(INTENT, Sight())) == "create-volume"
    assert purpose(ours.create(INTENT, Sight(FILE, None))) == "create-volume"
    assert purpose(ours.create(INTENT, Sight(FILE, 4 * GIB))) == "create-volume"
    assert found(ours.create(INTENT, Sight(FILE, 5 * GIB))) == "made"
    assert found(ours.create(INTENT, Sight(FILE, 9 * GIB))) == "made"


def test_a_child_is_as_large_as_its_parent_says() -> None:
    child = on("creating", disk=drive.Disk(PATH, Path("snapshots/s.vhdx"), None))
    assert found(ours.create(child, Sight(FILE, 1 * GIB))) == "made"
    assert purpose(ours.create(child, Sight(FILE, None))) == "create-volume"


def test_a_disk_that_cannot_be_made_is_an_error_after_enough_tries() -> None:
    assert purpose(ours.create(tried(INTENT, "create-volume", 7, REFUSED), Sight())) == (
        "create-volume"
    )
    assert found(ours.create(tried(INTENT, "create-volume", 8, REFUSED), Sight())) == "not-made"


# -- moved before anybody wrote to it


def test_a_disk_leaves_one_host_before_it_is_made_on_the_other() -> None:
    away = on("moving", target_host_key=2)
    assert purpose(ours.move(away, Sight(FILE, 5 * GIB))) == "remove-volume"
    assert found(ours.move(away, Sight())) == "left"
    here = on("moving")
    assert purpose(ours.move(here, Sight())) == "create-volume"
    assert found(ours.move(here, Sight(FILE, 5 * GIB))) == "arrived"


@pytest.mark.parametrize("phase", ["creating", "moving", "detaching"])
def test_a_disk_that_is_being_carried_stays_until_it_is_there(phase: Any) -> None:
    step = steps.STEPS["volume", phase]
    carried = on(phase, target_host_key=2, written=True, carried="under way")
    assert isinstance(step(carried, Sight(FILE, 5 * GIB)), steps.Wait)
    there = on(phase, target_host_key=2, written=True)
    assert purpose(step(there, Sight(FILE, 5 * GIB))) == "remove-volume"
    lost = on(phase, target_host_key=2, written=True, carried="failed")
    assert found(step(lost, Sight(FILE, 5 * GIB))) == "stayed"


@pytest.mark.parametrize("phase", ["creating", "moving"])
def test_a_disk_that_was_written_to_is_never_made_again(phase: Any) -> None:
    unreadable = Sight(FILE, None)
    written = on(phase, written=True)
    assert found(steps.STEPS["volume", phase](written, unreadable)) in ("made", "arrived")


# -- attached


def test_a_disk_is_attached_at_its_place_and_seen_there() -> None:
    attaching = on("attaching")
    assert ours.attach(attaching, sight()) == steps.Do(
        volume.attach(GUID, drive.Place("SCSI", 5), PATH, 3000)
    )
    assert found(ours.attach(attaching, sight((5, WHOLE)))) == "attached"
    assert found(ours.attach(attaching, sight((5, CHECKPOINTED)))) == "attached"


def test_half_an_attachment_is_cleared_first() -> None:
    assert ours.attach(on("attaching"), sight((5, ""))) == steps.Do(
        volume.clear(GUID, drive.Place("SCSI", 5))
    )


def test_a_place_that_an_administrator_took_is_left_to_them() -> None:
    decision = ours.attach(on("attaching"), sight((5, "D:\\theirs.vhdx"), (26, "D:\\too.vhdx")))
    assert decision == steps.Note({"location": 27})


def test_a_disk_that_somebody_put_elsewhere_is_taken_out_there() -> None:
    assert ours.attach(on("attaching"), sight((9, WHOLE))) == steps.Do(
        volume.detach(GUID, drive.Place("SCSI", 9))
    )


@pytest.mark.parametrize(
    ("changed", "seen"),
    [
        ({"copied": True}, sight()),
        ({"machine": machine(checkpointed=True)}, sight()),
        ({"machine": machine(leaving=True)}, sight()),
        ({}, sight(state="Stopping")),
        ({}, Sight()),
    ],
)
def test_nothing_is_attached_while_something_else_is_under_way(
    changed: dict[str, Any], seen: Sight
) -> None:
    assert isinstance(ours.attach(on("attaching", **changed), seen), steps.Wait)


def test_what_is_not_attached_for_good_is_free_again_and_what_passes_is_tried_for_ever() -> None:
    hopeless = tried(on("attaching"), "attach-volume", 8, REFUSED)
    assert found(ours.attach(hopeless, sight())) == "not-attached"
    busy = tried(on("attaching"), "attach-volume", 500, BUSY)
    assert purpose(ours.attach(busy, sight())) == "attach-volume"


def root(generation: int) -> Intent:
    place = drive.Place("IDE" if generation == 1 else "SCSI", 0)
    at = machine(generation=generation)
    return on("attaching", is_root=True, place=place, machine=at)


def test_a_root_disk_is_attached_while_its_vm_is_off_and_then_booted_from() -> None:
    there = sight((0, WHOLE), state="Off")
    assert isinstance(ours.attach(root(2), sight(state="Running")), steps.Wait)
    assert purpose(ours.attach(root(2), sight(state="Off"))) == "attach-volume"
    assert ours.attach(root(2), there) == steps.Do(volume.boot_from(GUID, drive.Place("SCSI", 0)))
    told = steps.Last("boot-volume", NOW, ran=True)
    done = dataclasses.replace(root(2), tried={"boot-volume": told})
    assert found(ours.attach(done, there)) == "attached"
    lost = dataclasses.replace(told, ran=None, at=NOW - dt.timedelta(minutes=1))
    unheard = dataclasses.replace(root(2), tried={"boot-volume": lost})
    assert purpose(ours.attach(unheard, there)) == "boot-volume"


def test_firmware_of_the_first_generation_boots_from_the_first_disk_by_itself() -> None:
    there = sight((0, WHOLE), state="Off", controller="IDE")
    assert found(ours.attach(root(1), there)) == "attached"


def test_a_root_place_that_somebody_took_is_no_place_for_a_root_disk() -> None:
    theirs = sight((0, "D:\\theirs.vhdx"), state="Off")
    assert found(ours.attach(root(2), theirs)) == "not-attached"


# -- detached


def test_a_disk_is_taken_out_wherever_it_is_and_seen_nowhere() -> None:
    detaching = on("detaching")
    assert ours.detach(detaching, sight((7, WHOLE))) == steps.Do(
        volume.detach(GUID, drive.Place("SCSI", 7))
    )
    assert found(ours.detach(detaching, sight((5, "C:\\ec2gw\\volumes\\vol-1.vhdx")))) == "detached"
    assert found(ours.detach(detaching, sight(state="Off"))) == "detached"
    assert found(ours.detach(on("detaching", machine=None), Sight())) == "detached"


def test_a_disk_that_a_checkpoint_holds_is_not_taken_out() -> None:
    assert "checkpoint" in why(ours.detach(on("detaching"), sight((5, CHECKPOINTED))))
    held = on("detaching", machine=machine(checkpointed=True))
    assert "checkpoint" in why(ours.detach(held, sight((5, WHOLE))))


def test_a_vm_that_is_not_there_or_on_its_way_out_keeps_its_disks() -> None:
    assert why(ours.detach(on("detaching"), Sight())) == "its VM is not on its host"
    leaving = on("detaching", machine=machine(leaving=True))
    assert isinstance(ours.detach(leaving, sight((5, WHOLE))), steps.Wait)
    assert isinstance(ours.detach(on("detaching"), sight((5, WHOLE), state="Saving")), steps.Wait)


def test_a_guest_that_holds_on_is_asked_again_for_ever() -> None:
    again = tried(on("detaching"), "detach-volume", 500, REFUSED)
    assert purpose(ours.detach(again, sight((5, WHOLE)))) == "detach-volume"


# -- deleted


def test_a_file_goes_and_with_it_the_folder_that_was_left_for_it() -> None:
    deleting = on("deleting", machine=None)
    assert ours.delete(deleting, Sight(FILE)) == steps.Do(volume.remove(PATH))
    assert found(ours.delete(deleting, Sight())) == "deleted"
    folder = Path("instances/i-1")
    root = on("deleting", machine=None, folder=folder)
    assert ours.delete(root, Sight(folder=True)) == steps.Do(volume.remove(folder))
    assert found(ours.delete(root, Sight())) == "deleted"


def test_a_file_that_is_being_copied_or_locked_stays_for_now() -> None:
    assert "copied" in why(ours.delete(on("deleting", copied=True), Sight(FILE)))
    locked = HostFault("FileInUse,Remove-Tree", "ResourceBusy", ("0x80070020",))
    again = tried(on("deleting"), "remove-volume", 500, locked)
    assert purpose(ours.delete(again, Sight(FILE))) == "remove-volume"


# -- modified

MODIFYING = modifications.Intent(
    key=1,
    id=ID,
    host_key=1,
    phase="modifying",
    generation=3,
    since=NOW - dt.timedelta(seconds=2),
    now=NOW,
    attempt=None,
    settings=Settings(),
    subject_id="mod-0123456789abcdef0",
    root=ROOT,
    path=PATH,
    size_bytes=9 * GIB,
    maximum_iops=4000,
    vm_id=GUID,
    attached=True,
    held=False,
)


def sized(seen: Sight, size_gib: int | None) -> Sight:
    return dataclasses.replace(seen, size_bytes=size_gib * GIB if size_gib is not None else None)


def test_a_disk_grows_then_its_drive_is_throttled_then_it_is_done() -> None:
    attached = sight((5, WHOLE))
    grown = modifications.modify(MODIFYING, sized(attached, 5))
    assert grown == steps.Do(volume.grow(PATH, 9 * GIB))
    throttled = modifications.modify(MODIFYING, sized(attached, 9))
    assert throttled == steps.Do(volume.throttle(GUID, drive.Place("SCSI", 5), 4000))
    done = dataclasses.replace(MODIFYING, maximum_iops=3000)
    assert found(modifications.modify(done, sized(attached, 9))) == "completed"


def test_a_free_disk_only_grows() -> None:
    free = dataclasses.replace(MODIFYING, vm_id=None, attached=False)
    assert purpose(modifications.modify(free, sized(Sight(), 5))) == "grow-volume"
    assert found(modifications.modify(free, sized(Sight(), 9))) == "completed"


def test_a_disk_on_ide_grows_only_while_its_vm_is_off() -> None:
    running = sight((0, WHOLE), controller="IDE")
    assert "IDE" in why(modifications.modify(MODIFYING, sized(running, 5)))
    off = sight((0, WHOLE), controller="IDE", state="Off")
    assert purpose(modifications.modify(MODIFYING, sized(off, 5))) == "grow-volume"


def test_a_disk_that_a_snapshot_holds_grows_afterwards() -> None:
    assert "snapshot" in why(modifications.modify(MODIFYING, sized(sight((5, CHECKPOINTED)), 5)))
    held = dataclasses.replace(MODIFYING, held=True)
    assert "snapshot" in why(modifications.modify(held, sized(sight((5, WHOLE)), 5)))


def test_a_disk_that_cannot_be_read_or_whose_vm_is_away_waits() -> None:
    assert "read" in why(modifications.modify(MODIFYING, sized(sight((5, WHOLE)), None)))
    assert "VM" in why(modifications.modify(MODIFYING, sized(Sight(), 5)))


def test_a_modification_that_the_host_refuses_fails() -> None:
    hopeless = tried(MODIFYING, "grow-volume", 8, REFUSED)
    assert found(modifications.modify(hopeless, sized(sight((5, WHOLE)), 5))) == "failed"


def test_a_modification_is_fenced_apart_from_its_volume() -> None:
    assert MODIFYING.subject != INTENT.subject
