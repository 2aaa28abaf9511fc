"""What `ec2gw host drain` and `undrain` write: a host that takes nothing new, and why.

Source: docs/operations.md, "Maintenance of a host"; EC2 User Guide, "Scheduled events for your
instances".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.cli.options import Failed
from state import models
from translators.guests import maintenance

CODES: Final = tuple(maintenance.DESCRIPTIONS)
_USUAL: Final = CODES[0]
_LONGEST_REASON: Final = 255


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator said of a maintenance; None: nothing of that."""

    begin: dt.datetime | None
    end: dt.datetime | None
    code: str | None
    reason: str | None


def wanted(at: str | None, until: str | None, code: str | None, reason: str | None) -> Wanted:
    """Read what was typed.

    :raises Failed: for what is no time, or no reason that could be shown
    """
    if reason is not None:
        reason = reason.strip()
        if not reason or len(reason) > _LONGEST_REASON or not reason.isprintable():
            raise Failed(f"--reason: one line of 1 to {_LONGEST_REASON} characters is needed")
    begin = None if at is None else _moment("--at", at)
    end = None if until is None else _moment("--until", until)
    return Wanted(begin, end, code, reason)


def begin(
    session: Session, host: models.Host, wanted: Wanted, now: dt.datetime
) -> models.HostEvent:
    """Let a host take nothing new, and its instances tell of it.

    Once more, it changes what was said before: what is not said stays.

    :raises Failed: for times that are over, or in the wrong order
    """
    now = now.replace(microsecond=0)
    minute = now.replace(second=0)
    for option, given in (("--at", wanted.begin), ("--until", wanted.end)):
        if given is not None and given < minute:
            raise Failed(f"{option} {_shown(given)} is over: it is {_shown(now)} now")
    event = planned(session, host)
    if event is None:
        event = models.HostEvent(
            host_key=host.key,
            code=_USUAL,
            description=maintenance.DESCRIPTIONS[_USUAL],
            not_before=now,
            created_at=now,
        )
        session.add(event)
    event.not_before = wanted.begin or event.not_before
    event.not_after = wanted.end or event.not_after
    if event.not_after is not None and event.not_after <= event.not_before:
        raise Failed(
            f"it would end at {_shown(event.not_after)}, before it begins at"
            f" {_shown(event.not_before)}: give --at and --until"
        )
    nobody_said_why = event.description == maintenance.DESCRIPTIONS[event.code]
    event.code = wanted.code or event.code
    if wanted.reason is not None:
        event.description = wanted.reason
    elif nobody_said_why:
        event.description = maintenance.DESCRIPTIONS[event.code]
    host.state = "draining"
    session.flush()
    return event


def end(session: Session, host: models.Host, now: dt.datetime) -> models.HostEvent | None:
    """Let a host take instances again; its event is over, or canceled if it had not begun."""
    event = planned(session, host)
    if event is not None:
        event.ended_at = now
        event.cancelled = now < event.not_before
    host.state = "active"
    return event


def planned(session: Session, host: models.Host) -> models.HostEvent | None:
    row = models.HostEvent
    query = sa.select(row).where(row.host_key == host.key, row.ended_at.is_(None))
    return session.scalars(query.order_by(row.key.desc()).limit(1)).one_or_none()


def said(event: models.HostEvent) -> str:
    """Say in one line what is planned."""
    until = f" until {_shown(event.not_after)}" if event.not_after is not None else ""
    return f"{event.code} from {_shown(event.not_before)}{until}: {event.description}"


def told(session: Session, host: models.Host) -> int:
    """Count the instances that tell of a host's event."""
    instance = models.Instance
    query = sa.select(sa.func.count()).where(
        instance.host_key == host.key, instance.phase != "terminated"
    )
    return session.scalar(query) or 0


def _moment(option: str, text: str) -> dt.datetime:
    try:
        read = dt.datetime.fromisoformat(text.strip())
        return read.astimezone(dt.UTC).replace(microsecond=0)  # without a zone: this machine's
    except (ValueError, OverflowError, OSError):
        raise Failed(
            f"{option} {text!r} is no time: as in 2026-01-31T22:00, in this machine's time zone,"
            " or 2026-01-31T22:00Z"
        ) from None


def _shown(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
