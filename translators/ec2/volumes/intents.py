"""What the engine is told of a volume, and how its findings are written back.

Loads rows into an `Intent` and settles them; decides nothing (that is `steps`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import needs, storage
from state.models import (
    Host,
    Instance,
    Snapshot,
    Tag,
    Transfer,
    Volume,
    VolumeModification,
    Work,
)
from translators import driven, snapshots, transfers, volume_types
from translators.hyperv import drive, file, vhd, vm, volume
from translators.hyperv.host import Failed, Path, Unreachable
from translators.settings import GIB, Settings
from translators.steps import Rest

FREE: Final[dict[str, Any]] = {
    "instance_key": None,
    "device": None,
    "location": None,
    "attach_time": None,
    "delete_on_termination": False,
    "force": False,
}
"""The columns of a volume that is nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The instance that a volume is, or is to be, a disk of."""

    host_key: int
    vm_id: str | None
    leaving: bool
    """It is being removed: what becomes of its volumes is decided then."""
    checkpointed: bool
    """A checkpoint of ours holds its disks still."""
    taken: frozenset[int]
    """Places that other volumes have, or are to have."""
    generation: int
    """Of the VM: it says where a root disk is, and whether the firmware has to be told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A volume as its owner wants it, with what its host needs to know."""

    phase: storage.VolumePhase
    root: str
    disk: drive.Disk
    maximum_iops: int
    place: drive.Place | None
    """Where it is, or is to be, in its instance's VM."""
    is_root: bool
    """Its instance boots from it."""
    machine: Machine | None
    copied: bool
    """A snapshot of it is being made from its very file."""
    written: bool
    """What is in it cannot be made again."""
    target_host_key: int
    """Where it is to be; on its way there it is still on `host_key`."""
    carried: transfers.Outcome
    """Whether all that it takes to be there is there by now."""
    folder: Path | None
    """Of an instance that is no more, and left nothing but this disk: it goes with it."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at a volume found; of what was not looked at nothing is said."""

    file: file.FileState | None = None
    size_bytes: int | None = None
    """What the disk's header says; None for a file that is no whole disk."""
    folder: bool = False
    vm: vm.Vm | None = None
    drives: tuple[volume.Drive, ...] = ()


def path_of(row: Volume, instance_id: str | None) -> Path:
    """Where a volume's file is below the root."""
    if "/" in row.file_name:
        return Path(row.file_name)
    assert instance_id is not None, "a bare name is a disk in its instance's folder"
    return vm.INSTANCES / instance_id / row.file_name


