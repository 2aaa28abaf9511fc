"""Which host a new volume lives on: the one of the zone with the most free disk.

Disks grow as they are written to; as a launch does, a volume wants room for the whole of itself.

Source: EC2 API Reference, CreateVolume, for InsufficientVolumeCapacity.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from state import recovering
from state.models import Host, Instance, Volume
from state.statements import Statement, listed
from translators import errors, snapshots
from translators.ec2.volumes import volume_errors
from translators.registry import Context
from translators.settings import GIB

# What the last survey did not see yet: volumes and launches that are still being made.
_MAKING: Final = (
    sa.select(sa.func.coalesce(sa.func.sum(Volume.size_gib), 0))
    .where(Volume.host_key == Host.key, Volume.phase.in_(("creating", "moving")))
    .correlate(Host)
    .scalar_subquery()
)
_LAUNCHING: Final = (
    sa.select(sa.func.coalesce(sa.func.sum(Volume.size_gib), 0))
    .join(Instance, Instance.key == Volume.instance_key)
    .where(Instance.host_key == Host.key, Instance.phase == "pending", Volume.phase == "in-use")
    .correlate(Host)
    .scalar_subquery()
)
_FREE: Final = sa.select(
    Host.key,
    (sa.func.coalesce(Host.free_disk_bytes, 0) - GIB * (_MAKING + _LAUNCHING)).label("free"),
).where(Host.surveyed_at.is_not(None))
_OPEN: Final = Statement(
    _FREE.where(
        Host.region.in_((sa.bindparam("region"), "*")),
        Host.zone_letter == sa.bindparam("letter"),
        Host.state == "active",
        Host.reachable,
    )
)
_NAMED: Final = Statement(_FREE.where(Host.key.in_(listed("hosts", sa.BigInteger))))


def choose(ctx: Context, zone: str, size_gib: int, snapshot_key: int | None) -> int:
    """Choose the host of a new volume; one from a snapshot goes where the snapshot's file is.

    Where that has no room, the file is sent for if it can be.

    :raises Ec2Error: ``InsufficientVolumeCapacity``, ``Unavailable``
    """
    if not recovering.may_place(ctx.session):
        raise errors.unavailable()  # of what the hosts have the state knows too little
    having: Collection[int] | None = None
    if snapshot_key is not None:
        having = snapshots.hosts_with(ctx.session, [snapshot_key])
    asked = {"region": ctx.region, "letter": zone.removeprefix(ctx.region)}
    rooms = [(free, -key) for key, free in _OPEN.run(ctx.session, asked) if free >= size_gib * GIB]
    near = [one for one in rooms if having is None or -one[1] in having]
    if not near and (not rooms or ctx.settings.depot is None):
        raise volume_errors.insufficient_volume_capacity()
    chosen: int = -max(near or rooms)[1]
    if snapshot_key is not None and not near:
        snapshots.send_for(ctx, [snapshot_key], [chosen])
    return chosen


def check_room(ctx: Context, host_key: int, more_gib: int) -> None:
    """Refuse what a host has no room for, as far as is known of it.

    :raises Ec2Error: ``InsufficientVolumeCapacity``
    """
    rooms = dict(_NAMED.run(ctx.session, {"hosts": [host_key]}))
    if rooms.get(host_key, 0) < more_gib * GIB:
        raise volume_errors.insufficient_volume_capacity()
