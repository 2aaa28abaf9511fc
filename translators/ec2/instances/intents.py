"""What the engine is told of an instance, and how its findings are written back.

Loads rows into an `Intent` and settles them; decides nothing (that is `steps`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models, needs, recovering, storage
from translators import driven, port_rules, snapshots, transfers
from translators.ec2.instances import reboots, seed_rows, specs, surveys
from translators.guests import facts
from translators.hyperv import making, seed, vm
from translators.hyperv.host import Failed, Unreachable
from translators.settings import Settings
from translators.steps import Rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """An instance as its owner wants it, with what its host needs to know."""

    phase: lifecycle.Phase
    force: bool
    root: str
    deployment: str
    vm_id: str | None
    spec: making.Spec
    keeps_disk: bool
    carried: transfers.Outcome
    """Whether the disks that it is made of are on its host."""
    in_snapshot: bool = False
    """Its disks are held still, or are to be: the VM is not removed meanwhile."""
    awaits_off: bool = False
    """They are to be while the VM is off: it is not started before."""
    awaits_disc: bool = False
    """What its disc says is not true any more: it is not started before another one is there."""
    told: facts.Facts | None = None
    """What the disc says that it is made with; None: it has none."""


class Instances(driven.Kind[Intent]):
    """How instances are driven; see `translators.driven.Kind`."""

    name = "instance"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        instance = models.Instance
        query = (
            sa.select(instance.key, instance.generation)
            .where(instance.host_key == host_key, instance.phase.in_(lifecycle.WORKING))
            .order_by(instance.phase_since)
        )
        return [
            driven.Due(key, number, driven.vm_lane(key)) for key, number in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        return load(session, key, settings, now)

    def look(self, intent: Intent, run: driven.Run) -> vm.Sight:
        try:
            found = vm.seen(run(vm.look(intent.vm_id, intent.id)))
        except Failed as failed:
            if not vm.is_missing(failed.error.id):
                raise Unreachable(f"look failed: {failed}") from failed
            found = ()
        folder, disc = True, False
        if intent.vm_id is None or not found:  # what was found by name may not be ours
            try:
                answer = run(vm.look_at_folder(intent.id))
                if intent.keeps_disk:
                    disc = seed.is_left(run(seed.look_at_files(intent.id)))
            except Failed as failed:
                raise Unreachable(f"look at folder failed: {failed}") from failed
            folder = bool(answer.results["folder"])
        return vm.Sight(found, folder, disc, reboots.was_reset(intent, run))

    def is_still(self, session: Session, intent: Intent) -> bool:
        instance = models.Instance
        row = session.execute(
            sa.select(instance.phase, instance.generation, instance.host_key).where(
                instance.key == intent.key
            )
        ).one_or_none()
        return row is not None and tuple(row) == (intent.phase, intent.generation, intent.host_key)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        instance = session.get_one(models.Instance, intent.key)
        move(session, instance, cast("lifecycle.Found", rest.found), rest.reason, now)
        vm_id = rest.facts.get("vm_id")
        if isinstance(vm_id, str) and instance.vm_id is None:
            instance.vm_id = vm_id

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        if intent.phase == "pending":  # launched once already, and perhaps ended since
            return False
        session.get_one(models.Instance, intent.key).generation = seen + 1
        return True

    def is_gone(self, session: Session, intent: Intent, now: dt.datetime) -> bool:
        return surveys.is_gone(session, intent.key, intent.settings, now)


driven.register(Instances())


def load(session: Session, key: int, settings: Settings, now: dt.datetime) -> Intent | None:
    """Read an instance's intent; None when there is nothing (left) to drive."""
    instance = session.get(models.Instance, key)
    if instance is None or instance.phase not in lifecycle.WORKING:
        return None
    host = session.get_one(models.Host, instance.host_key)
    image = session.get_one(models.Image, instance.image_key)
    deployment = session.scalars(sa.select(models.Deployment.id)).one()
    volumes = session.scalars(
        sa.select(models.Volume)
        .where(models.Volume.instance_key == key, models.Volume.phase == "in-use")
        .order_by(models.Volume.key)
    ).all()
    return Intent(
        key=key,
        id=instance.id,
        host_key=instance.host_key,
        phase=instance.phase,
        generation=instance.generation,
        force=instance.force,
        since=instance.phase_since,
        now=now,
        root=host.root,
        deployment=deployment,
        vm_id=instance.vm_id,
        spec=specs.build(session, instance, image, volumes, settings, deployment),
        awaits_disc=instance.phase == "starting" and seed_rows.is_stale(session, instance),
        told=specs.told(session, instance, settings),
        carried=_carried(session, instance, image, volumes),
        keeps_disk=instance.phase == "shutting-down" and _keeps_disk(session, instance),
        in_snapshot=needs.in_snapshot(session, key),
        awaits_off=needs.awaits_off(session, key),
        attempt=driven.attempt(session, "instance", key),
        settings=settings,
    )


