"""Many instances: of moto through its API, of the gateway by copying rows that a launch has left.

The laboratory's hosts hold a few hundred instances, as real ones would. So one is launched through
the API, and its rows are written again under new ids, on hosts that are marked as removed: no
engine drives them, and for a read they are as any other.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from benchmarks.sides import Side
from state import ids, lifecycle, models
from state.store import Store

PER_LAUNCH: Final = 50
MARK: Final = "marked"
"""A tag with this key is on `MARKED` of the instances, spread over all of them."""
MARKED: Final = 50
TYPE: Final = "t3.nano"
_INSTANCE: Final = re.compile(rb"<instanceId>(i-[0-9a-f]+)</instanceId>")


def launch(count: int = 1, name: str = "benchmark") -> dict[str, str | int]:
    """Make the parameters of a launch, but for the image."""
    return {
        "InstanceType": TYPE,
        "MinCount": count,
        "MaxCount": count,
        "TagSpecification.1.ResourceType": "instance",
        "TagSpecification.1.Tag.1.Key": "Name",
        "TagSpecification.1.Tag.1.Value": name,
    }


def through_api(side: Side, count: int) -> list[str]:
    """Launch instances, 50 at a time; answer their ids."""
    made: list[str] = []
    while len(made) < count:
        parameters = {"ImageId": side.image_id, **launch(min(PER_LAUNCH, count - len(made)))}
        made += instance_ids(side.fetch("RunInstances", parameters))
    marked = {f"ResourceId.{at}": name for at, name in enumerate(made[:: count // MARKED][:MARKED])}
    side.fetch("CreateTags", {**marked, "Tag.1.Key": MARK, "Tag.1.Value": "yes"})
    return made


def instance_ids(body: bytes) -> list[str]:
    return [name.decode() for name in dict.fromkeys(_INSTANCE.findall(body))]


def unsettled(database: Path) -> int:
    """Count the instances that the engine has yet to bring where they are wanted."""
    marks = ", ".join("?" * len(lifecycle.WORKING))
    query = f"SELECT count(*) FROM instance WHERE phase IN ({marks})"
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(query, list(lifecycle.WORKING)).fetchone()[0])


def by_rows(database: Path, count: int) -> list[str]:
    """Write an instance that runs `count` times more; answer the new ids."""
    store = Store(database)
    try:
        return store.write(lambda session: _Copies(session).write(count))
    finally:
        store.close()


Row = dict[str, Any]
_NUMBERED: Final = (models.Reservation, models.Instance, models.NetworkInterface, models.Volume)


class _Copies:
    """The rows of an instance that was launched alone, and how they are written again."""

    def __init__(self, session: Session) -> None:
        self._session = session
        [self._instance] = self._rows(models.Instance, phase="running")
        [self._reservation] = self._rows(models.Reservation, key=self._instance["reservation_key"])
        of_instance = {"instance_key": self._instance["key"]}
        [self._interface] = self._rows(models.NetworkInterface, **of_instance)
        [self._volume] = self._rows(models.Volume, **of_instance)
        self._looks = self._rows(models.Look, **of_instance)
        self._groups = self._rows(models.InterfaceGroup, interface_key=self._interface["key"])
        of_tag = {"resource_type": "instance", "resource_key": self._instance["key"]}
        [self._tag] = self._rows(models.Tag, **of_tag)
        self._first = {model: self._next(model) for model in _NUMBERED}

    def write(self, count: int) -> list[str]:
        [host] = self._rows(models.Host, key=self._instance["host_key"])
        host |= {"key": self._next(models.Host), "name": "seeded", "state": "removed"}
        rows: dict[type[models.Base], list[Row]] = {models.Host: [host]}
        owned = {name: self._instance[name] for name in ("account_key", "region")}
        subnets = [self._addresses(subnet) for subnet in self._rows(models.Subnet, **owned)]
        places = itertools.chain.from_iterable(zip(*subnets, strict=True))
        for number, (subnet, address) in zip(range(count), places, strict=False):
            place = {
                "zone": subnet["zone"],
                "subnet_key": subnet["key"],
                "network_key": subnet["network_key"],
                "host_key": host["key"],
                "private_ip": address,
            }
            for model, row in self._copy(number, place, marked=_is_marked(number, count)):
                rows.setdefault(model, []).append(row)
        for model, listed in rows.items():
            self._session.execute(sa.insert(model), listed)
        return [row["id"] for row in rows[models.Instance]]

    def _copy(
        self, number: int, place: Row, *, marked: bool
    ) -> Iterator[tuple[type[models.Base], Row]]:
        """Yield the rows of one more instance, in the order in which they refer to each other."""
        launch, index = divmod(number, PER_LAUNCH)
        reservation_key = self._first[models.Reservation] + launch
        if index == 0:
            reservation = {"key": reservation_key, "id": ids.mint("r")}
            yield models.Reservation, self._reservation | reservation
        key = self._first[models.Instance] + number
        instance = self._instance | {
            "key": key,
            "id": ids.mint("i"),
            "reservation_key": reservation_key,
            "launch_index": index,
            "vm_id": str(uuid.uuid4()),
        }
        yield models.Instance, _at(place, instance)
        interface = self._interface | {
            "key": self._first[models.NetworkInterface] + number,
            "id": ids.mint("eni"),
            "attachment_id": ids.mint("eni-attach"),
            "mac": ids.mint_mac(),
            "instance_key": key,
        }
        yield models.NetworkInterface, _at(place, interface)
        for group in self._groups:
            yield models.InterfaceGroup, group | {"interface_key": interface["key"]}
        volume = {"key": self._first[models.Volume] + number, "id": ids.mint("vol")}
        yield models.Volume, _at(place, self._volume | volume | {"instance_key": key})
        for look in self._looks:
            yield models.Look, look | {"instance_key": key}
        tag = self._tag | {"resource_key": key, "resource_id": instance["id"]}
        yield models.Tag, tag
        if marked:
            yield models.Tag, tag | {"key": MARK, "value": "yes"}

    def _rows(self, model: type[models.Base], **where: object) -> list[Row]:
        table = model.__table__
        query = sa.select(table).where(*(table.c[name] == value for name, value in where.items()))
        return [dict(row) for row in self._session.execute(query).mappings()]

    def _next(self, model: type[Any]) -> int:
        return int(self._session.scalar(sa.select(sa.func.max(model.key))) or 0) + 1

    def _addresses(self, subnet: Row) -> Iterator[tuple[Row, str]]:
        """Yield the addresses of a subnet from its end; launches take them from its beginning."""
        network = ipaddress.IPv4Network(subnet["cidr"])
        for number in range(int(network.broadcast_address) - 1, int(network.network_address), -1):
            yield subnet, str(ipaddress.IPv4Address(number))


def _is_marked(number: int, count: int) -> bool:
    step = max(1, count // MARKED)
    return number % step == 0 and number // step < MARKED


def _at(place: Row, row: Row) -> Row:
    return row | {name: value for name, value in place.items() if name in row}
