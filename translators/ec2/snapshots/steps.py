"""What a snapshot needs next: one step a phase, each a pure function of intent and look.

A point in time is a checkpoint of the whole VM, one at a time; all snapshots of one moment share
it. While it is there the copies are made, then it is removed and its disks merge.

Source: docs/decisions/0019-snapshots-are-flat-copies.md; EBS User Guide, "Create snapshots".
"""

from __future__ import annotations

from typing import Final

from translators.ec2.snapshots.intents import Intent, Sight
from translators.hyperv import checkpoint, copying, vm
from translators.hyperv.host import Path, Plan
from translators.steps import Decision, Do, Elsewhere, Note, Rest, Wait, step

_TRIES: Final = 5
"""Tries of one plan, each after a look, whose failure is taken for final."""
_LONGEST_PAUSE: Final = 60.0
_LONGEST_POLL: Final = 5.0
_PASSING_PAUSE: Final = 5.0
_PATIENCE_SECONDS: Final = 120.0
"""After so long the operator is told what is waited for."""


@step("snapshot", "freezing")
def freeze(intent: Intent, sight: Sight) -> Decision:
    """See the checkpoint on the VM: from then on the volume's file does not change."""
    if intent.volume_phase in (None, "creating", "deleting", "error"):
        return Rest("failed")
    if intent.volume_phase == "available":
        return Rest("freed")
    if intent.volume_phase != "in-use" or intent.crowded:
        return Wait(0.2)
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None or intent.machine is None or intent.point is None:
        return Elsewhere(Rest("failed"))
    found = sight.machine.named(checkpoint.name_of(intent.point))
    if found:
        path = copying.below(intent.root, sight.machine.frozen.get(intent.machine.place, ""))
        if path is None:  # an administrator moved it, or took it away
            return Rest("failed")
        return Rest("frozen", facts={"checkpoint": found[0].id, "source": path.segments})
    if not intent.leads or mine.in_transition or sight.machine.busy:
        return Wait(0.2)
    strays = [one for one in sight.machine.checkpoints if one.name.startswith(checkpoint.PREFIX)]
    if strays:  # of ours, and of no snapshot that is known: what an older state left there
        return attempt(intent, checkpoint.remove(mine.id, strays[0].name))
    if intent.cold and not intent.machine.running and mine.state not in vm.OFF_STATES:
        return Wait(0.2)
    plan = checkpoint.take(mine.id, checkpoint.name_of(intent.point))
    return attempt(intent, plan, Rest("failed"))


@step("snapshot", "copying")
def copy(intent: Intent, sight: Sight) -> Decision:
    """See the copy whole under its name; a job that nobody knows any more is begun anew."""
    if sight.whole is not None:
        return Rest("copied")
    if intent.source is None:
        return Rest("failed")
    last = intent.tried.get("copy")
    job, done_at_once = None, False
    if last is not None and last.answer is not None:
        job, code = copying.started(last.answer)
        done_at_once = code == 0
        if job is not None and job != intent.job:
            return Note({"job": job, "progress": 0})
    if sight.job is not None and sight.job.progress == "running":
        percent = min(sight.job.percent, 99)
        if percent > intent.progress:
            return Note({"progress": percent}, _soon(intent))
        return Wait(_soon(intent))
    if sight.half is not None and (done_at_once or (sight.job and sight.job.progress == "done")):
        plan = copying.finish(intent.temporary, Path(intent.file_name))
        return attempt(intent, plan, Rest("failed"))
    if intent.point is not None:
        # Without its checkpoint the file is written to again: what it holds is of no one moment.
        mine = _mine(intent, sight)
        if isinstance(mine, Wait):
            return mine
        if mine is None or not sight.machine.named(checkpoint.name_of(intent.point)):
            return Rest("failed")
    folder = Path(intent.file_name.rpartition("/")[0])
    plan = copying.start(intent.source, intent.temporary, folder)
    why = f"the copy ended with {sight.job.why}" if sight.job else None
    return attempt(intent, plan, Rest("failed"), why)


@step("snapshot", "releasing")
def release(intent: Intent, sight: Sight) -> Decision:
    """See the checkpoint gone and its disks merged."""
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None:
        return Elsewhere(Rest("released"))
    if intent.copied:
        return Wait(0.5)
    left = _unfreeze(intent, sight, mine)
    return left if left is not None else Rest("released")


@step("snapshot", "failing")
@step("snapshot", "deleting")
def clean(intent: Intent, sight: Sight) -> Decision:
    """See nothing of it left on the host; of a file that is another snapshot's too, nothing new."""
    if sight.job is not None and sight.job.progress == "running" and intent.job is not None:
        return attempt(intent, copying.cancel(intent.job))
    whole = sight.whole is not None and intent.removes_file
    if sight.half is not None or whole:
        others = (Path(intent.file_name),) if whole else ()
        return attempt(intent, copying.discard(intent.temporary, *others))
    if intent.point is None or intent.others or intent.machine is None:
        return Rest("removed")
    mine = _mine(intent, sight)
    if isinstance(mine, Wait):
        return mine
    if mine is None and intent.machine.host_key != intent.host_key:
        return Rest("moved")
    if mine is None:
        return Elsewhere(Rest("removed"))
    left = _unfreeze(intent, sight, mine)
    return left if left is not None else Rest("removed")


def _unfreeze(intent: Intent, sight: Sight, mine: vm.Vm) -> Decision | None:
    """Remove the checkpoint, wait for its merge; None when nothing of it is left."""
    assert intent.point is not None
    name = checkpoint.name_of(intent.point)
    late = intent.seconds_in_phase > _PATIENCE_SECONDS
    if sight.machine.busy:
        return Wait(_soon(intent), "its checkpoint is still being merged" if late else None)
    if sight.machine.named(name):
        if mine.in_transition:
            return Wait(0.2)
        return attempt(intent, checkpoint.remove(mine.id, name))
    merging = any(path.lower().endswith(".avhdx") for path in sight.machine.drives.values())
    if merging and not sight.machine.checkpoints:
        return Wait(_soon(intent), "its checkpoint is still being merged" if late else None)
    return None


def _mine(intent: Intent, sight: Sight) -> vm.Vm | Wait | None:
    """The VM, none, or the reason to keep away."""
    found = sight.machine.vms
    if not found:
        return None
    if len(found) > 1:
        return Wait(_LONGEST_PAUSE, "two VMs have the same id")
    owner = vm.owner(found[0].notes)
    if owner is not None and owner[0] != intent.deployment:
        return Wait(_LONGEST_PAUSE, "its VM belongs to another deployment")
    return found[0]


def _soon(intent: Intent) -> float:
    """Poll long work: often at first, seldom when it takes long."""
    return max(0.1, min(_LONGEST_POLL, intent.seconds_in_phase / 10))


def attempt(
    intent: Intent, plan: Plan, hopeless: Rest | None = None, why: str | None = None
) -> Decision:
    """Run the plan, with pauses that grow; after enough fruitless tries, the finding.

    What fails because something else is under way is tried for ever.
    """
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    if last.error is not None and last.error.passes:
        pause = min(_PASSING_PAUSE, 0.1 * 2 ** min(last.tries, 6))
    elif hopeless is not None and last.tries >= _TRIES:
        return hopeless
    else:
        pause = min(_LONGEST_PAUSE, 0.25 * 2 ** min(last.tries, 8))
    left = intent.left_of(pause, last)
    if left <= 0:
        return Do(plan)
    if last.error is not None:
        why = f"{plan.purpose}: {last.error.id}"
    return Wait(min(left, 1.0), why)