class Volumes(driven.Kind[Intent]):
    """How volumes are driven; see `translators.driven.Kind`."""

    name = "volume"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        query = (
            sa.select(Volume.key, Volume.generation, Volume.instance_key)
            .where(Volume.host_key == host_key, Volume.phase.in_(storage.VOLUME_WORKING))
            .order_by(Volume.phase_since)
        )
        return [
            driven.Due(key, number, lane(key, instance_key))
            for key, number, instance_key in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        row = session.get(Volume, key)
        if row is None or row.phase not in storage.VOLUME_WORKING:
            return None
        instance = session.get(Instance, row.instance_key) if row.instance_key else None
        path = path_of(row, instance.id if instance else None)
        target = _target(session, row, instance)
        return Intent(
            key=key,
            id=row.id,
            host_key=row.host_key,
            phase=row.phase,
            generation=row.generation,
            since=row.phase_since,
            now=now,
            attempt=driven.attempt(session, self.name, key),
            settings=settings,
            root=session.get_one(Host, row.host_key).root,
            disk=drive.Disk(path, parent_of(session, row), size_of(session, row)),
            maximum_iops=volume_types.normalised_iops(
                row.type, row.size_gib, row.iops, row.throughput
            ),
            place=_place(row, instance) if instance else None,
            is_root=instance is not None and row.location is None,
            machine=_machine(session, row, instance) if instance else None,
            copied=needs.busy_volume(session, key),
            written=row.written,
            target_host_key=target,
            carried=_carried(session, row, target),
            folder=_left_folder(session, path),
        )

    def look(self, intent: Intent, run: driven.Run) -> Sight:
        here = intent.target_host_key == intent.host_key
        if here and intent.phase in ("attaching", "detaching"):
            return _look_at_drives(intent, run)
        return _look_at_file(intent, run)

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = session.execute(
            sa.select(Volume.phase, Volume.generation, Volume.host_key).where(
                Volume.key == intent.key
            )
        ).one_or_none()
        return row is not None and tuple(row) == (intent.phase, intent.generation, intent.host_key)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        if rest.found == "deleted":
            forget(session, intent.key)
            return
        row = session.get_one(Volume, intent.key)
        columns = dict(_SETTLED[rest.found])
        if rest.found in ("left", "stayed"):
            transfers.forget(session, row.file_name)
        if rest.found == "left":
            row.host_key = intent.target_host_key
            gone = intent.machine is None or intent.machine.host_key != row.host_key
            columns = dict(_SETTLED["stayed"]) if gone else {}
        if rest.found == "detached" and not row.written:
            columns |= storage.entered("creating")  # it may not have been made here yet
        for name, value in columns.items():
            setattr(row, name, value)
        if row.phase in storage.VOLUME_WORKING:
            row.generation += 1
        if row.phase == "attaching":
            row.written = True
        row.phase_since = now

    def note(self, session: Session, intent: Intent, facts: Mapping[str, object]) -> None:
        row = session.get_one(Volume, intent.key)
        location = facts["location"]
        assert isinstance(location, int)
        row.location = location

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        if intent.phase in ("creating", "moving"):  # made once already, and perhaps written since
            return False
        session.get_one(Volume, intent.key).generation = seen + 1
        return True


_SETTLED: Final[dict[str, dict[str, Any]]] = {
    "made": storage.entered("available"),
    "not-made": storage.entered("error"),
    "left": {},
    "stayed": {**storage.entered("creating"), **FREE},
    "arrived": storage.entered("attaching"),
    "attached": storage.entered("in-use"),
    "not-attached": {**storage.entered("available"), **FREE},
    "detached": {**storage.entered("available"), **FREE},
}
"""Finding -> the columns of the volume that was found so."""

driven.register(Volumes())


def lane(key: int, instance_key: int | None) -> str:
    """Where what touches a volume waits for its turn."""
    return driven.vm_lane(instance_key) if instance_key is not None else f"volume-{key}"


def parent_of(session: Session, row: Volume) -> Path | None:
    """The disk whose child a volume is made as."""
    if row.snapshot_key is None:
        return None
    return Path(session.get_one(Snapshot, row.snapshot_key).file_name)


def size_of(session: Session, row: Volume) -> int | None:
    """How large a volume is made; None: as its parent, whose size it has."""
    if row.snapshot_key is not None:
        parent = session.get_one(Snapshot, row.snapshot_key)
        if parent.size_gib == row.size_gib:
            return None
    return row.size_gib * GIB


def forget(session: Session, key: int) -> None:
    """Drop a volume whose file is gone, with all that is kept of it."""
    modified = sa.select(VolumeModification.key).where(VolumeModification.volume_key == key)
    session.execute(
        sa.delete(Work).where(Work.kind == "volume-modification", Work.key.in_(modified))
    )
    session.execute(sa.delete(Work).where(Work.kind == "volume", Work.key == key))
    session.execute(sa.delete(Tag).where(Tag.resource_type == "volume", Tag.resource_key == key))
    session.execute(sa.delete(VolumeModification).where(VolumeModification.volume_key == key))
    session.execute(sa.delete(Volume).where(Volume.key == key))


def _place(row: Volume, instance: Instance) -> drive.Place:
    if row.location is not None:
        return drive.Place("SCSI", row.location)
    return drive.Place("IDE" if instance.vm_generation == 1 else "SCSI", 0)


def _machine(session: Session, row: Volume, instance: Instance) -> Machine:
    others = session.scalars(
        sa.select(Volume.location).where(
            Volume.instance_key == instance.key, Volume.key != row.key, Volume.location.is_not(None)
        )
    )
    return Machine(
        host_key=instance.host_key,
        vm_id=instance.vm_id,
        leaving=instance.phase in ("shutting-down", "terminated"),
        checkpointed=needs.checkpointed(session, instance.key),
        taken=frozenset(one for one in others if one is not None),
        generation=instance.vm_generation,
    )


def _target(session: Session, row: Volume, instance: Instance | None) -> int:
    """Where a volume is to be: what was once sent on its way arrives, whatever is wanted since."""
    sent = session.scalar(
        sa.select(Transfer.target_host_key).where(
            Transfer.path == row.file_name, Transfer.source_host_key == row.host_key
        )
    )
    if sent is not None and row.phase != "deleting":
        return sent
    if instance is not None and row.phase in ("moving", "detaching"):
        return instance.host_key
    return row.host_key


def _carried(session: Session, row: Volume, target: int) -> transfers.Outcome:
    if target == row.host_key:
        parents = [row.snapshot_key] if row.snapshot_key and row.phase == "creating" else []
        return snapshots.carried(session, parents, target)
    awaited: list[str] = [row.file_name] if row.written else []
    if row.snapshot_key is not None:
        having = snapshots.hosts_with(session, [row.snapshot_key])
        if having is not None and target not in having:
            awaited.append(session.get_one(Snapshot, row.snapshot_key).file_name)
    found = [transfers.find(session, path, target) for path in awaited]
    if any(one is None or one.phase == "failed" for one in found):
        return "failed"
    return "there" if all(one and one.phase == "done" for one in found) else "under way"


def _left_folder(session: Session, path: Path) -> Path | None:
    segments = path.segments.split("/")
    if segments[0] != vm.INSTANCES.segments:
        return None
    alive = sa.select(Instance.key).where(
        Instance.id == segments[1], Instance.phase != "terminated"
    )
    return vm.INSTANCES / segments[1] if session.scalar(alive) is None else None


# -- looks


def _look_at_file(intent: Intent, run: driven.Run) -> Sight:
    try:
        state = file.seen(run(file.look(intent.disk.path)))
        folder = False
        if intent.phase == "deleting" and intent.folder is not None:
            folder = file.seen(run(file.look(intent.folder))) is not None
    except Failed as failed:
        raise Unreachable(f"look at file failed: {failed}") from failed
    if state is None or intent.phase == "deleting":
        return Sight(state, folder=folder)
    return Sight(state, size_of_disk(intent.disk.path, run))


def size_of_disk(path: Path, run: driven.Run) -> int | None:
    """Ask a disk's header for its size; None for a file that is no whole disk.

    :raises Unreachable: something else uses the file just now
    """
    try:
        return vhd.read(run(vhd.look(path))).size_bytes
    except Failed as failed:
        if failed.error.category == "ResourceBusy" or "0x80070020" in failed.error.hresult:
            raise Unreachable(f"the disk is in use: {failed}") from failed
        return None


def _look_at_drives(intent: Intent, run: driven.Run) -> Sight:
    if intent.machine is None or intent.machine.vm_id is None:
        return Sight()
    return look_at_drives(intent.machine.vm_id, run)


def look_at_drives(vm_id: str, run: driven.Run) -> Sight:
    """See a VM and what is in its drives."""
    try:
        found, drives = volume.seen(run(volume.look(vm_id)))
    except Failed as failed:
        if not vm.is_missing(failed.error.id):
            raise Unreachable(f"look failed: {failed}") from failed
        return Sight()
    return Sight(vm=found, drives=drives)
