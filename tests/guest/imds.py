"""The metadata service as guests reach it: a real listener on loopback, whose guests are there too.

An instance whose address is on loopback asks from that very address; one on another network asks
through a forwarder.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

import sqlalchemy as sa
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlalchemy.orm import Session

from ec2gw.metadata import __main__ as process
from ec2gw.metadata import forwarder
from ec2gw.metadata.callers import Callers
from ec2gw.metadata.door import Door
from ec2gw.metadata.passwords import Passwords
from ec2gw.metadata.server import Limits, Server
from ec2gw.metadata.throttle import Throttle
from state import models
from state.changes import Changes
from state.store import Store
from tests import rows
from translators.settings import Guest

SECRET = b"a secret of thirty-two bytes....."
TOKEN_KEY = b"t" * 32
HERE = "127.0.0.1"
OTHER = "127.0.0.9"
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: http.client.HTTPMessage
    """By names in any case."""

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Clock:
    """Seconds since 1970, which a test may move."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Imds:
    """Serves the store's instances until the block ends."""

    store: Store
    forwarder_key: bytes | None = None
    served: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    throttle: Throttle = field(default_factory=Throttle)
    clock: Clock = field(default_factory=Clock)
    guest: Guest = field(default_factory=Guest)
    routers: int = 0
    host: str = HERE

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.listening = socket.create_server((self.host, 0), family=family)
        self.port: int = self.listening.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        changes = Changes(self.store.path)
        callers = Callers(self.store, self.guest, self.served, lambda: dt.datetime.now(dt.UTC))
        with ThreadPoolExecutor(2) as pool:
            door = Door(
                callers,
                Passwords(self.store),
                token_key=TOKEN_KEY,
                forwarder_key=self.forwarder_key,
                pool=pool,
                throttle=self.throttle,
                clock=self.clock,
                routers=self.routers,
            )
            watch = asyncio.create_task(process.listen_for_changes(callers, changes, pool))
            self._ready.set()
            await Server(door.answer, self.limits).run(self.listening, self._stopping)
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        changes.close()

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] = {},
        *,
        method: str = "GET",
        body: bytes | None = None,
        source: str = HERE,
    ) -> Answer:
        connection = http.client.HTTPConnection(
            self.host, self.port, timeout=5, source_address=(source, 0)
        )
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), answer.headers)
        finally:
            connection.close()

    def token(self, seconds: int = 60, **where: Any) -> dict[str, str]:
        """Get a token; answer the header that shows it."""
        answer = self.ask("/latest/api/token", {TTL: str(seconds)}, method="PUT", **where)
        assert answer.status == 200
        return {TOKEN: answer.text}

    def raw(self, sent: bytes, source: str = HERE) -> bytes:
        """Send bytes as they are; answer all that comes until the server closes."""
        with self.connect(source) as connection:
            connection.sendall(sent)
            return receive(connection)

    def connect(self, source: str = HERE) -> socket.socket:
        return socket.create_connection((self.host, self.port), 5, source_address=(source, 0))

    def forwarded(self, address: str, network: str = "lan") -> dict[str, str]:
        """The headers of a forwarder that asks for that guest."""
        return forwarder.sign(SECRET, network, address, self.clock())


def openssh(key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> str:
    return key.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    ).decode()


def receive(connection: socket.socket) -> bytes:
    told = b""
    while piece := connection.recv(65536):
        told += piece
    return told


def network(session: Session, name: str, cidr: str) -> int:
    row = models.Network(
        name=name, region="eu-central-1", zone_letter="b", switch="other", cidr=cidr
    )
    session.add(row)
    session.flush()
    return row.key


def instance(
    session: Session, on: rows.Ground, address: str, network_key: int, **columns: Any
) -> models.Instance:
    """Make a running instance with that address there."""
    made = rows.instance(session, on, "running")
    for name, value in columns.items():
        setattr(made, name, value)
    interface = session.scalars(
        sa.select(models.NetworkInterface).where(models.NetworkInterface.instance_key == made.key)
    ).one()
    interface.private_ip, interface.network_key = address, network_key
    session.flush()
    return made


@dataclass
class Scene:
    """Two guests on loopback, and one on a network that is not here."""

    store: Store
    here: str
    other: str
    away: str
    away_address: str
    loop: int
    on: rows.Ground

    @classmethod
    def set(cls, store: Store, public_key: str | None = None) -> Scene:
        def work(session: Session) -> Scene:
            on = rows.ground(session)
            loop = network(session, "loop", "127.0.0.0/24")
            given: dict[str, Any] = {"user_data": b"#!/bin/sh\n\xff\x00"}
            if public_key is not None:
                given |= {"key_name": "mine", "options": {"PublicKey": public_key}}
            here = instance(session, on, HERE, loop, **given)
            other = instance(session, on, OTHER, loop)
            away = rows.instance(session, on, "running")
            address = session.scalar(
                sa.select(models.NetworkInterface.private_ip).where(
                    models.NetworkInterface.instance_key == away.key
                )
            )
            assert address is not None
            return cls(store, here.id, other.id, away.id, address, loop, on)

        return store.write(work)

    def change(self, instance_id: str, **columns: Any) -> None:
        def work(session: Session) -> None:
            row = session.scalars(
                sa.select(models.Instance).where(models.Instance.id == instance_id)
            ).one()
            for name, value in columns.items():
                setattr(row, name, value)

        self.store.write(work)

    def options(self, instance_id: str, **options: Any) -> None:
        self.change(instance_id, metadata_options=options)

    def tag(self, instance_id: str, tags: Mapping[str, str]) -> None:
        row = self.row(instance_id)

        def work(session: Session) -> None:
            for key, value in tags.items():
                session.add(
                    models.Tag(
                        resource_type="instance",
                        resource_key=row.key,
                        resource_id=row.id,
                        account_key=row.account_key,
                        region=row.region,
                        key=key,
                        value=value,
                    )
                )

        self.store.write(work)

    def row(self, instance_id: str) -> models.Instance:
        with self.store.read() as session:
            row = session.scalars(
                sa.select(models.Instance).where(models.Instance.id == instance_id)
            ).one()
            session.expunge(row)
            return row
