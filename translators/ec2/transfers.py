"""Disks on their way between hosts: the engine's kind "transfer" and its two steps.

First the source's host sends the disk to the depot, then the target's host fetches it; each by a
task of its own that outlives the link, looked at now and then. A disk from outside is only fetched.

Source: docs/decisions/0015-disks-travel-through-the-gateway.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from translators import arrivals, driven, transfers
from translators.hyperv import transfer
from translators.hyperv.host import Failed, Plan, Unreachable
from translators.settings import Settings
from translators.steps import Decision, Do, Note, Rest, Wait, step

_TRIES: Final = 8
"""Of one phase; the pauses between them add up to some minutes."""
_LONGEST_PAUSE: Final = 60.0
_POLL: Final = 1.0
_WORKING: Final = (*transfers.UNDER_WAY, "ending")
_Direction = Literal["Send", "Receive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A transfer with what its tasks have to know."""

    path: str
    token: str
    length_bytes: int | None
    digest: str | None
    done_bytes: int

    @property
    def task(self) -> str:
        """What both hosts know the task by."""
        return f"transfer-{self.key:x}"


class Transfers(driven.Kind[Intent]):
    """How transfers are driven; see `translators.driven.Kind`."""

    name = "transfer"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        row = models.Transfer
        query = (
            sa.select(row.key, row.generation)
            .where(
                sa.or_(
                    sa.and_(row.phase == "sending", row.source_host_key == host_key),
                    sa.and_(
                        row.phase.in_(("receiving", "ending")), row.target_host_key == host_key
                    ),
                )
            )
            .order_by(row.phase_since)
        )
        return [
            driven.Due(key, number, f"transfer-{key}") for key, number in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        row = session.get(models.Transfer, key)
        if row is None or row.phase not in _WORKING:
            return None
        return Intent(
            key=key,
            id=f"transfer-{key:x}",
            host_key=row.source_host_key if row.phase == "sending" else row.target_host_key,
            phase=row.phase,
            generation=row.generation,
            since=row.phase_since,
            now=now,
            attempt=driven.attempt(session, self.name, key),
            settings=settings,
            path=row.path,
            token=transfers.token(settings.depot.token_key, row) if settings.depot else "",
            length_bytes=row.length_bytes,
            digest=row.sha256,
            done_bytes=row.done_bytes,
        )

    def look(self, intent: Intent, run: driven.Run) -> transfer.Sight:
        try:
            return transfer.seen(run(transfer.look(intent.task, intent.path)))
        except Failed as failed:
            raise Unreachable(f"look at transfer failed: {failed}") from failed

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = models.Transfer
        found = session.execute(
            sa.select(row.phase, row.generation).where(row.key == intent.key)
        ).one_or_none()
        return found is not None and tuple(found) == (intent.phase, intent.generation)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        row = session.get_one(models.Transfer, intent.key)
        row.generation += 1
        row.phase_since = now
        if rest.found == "sent":
            row.phase = "receiving"
            row.done_bytes = 0
        elif rest.found == "ended":
            transfers.forget(session, row.path, row.target_host_key)
        elif rest.found == "received":
            row.phase = "done"
            if transfers.was_offered(row):
                arrivals.delivered(session, row, now)
            else:
                _arrived(session, row)
        elif rest.found == "failed":
            row.phase = "failed"
            row.trouble = rest.reason[1] if rest.reason else None
            if transfers.was_offered(row):
                row.phase = "ending"
                arrivals.undelivered(session, row, now)

    def note(self, session: Session, intent: Intent, facts: Mapping[str, object]) -> None:
        done = facts["done_bytes"]
        assert isinstance(done, int)
        row = session.get_one(models.Transfer, intent.key)
        row.done_bytes = done
        if transfers.was_offered(row):
            arrivals.progressed(session, row)

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        session.get_one(models.Transfer, intent.key).generation = seen + 1
        return True


driven.register(Transfers())


def _arrived(session: Session, row: models.Transfer) -> None:
    """Let a snapshot's disk be of use on the host where it is now."""
    snapshot = models.Snapshot
    for key in session.scalars(sa.select(snapshot.key).where(snapshot.file_name == row.path)):
        session.merge(
            models.SnapshotCopy(snapshot_key=key, host_key=row.target_host_key, ready=True)
        )


@step("transfer", "sending")
def send(intent: Intent, sight: transfer.Sight) -> Decision:
    """Have the source's host send the disk until the depot says that it has all of it."""
    if intent.digest is not None:
        return Do(transfer.clear(intent.task)) if sight.task else Rest("sent")
    if not sight.file_exists:
        return Rest("failed", ("Server.InternalError", f"{intent.path} is not on its host"))
    return _see_to_it(intent, sight, "Send")


@step("transfer", "receiving")
def receive(intent: Intent, sight: transfer.Sight) -> Decision:
    """Have the target's host fetch it; the file gets its name once it is whole."""
    if sight.file_exists:
        return Do(transfer.clear(intent.task)) if sight.task else Rest("received")
    return _see_to_it(intent, sight, "Receive")


@step("transfer", "ending")
def end(intent: Intent, sight: transfer.Sight) -> Decision:
    """See the task gone, and with it what there is half of the file."""
    return Do(transfer.clear(intent.task)) if sight.task else Rest("ended")


def _see_to_it(intent: Intent, sight: transfer.Sight, direction: _Direction) -> Decision:
    if intent.settings.depot is None:
        return Wait(_LONGEST_PAUSE, "no depot is configured: disks cannot go from host to host")
    if intent.seconds_in_phase > transfers.VALID.total_seconds() * 0.9:
        return Rest("renewed")  # another generation has another token
    task = sight.task if sight.task and sight.task.generation == intent.generation else None
    if task is not None and task.state == "Running":
        if direction == "Receive" and task.done_bytes != intent.done_bytes:
            return Note({"done_bytes": task.done_bytes}, _POLL)
        return Wait(_POLL)
    if not sight.has_script:
        return _try(intent, transfer.put_script(), None)
    return _try(intent, transfer.start(_order(intent, direction)), task)


def _order(intent: Intent, direction: _Direction) -> transfer.Order:
    depot = intent.settings.depot
    assert depot is not None
    return transfer.Order(
        name=intent.task,
        generation=intent.generation,
        direction=direction,
        path=intent.path,
        url=f"{depot.url}/files/{intent.key}",
        certificate=depot.certificate,
        token=intent.token,
        length_bytes=intent.length_bytes,
        digest=intent.digest,
    )


def _try(intent: Intent, plan: Plan, failed: transfer.Task | None) -> Decision:
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    why = failed.error if failed is not None else last.error.id if last.error else ""
    if last.tries >= _TRIES:
        return Rest("failed", ("Server.InternalError", why or "the host's task is lost each time"))
    pause = min(_LONGEST_PAUSE, 0.5 * 2 ** min(last.tries, 8))
    left = pause - (intent.now - last.at).total_seconds()
    if 0 < left <= pause:
        return Wait(left, f"{plan.purpose}: {why}" if why else None)
    return Do(plan)
