"""What every table has in common: keys, versions, owners, how times are kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from state import guests, storage
from state.lifecycle import Phase

BigKey = BigInteger().with_variant(Integer, "sqlite")


class Utc(TypeDecorator[dt.datetime]):
    """An aware UTC time, kept as whole microseconds since 1970: sorts, compares, loses nothing."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> int | None:
        if value is None:
            return None
        return (value - EPOCH) // dt.timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect) -> dt.datetime | None:
        return None if value is None else EPOCH + dt.timedelta(microseconds=value)


EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class Base(DeclarativeBase):
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        dt.datetime: Utc,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
        Phase: String(16),
        storage.VolumePhase: String(16),
        storage.ModificationState: String(16),
        storage.SnapshotPhase: String(16),
        storage.TransferPhase: String(16),
        guests.SeedPhase: String(16),
        guests.Asks: String(16),
        guests.QuestionPhase: String(16),
        guests.ImportPhase: String(16),
    }


NEVER_AGAIN: dict[str, Any] = {"sqlite_autoincrement": True}
"""A key is never given twice, so that what was kept by (key, version) never means another row."""


class Keyed:
    __table_args__: Any = NEVER_AGAIN
    key: Mapped[int] = mapped_column(BigKey, primary_key=True)


class Resource(Keyed):
    """What an account owns in a region."""

    id: Mapped[str] = mapped_column(String(32), unique=True)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    region: Mapped[str] = mapped_column(String(32))
