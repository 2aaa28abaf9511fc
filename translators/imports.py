"""Disks that come from outside, as rows: begun, worked on, handed over to a host, ended.

Shared by the actions, by who fetches and converts, and by who drives the disk's way to its host.
A task is a row from the start; its snapshot, and its image, are rows from when the disk is known
and goes to a host. They are completed and available once that host has found a whole disk in it.

Source: VM Import/Export User Guide, "Import a VM as an image", "Import a snapshot".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import guests, ids
from state.models import (
    Host,
    Image,
    ImportImageTask,
    ImportSnapshotTask,
    Snapshot,
    Tag,
)
from translators import snapshots, transfers, zones
from translators.settings import GIB

Task = ImportImageTask | ImportSnapshotTask
FETCHED_PERCENT: Final = 70
"""What the work in the gateway makes of the whole: `note` is told 0 to this."""
VERIFYING_PERCENT: Final = 95
_ROOT_DEVICE: Final = "/dev/sda1"
_ARCHITECTURE: Final = "x86_64"
_NO_ROOM: Final = "ServerError: no host of the region has room for the disk."
_NAME_TAKEN: Final = "ClientError: the name is another image's by now."
CANCELLED: Final = "The task was cancelled by its owner."


# -- begun


def begin_image(
    session: Session,
    *,
    account_key: int,
    region: str,
    url: str,
    format: str,
    asked: Mapping[str, Any],
    description: str | None,
    now: dt.datetime,
) -> ImportImageTask:
    """Write the task of an image that is to be made of the disk at `url`.

    `asked` has EC2's names: Platform ("Windows", "Linux"), BootMode, LicenseType, UsageOperation,
    Architecture. An operator's import also says Name (else it is the task's id), Public, Guest
    (what differs from the deployment's [guest]) and Zone. An empty `format` is told by the file.
    """
    row = ImportImageTask(
        id=ids.mint("import-ami"),
        account_key=account_key,
        region=region,
        phase="queued",
        phase_since=now,
        description=description,
        url=url,
        format=format,
        asked=dict(asked),
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


def begin_snapshot(
    session: Session,
    *,
    account_key: int,
    region: str,
    url: str,
    format: str,
    description: str | None,
    now: dt.datetime,
) -> ImportSnapshotTask:
    """Write the task of a snapshot that is to be made of the disk at `url`."""
    row = ImportSnapshotTask(
        id=ids.mint("import-snap"),
        account_key=account_key,
        region=region,
        phase="queued",
        phase_since=now,
        description=description,
        url=url,
        format=format,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row


# -- worked on


def is_cancelled(session: Session, task: Task) -> bool:
    """Tell whether nobody wants what a task is to make any more; the row is read anew."""
    kind = type(task)
    phase = session.scalar(sa.select(kind.phase).where(kind.key == task.key))
    return phase not in guests.IMPORT_WORKING


def note(
    session: Session,
    task: Task,
    *,
    phase: guests.ImportPhase | None = None,
    progress: int | None = None,
    message: str | None = None,
    disk_bytes: int | None = None,
    format: str | None = None,
    now: dt.datetime,
) -> bool:
    """Write down how far the work in the gateway is; False: it is not wanted any more.

    `format` is what the file turned out to be (EC2's word), `message` what else is to be said.

    `progress` is of the whole, at most `FETCHED_PERCENT`; it never goes back. `task` may be of
    another session: only its key counts.
    """
    row = _working(session, task)
    if row is None:
        return False
    if phase is not None and phase != row.phase:
        row.phase, row.phase_since = phase, now
    if progress is not None:
        row.progress = max(row.progress, min(progress, FETCHED_PERCENT))
    if message is not None:
        row.message = message
    if disk_bytes is not None:
        row.disk_bytes = disk_bytes
    if format is not None:
        row.format = format
    row.beat_at = now
    return True


def fail(session: Session, task: Task, message: str, now: dt.datetime) -> None:
    """End a task, and what was made for it; `message` is shown to its owner."""
    row = _working(session, task)
    if row is not None:
        end(session, row, "failed", message, now)


def cancel(session: Session, task: Task, now: dt.datetime, reason: str | None = None) -> int | None:
    """End a task that its owner does not want any more; what was made for it is removed.

    Answers the host that is to be woken for that, if any.
    """
    row = _working(session, task)
    return end(session, row, "cancelled", reason or CANCELLED, now) if row is not None else None


# -- handed over


def hand_over(
    session: Session,
    task: Task,
    *,
    length_bytes: int,
    sha256: str,
    virtual_bytes: int,
    generation: int,
    platform: str | None,
    boot_mode: str | None,
    place: Callable[[int], None],
    now: dt.datetime,
) -> None:
    """Have a disk that is whole, and lies in the gateway, brought to a host of the task's region.

    `place` is handed the transfer's number and moves the file onto the depot's shelf
    (`Shelf.adopt`); it runs in the transaction, so that the depot never takes the file for one
    that nobody waits for. Nothing is placed for a task that is not wanted any more, or that fails
    here because no host has room; see its row afterwards. The engine is to be woken.
    """
    row = _working(session, task)
    if row is None:
        return
    if isinstance(row, ImportImageTask) and _is_taken(session, row):
        end(session, row, "failed", _NAME_TAKEN, now)
        return
    host_key = _host(session, row, length_bytes)
    if host_key is None:
        end(session, row, "failed", _NO_ROOM, now)
        return
    snapshot = Snapshot(
        id=ids.mint("snap"),
        account_key=row.account_key,
        region=row.region,
        state="pending",
        phase="arriving",
        phase_since=now,
        description=_description(row),
        size_gib=-(-virtual_bytes // GIB),
        started_at=now,
        fixed_at=now,
        volume_id=snapshots.NO_VOLUME,
        host_key=host_key,
        vm_generation=generation,
        public=isinstance(row, ImportImageTask) and bool(row.asked.get("Public")),
    )
    snapshot.file_name = f"{snapshots.FOLDER}/{snapshot.id}.vhdx"
    session.add(snapshot)
    session.flush()
    if isinstance(row, ImportImageTask):
        image = _image(row, snapshot, generation, platform, boot_mode, now)
        session.add(image)
        session.flush()
        row.image_key = image.key
    else:
        row.snapshot_id = snapshot.id
    transfer = transfers.offer(
        session,
        snapshot.file_name,
        host_key,
        length_bytes=length_bytes,
        sha256=sha256,
        now=now,
    )
    row.phase, row.phase_since, row.message = "sending", now, None
    row.progress = FETCHED_PERCENT
    session.flush()
    place(transfer.key)


def _is_taken(session: Session, row: ImportImageTask) -> bool:
    query = sa.select(Image.key).where(
        Image.account_key == row.account_key,
        Image.name == _name(row),
        Image.region.in_([row.region, zones.ANY]),
        Image.state != "deregistered",
    )
    return session.scalar(query.limit(1)) is not None


def _name(row: ImportImageTask) -> str:
    return row.asked.get("Name") or row.id


def _host(session: Session, row: Task, length_bytes: int) -> int | None:
    """The host with most room of those that the disk may go to."""
    query = (
        sa.select(Host.key)
        .where(
            Host.state == "active",
            Host.surveyed_at.is_not(None),
            Host.free_disk_bytes > length_bytes,
        )
        .order_by(Host.reachable.desc(), Host.free_disk_bytes.desc(), Host.key)
    )
    if row.region != zones.ANY:
        query = query.where(Host.region.in_([row.region, zones.ANY]))
    zone = row.asked.get("Zone") if isinstance(row, ImportImageTask) else None
    if zone:
        query = query.where(Host.zone_letter == str(zone)[-1])
    return session.scalar(query.limit(1))


def _description(row: Task) -> str:
    if isinstance(row, ImportImageTask):
        return f"Created by AWS-VMImport service for {row.id}"
    return row.description or f"Created by AWS-VMImport service for {row.id}"


def _image(
    row: ImportImageTask,
    snapshot: Snapshot,
    generation: int,
    platform: str | None,
    boot_mode: str | None,
    now: dt.datetime,
) -> Image:
    return Image(
        id=ids.mint("ami"),
        account_key=row.account_key,
        region=row.region,
        name=_name(row),
        description=row.description,
        file_name="",
        public=bool(row.asked.get("Public")),
        state="pending",
        architecture=_ARCHITECTURE,
        platform="windows" if (platform or "").lower() == "windows" else None,
        generation=generation,
        root_device_name=_ROOT_DEVICE,
        size_gib=snapshot.size_gib,
        snapshot_id=snapshot.id,
        snapshot_key=snapshot.key,
        boot_mode=boot_mode,
        guest=dict(row.asked.get("Guest") or {}),
        created_at=now,
    )


def _working(session: Session, task: Task) -> Task | None:
    """The task's row, while there is something to be done about it."""
    row: Task | None
    if isinstance(task, ImportImageTask):
        row = session.get(ImportImageTask, task.key)
    else:
        row = session.get(ImportSnapshotTask, task.key)
    return row if row is not None and row.phase in guests.IMPORT_WORKING else None


def end(
    session: Session, row: Task, phase: guests.ImportPhase, message: str, now: dt.datetime
) -> int | None:
    """End a task, and whatever of it is on its way; answer the host that has to do with that."""
    row.phase, row.phase_since, row.ended_at = phase, now, now
    row.message = message
    session.flush()
    snapshot, image = None, None
    if isinstance(row, ImportImageTask):
        image = session.get(Image, row.image_key) if row.image_key is not None else None
        if image is not None and image.snapshot_key is not None:
            snapshot = session.get(Snapshot, image.snapshot_key)
    elif row.snapshot_id is not None:
        snapshot = session.scalars(
            sa.select(Snapshot).where(Snapshot.id == row.snapshot_id)
        ).one_or_none()
    if image is not None and image.state == "pending":
        # Who cancels finds nothing of it; who did not is told why there is none.
        image.state = "deregistered" if phase == "cancelled" else "failed"
        image.message = message
        if phase == "cancelled":
            _untag(session, "image", image.key)
    if snapshot is None or snapshot.phase not in ("arriving", "verifying"):
        return None
    transfers.withdraw(session, snapshot.file_name, now)
    snapshot.state, snapshot.message = "error", message
    snapshot.phase = "deleting" if phase == "cancelled" else "failing"
    snapshot.phase_since = now
    snapshot.generation += 1
    if phase == "cancelled":
        _untag(session, "snapshot", snapshot.key)
    return snapshot.host_key


def _untag(session: Session, kind: str, key: int) -> None:
    session.execute(sa.delete(Tag).where(Tag.resource_type == kind, Tag.resource_key == key))
