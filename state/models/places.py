"""Where things are: hosts, and the layer 2 between them."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from state.models.base import Base, Keyed


class Host(Keyed, Base):
    __tablename__ = "host"
    name: Mapped[str] = mapped_column(String(64), unique=True)
    url: Mapped[str]  # http://HOST:5985/wsman
    region: Mapped[str] = mapped_column(String(32))  # "*" for the laboratory: any region
    zone_letter: Mapped[str] = mapped_column(String(1))
    transport: Mapped[str] = mapped_column(String(16))  # ntlm, kerberos, certificate, basic
    username: Mapped[str | None]
    secret: Mapped[bytes | None]  # encrypted by state.secrets
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)  # CA file, certificate files
    root: Mapped[str]  # the one folder that is ours on the host
    laboratory: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(16), default="active")  # active, draining, removed
    epoch: Mapped[int] = mapped_column(default=0)  # raised by each driver that takes the host
    # Still to be looked at before a recovery can end.
    recovering: Mapped[bool] = mapped_column(default=False, server_default="0")
    # What the last survey found; None before the first.
    reachable: Mapped[bool] = mapped_column(default=False)
    surveyed_at: Mapped[dt.datetime | None]
    trouble: Mapped[str | None]  # why it is not reachable, for the operator
    boot_time: Mapped[dt.datetime | None]
    processors: Mapped[int | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    free_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    free_disk_bytes: Mapped[int | None] = mapped_column(BigInteger)
    foreign_vms: Mapped[int] = mapped_column(default=0)
    foreign_memory_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    switches: Mapped[list[Any]] = mapped_column(default=list)
    # VMs with our Notes that belong to no instance: {"name", "why", "addresses"}.
    strays: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    created_at: Mapped[dt.datetime]


class Network(Keyed, Base):
    """A layer 2 on the hosts' side: addresses and MACs are unique in it, across accounts."""

    __tablename__ = "network"
    name: Mapped[str] = mapped_column(String(64), unique=True)
    region: Mapped[str] = mapped_column(String(32))  # "*" for the laboratory
    zone_letter: Mapped[str] = mapped_column(String(1))
    switch: Mapped[str]
    vlan: Mapped[int | None]
    cidr: Mapped[str]
    router: Mapped[str | None]
    dns: Mapped[list[Any]] = mapped_column(default=list)
    reserved: Mapped[list[Any]] = mapped_column(default=list)  # "a.b.c.d" or "a.b.c.d-e.f.g.h"
    next_offset: Mapped[int] = mapped_column(default=4)  # where the search for a free one begins
