"""What a survey of a host means for the instances there; reads only, `findings` writes.

A survey speaks only of rows at rest: those in a working phase have a step that looks closer.
Nothing is concluded from one survey alone: a clustered VM reads Off for a moment while it moves.
Nor from times where the order of events counts: clocks are set now and then.

Source: docs/architecture.md, "Survey" and "Power".
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from translators.ec2.instances import seed_rows
from translators.hyperv import vm
from translators.hyperv.survey import Survey
from translators.settings import Settings

ONE_BOOT: Final = dt.timedelta(seconds=5)
"""Boot times that differ by less are one boot: clocks are corrected now and then."""
_UP_ALL_THE_TIME: Final = dt.timedelta(seconds=5)
"""A host's uptime that grew as ours did, within this, means that it did not restart."""
Mark = tuple[lifecycle.Phase, int, dt.datetime]
"""Phase, generation and since when: another one means that the row has moved meanwhile."""


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
    here: dict[int, vm.Vm] = field(default_factory=dict)
    """Instances of other hosts, each with the VM of its GUID on this one."""
    arrived: bool = False
    """Some of them are to be followed here."""
    answered: dict[int, float | None] = field(default_factory=dict)
    """Guests that were heard for the first time since their disc is there: key -> how many seconds
    that stays, None for good."""
    marks: dict[int, Mark] = field(default_factory=dict)
    """Rows as they were before the host was asked."""
    foreign_vms: int = 0
    foreign_memory_bytes: int = 0
    strays: list[vm.Vm] = field(default_factory=list)
    """VMs that carry our deployment's Notes and belong to no instance; told, not touched."""
    renamed_boot: tuple[dt.datetime, dt.datetime] | None = None
    """The host's clock was set: the boot that had the first time has the second from now on."""
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
            or self.arrived
            or self.answered
            or self.renamed_boot
        )


@dataclass(frozen=True, slots=True)
class _Known:
    """An instance's row and the look that was kept of it."""

    key: int
    id: str
    phase: lifecycle.Phase
    generation: int
    phase_since: dt.datetime
    vm_id: str | None
    host_key: int
    vm_state: str | None
    heartbeat: str | None
    host_boot_time: dt.datetime | None
    addresses: list[str] | None
    looked_at: dt.datetime | None

    @property
    def mark(self) -> Mark:
        return self.phase, self.generation, self.phase_since

    @property
    def is_missed(self) -> bool:
        return self.looked_at is not None and self.vm_state is None


class Watch:
    """The memory that one driver keeps of its host between surveys."""

    def __init__(self, host_key: int, deployment: str, settings: Settings) -> None:
        self._host_key = host_key
        self._deployment = deployment
        self._settings = settings
        self._marks: dict[int, Mark] = {}
        self._off: set[int] = set()
        self._up: tuple[dt.datetime, dt.timedelta, float] | None = None
        """When the host booted and for how long it was up, at which time of ours."""

    def begin(self, session: Session) -> None:
        """Note the rows as they are, before the host is asked: a later survey speaks of others."""
        instance = models.Instance
        query = sa.select(
            instance.key, instance.phase, instance.generation, instance.phase_since
        ).where(instance.host_key == self._host_key, instance.phase != "terminated")
        self._marks = {
            key: (phase, number, at) for key, phase, number, at in session.execute(query)
        }

    def compare(
        self, session: Session, survey: Survey, addresses: Mapping[str, list[str]]
    ) -> Report:
        """Hold a survey, and what the guests say of their addresses, against the rows.

        Reads only.
        """
        report = Report(marks=self._marks, renamed_boot=self._renamed_boot(survey))
        seen = {one.id: one for one in survey.vms}
        rows = _rows(session, self._host_key, list(seen))
        self._count_others(rows, survey, report)
        off, missed = set[int](), False
        silent, heard = seed_rows.unanswered(session, self._host_key), list[int]()
        for row in rows:
            one = seen.get(row.vm_id) if row.vm_id else None
            if row.host_key != self._host_key:
                if one is not None:
                    report.here[row.key] = one
                    report.arrived |= stands_here(session, self._host_key, row.key, one)
                continue
            if one is not None and _changed(row, one, survey, addresses):
                report.looks[row.key] = one
            if row.mark != self._marks.get(row.key):
                continue
            if one is None:
                missed |= self._miss(session, row, survey, report)
            elif row.phase in lifecycle.WORKING:
                continue
            elif one.state in vm.OFF_STATES and row.phase == "running":
                off.add(row.key)
                if row.key in self._off:
                    self._explain(row, one, survey, report)
            elif one.state in vm.RUNNING_STATES and row.phase == "stopped":
                report.running.append(row.key)
            elif row.key in silent and (one.heartbeat or "").startswith("Ok"):
                heard.append(row.key)
        report.answered = seed_rows.lifetimes(session, heard, self._settings)
        report.unsettled = bool(off - self._off) or missed
        self._off = off
        return report

    def _renamed_boot(self, survey: Survey) -> tuple[dt.datetime, dt.datetime] | None:
        """Tell a host whose clock was set from one that restarted: its time of boot moved too."""
        uptime, now = survey.local_time - survey.boot_time, time.monotonic()
        known, self._up = self._up, (survey.boot_time, uptime, now)
        if known is None or abs(survey.boot_time - known[0]) <= ONE_BOOT:
            return None
        passed = dt.timedelta(seconds=now - known[2])
        if abs(uptime - known[1] - passed) > _UP_ALL_THE_TIME:
            return None
        return known[0], survey.boot_time

    def _miss(self, session: Session, row: _Known, survey: Survey, report: Report) -> bool:
        """Consider a VM that is not there; answer whether that waits for another survey."""
        uptime = survey.local_time - survey.boot_time
        if row.vm_id is None or uptime.total_seconds() < _patience(self._settings):
            return False  # a host that has just started may not have loaded all of its VMs
        if not row.is_missed or (row.looked_at or survey.started_at) > survey.started_at:
            report.looks[row.key] = None  # anew after a clock was set back: it never ends else
            return True
        if row.phase in lifecycle.WORKING:
            return False
        if is_gone(session, row.key, self._settings, survey.started_at):
            report.vanished.append(row.key)
        return True

    def _explain(self, row: _Known, one: vm.Vm, survey: Survey, report: Report) -> None:
        before = row.host_boot_time
        if before is not None and report.renamed_boot is not None:
            old, new = report.renamed_boot
            before = new if abs(before - old) <= ONE_BOOT else before
        if before is not None and survey.boot_time - before > ONE_BOOT:
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
                if owner[1] in names:
                    continue
                report.strays.append(one)
            in_its_folder = one.folder.lower().endswith(f"\\instances\\{one.name}".lower())
            if one.name in unfinished and in_its_folder:
                continue  # half made: its step knows more
            report.foreign_vms += 1
            if one.state not in vm.OFF_STATES:
                report.foreign_memory_bytes += one.memory_bytes


