"""Brings the database up to what is configured and to what the laboratory brought.

That is: who we are, the first accounts, networks, simulated hosts and their images. Only `serve`
and the commands call this; nothing here asks a host. A data folder is the laboratory's or real
hosts', never both.

Source: docs/architecture.md, "Zones, networks, images"; hosts.json of `ec2gw lab`.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.auth import accounts
from ec2gw.config import DEFAULT_REGION, Config, Network
from state import copies, models, schema
from state.secrets import KeyFileUnusable, NotOurs, Vault, host_context
from state.store import Store
from translators import snapshots, zones

_log = logging.getLogger("ec2gw.inventory")

LABORATORY_SWITCH: Final = "ec2gw"
LABORATORY_NETWORKS: Final = tuple(
    Network(f"laboratory-{letter}", f"{zones.ANY}{letter}", LABORATORY_SWITCH, cidr)
    for letter, cidr in (
        ("a", "172.31.0.0/20"),
        ("b", "172.31.16.0/20"),
        ("c", "172.31.32.0/20"),
    )
)


@dataclass(frozen=True, slots=True)
class _LaboratoryImage:
    id: str
    snapshot_id: str
    name: str
    description: str
    file_name: str
    platform: str | None
    secure_boot_template: str
    size_gib: int


# The same ids in every laboratory: they stand in the documentation.
LABORATORY_IMAGES: Final = (
    _LaboratoryImage(
        "ami-0ec20000000000001",
        "snap-0ec20000000000001",
        "ec2gw-lab-linux",
        "Simulated Linux guest of the laboratory",
        "ec2gw-lab-linux.vhdx",
        None,
        "MicrosoftUEFICertificateAuthority",
        8,
    ),
    _LaboratoryImage(
        "ami-0ec20000000000002",
        "snap-0ec20000000000002",
        "ec2gw-lab-windows",
        "Simulated Windows guest of the laboratory",
        "ec2gw-lab-windows.vhdx",
        "windows",
        "MicrosoftWindows",
        30,
    ),
)


class Conflict(Exception):
    """What is configured cannot be brought together with what is there; one line says why."""


def open_state(config: Config, *, migrate: bool) -> tuple[Store, Vault]:
    """Open the data folder's database and key; make both at a first start.

    :raises state.schema.Newer:
    :raises state.copies.Unfit:
    :raises state.secrets.KeyFileUnusable:
    """
    if migrate:
        schema.prepare(config.database, config.data / "backup")
    if not config.key_file.exists() and copies.sealed(config.database):
        raise KeyFileUnusable(
            f"{config.key_file} is missing, and the database has secrets that it opens: put it"
            " back from its copy"
        )
    return Store(config.database), Vault(config.key_file)


def prepare(store: Store, vault: Vault) -> accounts.Credentials:
    """Make what every deployment has; answers the default account's credentials."""

    def work(session: Session) -> None:
        if session.scalar(sa.select(sa.func.count()).select_from(models.Deployment)) == 0:
            row = models.Deployment(id=secrets.token_hex(8), created_at=_now())
            session.add(row)

    store.write(work)
    return accounts.prepare(store, vault)


def real_hosts(session: Session) -> int:
    host = models.Host
    query = sa.select(sa.func.count()).where(~host.laboratory, host.state != "removed")
    return session.scalar(query) or 0


def usual_region(store: Store) -> str:
    """Answer the region to point tools at: the default one, where it exists."""
    with store.read() as session:
        if zones.exists(session, DEFAULT_REGION):
            return DEFAULT_REGION
        return min(zones.regions(session), default=DEFAULT_REGION)


def match_networks(store: Store, wanted: Sequence[Network]) -> None:
    """Make table `network` say what is configured; what subnets use can only stay as it is.

    :raises Conflict: for a change of addresses or place under subnets that are there
    """

    def work(session: Session) -> None:
        known = {row.name: row for row in session.scalars(sa.select(models.Network))}
        used = set(session.scalars(sa.select(models.Subnet.network_key).distinct()))
        for network in wanted:
            row = known.pop(network.name, None)
            if row is None:
                session.add(_network_row(network))
                continue
            moved = (row.region, row.zone_letter, row.cidr) != (
                network.region,
                network.zone_letter,
                network.cidr,
            )
            if moved and row.key in used:
                raise Conflict(
                    f"network {network.name} has subnets: its zone and cidr ({row.region}"
                    f"{row.zone_letter}, {row.cidr}) cannot be changed"
                )
            _copy(_network_row(network), row)
        for row in known.values():
            if row.key in used:
                raise Conflict(
                    f"network {row.name} has subnets and cannot be left out of the configuration"
                )
            session.delete(row)

    store.write(work)


