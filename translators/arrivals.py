"""Disks from outside on their host: what becomes of task, snapshot and image by what is found.

Called by who drives the way and the looks, and by who deletes before they are there; what is
written at the beginning is in `imports`.

Source: VM Import/Export User Guide, "Import task statuses"; docs/guests.md.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import guests
from state.models import (
    Image,
    ImportImageTask,
    ImportSnapshotTask,
    Snapshot,
    SnapshotCopy,
    Transfer,
)
from translators import imports, transfers

_UNDELIVERED: Final = "ServerError: the disk could not be brought to a host."
_HOST_LOST: Final = "ServerError: the host that was to have the disk is gone."


def progressed(session: Session, transfer: Transfer) -> None:
    """Show on the snapshot how much of an offered file its host has fetched."""
    for snapshot in _arriving(session, transfer.path):
        if transfer.length_bytes:
            snapshot.progress = min(99, 100 * transfer.done_bytes // transfer.length_bytes)


def delivered(session: Session, transfer: Transfer, now: dt.datetime) -> None:
    """Have the host look at a file that was offered to it, and that is there now."""
    for snapshot in _arriving(session, transfer.path):
        snapshot.phase, snapshot.phase_since = "verifying", now
        snapshot.generation += 1
        for row in of_snapshot(session, snapshot):
            row.phase, row.phase_since, row.progress = "verifying", now, imports.VERIFYING_PERCENT
    transfers.forget(session, transfer.path, transfer.target_host_key)


def undelivered(session: Session, transfer: Transfer, now: dt.datetime) -> None:
    """End what waits for a file that could not be brought to its host."""
    transfers.withdraw(session, transfer.path, now)
    for snapshot in _arriving(session, transfer.path):
        refuse(session, snapshot, _UNDELIVERED, now)


def verified(session: Session, snapshot: Snapshot, now: dt.datetime) -> None:
    """Complete a snapshot whose file its host has found to be a whole disk, and its task."""
    assert snapshot.host_key is not None
    snapshot.state, snapshot.progress, snapshot.completed_at = "completed", 100, now
    snapshot.phase, snapshot.phase_since = "ready", now
    snapshot.generation += 1
    session.merge(SnapshotCopy(snapshot_key=snapshot.key, host_key=snapshot.host_key, ready=True))
    for row in of_snapshot(session, snapshot):
        row.phase, row.phase_since, row.ended_at = "completed", now, now
        row.progress, row.message = 100, None
        if isinstance(row, ImportImageTask):
            image = session.get_one(Image, row.image_key)
            if image.state == "pending":
                image.state = "available"


def refuse(session: Session, snapshot: Snapshot, message: str, now: dt.datetime) -> None:
    """Have a snapshot end in error whose file is none, or came to no host; the file is removed."""
    if snapshot.phase in ("arriving", "verifying"):
        snapshot.state, snapshot.message = "error", message
        snapshot.phase, snapshot.phase_since = "failing", now
        snapshot.generation += 1
    for row in of_snapshot(session, snapshot):
        imports.end(session, row, "failed", message, now)


def forsaken(session: Session, snapshot: Snapshot, now: dt.datetime) -> None:
    """End the task of a snapshot that was deleted before it was there."""
    transfers.withdraw(session, snapshot.file_name, now)
    for row in of_snapshot(session, snapshot):
        imports.end(session, row, "cancelled", imports.CANCELLED, now)


def deregistered(session: Session, image: Image, now: dt.datetime) -> None:
    """End the task of an image that was deregistered before it was there."""
    for row in session.scalars(_working_on(image.key)).all():
        imports.end(session, row, "cancelled", imports.CANCELLED, now)


def lost(session: Session, host_key: int, now: dt.datetime) -> None:
    """End the tasks whose disks were to be on a host that is given up."""
    query = sa.select(Snapshot).where(
        Snapshot.phase.in_(("arriving", "verifying")), Snapshot.host_key == host_key
    )
    for snapshot in session.scalars(query).all():
        transfers.forget(session, snapshot.file_name, host_key)
        refuse(session, snapshot, _HOST_LOST, now)
        snapshot.phase = "error"


def of_snapshot(session: Session, snapshot: Snapshot) -> list[imports.Task]:
    """The tasks under way that make a snapshot: one, or none."""
    of_disk = sa.select(ImportSnapshotTask).where(
        ImportSnapshotTask.snapshot_id == snapshot.id,
        ImportSnapshotTask.phase.in_(guests.IMPORT_WORKING),
    )
    images = sa.select(Image.key).where(Image.snapshot_key == snapshot.key)
    found: list[imports.Task] = [*session.scalars(of_disk)]
    for image_key in session.scalars(images).all():
        found += session.scalars(_working_on(image_key)).all()
    return found


def _working_on(image_key: int) -> sa.Select[ImportImageTask]:
    return sa.select(ImportImageTask).where(
        ImportImageTask.image_key == image_key, ImportImageTask.phase.in_(guests.IMPORT_WORKING)
    )


def _arriving(session: Session, path: str) -> list[Snapshot]:
    query = sa.select(Snapshot).where(Snapshot.file_name == path, Snapshot.phase == "arriving")
    return list(session.scalars(query))
