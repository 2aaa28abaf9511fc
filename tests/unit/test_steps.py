"""The steps of an instance: what is decided for each sight of its VM."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest

from state import lifecycle
from translators import steps
from translators.driven import Attempt
from translators.ec2.instances import steps as ours
from translators.ec2.instances.intents import Intent
from translators.hyperv import making, vm
from translators.hyperv.host import Answer, HostFault, Path, Plan
from translators.settings import Settings

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
ID = "i-0123456789abcdef0"
GUID = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
NOTES = vm.notes("feedfacefeedface", ID)
SPEC = making.Spec(
    name=ID,
    generation=2,
    processors=2,
    memory_bytes=2**30,
    parent=Path("images/linux.vhdx"),
    disk_bytes=None,
    secure_boot_template=None,
    adapter=making.Adapter("eni-1", "02:00:00:00:00:01", "ec2gw", 7),
    notes=NOTES,
    start_delay_seconds=0,
)
INTENT = Intent(
    key=1,
    id=ID,
    host_key=1,
    phase="pending",
    generation=1,
    force=False,
    since=NOW - dt.timedelta(seconds=2),
    now=NOW,
    root="C:\\ec2gw",
    deployment="feedfacefeedface",
    vm_id=None,
    spec=SPEC,
    keeps_disk=False,
    carried="there",
    attempt=None,
    settings=Settings(stop_deadline_seconds=60, reboot_deadline_seconds=60),
)


def sight(state: str | None, *, notes: str = NOTES, folder: str | None = None) -> vm.Sight:
    if state is None:
        return vm.Sight((), False)
    place = f"C:\\ec2gw\\instances\\{ID}" if folder is None else folder
    size = (SPEC.processors, SPEC.memory_bytes)
    return vm.Sight((vm.Vm(GUID, ID, state, notes, place, 100, None, *size),), True)


def purpose(decision: steps.Decision) -> str:
    assert isinstance(decision, steps.Do)
    return decision.plan.purpose


def with_last(intent: Intent, purpose: str, seconds_ago: float = 5, **fields: object) -> Intent:
    at = NOW - dt.timedelta(seconds=seconds_ago)
    last = steps.Last(purpose, at, **fields)  # type: ignore[arg-type]
    return dataclasses.replace(intent, tried={**intent.tried, purpose: last})


# -- launch


def test_a_launch_waits_for_disks_that_are_on_their_way_and_ends_when_they_do_not_come() -> None:
    under_way = dataclasses.replace(INTENT, carried="under way")
    assert isinstance(ours.launch(under_way, sight(None)), steps.Wait)
    lost = dataclasses.replace(INTENT, carried="failed")
    assert ours.launch(lost, sight(None)) == steps.Rest("failed", ours.LAUNCH_FAILED)
    assert ours.launch(lost, sight("Running")) == steps.Rest("launched", facts={"vm_id": GUID})


def test_a_launch_makes_starts_and_rests() -> None:
    assert purpose(ours.launch(INTENT, sight(None))) == "create"
    assert purpose(ours.launch(INTENT, sight("Off"))) == "start"
    assert isinstance(ours.launch(INTENT, sight("Starting")), steps.Wait)
    assert ours.launch(INTENT, sight("Running")) == steps.Rest("launched", facts={"vm_id": GUID})


def test_a_half_made_vm_is_removed_and_made_anew() -> None:
    assert purpose(ours.launch(INTENT, sight("Off", notes=""))) == "remove"
    assert purpose(ours.launch(INTENT, sight("Running", notes=""))) == "turn-off"


@pytest.mark.parametrize(
    ("phase", "plan"), [("pending", making.create(SPEC)), ("shutting-down", vm.sweep(ID))]
)
def test_a_foreign_vm_with_our_name_is_not_ours(phase: lifecycle.Phase, plan: Plan) -> None:
    foreign = sight("Running", notes="", folder="D:\\somewhere\\else")
    intent = dataclasses.replace(INTENT, phase=phase)
    assert steps.STEPS["instance", phase](intent, foreign) == steps.Do(plan)


def test_a_vm_of_another_deployment_in_our_folder_is_left_alone() -> None:
    foreign = sight("Off", notes=vm.notes("0000000000000000", ID))
    phases: tuple[lifecycle.Phase, ...] = ("pending", "shutting-down")
    for phase in phases:
        intent = dataclasses.replace(INTENT, phase=phase)
        decision = steps.STEPS["instance", intent.phase](intent, foreign)
        assert isinstance(decision, steps.Wait)
        assert decision.why is not None


def test_two_vms_in_our_folder_stop_the_step() -> None:
    one = sight("Off").vms[0]
    both = vm.Sight((one, dataclasses.replace(one, id=GUID.replace("6", "7"))), True)
    decision = ours.launch(INTENT, both)
    assert isinstance(decision, steps.Wait)
    assert decision.why is not None


def test_no_memory_on_the_host_ends_a_launch_after_three_tries() -> None:
    fault = HostFault("OutOfMemory,Microsoft.HyperV.PowerShell.Commands.StartVM", "FromStdErr")
    again = with_last(INTENT, "start", 60, ran=True, error=fault, tries=2)
    assert purpose(ours.launch(again, sight("Off"))) == "start"
    enough = with_last(INTENT, "start", 60, ran=True, error=fault, tries=3)
    assert ours.launch(enough, sight("Off")) == steps.Rest("failed", ours.NO_CAPACITY)


def test_failures_are_retried_with_growing_pauses_then_given_up() -> None:
    fault = HostFault("OperationFailed,Microsoft.Vhd.PowerShell.Cmdlets.NewVhd", "NotSpecified")
    for tries in range(1, 6):
        soon = with_last(INTENT, "create", 0.1, ran=True, error=fault, tries=tries)
        assert isinstance(ours.launch(soon, sight(None)), steps.Wait)
        later = with_last(INTENT, "create", 0.25 * 2**tries + 0.1, error=fault, tries=tries)
        assert purpose(ours.launch(later, sight(None))) == "create"
    last = with_last(INTENT, "create", 60, ran=True, error=fault, tries=6)
    assert ours.launch(last, sight(None)) == steps.Rest("failed", ours.LAUNCH_FAILED)


def test_what_fails_for_days_is_still_tried_every_minute() -> None:
    """Nothing but an owner's word ends a termination, however often it fails."""
    fault = HostFault("OperationFailed,X.StopVM", "NotSpecified")
    for after, expected in ((59.0, steps.Wait), (61.0, steps.Do)):
        tried = with_last(ENDING, "turn-off", after, ran=True, error=fault, tries=5000)
        assert isinstance(ours.terminate(tried, sight("Running")), expected)


