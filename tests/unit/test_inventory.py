"""What configuration and laboratory bring to the database, and what they may not change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw import inventory
from ec2gw.config import Network
from state import models
from state.secrets import Vault, host_context
from state.store import Store
from tests.rows import ground
from translators import zones

LAN = Network("lan", "us-east-1a", "ec2gw", "172.31.0.0/20")


def _hosts(folder: Path, *ports: int, password: str = "secret") -> Path:
    path = folder / "hosts.json"
    described = [
        {
            "name": f"lab-{letter}",
            "zone": letter,
            "url": f"http://127.0.0.1:{port}/wsman",
            "user": "ec2gw",
            "password": password,
            "root": "C:\\ec2gw",
        }
        for letter, port in zip("abc", ports, strict=False)
    ]
    path.write_text(json.dumps({"hosts": described}))
    return path


def _networks(store: Store) -> dict[str, tuple[Any, ...]]:
    row = models.Network
    query = sa.select(row.name, row.region, row.zone_letter, row.cidr, row.vlan)
    with store.read() as session:
        return {name: tuple(rest) for name, *rest in session.execute(query)}


def test_networks_are_as_configured_and_change_with_it(store: Store) -> None:
    inventory.match_networks(store, [LAN])
    assert _networks(store) == {"lan": ("us-east-1", "a", "172.31.0.0/20", None)}
    other = Network("other", "eu-west-1b", "vm", "10.0.0.0/20", vlan=5)
    moved = Network("lan", "us-east-1b", "ec2gw", "10.9.0.0/20")
    inventory.match_networks(store, [moved, other])
    assert _networks(store) == {
        "lan": ("us-east-1", "b", "10.9.0.0/20", None),
        "other": ("eu-west-1", "b", "10.0.0.0/20", 5),
    }
    inventory.match_networks(store, [])
    assert _networks(store) == {}


def test_a_network_with_subnets_stays_where_it_is(store: Store) -> None:
    store.write(ground)
    with pytest.raises(inventory.Conflict, match="cannot be left out"):
        inventory.match_networks(store, [])
    with pytest.raises(inventory.Conflict, match="cannot be changed"):
        inventory.match_networks(store, [Network("lan", "us-east-1a", "ec2gw", "10.0.0.0/20")])
    inventory.match_networks(store, [Network("lan", "us-east-1a", "other", LAN.cidr, vlan=9)])
    assert _networks(store)["lan"][-1] == 9


def test_the_laboratory_hosts_come_once_and_follow_its_doors(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    inventory.prepare(store, vault)
    keys = inventory.match_laboratory(store, vault, _hosts(tmp_path, 1, 2, 3))
    again = inventory.match_laboratory(store, vault, _hosts(tmp_path, 4, 5, 6, password="new"))
    assert again == keys
    with store.read() as session:
        hosts = session.scalars(sa.select(models.Host).order_by(models.Host.key)).all()
        assert [host.url for host in hosts] == [
            f"http://127.0.0.1:{port}/wsman" for port in (4, 5, 6)
        ]
        assert {host.region for host in hosts} == {zones.ANY}
        assert all(host.laboratory for host in hosts)
        assert hosts[0].secret is not None
        assert vault.open(hosts[0].secret, host_context("lab-a")) == b"new"
        images = session.scalars(sa.select(models.Image).order_by(models.Image.id)).all()
        assert [image.id for image in images] == ["ami-0ec20000000000001", "ami-0ec20000000000002"]
        assert all(image.public and image.region == zones.ANY for image in images)
        assert inventory.real_hosts(session) == 0


def test_an_unused_laboratory_makes_way_for_real_hosts(
    store: Store, vault: Vault, tmp_path: Path
) -> None:
    inventory.prepare(store, vault)
    inventory.match_networks(store, inventory.LABORATORY_NETWORKS)
    inventory.match_laboratory(store, vault, _hosts(tmp_path, 1, 2, 3))
    store.write(inventory.drop_laboratory)
    with store.read() as session:
        for table in (models.Host, models.Network, models.Image):
            assert session.scalar(sa.select(sa.func.count()).select_from(table)) == 0


def test_a_laboratory_in_use_does_not_make_way(store: Store, vault: Vault, tmp_path: Path) -> None:
    made = inventory.prepare(store, vault)
    inventory.match_laboratory(store, vault, _hosts(tmp_path, 1))

    def use(session: Any) -> None:
        row = models.Account
        key = session.scalar(sa.select(row.key).where(row.id == made.account_id))
        session.add(
            models.AccountRegion(account_key=key, region="us-east-1", created_at=inventory._now())
        )

    store.write(use)
    with pytest.raises(inventory.Conflict, match="use another one"):
        store.write(inventory.drop_laboratory)
