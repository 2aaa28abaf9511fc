"""A simulated host with a door for each way in, and what a way in must be good for."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab import agent
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.server import Door
from ec2gw.lab.world import HostSpec, World
from ec2gw.winrm import endpoint, pool, probe, session, timing
from ec2gw.winrm.checks import Step
from translators.hyperv import allowed, file, host

ROOT = "C:\\ec2gw"
USER = "ec2gw"
PASSWORD = "a laboratory's password"
REALM = "LAB.EXAMPLE"
PRINCIPAL = f"{USER}@{REALM}"
"""By Kerberos, and in the client certificate."""
ACCOUNT = Account(USER, PASSWORD, domain=REALM, certificate=PRINCIPAL)
QUICK = timing.Timing(
    connect_seconds=2, operation_seconds=1, read_seconds=4, start_seconds=8, farewell_seconds=1
)
_INSTANCE = "i-0123456789abcdef0"
_FOLDER = host.Path(f"instances/{_INSTANCE}")
_SEED = host.Path(f"{_FOLDER.segments}/seed.iso")
_GIB = 1 << 30


class Machine:
    """One host of a world of its own; its doors close with it."""

    def __init__(self, folder: Path) -> None:
        spec = HostSpec("hv1", "a", logical_processors=4, memory=8 * _GIB, disk=100 * _GIB)
        self._world = World(folder / "world.sqlite3", hosts=(spec,), pace=0.02)
        self._starter = agent.powershell(LabMachine(self._world, "hv1"))
        self._doors: list[Door] = []

    def door(self, account: Account = ACCOUNT, **options: Any) -> Door:
        """Open a door; see `Door` for what it takes."""
        door = Door(("127.0.0.1", 0), self._starter, Credentials([account]), **options)
        door.start()
        self._doors.append(door)
        return door

    def close_doors(self) -> None:
        while self._doors:
            self._doors.pop().stop()

    def close(self) -> None:
        self.close_doors()
        self._world.close()


def address(door: Door, transport: endpoint.Transport, **options: Any) -> endpoint.HostAddress:
    """How the door is reached; the account and its password where nothing else is said."""
    given: dict[str, Any] = {"username": USER, "password": lambda: PASSWORD}
    return endpoint.HostAddress(door.endpoint, transport, **given | options)


@contextlib.contextmanager
def linked(way: endpoint.HostAddress) -> Iterator[pool.HostLink]:
    with contextlib.closing(
        pool.HostLink(
            way,
            root=ROOT,
            modules=allowed.MODULES,
            allowed=allowed.ALLOWED,
            paths=allowed.PATHS,
            epoch=1,
            limits=QUICK,
        )
    ) as link:
        yield link


def change_and_read(link: pool.HostLink) -> None:
    """Put a file on the host and find it there, whole."""
    content = secrets.token_bytes(200_000)
    for plan in (file.make_folder(_FOLDER), *file.put(_SEED, content)):
        with contextlib.suppress(host.Token):  # done: its answer got lost, and it was sent again
            link.run(plan, fence=host.Fence(secrets.token_hex(16), _INSTANCE, 1))
    assert file.is_whole(file.seen(link.run(file.look(_SEED, digest=True))), content)


def works(way: endpoint.HostAddress) -> None:
    """The engine's requests get through, and `host check` finds nothing wrong."""
    with linked(way) as link:
        change_and_read(link)
    assert [step for step in probe.probe(way, ROOT, limits=QUICK) if not step.ok] == []


def refused(way: endpoint.HostAddress) -> tuple[session.LinkError, Step]:
    """Nothing gets through: what the link says of it, and where `host check` stops."""
    with linked(way) as link:
        with pytest.raises(host.HostError):
            link.run(file.look(_SEED), deadline_seconds=6)
        cause = link.cause
    assert cause is not None
    failed = [step for step in probe.probe(way, ROOT, limits=QUICK) if step.ok is False]
    assert len(failed) == 1
    assert failed[0].advice
    return cause, failed[0]
