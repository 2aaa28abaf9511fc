"""Who asks: from an address on a network to an instance, and to what that one is shown.

An address is known on one network or not at all: where two served networks have it, nobody can tell
whose guest asks, and none is answered. What was found is kept until the database changes, and for
some seconds at most; what an instance is shown is made anew only when that instance changed.

Source: docs/guests.md, "Metadata service"; docs/architecture.md, "State".
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models, recovering
from state.statements import Statement
from state.store import Store
from translators.guests import facts, maintenance, openstack, tree
from translators.settings import Guest

_ASLEEP: Final = frozenset({"stopped", "terminated"})
"""Phases in which no guest runs: what asks from its address is something else."""
_ADDRESSES_KEPT: Final = 8192
_INSTANCES_KEPT: Final = 4096
_KEPT_SECONDS: Final = 30.0
"""Events begin and end without a change of the database."""


class Unsure(Exception):
    """The state is older than its hosts: an address may be another guest's than it says."""


_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a request comes from; without a network it is the one that the address is in."""

    address: str
    network: str | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An instance, and all that it is shown."""

    key: int
    id: str
    served: bool
    """False: its image's or the deployment's policy is that it has no metadata service."""
    options: Mapping[str, Any]
    public_key: str | None
    ec2: tree.Tree
    openstack: tree.Tree


@dataclass(frozen=True, slots=True)
class _Network:
    key: int
    name: str
    addresses: ipaddress.IPv4Network


class _Newest(Generic[_K, _V]):
    """A mapping that forgets what was used longest ago. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[_K, _V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: _K) -> _V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: _K, value: _V) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


class Callers:
    """Thread-safe. `known` waits for nothing; `look` asks the database."""

    def __init__(
        self, store: Store, guest: Guest, served: Sequence[str], now: Callable[[], dt.datetime]
    ) -> None:
        """Serve the named networks, all without a name; `guest` is the deployment's."""
        self._store = store
        self._guest = guest
        self._now = now
        self._state: object = 0
        with store.read() as session:
            self._networks = [
                _Network(row.key, row.name, ipaddress.IPv4Network(row.cidr))
                for row in session.scalars(sa.select(models.Network))
                if not served or row.name in served
            ]
        self._found: _Newest[Asked, tuple[object, float, Caller | None]] = _Newest(_ADDRESSES_KEPT)
        self._shown: _Newest[int, tuple[object, Caller]] = _Newest(_INSTANCES_KEPT)

    def changed(self, state: object) -> None:
        """Hear which state the database is in; what was found in another one does not count.

        `object()` is a state that it has never been in.
        """
        self._state = state

    def known(self, asked: Asked) -> tuple[Caller | None] | None:
        """Answer who it is, if that was found already; None: it has to be looked for."""
        found = self._found.get(asked)
        if found is None or found[0] != self._state or time.monotonic() > found[1]:
            return None
        return (found[2],)

    def look(self, asked: Asked) -> Caller | None:
        """Find out who it is; None: no guest that is known, or more than one.

        :raises Unsure: nobody is known until hosts were looked at; it ends by itself
        """
        state, until = self._state, time.monotonic() + _KEPT_SECONDS  # as of before the look
        network = self._network(asked)
        caller = None
        if network is not None:
            with self._store.read() as session:
                caller = self._caller(session, network, asked.address)
        self._found.put(asked, (state, until, caller))
        return caller

    def _network(self, asked: Asked) -> _Network | None:
        try:
            address = ipaddress.IPv4Address(asked.address)
        except ValueError:
            return None
        has_it = [one for one in self._networks if address in one.addresses]
        if asked.network is not None:
            return next((one for one in has_it if one.name == asked.network), None)
        return has_it[0] if len(has_it) == 1 else None

    def _caller(self, session: Session, network: _Network, address: str) -> Caller | None:
        if recovering.is_on(session):
            raise Unsure
        found = _WHO.named(session, {"network": network.key, "address": address})
        if not found or found[0].phase in _ASLEEP:
            return None
        who = found[0]
        events = maintenance.events(session, who.key, self._now())
        version = (who.version, who.image_version, events)
        kept = self._shown.get(who.key)
        if kept is not None and kept[0] == version:
            return kept[1]
        told = facts.read(session, who.key, self._guest)
        if told is None:
            return None
        caller = Caller(
            key=told.instance_key,
            id=told.id,
            served=told.guest.imds,
            options=told.options,
            public_key=told.public_key,
            ec2=tree.tree(told, events),
            openstack=openstack.tree(told),
        )
        self._shown.put(who.key, (version, caller))
        return caller


_WHO: Final = Statement(
    sa.select(
        models.Instance.key,
        models.Instance.phase,
        models.Instance.version,
        models.Image.version.label("image_version"),
    )
    .join(models.NetworkInterface, models.NetworkInterface.instance_key == models.Instance.key)
    .join(models.Image, models.Image.key == models.Instance.image_key)
    .where(
        models.NetworkInterface.network_key == sa.bindparam("network", type_=sa.Integer),
        models.NetworkInterface.private_ip == sa.bindparam("address", type_=sa.String),
    )
)
