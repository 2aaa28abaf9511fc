"""Tags, of whatever kind of resource."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from state.models.base import Base, BigKey


class Tag(Base):
    __tablename__ = "tag"
    resource_type: Mapped[str] = mapped_column(String(32), primary_key=True)  # EC2's word
    resource_key: Mapped[int] = mapped_column(BigKey, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    value: Mapped[str] = mapped_column(String(256))
    resource_id: Mapped[str] = mapped_column(String(32))
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    region: Mapped[str] = mapped_column(String(32))
    __table_args__ = (
        Index("ix_tag_value", "resource_type", "account_key", "key", "value", "resource_key"),
        Index("ix_tag_owner", "account_key", "region", "resource_id"),
    )