# -- start


STARTING = dataclasses.replace(INTENT, phase="starting", vm_id=GUID, generation=3)


def test_a_start_rests_when_the_vm_runs() -> None:
    assert purpose(ours.start(STARTING, sight("Off"))) == "start"
    assert ours.start(STARTING, sight("Running")) == steps.Rest("started", facts={"vm_id": GUID})
    assert isinstance(ours.start(STARTING, sight(None)), steps.Elsewhere)


@pytest.mark.parametrize(("processors", "memory_bytes"), [(4, 2**30), (2, 2**31)])
def test_a_vm_is_given_the_size_of_its_type_before_it_starts(
    processors: int, memory_bytes: int
) -> None:
    spec = dataclasses.replace(SPEC, processors=processors, memory_bytes=memory_bytes)
    larger = dataclasses.replace(STARTING, spec=spec)
    plan = vm.resize(GUID, processors, memory_bytes, NOTES)
    assert ours.start(larger, sight("Off")) == steps.Do(plan)
    # One that already runs, an administrator's doing, keeps its size until it starts again.
    assert ours.start(larger, sight("Running")) == steps.Rest("started", facts={"vm_id": GUID})


def test_a_vm_s_notes_follow_its_row_once_a_start_unless_somebody_wrote_others() -> None:
    size = (SPEC.processors, SPEC.memory_bytes)
    relabelled = dataclasses.replace(SPEC, notes=vm.notes("feedfacefeedface", ID, {"type": "m"}))
    intent = dataclasses.replace(STARTING, spec=relabelled)
    labelling = steps.Do(vm.resize(GUID, *size, relabelled.notes))
    assert ours.start(intent, sight("Off")) == labelling
    assert purpose(ours.start(intent, sight("Off", notes="mine, ask Bob"))) == "start"
    assert purpose(ours.start(with_last(intent, "resize", 9, ran=True), sight("Off"))) == "start"
    larger = dataclasses.replace(intent, spec=dataclasses.replace(relabelled, processors=4))
    kept = vm.resize(GUID, 4, size[1], None)
    assert ours.start(larger, sight("Off", notes="mine, ask Bob")) == steps.Do(kept)


