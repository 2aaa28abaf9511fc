"""Maintenance that is planned for hosts, as each of their instances is told of it.

A host's plan is one row; every instance that stands on the host has an event of its own made of
it, with an id that stays the same. What is over is told for a week.

Source: EC2 User Guide, "Scheduled events for your instances"; EC2 API Reference, data type
InstanceStatusEvent.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import HostEvent, Instance, Utc
from state.statements import Statement, listed

State = Literal["active", "completed", "canceled"]

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "system-maintenance": "The instance is scheduled for system maintenance",
    "instance-stop": "The instance is running on degraded hardware",
    "instance-retirement": "The instance is running on degraded hardware",
    "system-reboot": "The instance is scheduled for a reboot",
    "instance-reboot": "The instance is scheduled for a reboot",
}
"""EC2's codes of events -> what is said where nobody gave a reason."""
TOLD_FOR: Final = dt.timedelta(days=7)
"""So long what is over can still be described."""

# An instance that was launched, or started again, after the maintenance has nothing to do with it.
TOLD: Final = sa.and_(
    Instance.phase != "terminated",
    sa.or_(
        HostEvent.ended_at.is_(None),
        sa.and_(
            HostEvent.ended_at > sa.bindparam("ended_since", type_=Utc),
            HostEvent.ended_at > Instance.launch_time,
        ),
    ),
)
"""Which events an instance is told of, of those of its host; `since` answers the parameter."""
DESCRIPTION: Final[sa.ColumnElement[str]] = sa.case(
    (HostEvent.ended_at.is_(None), HostEvent.description),
    (HostEvent.cancelled, sa.literal("[Canceled] ") + HostEvent.description),
    else_=sa.literal("[Completed] ") + HostEvent.description,
)

# Nearly always there are none at all, and that is asked first.
_ANY: Final = Statement(
    sa.select(HostEvent.key)
    .where(
        sa.or_(
            HostEvent.ended_at.is_(None),
            HostEvent.ended_at > sa.bindparam("ended_since", type_=Utc),
        )
    )
    .limit(1)
)
_EVENTS: Final = Statement(
    sa.select(
        Instance.key.label("instance_key"),
        Instance.id.label("instance_id"),
        HostEvent.key,
        HostEvent.code,
        DESCRIPTION.label("description"),
        HostEvent.not_before,
        HostEvent.not_after,
        HostEvent.ended_at,
        HostEvent.cancelled,
    )
    .join(HostEvent, HostEvent.host_key == Instance.host_key)
    .where(Instance.key.in_(listed("keys", sa.BigInteger)), TOLD)
    .order_by(Instance.key, HostEvent.key)
)


@dataclass(frozen=True, slots=True)
class Event:
    """An instance's event; times are aware UTC."""

    id: str
    code: str
    description: str
    """Says itself that the event is over, as EC2's do."""
    not_before: dt.datetime
    not_after: dt.datetime | None
    state: State


def events(session: Session, instance_key: int, now: dt.datetime) -> list[Event]:
    """List what an instance is told of, the oldest first."""
    return of(session, [instance_key], now).get(instance_key, [])


def of(
    session: Session, instance_keys: Sequence[int], now: dt.datetime
) -> Mapping[int, list[Event]]:
    """Key -> its events, for those that have any; one statement, however many they are."""
    asked = since(now)
    if not _ANY.run(session, asked):
        return {}
    found: dict[int, list[Event]] = {}
    for row in _EVENTS.named(session, {**asked, "keys": instance_keys}):
        found.setdefault(row.instance_key, []).append(_event(row))
    return found


def since(now: dt.datetime) -> dict[str, object]:
    """Answer what `TOLD` is to be told."""
    return {"ended_since": now - TOLD_FOR}


def event_id(event_key: int, instance_id: str) -> str:
    """Make the id of an instance's event: always the same, and no other instance's."""
    digest = hashlib.sha256(f"event {event_key} {instance_id}".encode()).hexdigest()
    return f"instance-event-{digest[:17]}"


def _event(row: Any) -> Event:
    state: State = "active"
    if row.ended_at is not None:
        state = "canceled" if row.cancelled else "completed"
    return Event(
        id=event_id(row.key, row.instance_id),
        code=row.code,
        description=row.description,
        not_before=row.not_before,
        not_after=row.not_after,
        state=state,
    )
