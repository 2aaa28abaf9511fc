"""A host that is gone for good: what becomes of the volumes that were there.

Source: EBS User Guide, "Amazon EBS volume state", `error`; docs/operations.md, "Hosts".
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import storage
from state.models import Transfer, Volume
from translators import transfers
from translators.ec2.volumes import intents


def give_up(session: Session, host_key: int, now: dt.datetime) -> list[str]:
    """Show all volumes of a host as lost; answers their ids.

    Its instances were given up before, so none is attached any more. What was on its way there
    stays where it still is.
    """
    lost: list[str] = []
    for row in session.scalars(sa.select(Volume).where(Volume.host_key == host_key)).all():
        transfers.forget(session, row.file_name)
        if row.phase == "deleting":
            intents.forget(session, row.key)
            continue
        for name, value in {**storage.entered("error"), **intents.FREE}.items():
            setattr(row, name, value)
        row.generation += 1
        row.phase_since = now
        lost.append(row.id)
    for path in session.scalars(
        sa.select(Transfer.path).where(Transfer.target_host_key == host_key)
    ).all():
        transfers.forget(session, path, host_key)
    session.flush()
    return lost


def count(session: Session, host_key: int) -> int:
    """Tell how many volumes a host has."""
    query = sa.select(sa.func.count()).select_from(Volume).where(Volume.host_key == host_key)
    return session.scalars(query).one()
