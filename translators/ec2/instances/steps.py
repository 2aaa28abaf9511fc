"""What an instance's VM needs next: one step a phase, each a pure function of intent and look.

Source: docs/architecture.md, "The life of an instance"; EC2 User Guide, "Troubleshoot instance
launch issues" for the reasons; Msvm_ShutdownComponent for what a guest answers.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from state import lifecycle
from translators.ec2.instances.findings import VANISHED
from translators.ec2.instances.intents import Intent
from translators.guests import disc
from translators.hyperv import making, seed, vm
from translators.hyperv.host import Plan
from translators.steps import Decision, Do, Elsewhere, Rest, Wait, step

NO_CAPACITY: Final = (
    "Server.InsufficientInstanceCapacity",
    "Server.InsufficientInstanceCapacity: Insufficient capacity to satisfy instance request",
)
LAUNCH_FAILED: Final = ("Server.InternalError", "Server.InternalError: Internal error on launch")
START_FAILED: Final = ("Server.InternalError", "Server.InternalError: Internal error on start")

_NO_MEMORY: Final = frozenset({"0x8007000E", "0x800705AA"})
_NO_MEMORY_TRIES: Final = 3
_TRIES: Final = 6
"""Tries of one plan, each after a look, whose failure ends a launch or a start for good."""
_FRUITLESS_TRIES: Final = 20
"""The same for a plan that the host carries out each time, and nothing comes of it."""
_LONGEST_PAUSE: Final = 60.0
_ASK_GUEST_AGAIN: Final = 20.0
"""Seconds that a guest is given before it is asked once more."""
_GUEST_NOT_READY: Final = 3.0
_GONE: Final = Elsewhere(Rest("vanished", VANISHED))


@step("instance", "pending")
def launch(intent: Intent, sight: vm.Sight) -> Decision:
    """Make the VM and see it run for the first time."""
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    failure: tuple[lifecycle.Found, tuple[str, str]] = ("failed", LAUNCH_FAILED)
    if mine is None and intent.carried == "under way":
        return Wait(1.0, "a disk that it is made of is on its way from another host")
    if mine is None and intent.carried == "failed":
        return Rest(*failure)
    if mine is None:
        return _try(intent, making.create(_with_disc(intent)), failure)
    if mine.notes == "":
        # Never finished, so it never ran: begin anew rather than guess what is missing.
        plan = vm.remove(mine.id) if mine.state in vm.OFF_STATES else vm.turn_off(mine.id)
        return _try(intent, plan, failure)
    if mine.state in vm.RUNNING_STATES:
        return Rest("launched", facts={"vm_id": mine.id})
    if mine.state in vm.OFF_STATES:
        return _try(intent, vm.start(mine.id), failure)
    return _soon(intent)


@step("instance", "starting")
def start(intent: Intent, sight: vm.Sight) -> Decision:
    """See a stopped VM run again, as large as its type is by now, with Notes that say so."""
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None:
        return _GONE
    if mine.state in vm.RUNNING_STATES:
        return Rest("started", facts={"vm_id": mine.id})
    if mine.state in vm.OFF_STATES and intent.awaits_off:
        return _soon(intent)
    if mine.state == "Off" and intent.awaits_disc:
        return Wait(0.1)  # `seeds` puts it in
    if mine.state in vm.OFF_STATES:
        size = (intent.spec.processors, intent.spec.memory_bytes)
        ours = vm.owner(mine.notes) == (intent.deployment, intent.id)
        # Once: whatever becomes of Notes on a host, they keep no VM from its start.
        noted = not ours or mine.notes == intent.spec.notes or "resize" in intent.tried
        plan = vm.start(mine.id)
        if size != (mine.processors, mine.memory_bytes) or not noted:
            plan = vm.resize(mine.id, *size, intent.spec.notes if ours else None)
        return _try(intent, plan, ("not-started", START_FAILED))
    return _soon(intent)


@step("instance", "stopping")
def stop(intent: Intent, sight: vm.Sight) -> Decision:
    """Ask the guest to shut down; cut its power when forced, or after the deadline."""
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None:
        return _GONE
    if mine.state in vm.OFF_STATES:
        return Rest("stopped", facts={"vm_id": mine.id})
    if intent.force or intent.seconds_in_phase > intent.settings.stop_deadline_seconds:
        return _try(intent, vm.turn_off(mine.id))
    if mine.state not in vm.RUNNING_STATES:
        return _soon(intent)
    return _ask_guest(intent, vm.shut_down(mine.id))


@step("instance", "rebooting")
def reboot(intent: Intent, sight: vm.Sight) -> Decision:
    """Ask the guest to reboot, once; reset it when it does not listen, start it when it is off.

    A look cannot show a guest's reboot, so the attempt's own outcome counts, and the host's log
    where nobody heard of it. Where an image is to be made in between, the guest is shut down and
    started.
    """
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None:
        return _GONE
    if mine.state in vm.OFF_STATES and intent.awaits_off:
        return _soon(intent)
    if mine.state in vm.OFF_STATES:  # its host restarted, or it went down and stayed down
        return _try(intent, vm.start(mine.id), ("guest-stopped", START_FAILED))
    if mine.state not in vm.RUNNING_STATES:
        return _soon(intent)
    if intent.awaits_off:
        if intent.seconds_in_phase > intent.settings.reboot_deadline_seconds:
            return _try(intent, vm.turn_off(mine.id))
        return _ask_guest(intent, vm.shut_down(mine.id))
    done = any(_rebooted(intent, mine, purpose) for purpose in ("reboot", "reset", "start"))
    if done or sight.was_reset:
        return Rest("rebooted")
    if intent.seconds_in_phase > intent.settings.reboot_deadline_seconds:
        return _try(intent, vm.reset(mine.id))
    return _ask_guest(intent, vm.reboot(mine.id))


@step("instance", "shutting-down")
def terminate(intent: Intent, sight: vm.Sight) -> Decision:
    """Turn the VM off, remove it, then its folder; rest only when nothing of it is left."""
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is not None:
        if mine.state in vm.OFF_STATES and intent.in_snapshot:
            return Wait(0.5, "a snapshot of its disks is being made")
        if mine.state in vm.OFF_STATES:
            return _try(intent, vm.remove(mine.id))
        return _try(intent, vm.turn_off(mine.id))
    left: Do | Rest | Wait = Rest("removed")
    if sight.folder_exists and not intent.keeps_disk:
        left = _try(intent, vm.sweep(intent.id))
    elif sight.disc_exists:
        left = _try(intent, seed.clear(intent.id))
    if intent.vm_id is None or _removed_by_us(intent) or isinstance(left, Wait):
        return left
    return Elsewhere(left)


def _with_disc(intent: Intent) -> making.Spec:
    """The disc is made where it is needed: a row is read more often than a VM is made."""
    if intent.told is None:
        return intent.spec
    made = disc.make(intent.told, intent.settings)
    return dataclasses.replace(intent.spec, disc=made.content if made else None)


def _removed_by_us(intent: Intent) -> bool:
    """Whether the VM is not here because we took it away, as far as anybody knows."""
    if intent.attempt is None or intent.attempt.purpose not in {"remove", "sweep", "remove-disc"}:
        return False
    last = intent.tried.get("remove")
    return last is None or (last.ran is not False and last.error is None)


def _mine(intent: Intent, sight: vm.Sight) -> vm.Vm | Wait | None:
    """The one VM that is this instance's, none, or the reason to keep away."""
    found = sight.vms
    if intent.vm_id is None:
        folder = vm.folder_of(intent.root, intent.id).lower()
        found = tuple(one for one in found if one.folder.rstrip("\\").lower() == folder)
    if not found:
        return None
    if len(found) > 1:
        return Wait(_LONGEST_PAUSE, f"{len(found)} VMs in the folder of {intent.id}")
    owner = vm.owner(found[0].notes)
    if intent.vm_id is None and owner is not None and owner[0] != intent.deployment:
        return Wait(_LONGEST_PAUSE, f"the VM of {intent.id} belongs to another deployment")
    return found[0]


