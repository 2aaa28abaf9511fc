"""Who asks: accounts, their keys, what they asked before; and who we are."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from state.models.base import Base, Keyed


class Account(Keyed, Base):
    __tablename__ = "account"
    id: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(unique=True)
    owner_alias: Mapped[str | None]  # "amazon" for the operator's account that owns public images
    made_by_request: Mapped[bool] = mapped_column(default=False)  # open mode makes them; capped
    # May register any disk in the hosts' image store, whoever put it there.
    image_store: Mapped[bool] = mapped_column(default=False, server_default="0")
    created_at: Mapped[dt.datetime]


class AccessKey(Keyed, Base):
    __tablename__ = "access_key"
    id: Mapped[str] = mapped_column(String(32), unique=True)  # AKIA...
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"))
    secret: Mapped[bytes]  # encrypted by state.secrets
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[dt.datetime]


class AccountRegion(Base):
    """An account that has made its first request in a region, and so has its default VPC there."""

    __tablename__ = "account_region"
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[dt.datetime]


class ClientToken(Base):
    """What a request with this token was and what it was answered."""

    __tablename__ = "client_token"
    account_key: Mapped[int] = mapped_column(ForeignKey("account.key"), primary_key=True)
    region: Mapped[str] = mapped_column(String(32), primary_key=True)
    action: Mapped[str] = mapped_column(String(64), primary_key=True)
    token: Mapped[str] = mapped_column(String(128), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the parameters
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime] = mapped_column(index=True)


class Deployment(Base):
    """One row: who we are to the hosts, and whether we act yet."""

    __tablename__ = "deployment"
    key: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(String(32))  # in the Notes of every VM of ours
    # The state is older than its hosts, or may be: nothing changes until they were looked at.
    recovering: Mapped[bool] = mapped_column(default=False)
    # Raised after changes and told to every host: one that was told more knows a later state.
    beat: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    # A host has said since the service started that this is the newest state it knows.
    confirmed: Mapped[bool] = mapped_column(default=True, server_default="1")
    # Instances that were being driven when it started: key -> generation. Later ones are our own.
    wishes: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    created_at: Mapped[dt.datetime]
