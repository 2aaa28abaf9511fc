"""What the engine notes for itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from state.models.base import Base, BigKey


class Work(Base):
    """The attempt under way for a row that the engine drives, of whatever kind."""

    __tablename__ = "work"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    token: Mapped[str | None] = mapped_column(String(32))  # written before it is sent
    purpose: Mapped[str | None]  # of the plan that the token guards
    generation: Mapped[int] = mapped_column(default=0)  # of the intent that it was made for
    begun_at: Mapped[dt.datetime | None]
    trouble: Mapped[str | None]


class Look(Base):
    """What the last survey saw of an instance's VM; written only when it changed."""

    __tablename__ = "look"
    instance_key: Mapped[int] = mapped_column(ForeignKey("instance.key"), primary_key=True)
    vm_state: Mapped[str | None]  # VMState by name; None: not seen
    heartbeat: Mapped[str | None]  # VMHeartbeatStatus by name
    answered_at: Mapped[dt.datetime | None]  # when its guest's heartbeat was first heard
    addresses: Mapped[list[Any]] = mapped_column(default=list)
    host_boot_time: Mapped[dt.datetime | None]  # of the host, when the VM was last seen running
    changed_at: Mapped[dt.datetime]