def match_laboratory(store: Store, vault: Vault, hosts_file: Path) -> list[int]:
    """Take over what the laboratory says of its hosts, and its images; answers the hosts' keys."""
    described = json.loads(hosts_file.read_text(encoding="utf-8"))["hosts"]
    sealed = {
        one["name"]: vault.seal(one["password"].encode(), host_context(one["name"]))
        for one in described
    }

    def work(session: Session) -> list[int]:
        known = {
            row.name: row
            for row in session.scalars(sa.select(models.Host).where(models.Host.laboratory))
        }
        keys = []
        for one in described:
            row = known.get(one["name"])
            if row is None:
                row = models.Host(name=one["name"], laboratory=True, created_at=_now())
                row.region, row.transport = zones.ANY, "ntlm"
                row.options = {"allow_ntlm_over_http": True}
                session.add(row)
            row.url, row.root, row.username = one["url"], one["root"], one["user"]
            row.zone_letter = one["zone"]
            if not _holds(vault, row, one["password"]):
                row.secret = sealed[one["name"]]  # sealed anew, the same one looks like another
            row.state = "active"
            session.flush()
            keys.append(row.key)
        _match_images(session)
        return keys

    return store.write(work)


def check_no_laboratory(session: Session) -> None:
    """Pass if the running service has real hosts, or none yet and no laboratory either.

    :raises Conflict:
    """
    laboratory = sa.select(models.Host.key).where(models.Host.laboratory).limit(1)
    if session.scalar(laboratory) is not None:
        raise Conflict("the service runs on the laboratory now: stop it first")


def _holds(vault: Vault, host: models.Host, password: str) -> bool:
    if host.secret is None:
        return False
    try:
        return vault.open(host.secret, host_context(host.name)) == password.encode()
    except NotOurs:
        return False


def drop_laboratory(session: Session) -> None:
    """Forget an unused laboratory, before the first real host comes.

    :raises Conflict: when accounts have made anything in it
    """
    hosts = session.scalars(sa.select(models.Host).where(models.Host.laboratory)).all()
    if not hosts:
        return
    if session.scalar(sa.select(sa.func.count()).select_from(models.AccountRegion)):
        raise Conflict(
            "this data folder is a laboratory's, with what was made in it: use another one for "
            "real hosts (--data)"
        )
    ours = [image.id for image in LABORATORY_IMAGES]
    session.execute(sa.delete(models.Image).where(models.Image.id.in_(ours)))
    disks = [image.snapshot_id for image in LABORATORY_IMAGES]
    session.execute(sa.delete(models.Snapshot).where(models.Snapshot.id.in_(disks)))
    session.execute(sa.delete(models.Network).where(models.Network.region == zones.ANY))
    for host in hosts:
        session.delete(host)


def _match_images(session: Session) -> None:
    there = set(session.scalars(sa.select(models.Image.id)))
    owner = accounts.operator(session)
    for image in LABORATORY_IMAGES:
        if image.id not in there:
            disk = snapshots.of_store(
                session,
                account_key=owner.key,
                region=zones.ANY,
                file_name=image.file_name,
                size_gib=image.size_gib,
                public=True,
                now=_now(),
                snapshot_id=image.snapshot_id,
            )
            session.add(
                models.Image(
                    id=image.id,
                    account_key=owner.key,
                    region=zones.ANY,
                    name=image.name,
                    description=image.description,
                    file_name=image.file_name,
                    public=True,
                    platform=image.platform,
                    generation=2,
                    secure_boot_template=image.secure_boot_template,
                    boot_mode="uefi",
                    size_gib=image.size_gib,
                    snapshot_id=image.snapshot_id,
                    snapshot_key=disk.key,
                    created_at=_now(),
                )
            )


def _network_row(network: Network) -> models.Network:
    return models.Network(
        name=network.name,
        region=network.region,
        zone_letter=network.zone_letter,
        switch=network.switch,
        vlan=network.vlan,
        cidr=network.cidr,
        router=network.router,
        dns=list(network.dns),
        reserved=[*network.reserved, *([network.metadata_via] if network.metadata_via else [])],
    )


def _copy(fresh: models.Network, row: models.Network) -> None:
    names: Iterable[str] = ("region", "zone_letter", "switch", "vlan", "cidr", "router", "dns")
    for name in (*names, "reserved"):
        value: Any = getattr(fresh, name)
        if getattr(row, name) != value:
            setattr(row, name, value)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
