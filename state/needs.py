"""Who still needs a disk: the one place that tells when a snapshot's row, or its file, may go.

Conditions on columns, to be put into any statement; nothing here decides what is done then.

Source: docs/architecture.md, "Disks".
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from state import storage
from state.models import Image, ImageDisk, Snapshot, Transfer, Volume

Condition = sa.ColumnElement[bool]
_DISK_OWNER: Final = aliased(Image)

IMAGED: Final[Condition] = sa.or_(
    sa.exists().where(Image.snapshot_key == Snapshot.key, Image.state != "deregistered"),
    sa.exists().where(
        ImageDisk.snapshot_key == Snapshot.key,
        _DISK_OWNER.key == ImageDisk.image_key,
        _DISK_OWNER.state != "deregistered",
    ),
)
"""An image that can be launched, now or later, has the snapshot for one of its disks."""
PARENT: Final[Condition] = sa.exists().where(Volume.snapshot_key == Snapshot.key)
"""A volume that is, or is to be, a child of the snapshot's file: it cannot be read without it."""
NEEDED: Final[Condition] = sa.or_(IMAGED, PARENT)
"""A deleted snapshot's row stays while this holds, out of sight, and its file with it."""
BROUGHT: Final[Condition] = sa.exists().where(
    Transfer.path == Snapshot.file_name,
    Transfer.target_host_key == Snapshot.host_key,
    Transfer.source_host_key == Transfer.target_host_key,
    Transfer.phase.in_(("receiving", "ending")),
)
"""A task of its host may still make the file of a snapshot from outside: it is removed after."""
FREEZING: Final[tuple[storage.SnapshotPhase, ...]] = ("freezing",)
COPIED: Final[tuple[storage.SnapshotPhase, ...]] = ("copying",)


def image_of(session: Session, snapshot_key: int) -> str | None:
    """The id of an image that has the snapshot for one of its disks; None when there is none."""
    disks = sa.select(ImageDisk.image_key).where(ImageDisk.snapshot_key == snapshot_key)
    query = (
        sa.select(Image.id)
        .where(
            sa.or_(Image.snapshot_key == snapshot_key, Image.key.in_(disks)),
            Image.state != "deregistered",
        )
        .order_by(Image.key)
        .limit(1)
    )
    return session.scalar(query)


def may_go(session: Session, snapshot_key: int) -> bool:
    """Tell whether a deleted snapshot's row may go, and what is its own on hosts before it."""
    query = sa.select(Snapshot.key).where(
        Snapshot.key == snapshot_key, sa.not_(sa.or_(NEEDED, BROUGHT))
    )
    return session.scalar(query) is not None


def is_brought(session: Session, snapshot_key: int) -> bool:
    """Tell whether a task of its host still brings the file of a snapshot from outside."""
    query = sa.select(Snapshot.key).where(Snapshot.key == snapshot_key, BROUGHT)
    return session.scalar(query) is not None


def sharer(session: Session, snapshot_key: int) -> int | None:
    """The key of another snapshot that has the same file."""
    file_name = sa.select(Snapshot.file_name).where(Snapshot.key == snapshot_key)
    query = sa.select(Snapshot.key).where(
        Snapshot.file_name == file_name.scalar_subquery(), Snapshot.key != snapshot_key
    )
    return session.scalar(query.order_by(Snapshot.key).limit(1))


# -- what a snapshot that is being made holds up


def busy_volume(session: Session, volume_key: int) -> bool:
    """Tell whether a free volume is being copied: it is attached, moved and removed afterwards."""
    query = sa.select(Snapshot.key).where(
        Snapshot.volume_key == volume_key,
        Snapshot.phase.in_(COPIED),
        Snapshot.point.is_(None),
    )
    return session.scalar(query.limit(1)) is not None


def checkpointed(session: Session, instance_key: int) -> bool:
    """Tell whether a checkpoint of ours holds the disks of an instance still.

    Meanwhile none of them is resized, attached or detached.
    """
    query = sa.select(Snapshot.key).where(
        Snapshot.instance_key == instance_key,
        Snapshot.point.is_not(None),
        Snapshot.checkpoint.is_not(None),
    )
    return session.scalar(query.limit(1)) is not None


def in_snapshot(session: Session, instance_key: int) -> bool:
    """Tell whether something of a snapshot is on the VM, or is to be: it is removed afterwards."""
    query = sa.select(Snapshot.key).where(
        Snapshot.instance_key == instance_key, Snapshot.point.is_not(None)
    )
    return session.scalar(query.limit(1)) is not None


def awaits_off(session: Session, instance_key: int) -> bool:
    """Tell whether a snapshot is to be taken while the VM is off: it is started afterwards."""
    query = sa.select(Snapshot.key).where(
        Snapshot.instance_key == instance_key,
        Snapshot.cold,
        Snapshot.phase.in_(FREEZING),
    )
    return session.scalar(query.limit(1)) is not None
