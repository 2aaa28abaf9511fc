"""How the engine drives snapshots: which rows are due, and on which host.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import needs, storage
from state.models import Instance, Snapshot
from translators import driven
from translators.ec2.snapshots import intents, outcomes
from translators.ec2.snapshots.intents import Intent, Sight
from translators.settings import Settings
from translators.steps import Rest


class Snapshots(driven.Kind[Intent]):
    """How snapshots are driven; see `translators.driven.Kind`."""

    name = "snapshot"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        here = sa.case(
            (
                sa.and_(Snapshot.phase.in_(intents.ON_A_VM), Instance.host_key.is_not(None)),
                Instance.host_key,
            ),
            else_=Snapshot.host_key,
        )
        query = (
            sa.select(
                Snapshot.key,
                Snapshot.generation,
                Snapshot.point,
                Snapshot.instance_key,
                Snapshot.volume_key,
            )
            .outerjoin(
                Instance,
                sa.and_(Instance.key == Snapshot.instance_key, Snapshot.point.is_not(None)),
            )
            .where(
                Snapshot.phase.in_(storage.SNAPSHOT_WORKING),
                here == host_key,
                sa.not_(sa.and_(Snapshot.phase == "deleting", needs.NEEDED)),
                sa.not_(sa.and_(Snapshot.phase.in_(intents.REMOVING), needs.BROUGHT)),
            )
            .order_by(Snapshot.phase_since, Snapshot.key)
        )
        return [
            driven.Due(key, number, intents.lane(key, point, instance_key, volume_key))
            for key, number, point, instance_key, volume_key in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        return intents.load(session, key, settings, now)

    def look(self, intent: Intent, run: driven.Run) -> Sight:
        return intents.look(intent, run)

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = session.execute(
            sa.select(Snapshot.phase, Snapshot.generation).where(Snapshot.key == intent.key)
        ).one_or_none()
        return row is not None and tuple(row) == (intent.phase, intent.generation)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        row = session.get_one(Snapshot, intent.key)
        outcomes.SETTLED[rest.found](session, row, intent, rest, now)

    def note(self, session: Session, intent: Intent, facts: Mapping[str, object]) -> None:
        row = session.get_one(Snapshot, intent.key)
        for name in ("job", "progress"):
            if name in facts:
                setattr(row, name, facts[name])

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        session.get_one(Snapshot, intent.key).generation = seen + 1
        return True

    def is_gone(self, session: Session, intent: Intent, now: dt.datetime) -> bool:
        """A VM is searched by its instance; once that is terminated, it is nowhere."""
        return intent.machine is None or intent.machine.gone


driven.register(Snapshots())
