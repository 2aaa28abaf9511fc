"""What a survey of a host means for the instances there; changes are written, nothing else.

A survey speaks only of rows at rest: those in a working phase have a step that looks closer.
Nothing is concluded from one survey alone: a clustered VM reads Off for a moment while it moves.

Source: docs/architecture.md, "Survey" and "Power".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from translators.ec2.instances import intents
from translators.hyperv import vm
from translators.hyperv.survey import Ending, Survey

GUEST_SHUTDOWN: Final = (
    "Client.InstanceInitiatedShutdown",
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown",
)
HOST_STOP: Final = (
    "Server.ScheduledStop",
    "Server.ScheduledStop: Stopped by an administrator of the host",
)
VANISHED: Final = (
    "Server.InternalError",
    "Server.InternalError: The virtual machine was removed from its host",
)
_RESTARTED_BY: Final = dt.timedelta(seconds=5)
"""Boot times that differ by less are one boot: clocks are corrected now and then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance that should run and whose VM is off, seen twice."""

    key: int
    id: str
    vm_id: str
    since: dt.datetime


@dataclass(slots=True)
class Report:
    """What is to be written, and what is to be asked before it can be."""

    looks: dict[int, vm.Vm | None] = field(default_factory=dict)  # changed ones only
    ended: list[Ended] = field(default_factory=list)
    restarted: list[int] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)
    foreign_vms: int = 0
    foreign_memory_bytes: int = 0
    strays: list[str] = field(default_factory=list)
    """VMs that carry our deployment's Notes and belong to no instance; reported, not touched."""
    unsettled: bool = False
    """A suspicion waits for a second survey: look again soon."""

    def says_something(self) -> bool:
        """Whether there is anything to write beside the host's own figures."""
        return bool(
            self.looks
            or self.ended
            or self.restarted
            or self.running
            or self.vanished
            or self.moved
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """An instance's row and the look that was kept of it."""

    key: int
    id: str
    phase: lifecycle.Phase
    phase_since: dt.datetime
    vm_id: str | None
    host_key: int
    vm_state: str | None
    heartbeat: str | None
    host_boot_time: dt.datetime | None
    addresses: list[str] | None


class Watch:
    """The memory that one driver keeps of its host between surveys."""

    def __init__(self, host_key: int, deployment: str) -> None:
        self._host_key = host_key
        self._deployment = deployment
        self._off: set[int] = set()
        self._missing: dict[int, dt.datetime] = {}

    def compare(
        self, session: Session, survey: Survey, addresses: Mapping[str, list[str]]
    ) -> Report:
        """Hold a survey, and what the guests say of their addresses, against the rows.

        Reads only.
        """
        report = Report()
        seen = {one.id: one for one in survey.vms}
        rows = _rows(session, self._host_key, list(seen))
        self._count_others(rows, survey, report)
        off, missing = set[int](), dict[int, dt.datetime]()
        for row in rows:
            one = seen.get(row.vm_id) if row.vm_id else None
            if one is not None and row.host_key != self._host_key:
                report.moved.append(row.key)
            if one is not None and _changed(row, one, survey, addresses):
                report.looks[row.key] = one
            if row.phase in lifecycle.WORKING or row.phase_since >= survey.started_at:
                continue
            if one is None:
                if row.host_key == self._host_key and row.vm_id is not None:
                    missing[row.key] = self._missing.get(row.key, survey.started_at)
            elif one.state in vm.OFF_STATES and row.phase == "running":
                off.add(row.key)
                if row.key in self._off:
                    self._explain(row, one, survey, report)
            elif one.state in vm.RUNNING_STATES and row.phase == "stopped":
                report.running.append(row.key)
        report.unsettled = bool(off - self._off) or bool(missing)
        for key, since in missing.items():
            if key in self._missing and not _may_be_elsewhere(session, self._host_key, since):
                report.vanished.append(key)
        self._off, self._missing = off, missing
        return report

    def _explain(self, row: _Known, one: vm.Vm, survey: Survey, report: Report) -> None:
        before = row.host_boot_time
        if before is not None and survey.boot_time - before > _RESTARTED_BY:
            report.restarted.append(row.key)
        else:
            report.ended.append(Ended(row.key, row.id, one.id, row.phase_since))

    def _count_others(self, rows: Sequence[_Known], survey: Survey, report: Report) -> None:
        known = {row.vm_id for row in rows if row.vm_id}
        names = {row.id for row in rows}
        unfinished = {row.id for row in rows if row.vm_id is None}
        for one in survey.vms:
            if one.id in known:
                continue
            owner = vm.owner(one.notes)
            if owner is not None and owner[0] == self._deployment:
                if owner[1] not in names:
                    report.strays.append(one.name)
                continue
            in_its_folder = one.folder.lower().endswith(f"\\instances\\{one.name}".lower())
            if one.name in unfinished and in_its_folder:
                continue  # half made: its step knows more
            report.foreign_vms += 1
            if one.state not in vm.OFF_STATES:
                report.foreign_memory_bytes += one.memory_bytes


def apply(
    session: Session,
    host_key: int,
    report: Report,
    survey: Survey,
    endings: Mapping[str, tuple[Ending, dt.datetime]],
    addresses: Mapping[str, list[str]],
    now: dt.datetime,
) -> list[tuple[str, lifecycle.Found]]:
    """Write what a survey found; returns the instances that it moved."""
    _note_host(session, host_key, report, survey, now)
    for key in report.moved:
        session.execute(
            sa.update(models.Instance).where(models.Instance.key == key).values(host_key=host_key)
        )
        session.execute(
            sa.update(models.Volume)
            .where(models.Volume.instance_key == key)
            .values(host_key=host_key)
        )
    for key, one in report.looks.items():
        _note_look(session, key, one, survey, addresses, now)
    moved: list[tuple[str, lifecycle.Found]] = []
    for ended in report.ended:
        _move(session, ended.key, *_meaning(session, ended, endings), survey, now, moved)
    for key in report.restarted:
        _move(session, key, "host-restarted", None, survey, now, moved)
    for key in report.running:
        _move(session, key, "seen-running", None, survey, now, moved)
    for key in report.vanished:
        _move(session, key, "vanished", VANISHED, survey, now, moved)
    return moved


def _meaning(
    session: Session, ended: Ended, endings: Mapping[str, tuple[Ending, dt.datetime]]
) -> tuple[lifecycle.Found, tuple[str, str]]:
    ending, at = endings.get(ended.vm_id, (None, ended.since))
    if ending is None or at < ended.since - dt.timedelta(minutes=5):
        return "guest-stopped", GUEST_SHUTDOWN  # nobody knows: never terminate on a guess
    if ending != "guest":
        return "guest-stopped", HOST_STOP
    behavior = session.scalar(
        sa.select(models.Instance.shutdown_behavior).where(models.Instance.key == ended.key)
    )
    return ("guest-left" if behavior == "terminate" else "guest-stopped"), GUEST_SHUTDOWN


def _move(
    session: Session,
    key: int,
    found: lifecycle.Found,
    reason: tuple[str, str] | None,
    survey: Survey,
    now: dt.datetime,
    moved: list[tuple[str, lifecycle.Found]],
) -> None:
    instance = session.get_one(models.Instance, key)
    if instance.phase_since >= survey.started_at:
        return  # the owner was quicker
    try:
        intents.move(session, instance, found, reason, now)
    except lifecycle.Refused:
        return
    moved.append((instance.id, found))


def _rows(session: Session, host_key: int, seen: Sequence[str]) -> Sequence[_Known]:
    """Instances of this host, and those of others whose VM stands here now."""
    instance, look = models.Instance, models.Look
    query = (
        sa.select(
            instance.key,
            instance.id,
            instance.phase,
            instance.phase_since,
            instance.vm_id,
            instance.host_key,
            look.vm_state,
            look.heartbeat,
            look.host_boot_time,
            look.addresses,
        )
        .select_from(instance)
        .outerjoin(look, look.instance_key == instance.key)
        .where(instance.phase != "terminated")
    )
    here = [_Known(*row) for row in session.execute(query.where(instance.host_key == host_key))]
    known = {row.vm_id for row in here}
    others = [guid for guid in seen if guid not in known]
    guests: list[_Known] = []
    for start in range(0, len(others), 500):  # SQLite bounds the variables of a statement
        part = query.where(
            instance.host_key != host_key, instance.vm_id.in_(others[start : start + 500])
        )
        guests.extend(_Known(*row) for row in session.execute(part))
    return [*here, *guests]


def _changed(row: _Known, one: vm.Vm, survey: Survey, addresses: Mapping[str, list[str]]) -> bool:
    if (row.vm_state, row.heartbeat) != (one.state, one.heartbeat):
        return True
    if addresses.get(one.id, row.addresses) != row.addresses:
        return True
    if one.state in vm.OFF_STATES:
        return False
    return row.host_boot_time is None or abs(survey.boot_time - row.host_boot_time) > _RESTARTED_BY


def _may_be_elsewhere(session: Session, host_key: int, since: dt.datetime) -> bool:
    """Whether a host where a VM of this one may have moved has not been seen whole since then."""
    here = session.get_one(models.Host, host_key)
    others = session.scalars(
        sa.select(models.Host).where(
            models.Host.key != host_key,
            models.Host.state != "removed",
            models.Host.region == here.region,
            models.Host.zone_letter == here.zone_letter,
        )
    )
    return any(
        not one.reachable or one.surveyed_at is None or one.surveyed_at <= since for one in others
    )


def may_be_elsewhere(session: Session, intent: intents.Intent) -> bool:
    """Tell a step's driver whether a VM that is not on its host may still be on another."""
    return _may_be_elsewhere(session, intent.host_key, intent.since)


def _note_host(
    session: Session, host_key: int, report: Report, survey: Survey, now: dt.datetime
) -> None:
    session.execute(
        sa.update(models.Host)
        .where(models.Host.key == host_key)
        .values(
            reachable=True,
            trouble=None,
            surveyed_at=survey.started_at,
            boot_time=survey.boot_time,
            processors=survey.processors,
            memory_bytes=survey.memory_bytes,
            free_memory_bytes=survey.free_memory_bytes,
            free_disk_bytes=survey.free_disk_bytes,
            switches=list(survey.switches),
            foreign_vms=report.foreign_vms,
            foreign_memory_bytes=report.foreign_memory_bytes,
        )
    )


def _note_look(
    session: Session,
    key: int,
    one: vm.Vm | None,
    survey: Survey,
    addresses: Mapping[str, list[str]],
    now: dt.datetime,
) -> None:
    look = session.get(models.Look, key)
    if look is None:
        look = models.Look(instance_key=key, addresses=[])
        session.add(look)
    look.changed_at = now
    look.vm_state = one.state if one else None
    look.heartbeat = one.heartbeat if one else None
    if one is not None:
        look.addresses = addresses.get(one.id, look.addresses)
        if one.state not in vm.OFF_STATES:
            look.host_boot_time = survey.boot_time