def _rebooted(intent: Intent, mine: vm.Vm, purpose: str) -> bool:
    last = intent.tried.get(purpose)
    if last is None or last.error is not None:
        return False
    if last.ran is None:
        return mine.uptime_seconds < (intent.now - last.at).total_seconds()
    # Of an answer that nobody heard it is only known that the plan did not fail.
    return last.ran and (purpose != "reboot" or last.answer is None or vm.accepted(last.answer))


def _try(
    intent: Intent, plan: Plan, failure: tuple[lifecycle.Found, tuple[str, str]] | None = None
) -> Do | Rest | Wait:
    """Run the plan, with pauses that grow while it fails; after enough failures, the finding."""
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    pause = 1.0
    if failure is not None and last.tries >= _FRUITLESS_TRIES:
        return Rest(*failure)
    if last.error is not None:
        scarce = last.error.identifier == "OutOfMemory" or bool(
            _NO_MEMORY.intersection(last.error.hresult)
        )
        if failure is not None and scarce and last.tries >= _NO_MEMORY_TRIES:
            return Rest(failure[0], NO_CAPACITY)
        if failure is not None and last.tries >= _TRIES:
            return Rest(*failure)
        pause = min(_LONGEST_PAUSE, 0.25 * 2 ** min(last.tries, 8))
    left = intent.left_of(pause, last)
    if left <= 0:
        return Do(plan)
    return Wait(min(left, 1.0), f"{plan.purpose}: {last.error.id}" if last.error else None)


def _ask_guest(intent: Intent, plan: Plan) -> Decision:
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    pause = (
        _ASK_GUEST_AGAIN if vm.accepted(last.answer) else min(_GUEST_NOT_READY, 0.5 * last.tries)
    )
    return Do(plan) if intent.left_of(pause, last) <= 0 else _soon(intent)


def _soon(intent: Intent) -> Wait:
    """Poll a transition: often at first, seldom when it takes long."""
    return Wait(max(0.1, min(2.0, intent.seconds_in_phase / 5)))