def _carried(
    session: Session,
    instance: models.Instance,
    image: models.Image,
    volumes: Sequence[models.Volume],
) -> transfers.Outcome:
    if instance.phase != "pending":
        return "there"
    parents = {image.snapshot_key, *(one.snapshot_key for one in volumes)}
    keys = [one for one in parents if one is not None]
    return snapshots.carried(session, keys, instance.host_key)


def _keeps_disk(session: Session, instance: models.Instance) -> bool:
    """Whether a disk in the instance's folder outlives it, whoever has that disk now."""
    volume = models.Volume
    mine = sa.and_(volume.instance_key == instance.key, sa.not_(volume.file_name.contains("/")))
    there = volume.file_name.startswith(f"{vm.INSTANCES.segments}/{instance.id}/")
    stays = sa.or_(
        volume.instance_key.is_(None),
        volume.instance_key != instance.key,
        sa.not_(volume.delete_on_termination),
    )
    query = sa.select(volume.key).where(sa.or_(mine, there), stays).limit(1)
    return session.scalar(query) is not None


def move(
    session: Session,
    instance: models.Instance,
    found: lifecycle.Found,
    reason: tuple[str, str] | None,
    now: dt.datetime,
) -> None:
    """Apply a finding to an instance and to what hangs on it.

    :raises lifecycle.Refused: the phase does not admit it
    """
    before = instance.phase
    instance.phase = lifecycle.find(before, found)
    instance.phase_since = now
    if instance.phase in lifecycle.WORKING:
        instance.generation += 1  # a new intent, though nobody asked for it
    if reason is not None:
        instance.state_reason_code, instance.state_reason_message = reason
    if instance.phase == "running" and before != "rebooting":
        instance.state_reason_code = instance.state_reason_message = None
        instance.transition_reason = ""
    if found == "launched":
        _attach(session, instance, now)
    if instance.phase == "running":
        _note_boot(session, instance, now)
    if instance.phase == "terminated":
        _release(session, instance, now)


def forget(session: Session, before: dt.datetime) -> int:
    """Drop instances that were terminated before then, with their tags; returns how many.

    EC2 shows a terminated instance for about an hour; its row stays longer, so that whoever
    holds its id is answered the same for a while.
    """
    instance = models.Instance
    old = list(session.scalars(sa.select(instance.key).where(instance.terminated_at < before)))
    for start in range(0, len(old), 500):  # SQLite bounds the variables of a statement
        keys = old[start : start + 500]
        _forget_tags(session, "instance", sa.select(instance.key).where(instance.key.in_(keys)))
        session.execute(sa.delete(models.Look).where(models.Look.instance_key.in_(keys)))
        _forget_work(session, models.Work.key.in_(keys))
        session.execute(sa.delete(instance).where(instance.key.in_(keys)))
    if old:
        used = sa.select(instance.reservation_key)
        session.execute(sa.delete(models.Reservation).where(models.Reservation.key.not_in(used)))
    return len(old)


def _attach(session: Session, instance: models.Instance, now: dt.datetime) -> None:
    session.execute(
        sa.update(models.Volume)
        .where(models.Volume.instance_key == instance.key, models.Volume.phase == "in-use")
        .values(state="in-use", attachment_state="attached")
    )
    session.execute(
        sa.update(models.NetworkInterface)
        .where(models.NetworkInterface.instance_key == instance.key)
        .values(attachment_status="attached")
    )
    _tell_peers(session, instance, now)


