"""The steps of a snapshot: what is decided for each sight of its VM and of its copy."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from translators import steps
from translators.ec2.snapshots import steps as ours
from translators.ec2.snapshots.intents import Intent, Machine, Sight
from translators.hyperv import checkpoint, copying, file, vm
from translators.hyperv.drive import Place
from translators.hyperv.host import Answer, HostFault, Path
from translators.settings import Settings

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
ID = "snap-0123456789abcdef0"
NAME = f"ec2gw-{ID}"
GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
JOB = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
DEPLOYMENT = "feedfacefeedface"
ROOT = "C:\\ec2gw\\instances\\i-1\\root.vhdx"
CHILD = f"C:\\ec2gw\\instances\\i-1\\root_{GUID.upper()}.avhdx"
FIRST = Place("SCSI", 0)
MACHINE = Machine(name="i-1", vm_id=GUID, host_key=1, place=FIRST, running=True, gone=False)
INTENT = Intent(
    key=1,
    id=ID,
    host_key=1,
    phase="freezing",
    generation=1,
    since=NOW - dt.timedelta(seconds=2),
    now=NOW,
    attempt=None,
    settings=Settings(),
    root="C:\\ec2gw",
    deployment=DEPLOYMENT,
    file_name=f"snapshots/{ID}.vhdx",
    size_gib=8,
    disk=Path("instances/i-1/root.vhdx"),
    volume_phase="in-use",
    machine=MACHINE,
    point=ID,
    cold=False,
    source=None,
    job=None,
    progress=0,
    leads=True,
    crowded=False,
    copied=False,
    others=False,
    removes_file=True,
)
COPYING = dataclasses.replace(
    INTENT, phase="copying", source=Path("instances/i-1/root.vhdx"), generation=2
)
RELEASING = dataclasses.replace(INTENT, phase="releasing", generation=3)
DELETING = dataclasses.replace(INTENT, phase="deleting", generation=4)
FILE = file.FileState(4096, is_directory=False, sha256=None)


def machine(state: str = "Running", names: tuple[str, ...] = (), **fields: Any) -> checkpoint.Sight:
    found = vm.Vm(GUID, "i-1", state, vm.notes(DEPLOYMENT, "i-1"), "", 9, None, 2, 2**30)
    made = tuple(checkpoint.Checkpoint(GUID, name) for name in names)
    return checkpoint.Sight((found,), made, **{"drives": {FIRST: ROOT}, **fields})


def sight(state: str = "Running", names: tuple[str, ...] = (), **fields: Any) -> Sight:
    return Sight(machine(state, names, **fields))


HELD = checkpoint.Sight(
    (vm.Vm(GUID, "i-1", "Running", vm.notes(DEPLOYMENT, "i-1"), "", 9, None, 2, 2**30),),
    (checkpoint.Checkpoint(GUID, NAME),),
)


def job(progress: copying.Progress, percent: int = 0, why: str = "") -> copying.Job:
    return copying.Job(progress, percent, why)


def purpose(decision: steps.Decision) -> str:
    assert isinstance(decision, steps.Do)
    return decision.plan.purpose


def with_last(intent: Intent, purpose: str, seconds_ago: float = 5, **fields: object) -> Intent:
    at = NOW - dt.timedelta(seconds=seconds_ago)
    last = steps.Last(purpose, at, **fields)  # type: ignore[arg-type]
    return dataclasses.replace(intent, tried={**intent.tried, purpose: last})


def started(job: str = JOB, code: int = 4096) -> Answer:
    return Answer({"copy": [{"job": job, "code": code}]}, 4)


# -- the moment


def test_a_checkpoint_fixes_the_moment() -> None:
    assert purpose(ours.freeze(INTENT, sight())) == "checkpoint"
    frozen = sight(names=(NAME,), frozen={FIRST: ROOT}, drives={FIRST: CHILD})
    facts = {"checkpoint": GUID, "source": "instances/i-1/root.vhdx"}
    assert ours.freeze(INTENT, frozen) == steps.Rest("frozen", facts=facts)


def test_what_an_administrators_checkpoint_left_is_copied_with_its_parents() -> None:
    frozen = sight(names=("mine", NAME), frozen={FIRST: CHILD})
    decision = ours.freeze(INTENT, frozen)
    assert isinstance(decision, steps.Rest)
    assert decision.facts["source"] == f"instances/i-1/root_{GUID.upper()}.avhdx"


@pytest.mark.parametrize(
    "change",
    [
        {"crowded": True},
        {"leads": False},
        {"volume_phase": "attaching"},
        {"volume_phase": "detaching"},
    ],
)
def test_a_moment_waits_for_its_turn(change: dict[str, Any]) -> None:
    intent = dataclasses.replace(INTENT, **change)
    assert isinstance(ours.freeze(intent, sight()), steps.Wait)


@pytest.mark.parametrize("state", ["Starting", "Stopping", "Saving"])
def test_no_checkpoint_is_made_of_a_vm_on_its_way(state: str) -> None:
    assert isinstance(ours.freeze(INTENT, sight(state)), steps.Wait)
    assert isinstance(ours.freeze(INTENT, sight(busy=True)), steps.Wait)


def test_an_image_waits_until_its_vm_is_down_unless_it_stays_up() -> None:
    cold = dataclasses.replace(
        INTENT, cold=True, machine=dataclasses.replace(MACHINE, running=False)
    )
    assert isinstance(ours.freeze(cold, sight("Running")), steps.Wait)
    assert purpose(ours.freeze(cold, sight("Off"))) == "checkpoint"
    stays = dataclasses.replace(INTENT, cold=True)
    assert purpose(ours.freeze(stays, sight("Running"))) == "checkpoint"


def test_checkpoints_of_ours_that_no_snapshot_knows_go_first() -> None:
    stray = sight(names=("by hand", "ec2gw-snap-fffffffffffffffff"))
    decision = ours.freeze(INTENT, stray)
    assert decision == steps.Do(checkpoint.remove(GUID, "ec2gw-snap-fffffffffffffffff"))


def test_a_volume_that_was_detached_meanwhile_is_copied_as_it_lies() -> None:
    free = dataclasses.replace(INTENT, volume_phase="available")
    assert ours.freeze(free, Sight()) == steps.Rest("freed")
    for phase in (None, "deleting", "error"):
        gone = dataclasses.replace(INTENT, volume_phase=phase)
        assert ours.freeze(gone, Sight()) == steps.Rest("failed")


def test_a_vm_that_is_nowhere_has_no_moment() -> None:
    assert ours.freeze(INTENT, Sight()) == steps.Elsewhere(steps.Rest("failed"))


def test_a_refused_checkpoint_is_tried_some_times_and_one_in_the_way_for_ever() -> None:
    fault = HostFault("OperationFailed,Microsoft.HyperV.PowerShell.Commands.CheckpointVM", "x")
    for tries, found in ((4, "checkpoint"), (5, "failed")):
        again = with_last(INTENT, "checkpoint", 60, ran=True, error=fault, tries=tries)
        decision = ours.freeze(again, sight())
        if found == "failed":
            assert decision == steps.Rest("failed")
        else:
            assert purpose(decision) == found
    passing = HostFault("InvalidState,Microsoft.HyperV.PowerShell.Commands.CheckpointVM", "x")
    again = with_last(INTENT, "checkpoint", 60, ran=True, error=passing, tries=50)
    assert purpose(ours.freeze(again, sight())) == "checkpoint"


# -- the copy


def test_a_copy_is_begun_watched_and_given_its_name() -> None:
    assert purpose(ours.copy(COPYING, Sight(HELD))) == "copy"
    begun = with_last(COPYING, "copy", 0, ran=True, answer=started())
    assert ours.copy(begun, Sight(half=FILE)) == steps.Note({"job": JOB, "progress": 0})
    known = dataclasses.replace(begun, job=JOB)
    watched = ours.copy(known, Sight(half=FILE, job=job("running", 40)))
    assert isinstance(watched, steps.Note)
    assert watched.facts == {"progress": 40}
    further = dataclasses.replace(known, progress=40)
    assert isinstance(ours.copy(further, Sight(half=FILE, job=job("running", 40))), steps.Wait)
    done = Sight(half=FILE, job=job("done", 100))
    assert ours.copy(further, done) == steps.Do(
        copying.finish(f"{ID}.vhdx", Path(f"snapshots/{ID}.vhdx"))
    )
    assert ours.copy(further, Sight(whole=FILE)) == steps.Rest("copied")


def test_no_progress_is_whole_before_the_job_is() -> None:
    known = dataclasses.replace(COPYING, job=JOB, progress=98)
    watched = ours.copy(known, Sight(half=FILE, job=job("running", 100)))
    assert isinstance(watched, steps.Note)
    assert watched.facts == {"progress": 99}


def test_a_lost_job_is_begun_anew() -> None:
    known = dataclasses.replace(COPYING, job=JOB, progress=40)
    assert purpose(ours.copy(known, Sight(HELD, half=FILE, job=None))) == "copy"


@pytest.mark.parametrize("seen", [Sight(), Sight(half=FILE), Sight(machine())])
def test_what_no_checkpoint_holds_still_is_not_copied(seen: Sight) -> None:
    assert ours.copy(COPYING, seen) == steps.Rest("failed")
    free = dataclasses.replace(COPYING, point=None, machine=None)
    assert purpose(ours.copy(free, seen)) == "copy"


def test_a_job_that_failed_is_repeated_with_pauses_then_given_up() -> None:
    broken = Sight(HELD, half=FILE, job=job("failed", 50, "32768 0x80070070"))
    known = dataclasses.replace(COPYING, job=JOB)
    soon = ours.copy(with_last(known, "copy", 0, ran=True, answer=started()), broken)
    assert isinstance(soon, steps.Wait)
    assert soon.why == "the copy ended with 32768 0x80070070"
    later = with_last(known, "copy", 60, ran=True, answer=started(), tries=4)
    assert purpose(ours.copy(later, broken)) == "copy"
    enough = with_last(known, "copy", 60, ran=True, answer=started(), tries=5)
    assert ours.copy(enough, broken) == steps.Rest("failed")


def test_a_copy_that_no_job_makes_fails_in_the_end() -> None:
    missing = with_last(COPYING, "copy", 60, ran=True, answer=started("", 32779), tries=5)
    assert ours.copy(missing, Sight(HELD)) == steps.Rest("failed")
    at_once = with_last(COPYING, "copy", 60, ran=True, answer=started("", 0))
    assert purpose(ours.copy(at_once, Sight(half=FILE))) == "finish-copy"


# -- its end


def test_the_checkpoint_goes_when_nobody_copies_and_the_merge_is_waited_for() -> None:
    there = sight(names=(NAME,), drives={FIRST: CHILD})
    shared = dataclasses.replace(RELEASING, copied=True)
    assert isinstance(ours.release(shared, there), steps.Wait)
    assert purpose(ours.release(RELEASING, there)) == "remove-checkpoint"
    assert isinstance(ours.release(RELEASING, sight(drives={FIRST: CHILD})), steps.Wait)
    assert isinstance(ours.release(RELEASING, sight(busy=True)), steps.Wait)
    assert ours.release(RELEASING, sight()) == steps.Rest("released")
    others = sight(names=("by hand",), drives={FIRST: CHILD})
    assert ours.release(RELEASING, others) == steps.Rest("released")
    assert ours.release(RELEASING, Sight()) == steps.Elsewhere(steps.Rest("released"))


def test_a_merge_that_takes_long_is_told_to_the_operator() -> None:
    late = dataclasses.replace(RELEASING, since=NOW - dt.timedelta(minutes=5))
    decision = ours.release(late, sight(busy=True))
    assert isinstance(decision, steps.Wait)
    assert decision.why == "its checkpoint is still being merged"


@pytest.mark.parametrize("phase", ["deleting", "failing"])
def test_nothing_is_left_of_a_snapshot_that_is_not_to_be(phase: Any) -> None:
    intent = dataclasses.replace(DELETING, phase=phase, job=JOB)
    there = machine(names=(NAME,), drives={FIRST: CHILD})
    assert purpose(ours.clean(intent, Sight(there, FILE, None, job("running")))) == "cancel-copy"
    assert purpose(ours.clean(intent, Sight(there, FILE, FILE, None))) == "discard-copy"
    assert purpose(ours.clean(intent, Sight(there))) == "remove-checkpoint"
    assert isinstance(ours.clean(intent, Sight(machine(drives={FIRST: CHILD}))), steps.Wait)
    assert ours.clean(intent, Sight(machine())) == steps.Rest("removed")
    assert ours.clean(intent, Sight()) == steps.Elsewhere(steps.Rest("removed"))


def test_a_checkpoint_stays_for_the_others_of_its_moment() -> None:
    intent = dataclasses.replace(DELETING, others=True)
    assert ours.clean(intent, Sight(machine(names=(NAME,)))) == steps.Rest("removed")


def test_a_file_stays_for_another_snapshot_of_it() -> None:
    intent = dataclasses.replace(DELETING, removes_file=False, point=None, machine=None)
    assert ours.clean(intent, Sight(whole=FILE)) == steps.Rest("removed")


def test_what_is_left_on_a_vm_that_moved_is_seen_to_where_it_is() -> None:
    moved = dataclasses.replace(DELETING, machine=dataclasses.replace(MACHINE, host_key=2))
    assert ours.clean(moved, Sight()) == steps.Rest("moved")


def test_a_vm_of_another_deployment_is_left_alone() -> None:
    foreign = vm.Vm(GUID, "i-1", "Off", vm.notes("0" * 16, "i-1"), "", 0, None, 2, 2**30)
    theirs = Sight(checkpoint.Sight((foreign,)))
    for step in (ours.freeze, ours.release, ours.clean):
        decision = step(INTENT, theirs)
        assert isinstance(decision, steps.Wait)
        assert decision.why is not None
