"""Disks that come from outside: what is imported, and how far that is."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from state import guests
from state.models.base import Base, Resource


class _Import(Resource):
    """What both kinds of import have; `phase` is what our intake is to do about it."""

    phase: Mapped[guests.ImportPhase] = mapped_column(index=True)
    phase_since: Mapped[dt.datetime]
    description: Mapped[str | None]
    url: Mapped[str]  # a file: URL for one of the operator's own
    format: Mapped[str]  # EC2's: VHD, VMDK, RAW...
    progress: Mapped[int] = mapped_column(default=0)  # percent
    message: Mapped[str | None]  # what goes on, or why it ended
    disk_bytes: Mapped[int | None] = mapped_column(BigInteger)  # of the file that came
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    # Who works on it, and when that was last known: another takes over what nobody works on.
    worker: Mapped[str | None] = mapped_column(String(64))
    beat_at: Mapped[dt.datetime | None]


class ImportImageTask(_Import, Base):
    """ImportImage; the image is a row, pending, from when its disk goes to a host."""

    __tablename__ = "import_image_task"
    image_key: Mapped[int | None] = mapped_column(ForeignKey("image.key"), index=True)
    asked: Mapped[dict[str, Any]] = mapped_column(default=dict)  # platform, boot mode, name...


class ImportSnapshotTask(_Import, Base):
    """ImportSnapshot."""

    __tablename__ = "import_snapshot_task"
    snapshot_id: Mapped[str | None] = mapped_column(String(32), index=True)  # may be long gone
