"""Writes what a survey of a host found, and moves the rows that nobody has moved meanwhile.

Source: docs/architecture.md, "Survey" and "Power".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models, recovering
from translators import port_rules
from translators.ec2.instances import intents, seed_rows
from translators.ec2.instances.surveys import ONE_BOOT, Ended, Report, stands_here
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
_PORTS_EVERY: Final = dt.timedelta(minutes=1)
"""Whether a port was not looked at for long is asked so often."""
_LATE_BY: Final = dt.timedelta(seconds=60)
"""By so much an event may seem older than it is."""

Moved = tuple[str, lifecycle.Found | Literal["moved-here"]]
"""An instance's id, and what was found."""


def apply(
    session: Session,
    host_key: int,
    report: Report,
    survey: Survey,
    endings: Mapping[str, tuple[Ending, dt.datetime]],
    addresses: Mapping[str, list[str]],
    now: dt.datetime,
) -> list[Moved]:
    """Write what a survey found; returns the instances that it moved."""
    _recheck_ports(session, host_key, report, survey, now)
    _note_host(session, host_key, report, survey, now)
    if report.renamed_boot is not None:
        _rename_boot(session, host_key, *report.renamed_boot)
    for key, one in report.looks.items():
        _note_look(session, host_key, key, one, survey, addresses, now)
    for key, seconds in report.answered.items():
        if _unmoved(session, host_key, key, report) is not None:
            seed_rows.note_answer(session, key, seconds, now)
    findings: list[tuple[int, lifecycle.Found, tuple[str, str] | None]] = [
        *((one.key, *_meaning(session, one, endings, survey)) for one in report.ended),
        *((key, "host-restarted", None) for key in report.restarted),
        *((key, "seen-running", None) for key in report.running),
        *((key, "vanished", VANISHED) for key in report.vanished),
    ]
    if recovering.is_on(session):
        # Rows of an old state: the recovery says what becomes of them (`recovery`). That a VM is
        # gone surveys alone can say, once all hosts were looked at.
        seen_all = not recovering.awaited(session)
        findings = [one for one in findings if one[1] == "vanished" and seen_all]
    moved: list[Moved] = []
    for key, found, reason in findings:
        instance = _unmoved(session, host_key, key, report)
        if instance is None:
            continue  # its owner, or another host, was quicker
        intents.move(session, instance, found, reason, now)
        if found == "host-restarted":
            _note_boot(session, key, survey)  # it is seen to once
        moved.append((instance.id, found))
    for key, here in report.here.items():
        taken = _take_over(session, host_key, key, here, now)
        if taken is not None:
            _note_look(session, host_key, key, here, survey, addresses, now)
            _note_boot(session, key, survey)
            moved.append((taken, "moved-here"))
    return moved


def _meaning(
    session: Session,
    ended: Ended,
    endings: Mapping[str, tuple[Ending, dt.datetime]],
    survey: Survey,
) -> tuple[lifecycle.Found, tuple[str, str]]:
    ending, at = endings.get(ended.vm_id, (None, ended.since))
    host_is_ahead_by = survey.local_time - survey.started_at
    if ending is None or at - host_is_ahead_by < ended.since - _LATE_BY:
        return "guest-stopped", GUEST_SHUTDOWN  # nobody knows: never terminate on a guess
    if ending != "guest":
        return "guest-stopped", HOST_STOP
    behavior = session.scalar(
        sa.select(models.Instance.shutdown_behavior).where(models.Instance.key == ended.key)
    )
    return ("guest-left" if behavior == "terminate" else "guest-stopped"), GUEST_SHUTDOWN


def _unmoved(session: Session, host_key: int, key: int, report: Report) -> models.Instance | None:
    """The row, if it is still as it was before the survey began."""
    instance = session.get_one(models.Instance, key)
    mark = (instance.phase, instance.generation, instance.phase_since)
    return instance if (instance.host_key, mark) == (host_key, report.marks.get(key)) else None


def _take_over(
    session: Session, host_key: int, key: int, here: vm.Vm, now: dt.datetime
) -> str | None:
    """Let the instance be this host's if its VM stands here now; answer its id then."""
    if not stands_here(session, host_key, key, here):
        return None
    instance = session.get_one(models.Instance, key)
    instance.host_key = host_key
    session.execute(
        sa.update(models.Volume)
        .where(models.Volume.instance_key == key, models.Volume.phase != "moving")
        .values(host_key=host_key)
    )
    interfaces = sa.select(models.NetworkInterface.key).where(
        models.NetworkInterface.instance_key == key
    )
    port_rules.moved(session, session.scalars(interfaces).all(), now)
    return instance.id


def _recheck_ports(
    session: Session, host_key: int, report: Report, survey: Survey, now: dt.datetime
) -> None:
    """After a restart of the host at once, else each once in a while."""
    known = session.get_one(models.Host, host_key)
    restarted = (
        known.boot_time is not None
        and report.renamed_boot is None
        and abs(survey.boot_time - known.boot_time) > ONE_BOOT
    )
    before = known.surveyed_at or now - _PORTS_EVERY
    if restarted or now - before >= _PORTS_EVERY or now.minute != before.minute:
        port_rules.recheck(session, host_key, restarted=restarted, now=now)


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


def _note_boot(session: Session, key: int, survey: Survey) -> None:
    look = session.get(models.Look, key)
    if look is not None:
        look.host_boot_time = survey.boot_time


def _rename_boot(session: Session, host_key: int, old: dt.datetime, new: dt.datetime) -> None:
    here = sa.select(models.Instance.key).where(models.Instance.host_key == host_key)
    session.execute(
        sa.update(models.Look)
        .where(
            models.Look.instance_key.in_(here),
            models.Look.host_boot_time.between(old - ONE_BOOT, old + ONE_BOOT),
        )
        .values(host_boot_time=new)
    )


def _note_look(
    session: Session,
    host_key: int,
    key: int,
    one: vm.Vm | None,
    survey: Survey,
    addresses: Mapping[str, list[str]],
    now: dt.datetime,
) -> None:
    instance = session.get_one(models.Instance, key)
    if instance.phase == "terminated" or instance.host_key != host_key:
        return
    look = session.get(models.Look, key)
    if look is None:
        look = models.Look(instance_key=key, addresses=[])
        session.add(look)
    look.changed_at = now
    look.vm_state = one.state if one else None
    look.heartbeat = one.heartbeat if one else None
    if one is not None:
        if look.answered_at is None and (one.heartbeat or "").startswith("Ok"):
            look.answered_at = now
        look.addresses = addresses.get(one.id, look.addresses)
        if one.state not in vm.OFF_STATES:
            look.host_boot_time = survey.boot_time