def test_a_vm_that_cannot_be_resized_is_not_started() -> None:
    larger = dataclasses.replace(STARTING, spec=dataclasses.replace(SPEC, processors=4))
    fault = HostFault("InvalidState,Microsoft.HyperV.PowerShell.Commands.SetVMProcessor", "x")
    again = with_last(larger, "resize", 60, ran=True, error=fault, tries=5)
    assert purpose(ours.start(again, sight("Off"))) == "resize"
    enough = with_last(larger, "resize", 60, ran=True, error=fault, tries=6)
    assert ours.start(enough, sight("Off")) == steps.Rest("not-started", ours.START_FAILED)


def test_failures_count_whatever_is_done_between_them() -> None:
    fault = HostFault("InvalidArgument", "InvalidArgument")
    failed = with_last(INTENT, "create", 30, ran=True, error=fault, tries=6)
    cleaned = with_last(failed, "remove", 1, ran=True, answer=Answer({}, 2), tries=6)
    assert ours.launch(cleaned, sight(None)) == steps.Rest("failed", ours.LAUNCH_FAILED)


def test_what_has_no_effect_is_given_up_in_the_end() -> None:
    often = with_last(INTENT, "start", 60, ran=True, answer=Answer({}, 2), tries=20)
    assert ours.launch(often, sight("Off")) == steps.Rest("failed", ours.LAUNCH_FAILED)


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    fault = HostFault("OperationFailed", "NotSpecified")
    future = with_last(INTENT, "create", -7200, ran=True, error=fault)
    assert purpose(ours.launch(future, sight(None))) == "create"


# -- stop


STOPPING = dataclasses.replace(INTENT, phase="stopping", vm_id=GUID, generation=2)


def test_a_guest_is_asked_and_then_cut_off() -> None:
    assert purpose(ours.stop(STOPPING, sight("Running"))) == "shut-down"
    late = dataclasses.replace(STOPPING, since=NOW - dt.timedelta(seconds=61))
    assert purpose(ours.stop(late, sight("Running"))) == "turn-off"
    forced = dataclasses.replace(STOPPING, force=True)
    assert purpose(ours.stop(forced, sight("Running"))) == "turn-off"
    assert ours.stop(STOPPING, sight("Off")) == steps.Rest("stopped", facts={"vm_id": GUID})


def test_a_guest_that_still_boots_is_asked_again_soon() -> None:
    def answered(code: int, seconds_ago: float) -> Intent:
        answer = Answer({"result": [{"code": code}]}, done=2)
        return with_last(STOPPING, "shut-down", seconds_ago, ran=True, answer=answer)

    assert isinstance(ours.stop(answered(32780, 0.2), sight("Running")), steps.Wait)
    assert purpose(ours.stop(answered(32780, 4), sight("Running"))) == "shut-down"
    assert isinstance(ours.stop(answered(0, 4), sight("Running")), steps.Wait)


def test_an_old_attempt_of_a_stop_says_nothing_of_a_vm_that_is_gone() -> None:
    assert isinstance(ours.stop(STOPPING, sight(None)), steps.Elsewhere)


# -- reboot


REBOOTING = dataclasses.replace(INTENT, phase="rebooting", vm_id=GUID, generation=2)


def test_a_reboot_is_done_once() -> None:
    assert purpose(ours.reboot(REBOOTING, sight("Running"))) == "reboot"
    done = with_last(REBOOTING, "reboot", ran=True, answer=Answer({"result": [{"code": 0}]}, 2))
    assert ours.reboot(done, sight("Running")) == steps.Rest("rebooted")
    unheard = with_last(REBOOTING, "reboot", ran=True)
    assert ours.reboot(unheard, sight("Running")) == steps.Rest("rebooted")


def test_a_deaf_guest_is_reset_after_the_deadline() -> None:
    late = dataclasses.replace(REBOOTING, since=NOW - dt.timedelta(seconds=61))
    refused = Answer({"result": [{"code": 32780}]}, 2)
    deaf = with_last(late, "reboot", ran=True, answer=refused)
    assert purpose(ours.reboot(deaf, sight("Running"))) == "reset"
    reset = with_last(late, "reset", ran=True, answer=Answer({}, 2))
    assert ours.reboot(reset, sight("Running")) == steps.Rest("rebooted")


@pytest.mark.parametrize("purpose_", ["reboot", "reset"])
def test_a_reboot_that_failed_is_none(purpose_: str) -> None:
    fault = HostFault("InvalidArgument", "InvalidArgument")
    failed = with_last(REBOOTING, purpose_, ran=True, error=fault)
    assert purpose(ours.reboot(failed, sight("Running"))) == "reboot"
    late = dataclasses.replace(failed, since=NOW - dt.timedelta(seconds=61))
    assert purpose(ours.reboot(late, sight("Running"))) == "reset"


