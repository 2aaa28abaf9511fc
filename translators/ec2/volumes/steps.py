"""What a volume needs next: one step a phase, each a pure function of intent and look.

Source: docs/architecture.md, "The life of an instance"; docs/hyperv.md, "Volumes".
"""

from __future__ import annotations

from typing import Final

from translators import devices
from translators.driven import Intent as AnyIntent
from translators.ec2.volumes.intents import Intent, Machine, Sight
from translators.hyperv import drive, vm, volume
from translators.hyperv.host import Plan
from translators.steps import Decision, Do, Note, Rest, Wait, step

_TRIES: Final = 8
"""Tries of one plan, each after a look, whose failure is taken for final."""
_LONGEST_PAUSE: Final = 60.0


@step("volume", "creating")
def create(intent: Intent, sight: Sight) -> Decision:
    """Make the disk; what is there and whole was made already."""
    if intent.target_host_key != intent.host_key:
        return _send(intent, sight)
    if _is_whole(intent, sight):
        return Rest("made")
    if intent.carried == "under way":
        return Wait(1.0, "its snapshot's disk is on its way from another host")
    if intent.carried == "failed":
        return Rest("not-made")
    return attempt(intent, volume.create(intent.disk), Rest("not-made"))


@step("volume", "moving")
def move(intent: Intent, sight: Sight) -> Decision:
    """See the disk on the host where it is wanted, and nowhere else."""
    if intent.target_host_key != intent.host_key:
        return _send(intent, sight)
    if _is_whole(intent, sight):
        return Rest("arrived")
    return attempt(intent, volume.create(intent.disk), Rest("stayed"))


def _send(intent: Intent, sight: Sight) -> Decision:
    """Remove the disk here once it is there, or can be made there: nobody wrote to it then."""
    if intent.carried == "failed":
        return Rest("stayed")
    if intent.carried == "under way":
        return Wait(1.0)
    if intent.copied:
        return Wait(1.0, "a snapshot of it is being copied")
    if sight.file is None:
        return Rest("left")
    return attempt(intent, volume.remove(intent.disk.path))


@step("volume", "attaching")
def attach(intent: Intent, sight: Sight) -> Decision:
    """See the disk in its place on the VM; half an attachment there is cleared first."""
    if intent.machine is None or intent.place is None:
        return Rest("not-attached")
    if intent.machine.leaving:
        return Wait(1.0)
    if sight.vm is None:
        return Wait(1.0, "its VM is not on its host")
    place = intent.place
    at = {one.place: one for one in sight.drives}
    mine = _mine(intent, sight)
    if mine is not None and mine.place == place:
        return _boots(intent, intent.machine, sight.vm)
    if intent.copied:
        return Wait(1.0, "a snapshot of it is being copied")
    if intent.machine.checkpointed:
        return Wait(1.0, "a checkpoint holds the disks of its instance")
    if sight.vm.in_transition or (intent.is_root and sight.vm.state not in vm.OFF_STATES):
        return Wait(0.5)
    failed = Rest("not-attached")
    if mine is not None:  # somebody put it where we do not look for it
        return attempt(intent, volume.detach(sight.vm.id, mine.place), failed)
    if place in at and not at[place].path:
        return attempt(intent, volume.clear(sight.vm.id, place), failed)
    if place in at:  # of an administrator's making
        used = {one.place.location for one in sight.drives if one.place.controller == "SCSI"}
        other = devices.location("", intent.machine.taken | used)
        return Note({"location": other}) if other is not None and not intent.is_root else failed
    plan = volume.attach(sight.vm.id, place, intent.disk.path, intent.maximum_iops)
    return attempt(intent, plan, failed)


def _boots(intent: Intent, machine: Machine, seen: vm.Vm) -> Decision:
    """See to it that a VM boots from its root disk; a look does not show that."""
    if not intent.is_root or machine.generation == 1 or intent.place is None:
        return Rest("attached")
    last = intent.tried.get("boot-volume")
    if last is not None and last.ran and last.error is None:
        return Rest("attached")
    return attempt(intent, volume.boot_from(seen.id, intent.place))


@step("volume", "detaching")
def detach(intent: Intent, sight: Sight) -> Decision:
    """See the disk in none of the VM's drives."""
    if intent.target_host_key != intent.host_key:
        return _send(intent, sight)
    if intent.machine is None:
        return Rest("detached")
    if intent.machine.leaving:
        return Wait(1.0)
    if sight.vm is None:
        return Wait(1.0, "its VM is not on its host")
    mine = _mine(intent, sight)
    if mine is None:
        return Rest("detached")
    if drive.is_disk(mine.path, intent.root, intent.disk.path) == "checkpoint":
        return Wait(1.0, "a checkpoint holds it")
    if intent.machine.checkpointed:
        return Wait(1.0, "a checkpoint holds the disks of its instance")
    if sight.vm.in_transition:
        return Wait(0.5)
    return attempt(intent, volume.detach(sight.vm.id, mine.place))


@step("volume", "deleting")
def delete(intent: Intent, sight: Sight) -> Decision:
    """See its file gone, and with it the folder of an instance that left nothing else."""
    if intent.copied:
        return Wait(1.0, "a snapshot of it is being copied")
    if sight.file is not None:
        return attempt(intent, volume.remove(intent.disk.path))
    if sight.folder and intent.folder is not None:
        return attempt(intent, volume.remove(intent.folder))
    return Rest("deleted")


def _is_whole(intent: Intent, sight: Sight) -> bool:
    """Whether the disk is there as it is to be; one that is larger was grown since.

    What was written to counts as whole, whatever it looks like: it is never made again.
    """
    if sight.file is None:
        return False
    if intent.written:
        return True
    if sight.size_bytes is None:
        return False
    return intent.disk.size_bytes is None or sight.size_bytes >= intent.disk.size_bytes


def _mine(intent: Intent, sight: Sight) -> volume.Drive | None:
    path = intent.disk.path
    found = (one for one in sight.drives if drive.is_disk(one.path, intent.root, path))
    return next(found, None)


def attempt(intent: AnyIntent, plan: Plan, hopeless: Rest | None = None) -> Decision:
    """Run the plan, with pauses that grow while it fails; after enough failures, the finding.

    What fails because something else is under way is tried for ever.
    """
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    if last.error is None:
        pause = min(_LONGEST_PAUSE, 0.5 * last.tries)
    else:
        if hopeless is not None and last.tries >= _TRIES and not last.error.passes:
            return hopeless
        pause = min(_LONGEST_PAUSE, 0.25 * 2 ** min(last.tries, 8))
    left = intent.left_of(pause, last)
    if left <= 0:
        return Do(plan)
    return Wait(min(left, 1.0), f"{plan.purpose}: {last.error.id}" if last.error else None)
