"""Which host an instance goes to: the one of the zone with the most free memory that has room.

What is promised to instances counts, not what they use: memory is static and a start takes all of
it. An instance that is stopped holds none, so a start asks again.

Source: Microsoft, "Plan for Hyper-V scalability in Windows Server" for the limits; EC2 API
Reference, RunInstances and StartInstances, for InsufficientInstanceCapacity.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from state import lifecycle
from state.models import Host, Instance, Volume
from state.statements import Statement, listed
from translators.ec2.instances import instance_errors
from translators.registry import Context
from translators.settings import GIB, MIB

MOST_VMS: Final = 1024
"""Running VMs on one host."""
_MOST_PROCESSORS: Final = {1: 64, 2: 240}
"""Generation of a VM -> virtual processors, on every version of Hyper-V."""
_MOST_MEMORY: Final = {1: 1024 * GIB, 2: 12 * 1024 * GIB}
_IDLE: Final = ("stopped", "terminated")
"""Phases that hold neither memory nor processors."""


# Disks grow as they are written to. A launch wants room for the whole of its own, beside those of
# the launches that the last survey did not see yet.
_AWAITED: Final = (
    sa.select(sa.func.coalesce(sa.func.sum(Volume.size_gib), 0))
    .join(Instance, Instance.key == Volume.instance_key)
    .where(Instance.host_key == Host.key, Instance.phase == "pending")
    .correlate(Host)
    .scalar_subquery()
)
_SURVEYED: Final = sa.select(
    Host.key,
    Host.zone_letter,
    Host.processors,
    Host.memory_bytes,
    Host.free_disk_bytes,
    Host.foreign_vms,
    Host.foreign_memory_bytes,
    Host.switches,
    _AWAITED.label("awaited_gib"),
).where(Host.surveyed_at.is_not(None))
_OPEN: Final = Statement(
    _SURVEYED.where(
        Host.region.in_((sa.bindparam("region"), "*")),
        Host.zone_letter.in_(listed("letters", sa.String)),
        Host.state == "active",
        Host.reachable,
    )
)
_NAMED: Final = Statement(_SURVEYED.where(Host.key.in_(listed("hosts", sa.BigInteger))))
_USED: Final = Statement(
    sa.select(
        Instance.host_key,
        sa.func.count(),
        sa.func.sum(Instance.memory_bytes),
        sa.func.sum(Instance.processors),
    )
    .where(
        Instance.host_key.in_(listed("hosts", sa.BigInteger)),
        Instance.phase.in_([phase for phase in lifecycle.PHASES if phase not in _IDLE]),
    )
    .group_by(Instance.host_key)
)


@dataclass(frozen=True, slots=True)
class Need:
    """What one instance takes of a host."""

    processors: int
    memory_bytes: int


@dataclass(slots=True)
class Room:
    """What is left on one host."""

    host_key: int
    zone_letter: str
    host_processors: int
    memory_bytes: int
    processors: float
    vms: int
    disk_bytes: int
    switches: frozenset[str] = frozenset()

    def fits(self, need: Need, disk_bytes: int = 0) -> bool:
        return (
            self.vms >= 1
            and self.memory_bytes >= need.memory_bytes
            and self.processors >= need.processors
            and self.host_processors >= need.processors
            and self.disk_bytes >= disk_bytes
        )

    def take(self, need: Need, disk_bytes: int = 0) -> None:
        self.vms -= 1
        self.memory_bytes -= need.memory_bytes
        self.processors -= need.processors
        self.disk_bytes -= disk_bytes


def check(need: Need, generation: int) -> None:
    """Refuse what no host gives to a VM of that generation.

    :raises Ec2Error: ``Unsupported``
    """
    if (
        need.processors > _MOST_PROCESSORS[generation]
        or need.memory_bytes > _MOST_MEMORY[generation]
    ):
        raise instance_errors.unsupported_configuration()


def rooms(ctx: Context, letters: Collection[str]) -> dict[str, list[Room]]:
    """Zone letter -> what is left on its hosts that can be launched on now."""
    asked = {"region": ctx.region, "letters": list(letters)}
    found: dict[str, list[Room]] = {}
    for room in _rooms(ctx, _OPEN, asked):
        found.setdefault(room.zone_letter, []).append(room)
    return found


def on_switch(rooms: Iterable[Room], switch: str) -> list[Room]:
    """Leave out hosts that lack the virtual switch of a network; Windows ignores a name's case."""
    return [room for room in rooms if switch.casefold() in room.switches]


def place(rooms: Iterable[Room], need: Need, disk_bytes: int, most: int) -> list[int]:
    """Spread as many instances as fit, at most so many; answer a host's key for each.

    The rooms are used up.
    """
    heap = [(-room.memory_bytes, room.host_key, room) for room in rooms]
    heapq.heapify(heap)
    placed: list[int] = []
    while heap and len(placed) < most:
        _, key, room = heap[0]
        if not room.fits(need, disk_bytes):
            heapq.heappop(heap)
            continue
        room.take(need, disk_bytes)
        placed.append(key)
        heapq.heapreplace(heap, (-room.memory_bytes, key, room))
    return placed


def can_start(ctx: Context, needs: Sequence[tuple[int, Need]]) -> bool:
    """Tell whether stopped instances, each on its own host, can all run again.

    A host out of reach is judged by what was last known of it.
    """
    if not needs:
        return True
    hosts = list({host_key for host_key, _ in needs})
    left = {room.host_key: room for room in _rooms(ctx, _NAMED, {"hosts": hosts})}
    for host_key, need in needs:
        room = left.get(host_key)
        if room is None or not room.fits(need):
            return False
        room.take(need)
    return True


def _rooms(ctx: Context, query: Statement, asked: Mapping[str, Any]) -> list[Room]:
    hosts = query.named(ctx.session, asked)
    if not hosts:
        return []
    used = {
        key: (count, memory, processors)
        for key, count, memory, processors in _USED.run(
            ctx.session, {"hosts": [host.key for host in hosts]}
        )
    }
    reserved = ctx.settings.host_reserved_memory_mib * MIB
    left: list[Room] = []
    for host in hosts:
        count, memory, processors = used.get(host.key, (0, 0, 0))
        left.append(
            Room(
                host_key=host.key,
                zone_letter=host.zone_letter,
                host_processors=host.processors or 0,
                memory_bytes=(host.memory_bytes or 0)
                - host.foreign_memory_bytes
                - reserved
                - memory,
                processors=(host.processors or 0) * ctx.settings.processor_overcommit - processors,
                vms=MOST_VMS - host.foreign_vms - count,
                disk_bytes=(host.free_disk_bytes or 0) - host.awaited_gib * GIB,
                switches=frozenset(name.casefold() for name in host.switches),
            )
        )
    return left
