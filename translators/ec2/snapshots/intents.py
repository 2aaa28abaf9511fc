"""What the engine is told of a snapshot, and how its findings are written back.

Loads rows into an `Intent` and settles them; decides nothing (that is `steps`).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import needs, storage
from state.models import (
    Deployment,
    Host,
    Instance,
    Snapshot,
    Volume,
)
from translators import driven
from translators.hyperv import checkpoint, copying, file, vhd, vm
from translators.hyperv.drive import Place
from translators.hyperv.host import Failed, HostFault, Path, Unreachable
from translators.settings import Settings

ON_A_VM: Final[tuple[storage.SnapshotPhase, ...]] = ("freezing", "releasing")
"""Phases whose work is where the VM is by now."""
REMOVING: Final[tuple[storage.SnapshotPhase, ...]] = ("deleting", "failing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The instance whose VM holds the disk still, or is to do so."""

    name: str
    vm_id: str | None
    host_key: int
    place: Place
    """Of the volume in question."""
    running: bool
    """At rest and running: it is not about to be off."""
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A snapshot as its owner wants it, with what its host needs to know."""

    phase: storage.SnapshotPhase
    root: str
    deployment: str
    file_name: str
    size_gib: int
    disk: Path | None
    """The volume's own file; None when the volume is no more."""
    volume_phase: storage.VolumePhase | None
    machine: Machine | None
    point: str | None
    cold: bool
    source: Path | None
    job: str | None
    progress: int
    leads: bool
    """Of those of its point that wait for it, this one makes the checkpoint."""
    crowded: bool
    """Another point's checkpoint is on the VM, or on its way there."""
    copied: bool
    """Another one of its point waits for the checkpoint, or copies from under it."""
    others: bool
    """Another one of its point sees to the checkpoint's end."""
    removes_file: bool
    """No other row has the same file."""

    @property
    def temporary(self) -> str:
        """What its half-made copy is called."""
        return f"{self.id}.vhdx"


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at a snapshot found; of what was not looked at nothing is said."""

    machine: checkpoint.Sight = field(default_factory=checkpoint.Sight)
    half: file.FileState | None = None
    whole: file.FileState | None = None
    job: copying.Job | None = None
    header: vhd.Disk | None = None
    """What the host reads in the file; None: it does not read it, and `refused` says why."""
    refused: HostFault | None = None


def load(session: Session, key: int, settings: Settings, now: dt.datetime) -> Intent | None:
    """Read a snapshot's intent; None when there is nothing (left) to drive."""
    row = session.get(Snapshot, key)
    if row is None or row.phase not in storage.SNAPSHOT_WORKING or row.host_key is None:
        return None
    if row.phase == "deleting" and not needs.may_go(session, key):
        return None
    if row.phase == "failing" and needs.is_brought(session, key):
        return None
    volume = session.get(Volume, row.volume_key) if row.volume_key is not None else None
    instance = None
    if row.point is not None and row.instance_key is not None:
        instance = session.get(Instance, row.instance_key)
    machine = _machine(volume, instance) if instance is not None else None
    host_key = row.host_key
    if machine is not None and row.phase in ON_A_VM:
        host_key = machine.host_key
    host = session.get_one(Host, host_key)
    return Intent(
        key=key,
        id=row.id,
        host_key=host_key,
        phase=row.phase,
        generation=row.generation,
        since=row.phase_since,
        now=now,
        attempt=driven.attempt(session, "snapshot", key),
        settings=settings,
        root=host.root,
        deployment=session.scalars(sa.select(Deployment.id)).one(),
        file_name=row.file_name,
        size_gib=row.size_gib,
        disk=_path(volume, instance) if volume is not None else None,
        volume_phase=volume.phase if volume is not None else None,
        machine=machine,
        point=row.point,
        cold=row.cold,
        source=Path(row.source_path) if row.source_path is not None else None,
        job=row.job,
        progress=row.progress,
        leads=_leads(session, row),
        crowded=_crowded(session, row),
        copied=_others(session, row, ("freezing", "copying")),
        others=_others(session, row, ("freezing", "copying", "releasing")),
        removes_file=needs.sharer(session, key) is None,
    )