def _rows(session: Session, host_key: int, seen: Sequence[str]) -> Sequence[_Known]:
    """Instances of this host, and those of others whose VM stands here now."""
    instance, look = models.Instance, models.Look
    query = (
        sa.select(
            instance.key,
            instance.id,
            instance.phase,
            instance.generation,
            instance.phase_since,
            instance.vm_id,
            instance.host_key,
            look.vm_state,
            look.heartbeat,
            look.host_boot_time,
            look.addresses,
            look.changed_at.label("looked_at"),
        )
        .select_from(instance)
        .outerjoin(look, look.instance_key == instance.key)
        .where(instance.phase != "terminated")
    )
    here = [
        _Known(**row._mapping)
        for row in session.execute(query.where(instance.host_key == host_key))
    ]
    known = {row.vm_id for row in here}
    others = [guid for guid in seen if guid not in known]
    guests: list[_Known] = []
    for start in range(0, len(others), 500):  # SQLite bounds the variables of a statement
        part = query.where(
            instance.host_key != host_key, instance.vm_id.in_(others[start : start + 500])
        )
        guests.extend(_Known(**row._mapping) for row in session.execute(part))
    return [*here, *guests]


def _changed(row: _Known, one: vm.Vm, survey: Survey, addresses: Mapping[str, list[str]]) -> bool:
    if (row.vm_state, row.heartbeat) != (one.state, one.heartbeat):
        return True
    if addresses.get(one.id, row.addresses) != row.addresses:
        return True
    if one.state in vm.OFF_STATES:
        return False
    return row.host_boot_time is None or abs(survey.boot_time - row.host_boot_time) > ONE_BOOT


def stands_here(session: Session, host_key: int, key: int, here: vm.Vm) -> bool:
    """Tell whether the VM that this host shows is the instance of another host, and no copy.

    One that its own host still shows is a copy: what Hyper-V Replica keeps has the same GUID. Of
    a host that is silent nobody knows what it has, but what works here is no mere copy.
    """
    instance = session.get_one(models.Instance, key)
    ours = session.get_one(models.Host, host_key)
    if instance.phase == "terminated" or instance.host_key == host_key or ours.state == "removed":
        return False
    look = session.get(models.Look, key)
    if look is not None and look.vm_state is None:
        return True
    there = session.get_one(models.Host, instance.host_key)
    return here.state not in vm.OFF_STATES and (there.state == "removed" or not there.reachable)


def is_gone(session: Session, key: int, settings: Settings, now: dt.datetime) -> bool:
    """Tell whether an instance's VM, which is not on its host, is on no other one either.

    Its own host was seen without it long enough ago, and every host where it may have moved was
    seen whole since then: what it shows of the VM was taken over in the same transaction.
    """
    look = session.get(models.Look, key)
    if look is None or look.vm_state is not None:
        return False
    if (now - look.changed_at).total_seconds() < _patience(settings):
        return False
    instance = session.get_one(models.Instance, key)
    here = session.get_one(models.Host, instance.host_key)
    others = session.scalars(
        sa.select(models.Host).where(
            models.Host.key != here.key,
            models.Host.state != "removed",
            models.Host.region == here.region,
            models.Host.zone_letter == here.zone_letter,
        )
    )
    return all(
        one.reachable
        and one.surveyed_at is not None
        # A time that is still to come was told by a clock that has been set back.
        and look.changed_at < one.surveyed_at <= now
        for one in others
    )


def _patience(settings: Settings) -> float:
    """Seconds that a VM may be out of sight: as long as surveys may be apart."""
    return settings.survey_longest_seconds
