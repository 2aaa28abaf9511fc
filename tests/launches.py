"""A small cloud for tests of instances: accounts with default networks, hosts in three zones.

Actions are called as the service calls them: `prepare` on a snapshot, then the handler in one
transaction; what they answer is what the renderer would be handed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from state import ids, lifecycle, models
from state.store import Store
from translators import snapshots
from translators.ec2.instances import describe, intents, launch, power, status
from translators.registry import ACTIONS, Context
from translators.settings import Settings
from translators.views import Fragments

NOW: Final = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
GIB: Final = 2**30
REGION: Final = "us-east-1"
ROOMS: Final = (describe, launch, power, status)
"""Imported for the actions that they register."""


class Cloud:
    """One store with hosts a, b, c of 32 GiB and 16 processors, and account 1 with a network."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.now = NOW
        self.waken: set[int] = set()
        self.hosts = store.write(_hosts)
        self.networks = store.write(_networks)
        self.account_key, self.account_id = self.account("one")
        self.image_id = self.image()

    def account(self, name: str) -> tuple[int, str]:
        """Make an account with its default VPC; answer its key and id."""
        account_id = ids.mint_account()
        return self.store.write(
            lambda session: (_account(session, name, account_id, self.networks), account_id)
        )

    def image(self, **columns: Any) -> str:
        """Make a public image of an operator; answer its id."""
        return self.store.write(lambda session: _image(session, self.account_key, columns))

    def context(self, session: Any) -> Context:
        return Context(
            session=session,
            account_id=self.account_id,
            account_key=self.account_key,
            region=REGION,
            request_id="r",
            now=self.now,
            settings=self.settings,
        )

    def call(self, name: str, **request: Any) -> dict[str, Any]:
        """Call an action; lists come out as plain views."""
        registered = ACTIONS["ec2", name]
        prepared = None
        if registered.prepare is not None:
            with self.store.read() as session:
                prepared = registered.prepare(self.context(session), request)

        def work(session: Any) -> tuple[Any, set[int]]:
            ctx = dataclasses.replace(self.context(session), prepared=prepared)
            return plain(registered.handler(ctx, request)), ctx.wake

        if registered.changes:
            answer, wake = self.store.write(work)
            self.waken |= wake
        else:
            with self.store.read() as session:
                answer, _ = work(session)
        assert isinstance(answer, dict)
        return answer

    def run(self, count: int = 1, **request: Any) -> list[str]:
        """Launch so many; answer their ids."""
        asked = {"ImageId": self.image_id, "MinCount": count, "MaxCount": count, **request}
        return [one["InstanceId"] for one in self.call("RunInstances", **asked)["Instances"]]

    def seen(self, *instance_ids: str, **request: Any) -> list[dict[str, Any]]:
        """Describe instances, in order, whatever their reservations."""
        if instance_ids:
            request["InstanceIds"] = list(instance_ids)
        listed = self.call("DescribeInstances", **request)["Reservations"]
        return [one for reservation in listed for one in reservation["Instances"]]

    def found(self, event: lifecycle.Found, *instance_ids: str) -> None:
        """Let the engine find so."""

        def work(session: Any) -> None:
            query = sa.select(models.Instance).where(models.Instance.id.in_(instance_ids))
            for row in session.scalars(query).all():
                intents.move(session, row, event, None, self.now)

        self.store.write(work)

    def rows(self, model: type[Any]) -> list[Any]:
        """All rows of a table, oldest first."""
        with self.store.read() as session:
            return list(session.scalars(sa.select(model)).all())

    def instance(self, instance_id: str) -> models.Instance:
        with self.store.read() as session:
            query = sa.select(models.Instance).where(models.Instance.id == instance_id)
            return session.scalars(query).one()

    def update(self, model: type[Any], key: int, **columns: Any) -> None:
        """Change a row behind the API's back."""
        self.store.write(
            lambda session: session.execute(
                sa.update(model).where(model.key == key).values(**columns)
            )
        )


def plain(value: object) -> object:
    """The answer with every list of references written out."""
    if isinstance(value, Fragments):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _hosts(session: Any) -> dict[str, int]:
    made = {
        letter: models.Host(
            name=f"host-{letter}",
            url="http://127.0.0.1:5985/wsman",
            region="*",
            zone_letter=letter,
            transport="ntlm",
            root="C:\\ec2gw",
            reachable=True,
            surveyed_at=NOW,
            processors=16,
            memory_bytes=32 * GIB,
            free_disk_bytes=1024 * GIB,
            switches=["EC2GW"],
            created_at=NOW,
        )
        for letter in "abc"
    }
    session.add_all(made.values())
    session.flush()
    return {letter: host.key for letter, host in made.items()}


def _networks(session: Any) -> dict[str, int]:
    made = {
        letter: models.Network(
            name=f"lan-{letter}",
            region="*",
            zone_letter=letter,
            switch="ec2gw",
            cidr=f"172.31.{16 * number}.0/20",
            router=f"172.31.{16 * number}.1",
            dns=["9.9.9.9"],
        )
        for number, letter in enumerate("abc")
    }
    session.add_all(made.values())
    session.flush()
    return {letter: network.key for letter, network in made.items()}


def _account(session: Any, name: str, account_id: str, networks: Mapping[str, int]) -> int:
    account = models.Account(id=account_id, name=name, created_at=NOW)
    session.add(account)
    session.flush()
    owned = {"account_key": account.key, "region": REGION}
    dhcp = models.DhcpOptions(id=ids.mint("dopt"), configurations={}, **owned)
    session.add(dhcp)
    session.flush()
    vpc = models.Vpc(
        id=ids.mint("vpc"),
        cidr="172.31.0.0/16",
        is_default=True,
        dhcp_options_key=dhcp.key,
        association_id=ids.mint("vpc-cidr-assoc"),
        **owned,
    )
    session.add(vpc)
    session.flush()
    for letter, network_key in networks.items():
        cidr = session.get_one(models.Network, network_key).cidr
        session.add(
            models.Subnet(
                id=ids.mint("subnet"),
                vpc_key=vpc.key,
                network_key=network_key,
                zone=f"{REGION}{letter}",
                cidr=cidr,
                default_for_az=True,
                network_acl_association_id=ids.mint("aclassoc"),
                **owned,
            )
        )
    group = models.SecurityGroup(
        id=ids.mint("sg"), name="default", description="default", vpc_key=vpc.key, **owned
    )
    session.add(group)
    session.flush()
    key: int = account.key
    return key


def _image(session: Any, account_key: int, columns: Mapping[str, Any]) -> str:
    given = {"region": "*", "file_name": "linux.vhdx", "size_gib": 8, "public": True, **columns}
    disk = snapshots.of_store(
        session,
        account_key=given.get("account_key", account_key),
        region=given["region"],
        file_name=given["file_name"],
        size_gib=given["size_gib"],
        public=given["public"],
        now=NOW,
        snapshot_id=given.get("snapshot_id"),
    )
    image = models.Image(
        **{
            "id": ids.mint("ami"),
            "account_key": account_key,
            "name": "linux",
            "generation": 2,
            "boot_mode": "legacy-bios" if columns.get("generation") == 1 else "uefi",
            "snapshot_id": disk.id,
            "snapshot_key": disk.key,
            "created_at": NOW,
            **given,
        }
    )
    session.add(image)
    session.flush()
    text: str = image.id
    return text