def lane(key: int, point: str | None, instance_key: int | None, volume_key: int | None) -> str:
    if point is not None and instance_key is not None:
        return driven.vm_lane(instance_key)
    return f"snapshot-{key}" if volume_key is None else f"volume-{volume_key}"


def _machine(volume: Volume | None, instance: Instance) -> Machine:
    location = volume.location if volume is not None else None
    first = Place("IDE" if instance.vm_generation == 1 else "SCSI", 0)
    return Machine(
        name=instance.id,
        vm_id=instance.vm_id,
        host_key=instance.host_key,
        place=first if location is None else Place("SCSI", location),
        running=instance.phase == "running",
        gone=instance.phase == "terminated",
    )


def _path(volume: Volume, instance: Instance | None) -> Path | None:
    if "/" in volume.file_name:
        return Path(volume.file_name)
    return vm.INSTANCES / instance.id / volume.file_name if instance is not None else None


def _leads(session: Session, row: Snapshot) -> bool:
    first = sa.select(sa.func.min(Snapshot.key)).where(
        Snapshot.point == row.point, Snapshot.phase == "freezing"
    )
    return row.point is None or session.scalar(first) == row.key


def _crowded(session: Session, row: Snapshot) -> bool:
    """Only the oldest point that is on a VM, or waits for it, may have a checkpoint there."""
    others = sa.select(Snapshot.key).where(
        Snapshot.instance_key == row.instance_key,
        Snapshot.point.is_not(None),
        Snapshot.point != row.point,
        sa.or_(Snapshot.phase != "freezing", Snapshot.key < row.key),
    )
    return row.point is not None and session.scalar(others.limit(1)) is not None


def _others(session: Session, row: Snapshot, phases: tuple[storage.SnapshotPhase, ...]) -> bool:
    of_point = sa.select(Snapshot.key).where(
        Snapshot.point == row.point, Snapshot.key != row.key, Snapshot.phase.in_(phases)
    )
    return row.point is not None and session.scalar(of_point.limit(1)) is not None


# -- looks


def look(intent: Intent, run: driven.Run) -> Sight:
    """See the VM, where the phase concerns it, and the copy, where there may be one."""
    if intent.phase in ON_A_VM:
        return Sight(_look_at_machine(intent, run))
    if intent.phase == "verifying":
        return _look_at_header(intent, run)
    try:
        half = file.seen(run(file.look(copying.half_made(intent.temporary))))
        whole = file.seen(run(file.look(Path(intent.file_name))))
        job = copying.seen(run(copying.look(intent.job))) if intent.job else None
    except Failed as failed:
        raise Unreachable(f"look at copy failed: {failed}") from failed
    copied = whole is not None or (job is not None and job.progress != "failed")
    if intent.phase == "copying" and copied:  # nothing more is read of the VM's disk
        return Sight(half=half, whole=whole, job=job)
    return Sight(_look_at_machine(intent, run), half, whole, job)


def _look_at_header(intent: Intent, run: driven.Run) -> Sight:
    try:
        return Sight(header=vhd.read(run(vhd.look(Path(intent.file_name)))))
    except Failed as failed:
        return Sight(refused=failed.error)


def _look_at_machine(intent: Intent, run: driven.Run) -> checkpoint.Sight:
    if intent.point is None or intent.machine is None or intent.machine.vm_id is None:
        return checkpoint.Sight()
    name = checkpoint.name_of(intent.point)
    vm_id = intent.machine.vm_id
    try:
        found = checkpoint.read(run(checkpoint.look(vm_id)))
        if intent.phase == "freezing" and found.named(name):
            frozen = checkpoint.read_drives(run(checkpoint.look_into(vm_id, name)))
            found = dataclasses.replace(found, frozen=frozen)
    except Failed as failed:
        if not vm.is_missing(failed.error.id):
            raise Unreachable(f"look at checkpoints failed: {failed}") from failed
        return checkpoint.Sight()
    return found
