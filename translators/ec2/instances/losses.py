"""A host that is gone for good: what becomes of the instances that were there.

Source: EC2 User Guide, "Instance retirement"; docs/operations.md, "Hosts".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models
from translators.ec2.instances import intents

_LOST: Final = (
    "Server.InternalError",
    "Server.InternalError: The host of the instance was lost",
)
_TO_THEIR_END: Final[Mapping[lifecycle.Phase, Sequence[lifecycle.Found]]] = {
    "pending": ("failed", "removed"),
    "shutting-down": ("removed",),
}
"""Phase -> findings that end it, where one is not enough."""


def give_up(session: Session, host_key: int, now: dt.datetime) -> list[str]:
    """End all instances of a host as terminated; answers their ids."""
    instance = models.Instance
    rows = session.scalars(
        sa.select(instance).where(instance.host_key == host_key, instance.phase != "terminated")
    ).all()
    for row in rows:
        for found in _TO_THEIR_END.get(row.phase, ("vanished",)):
            intents.move(session, row, found, _LOST, now)
    return [row.id for row in rows]
