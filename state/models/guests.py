"""What is kept of guests: their seeds, what they said, what is asked of them, what is planned."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from state import guests
from state.models.base import NEVER_AGAIN, Base, Keyed


class Seed(Base):
    """The disc that an instance's guest reads at its first boot. No row: it never had one."""

    __tablename__ = "seed"
    instance_key: Mapped[int] = mapped_column(
        ForeignKey("instance.key", ondelete="CASCADE"), primary_key=True
    )
    phase: Mapped[guests.SeedPhase]
    generation: Mapped[int] = mapped_column(default=1)
    phase_since: Mapped[dt.datetime]
    # When the guest first answered with this disc in its drive.
    answered_at: Mapped[dt.datetime | None]
    # When it is to go, known once the guest has answered; None then: it stays.
    eject_at: Mapped[dt.datetime | None]
    has_password: Mapped[bool] = mapped_column(default=False)
    __table_args__ = (Index("ix_seed_phase", "phase", "eject_at"),)


class Question(Keyed, Base):
    """What a request asks a guest's host now; the engine answers, the request forgets."""

    __tablename__ = "question"
    instance_key: Mapped[int] = mapped_column(
        ForeignKey("instance.key", ondelete="CASCADE"), index=True
    )
    host_key: Mapped[int] = mapped_column(ForeignKey("host.key"))
    asks: Mapped[guests.Asks]
    phase: Mapped[guests.QuestionPhase]
    asked_at: Mapped[dt.datetime]
    answered_at: Mapped[dt.datetime | None]
    answer: Mapped[bytes | None]
    trouble: Mapped[str | None]
    __table_args__ = (Index("ix_question_host_phase", "host_key", "phase"), NEVER_AGAIN)


class Console(Base):
    """The last output of an instance's serial console that anybody has seen."""

    __tablename__ = "console"
    instance_key: Mapped[int] = mapped_column(
        ForeignKey("instance.key", ondelete="CASCADE"), primary_key=True
    )
    output: Mapped[bytes]
    seen_at: Mapped[dt.datetime]


class HostEvent(Keyed, Base):
    """Maintenance that an operator has planned for a host, shown as an event of its instances."""

    __tablename__ = "host_event"
    host_key: Mapped[int] = mapped_column(ForeignKey("host.key"), index=True)
    code: Mapped[str] = mapped_column(String(32))  # EC2's: system-maintenance, instance-stop...
    description: Mapped[str]
    not_before: Mapped[dt.datetime]
    not_after: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    ended_at: Mapped[dt.datetime | None]
    cancelled: Mapped[bool] = mapped_column(default=False)


class StatusReport(Keyed, Base):
    """What somebody reported of an instance's status (ReportInstanceStatus)."""

    __tablename__ = "status_report"
    instance_key: Mapped[int] = mapped_column(
        ForeignKey("instance.key", ondelete="CASCADE"), index=True
    )
    status: Mapped[str] = mapped_column(String(16))
    reasons: Mapped[list[Any]] = mapped_column(default=list)
    description: Mapped[str | None]
    starts_at: Mapped[dt.datetime | None]
    ends_at: Mapped[dt.datetime | None]
    reported_at: Mapped[dt.datetime]
