"""What becomes of a snapshot's row, and of the images that wait for it, by what a step found.

Source: EC2 API Reference, data types Snapshot and Image, for the states.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import needs, storage
from state.models import Image, ImageDisk, Snapshot, SnapshotCopy, Volume, Work
from translators import arrivals, snapshots
from translators.ec2.snapshots.intents import Intent
from translators.steps import Rest

FAILED: Final = "The snapshot could not be made: an internal error occurred."
"""EC2's StateMessage; what the host said is told to the operator."""
FAILED_IMAGE: Final = "A snapshot of the image could not be made: an internal error occurred."
Settle = Callable[[Session, Snapshot, Intent, Rest, dt.datetime], None]


def _enter(row: Snapshot, phase: storage.SnapshotPhase, now: dt.datetime) -> None:
    row.phase, row.phase_since = phase, now
    row.generation += 1


def _frozen(_session: Session, row: Snapshot, intent: Intent, rest: Rest, now: dt.datetime) -> None:
    row.checkpoint = str(rest.facts["checkpoint"])
    row.source_path = str(rest.facts["source"])
    row.host_key = intent.host_key
    row.fixed_at = now
    _enter(row, "copying", now)


def _freed(session: Session, row: Snapshot, intent: Intent, _rest: Rest, now: dt.datetime) -> None:
    """It was detached meanwhile: its file is copied, and attached to nothing until that is done."""
    volume = session.get(Volume, row.volume_key)
    if volume is None or volume.phase != "available" or intent.disk is None:
        return
    row.point, row.instance_key, row.cold = None, None, False
    row.host_key, row.source_path, row.fixed_at = volume.host_key, intent.disk.segments, now
    _enter(row, "copying", now)


def _moved(session: Session, row: Snapshot, intent: Intent, _rest: Rest, now: dt.datetime) -> None:
    """Its VM is on another host now, with what is left of the checkpoint."""
    assert intent.machine is not None
    here = session.get(SnapshotCopy, (row.key, intent.host_key))
    if here is not None:
        session.delete(here)
    row.host_key, row.job = intent.machine.host_key, None
    _enter(row, row.phase, now)


def _copied_whole(
    session: Session, row: Snapshot, intent: Intent, _rest: Rest, now: dt.datetime
) -> None:
    row.state, row.progress, row.completed_at = "completed", 100, now
    row.job = row.source_path = None
    session.merge(SnapshotCopy(snapshot_key=row.key, host_key=intent.host_key, ready=True))
    _enter(row, "releasing" if row.point is not None else "ready", now)
    session.flush()
    _judge_images(session, row.key)


def _released(
    _session: Session, row: Snapshot, _intent: Intent, _rest: Rest, now: dt.datetime
) -> None:
    row.point = row.checkpoint = None
    _enter(row, "ready", now)


def _failed(
    session: Session, row: Snapshot, _intent: Intent, _rest: Rest, now: dt.datetime
) -> None:
    row.state, row.message = "error", FAILED
    _enter(row, "failing", now)
    session.flush()
    _judge_images(session, row.key)


def _verified(
    session: Session, row: Snapshot, _intent: Intent, _rest: Rest, now: dt.datetime
) -> None:
    arrivals.verified(session, row, now)


def _refused(
    session: Session, row: Snapshot, _intent: Intent, rest: Rest, now: dt.datetime
) -> None:
    assert rest.reason is not None
    arrivals.refuse(session, row, rest.reason[1], now)


def _removed(
    session: Session, row: Snapshot, intent: Intent, _rest: Rest, now: dt.datetime
) -> None:
    row.point = row.checkpoint = row.job = row.source_path = None
    if row.phase == "failing":
        _enter(row, "error", now)
        return
    other = needs.sharer(session, row.key)
    if other is not None:  # whose end will be the file's
        snapshots.lie_on(session, row.key, other)
        drop(session, row.key)
        return
    if not intent.removes_file:  # it was another one's too when the host was looked at
        _enter(row, "deleting", now)
        return
    here = session.get(SnapshotCopy, (row.key, intent.host_key))
    if here is not None:
        session.delete(here)
        session.flush()
    left = sa.select(sa.func.min(SnapshotCopy.host_key)).where(SnapshotCopy.snapshot_key == row.key)
    following = session.scalar(left)
    if following is None:
        drop(session, row.key)
    else:
        row.host_key = following
        _enter(row, "deleting", now)


SETTLED: Final[Mapping[str, Settle]] = {
    "frozen": _frozen,
    "freed": _freed,
    "moved": _moved,
    "copied": _copied_whole,
    "released": _released,
    "failed": _failed,
    "verified": _verified,
    "refused": _refused,
    "removed": _removed,
}
"""Finding -> what it does to the row."""


def drop(session: Session, key: int) -> None:
    """Drop the row of a snapshot of which nothing is left, and of which no child is."""
    session.execute(sa.delete(Work).where(Work.kind == "snapshot", Work.key == key))
    for part in (Image, ImageDisk):  # of images that were deregistered
        session.execute(sa.update(part).where(part.snapshot_key == key).values(snapshot_key=None))
    session.execute(sa.delete(Snapshot).where(Snapshot.key == key))


def sweep(session: Session) -> int:
    """Drop deleted snapshots of operators' disks that no child needs any more: no host is asked."""
    query = sa.select(Snapshot.key).where(
        Snapshot.phase == "deleting", Snapshot.host_key.is_(None), sa.not_(needs.NEEDED)
    )
    keys = list(session.scalars(query))
    for key in keys:
        drop(session, key)
    return len(keys)


def _judge_images(session: Session, snapshot_key: int) -> None:
    """See whether images that wait for the snapshot have all their disks now, or never will."""
    disks = sa.select(ImageDisk.image_key).where(ImageDisk.snapshot_key == snapshot_key)
    query = sa.select(Image).where(
        Image.state == "pending",
        sa.or_(Image.snapshot_key == snapshot_key, Image.key.in_(disks)),
    )
    for image in session.scalars(query).all():
        of_disks = sa.select(ImageDisk.snapshot_key).where(ImageDisk.image_key == image.key)
        states = set(
            session.scalars(
                sa.select(Snapshot.state).where(
                    sa.or_(Snapshot.key == image.snapshot_key, Snapshot.key.in_(of_disks))
                )
            )
        )
        if "error" in states:
            image.state, image.message = "failed", FAILED_IMAGE
        elif states == {"completed"}:
            image.state = "available"