def test_a_guest_that_takes_its_time_is_asked_once() -> None:
    started = Answer({"result": [{"code": 4096}]}, 2)
    done = with_last(REBOOTING, "reboot", ran=True, answer=started)
    assert ours.reboot(done, sight("Running")) == steps.Rest("rebooted")


def test_what_went_off_instead_of_rebooting_is_started() -> None:
    assert purpose(ours.reboot(REBOOTING, sight("Off"))) == "start"
    started = with_last(REBOOTING, "start", ran=True, answer=Answer({}, 2))
    assert ours.reboot(started, sight("Running")) == steps.Rest("rebooted")
    fault = HostFault("OperationFailed", "NotSpecified")
    hopeless = with_last(REBOOTING, "start", ran=True, error=fault, tries=6)
    assert ours.reboot(hopeless, sight("Off")) == steps.Rest("guest-stopped", ours.START_FAILED)


def test_an_attempt_that_never_ran_is_made_at_once() -> None:
    never = with_last(REBOOTING, "reboot", 0, ran=False)
    assert purpose(ours.reboot(never, sight("Running"))) == "reboot"


# -- terminate


ENDING = dataclasses.replace(INTENT, phase="shutting-down", vm_id=GUID, generation=3)


def attempted(purpose: str) -> Intent:
    return dataclasses.replace(ENDING, attempt=Attempt("0" * 32, purpose, 3, NOW))


def test_a_termination_leaves_nothing() -> None:
    assert purpose(ours.terminate(ENDING, sight("Running"))) == "turn-off"
    assert purpose(ours.terminate(ENDING, sight("Off"))) == "remove"
    left = vm.Sight((), folder_exists=True)
    assert purpose(ours.terminate(attempted("remove"), left)) == "sweep"
    assert ours.terminate(attempted("sweep"), vm.Sight((), False)) == steps.Rest("removed")


def test_a_disk_that_its_owner_keeps_stays() -> None:
    kept = dataclasses.replace(attempted("remove"), keeps_disk=True)
    assert ours.terminate(kept, vm.Sight((), folder_exists=True)) == steps.Rest("removed")


def test_a_vm_that_somebody_else_took_away_is_searched_first_and_leaves_nothing() -> None:
    left = ours.terminate(ENDING, vm.Sight((), True))
    assert left == steps.Elsewhere(steps.Do(vm.sweep(ID)))
    assert ours.terminate(ENDING, vm.Sight((), False)) == steps.Elsewhere(steps.Rest("removed"))


def test_a_vm_that_moved_when_it_was_to_be_removed_is_searched() -> None:
    fault = HostFault("InvalidState", "InvalidOperation")
    refused = with_last(attempted("remove"), "remove", ran=True, error=fault)
    assert isinstance(ours.terminate(refused, vm.Sight((), False)), steps.Elsewhere)
    never = with_last(attempted("remove"), "remove", ran=False)
    assert isinstance(ours.terminate(never, vm.Sight((), False)), steps.Elsewhere)


def test_a_launch_that_never_began_ends_at_once() -> None:
    never = dataclasses.replace(ENDING, vm_id=None)
    assert ours.terminate(never, vm.Sight((), False)) == steps.Rest("removed")


# -- while a snapshot is made of its disks


def test_a_vm_is_not_removed_while_a_snapshot_of_its_disks_is_made() -> None:
    held = dataclasses.replace(ENDING, in_snapshot=True)
    assert purpose(ours.terminate(held, sight("Running"))) == "turn-off"
    assert isinstance(ours.terminate(held, sight("Off")), steps.Wait)
    gone = ours.terminate(held, vm.Sight((), folder_exists=True))
    assert gone == steps.Elsewhere(steps.Do(vm.sweep(ID)))


def test_a_vm_goes_down_for_an_image_and_is_started_after_it() -> None:
    awaited = dataclasses.replace(REBOOTING, awaits_off=True)
    assert purpose(ours.reboot(awaited, sight("Running"))) == "shut-down"
    assert isinstance(ours.reboot(awaited, sight("Off")), steps.Wait)
    late = dataclasses.replace(awaited, since=NOW - dt.timedelta(seconds=61))
    assert purpose(ours.reboot(late, sight("Running"))) == "turn-off"
    assert purpose(ours.reboot(REBOOTING, sight("Off"))) == "start"
    starting = dataclasses.replace(STARTING, awaits_off=True)
    assert isinstance(ours.start(starting, sight("Off")), steps.Wait)