def _note_boot(session: Session, instance: models.Instance, now: dt.datetime) -> None:
    """It runs since this boot of its host: should it go off now, no restart is to blame."""
    boot_time = session.get_one(models.Host, instance.host_key).boot_time
    look = session.get(models.Look, instance.key)
    if look is None:
        look = models.Look(
            instance_key=instance.key, vm_state="Running", addresses=[], changed_at=now
        )
        session.add(look)
    look.host_boot_time = boot_time


def _release(session: Session, instance: models.Instance, now: dt.datetime) -> None:
    """Give back what a terminated instance held: interfaces, disks, addresses."""
    instance.terminated_at = now
    instance.user_data = instance.password_data = None  # what may be secret goes with the guest
    release_interfaces(session, instance)
    _release_volumes(session, instance, now)
    for table in (models.Look, models.Seed):
        session.execute(sa.delete(table).where(table.instance_key == instance.key))
    _forget_work(session, models.Work.key == instance.key)


def release_interfaces(session: Session, instance: models.Instance) -> None:
    """Give back the interfaces and addresses of an instance that has no VM any more."""
    _tell_peers(session, instance, instance.phase_since)
    owned = sa.select(models.NetworkInterface.key).where(
        models.NetworkInterface.instance_key == instance.key
    )
    session.execute(
        sa.delete(models.Work).where(models.Work.kind == "interface", models.Work.key.in_(owned))
    )
    session.execute(
        sa.delete(models.InterfaceGroup).where(models.InterfaceGroup.interface_key.in_(owned))
    )
    _forget_tags(session, "network-interface", owned)
    session.execute(
        sa.delete(models.NetworkInterface).where(
            models.NetworkInterface.instance_key == instance.key
        )
    )


def _release_volumes(session: Session, instance: models.Instance, now: dt.datetime) -> None:
    """Let go of its volumes: some end with it, the others are free."""
    query = sa.select(models.Volume).where(models.Volume.instance_key == instance.key)
    for volume in session.scalars(query).all():
        in_folder = "/" not in volume.file_name
        if volume.delete_on_termination and in_folder:  # gone with the folder
            mine = sa.select(models.Volume.key).where(models.Volume.key == volume.key)
            _forget_tags(session, "volume", mine)
            session.delete(volume)
            continue
        # Of one that never ran, or to which a volume was still on its way, nobody knows whether
        # the disk was made yet.
        here = volume.host_key == instance.host_key
        made = here and volume.state != "creating" and volume.phase != "moving"
        phase: storage.VolumePhase = "available" if made else "creating"
        # In an old state it may be on another instance by now, which that does not know of.
        if volume.delete_on_termination and not recovering.is_on(session):
            phase = "deleting"
        if in_folder:
            volume.file_name = f"{vm.INSTANCES.segments}/{instance.id}/{volume.file_name}"
        for name, value in {**storage.entered(phase), **_NOBODYS}.items():
            setattr(volume, name, value)
        volume.generation += 1
        volume.phase_since = now
    session.flush()


_NOBODYS: Final[dict[str, object]] = {
    "instance_key": None,
    "device": None,
    "location": None,
    "attach_time": None,
    "delete_on_termination": False,
    "force": False,
}
"""The columns of a volume that no instance has."""


def _tell_peers(session: Session, instance: models.Instance, now: dt.datetime) -> None:
    """Let in, or no longer let in, the instance wherever a rule speaks of its groups."""
    groups = (
        sa.select(models.InterfaceGroup.group_key)
        .join(
            models.NetworkInterface,
            models.NetworkInterface.key == models.InterfaceGroup.interface_key,
        )
        .where(models.NetworkInterface.instance_key == instance.key)
    )
    if group_keys := session.scalars(groups).all():
        port_rules.joined_or_left(session, group_keys, now)


def _forget_work(session: Session, which: sa.ColumnElement[bool]) -> None:
    mine = models.Work.kind.in_(("instance", "seed"))
    session.execute(sa.delete(models.Work).where(mine, which))


def _forget_tags(session: Session, kind: str, keys: sa.Select[int]) -> None:
    session.execute(
        sa.delete(models.Tag).where(
            models.Tag.resource_type == kind, models.Tag.resource_key.in_(keys)
        )
    )
