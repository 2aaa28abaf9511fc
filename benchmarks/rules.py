"""Rules of a security group that many instances are in change: how long until all hosts hold them.

Of the gateway alone: what it is compared with holds nothing to them.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import cases, processes, seeding
from benchmarks.client import Unexpected
from benchmarks.sides import Side
from ec2gw.lab.console import Console
from ec2gw.lab.world import World

RULES: Final = 40
"""Of the group; half of them are changed for others."""
BOUND_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 0.05
_TCP: Final = 6
_ASKED_FROM: Final = "203.0.113.7"


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of it: a sentence, and what is wrong, which has to be nothing."""

    told: str
    wrong: list[str]


def changed(side: Side, data: Path, instances: int) -> Changed:
    """Launch so many into a group, change half of its rules, and ask the hosts what passes."""
    group = {"GroupName": "rules"}
    side.fetch("CreateSecurityGroup", {**group, "GroupDescription": "rules"})
    old, new = range(1, 1 + RULES), range(1 + RULES, 1 + RULES + RULES // 2)
    side.fetch("AuthorizeSecurityGroupIngress", {**group, **_permissions(old)})
    launched: list[str] = []
    while len(launched) < instances:
        more = seeding.launch(min(seeding.PER_LAUNCH, instances - len(launched)), "rules")
        asked = {"ImageId": side.image_id, "SecurityGroup.1": "rules", **more}
        launched += seeding.instance_ids(side.fetch("RunInstances", asked))
    database = data / "state.sqlite3"
    cases.settle(database)
    _held(database)
    began = time.monotonic()
    gone = old[: RULES // 2]
    side.fetch("AuthorizeSecurityGroupIngress", {**group, **_permissions(new)})
    side.fetch("RevokeSecurityGroupIngress", {**group, **_permissions(gone)})
    _held(database)
    seconds = time.monotonic() - began
    wrong = list(_wrong(data, launched, passing=[*old[RULES // 2 :], *new], stopped=gone))
    if seconds > BOUND_SECONDS:
        wrong.append(f"rules of {instances} instances took {seconds:.0f} s to change")
    changes = instances * (len(new) + len(gone))
    told = (
        f"Rules: {instances} instances in a group of {RULES} rules, of which half became others: "
        f"{changes} changes on the hosts within {seconds:.1f} s. Not held: {len(wrong)}."
    )
    return Changed(told, wrong)


def _permissions(ports: Sequence[int]) -> dict[str, str | int]:
    made: dict[str, str | int] = {}
    for number, port in enumerate(ports, 1):
        head = f"IpPermissions.{number}"
        made |= {
            f"{head}.IpProtocol": "tcp",
            f"{head}.FromPort": 2 * port,  # none touches another
            f"{head}.ToPort": 2 * port,
            f"{head}.IpRanges.1.CidrIp": "0.0.0.0/0",
        }
    return made


def _held(database: Path) -> None:
    """Wait until the engine has seen every port with what is wanted of it."""
    deadline = time.monotonic() + 2 * BOUND_SECONDS
    query = "SELECT count(*) FROM interface_rules WHERE wanted > applied"
    while True:
        with closing(sqlite3.connect(database)) as connection:
            if connection.execute(query).fetchone()[0] == 0:
                return
        if time.monotonic() > deadline:
            raise processes.Failed("rules do not reach the hosts")
        time.sleep(_LOOK_SECONDS)


def _wrong(
    data: Path, launched: Sequence[str], *, passing: Sequence[int], stopped: Sequence[int]
) -> Iterator[str]:
    world = World(data / "lab" / "world.sqlite3", hosts=())
    try:
        console = Console(world)
        hosts = {
            machine["name"]: name
            for name, host in world.snapshot().items()
            for machine in host["vms"]
        }
        for instance_id, address in _addresses(data / "state.sqlite3", launched):
            if instance_id not in hosts:
                raise Unexpected(f"{instance_id} is on no host")
            for ports, expected in ((passing, True), (stopped, False)):
                for port in ports:
                    passes = console.would_pass(
                        hosts[instance_id],
                        instance_id,
                        "Inbound",
                        _TCP,
                        address,
                        _ASKED_FROM,
                        2 * port,
                    )
                    if passes is not expected:
                        yield f"{instance_id}: port {2 * port} {'' if passes else 'not '}open"
    finally:
        world.close()


def _addresses(database: Path, launched: Sequence[str]) -> list[tuple[str, str]]:
    query = (
        "SELECT instance.id, network_interface.private_ip FROM instance"
        " JOIN network_interface ON network_interface.instance_key = instance.key"
    )
    with closing(sqlite3.connect(database)) as connection:
        found = dict(connection.execute(query).fetchall())
    return [(name, found[name]) for name in launched]
