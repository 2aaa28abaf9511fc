"""How modifications are driven: the disk grows, its drive is throttled, then the volume shows it.

Source: EBS User Guide, "Amazon EBS Elastic Volumes"; docs/hyperv.md, "Volumes".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import needs
from state.models import Host, Instance, Volume, VolumeModification
from translators import driven, volume_types
from translators.ec2.volumes.intents import (
    Sight,
    lane,
    look_at_drives,
    path_of,
    size_of_disk,
)
from translators.ec2.volumes.steps import attempt
from translators.hyperv import drive, vm, volume
from translators.hyperv.host import Path
from translators.settings import GIB, Settings
from translators.steps import Decision, Rest, Wait, step

FAILED: Final = "The host could not carry out the modification"
_SETTLED: Final = ("available", "in-use")
"""Phases of a volume in which it is modified; in others the modification waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A modification as its owner wants it, with what its host needs to know."""

    subject_id: str
    root: str
    path: Path
    size_bytes: int
    maximum_iops: int
    vm_id: str | None
    """Of the instance that has the volume, once it was made."""
    attached: bool
    held: bool
    """A snapshot is being made of it."""

    @property
    def subject(self) -> str:
        return self.subject_id


class Modifications(driven.Kind[Intent]):
    """How modifications of volumes are driven; see `translators.driven.Kind`."""

    name = "volume-modification"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        made = VolumeModification
        query = (
            sa.select(made.key, Volume.generation, Volume.key, Volume.instance_key)
            .join(Volume, Volume.key == made.volume_key)
            .where(
                made.state == "modifying",
                Volume.host_key == host_key,
                Volume.phase.in_(_SETTLED),
            )
            .order_by(made.key)
        )
        return [
            driven.Due(key, number, lane(volume_key, instance_key))
            for key, number, volume_key, instance_key in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        made = session.get(VolumeModification, key)
        if made is None or made.state != "modifying":
            return None
        row = session.get_one(Volume, made.volume_key)
        if row.phase not in _SETTLED:
            return None
        instance = session.get(Instance, row.instance_key) if row.instance_key else None
        held = needs.busy_volume(session, row.key)
        if instance is not None:
            held = held or needs.checkpointed(session, instance.key)
        wanted = volume_types.Volume(**made.target)
        return Intent(
            key=key,
            id=row.id,
            host_key=row.host_key,
            phase=made.state,
            generation=row.generation,
            since=made.started_at,
            now=now,
            attempt=driven.attempt(session, self.name, key),
            settings=settings,
            subject_id=f"mod-{row.id.rpartition('-')[2]}",
            root=session.get_one(Host, row.host_key).root,
            path=path_of(row, instance.id if instance else None),
            size_bytes=wanted.size_gib * GIB,
            maximum_iops=volume_types.normalised_iops(
                wanted.type, wanted.size_gib, wanted.iops, wanted.throughput
            ),
            vm_id=instance.vm_id if instance else None,
            attached=instance is not None,
            held=held,
        )

    def look(self, intent: Intent, run: driven.Run) -> Sight:
        sight = look_at_drives(intent.vm_id, run) if intent.vm_id else Sight()
        return Sight(size_bytes=size_of_disk(intent.path, run), vm=sight.vm, drives=sight.drives)

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = session.execute(
            sa.select(VolumeModification.state, Volume.generation, Volume.host_key, Volume.phase)
            .join(Volume, Volume.key == VolumeModification.volume_key)
            .where(VolumeModification.key == intent.key)
        ).one_or_none()
        wanted = ("modifying", intent.generation, intent.host_key)
        return row is not None and tuple(row)[:3] == wanted and row.phase in _SETTLED

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        made = session.get_one(VolumeModification, intent.key)
        made.ended_at = now
        if rest.found == "failed":
            made.state, made.message = "failed", FAILED
            return
        made.state, made.progress = "completed", 100
        row = session.get_one(Volume, made.volume_key)
        for name, value in made.target.items():
            setattr(row, name, value)

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        made = session.get_one(VolumeModification, intent.key)
        session.get_one(Volume, made.volume_key).generation = seen + 1
        return True


driven.register(Modifications())


@step("volume-modification", "modifying")
def modify(intent: Intent, sight: Sight) -> Decision:
    """See the disk as large, and its drive as fast, as they are to be."""
    if intent.attached and sight.vm is None:
        return Wait(1.0, "the VM that has it is not on its host")
    mine = next(
        (one for one in sight.drives if drive.is_disk(one.path, intent.root, intent.path)), None
    )
    if sight.size_bytes is None:
        return Wait(5.0, "its disk cannot be read")
    failed = Rest("failed")
    if sight.size_bytes < intent.size_bytes:
        if intent.held or (mine is not None and _is_held(intent, mine)):
            return Wait(1.0, "a snapshot is being made of it")
        if mine is not None and mine.place.controller == "IDE" and _works(sight.vm):
            return Wait(5.0, "a disk on IDE grows only while its instance is stopped")
        return attempt(intent, volume.grow(intent.path, intent.size_bytes), failed)
    if mine is not None and sight.vm is not None and mine.maximum_iops != intent.maximum_iops:
        plan = volume.throttle(sight.vm.id, mine.place, intent.maximum_iops)
        return attempt(intent, plan, failed)
    return Rest("completed")


def _is_held(intent: Intent, mine: volume.Drive) -> bool:
    return drive.is_disk(mine.path, intent.root, intent.path) == "checkpoint"


def _works(machine: vm.Vm | None) -> bool:
    return machine is not None and machine.state not in vm.OFF_STATES
