"""RunInstances: the intent of a launch, written in one transaction, answered at once.

Source: EC2 API Reference, RunInstances; EC2 User Guide, "Ensuring idempotency in Amazon EC2 API
requests".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import lifecycle, recovering
from state.models import Instance, Reservation
from state.statements import Statement
from translators import errors, snapshots, zones
from translators.ec2.instances import (
    addresses,
    block_devices,
    instance_errors,
    launched,
    password,
    placement,
    requested,
    targets,
    views,
)
from translators.registry import Context, Result, action
from translators.settings import GIB, MIB

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import RunInstancesRequestTypeDef

# Statements are made once: to make one costs several times what it costs to run it.
_COUNT: Final = Statement(
    sa.select(sa.func.count()).where(
        Instance.account_key == sa.bindparam("account"),
        Instance.region == sa.bindparam("region"),
        Instance.phase.in_([phase for phase in lifecycle.PHASES if phase != "terminated"]),
    )
)
_LAUNCHED: Final = (
    sa.select(Instance.key)
    .join(Reservation, Reservation.key == Instance.reservation_key)
    .where(
        Reservation.id == sa.bindparam("reservation"),
        Reservation.account_key == sa.bindparam("account"),
        views.LISTED,
    )
    .order_by(Instance.key)
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What each instance of a launch takes of a host, and which hosts have the disks it is of."""

    need: placement.Need
    disk_bytes: int
    having: frozenset[int] | None

    def reach(self, rooms: Iterable[placement.Room]) -> list[placement.Room]:
        """Leave out hosts that lack a file; None having it means that all have."""
        return [one for one in rooms if self.having is None or one.host_key in self.having]


def replay(ctx: Context, answer: Mapping[str, Any]) -> Result:
    """Show what an earlier launch with the same ClientToken made, as it is now.

    :raises Ec2Error: ``IdempotentInstanceTerminated``
    """
    asked = {"reservation": answer["ReservationId"], "account": ctx.account_key}
    found = ctx.session.connection().scalars(_LAUNCHED, {**asked, **views.listed_since(ctx)})
    keys = list(found)
    made = views.load(ctx, keys)
    if all(shown["State"]["Name"] == "terminated" for shown in made.values()):
        raise instance_errors.idempotent_instance_terminated()
    return launched.answer(ctx, answer["ReservationId"], [made[key] for key in keys])


@action("RunInstances", changes=True, prepare=requested.read, replay=replay)
def run_instances(ctx: Context, request: RunInstancesRequestTypeDef) -> Result:
    """Write down new instances, as many between MinCount and MaxCount as there is room for.

    All go to one subnet, so to one zone; within it each to the host with the most free memory.

    :raises Ec2Error: see `requested` and `targets`; ``InsufficientInstanceCapacity``,
        ``InsufficientFreeAddressesInSubnet``, ``InstanceLimitExceeded``, ``Unavailable``,
        ``Unsupported``
    """
    if not recovering.may_place(ctx.session):
        raise errors.unavailable()  # VMs may hold addresses that the state does not know of
    launch: requested.Launch = ctx.prepared
    image = targets.image(ctx, launch)
    disks = block_devices.read(ctx, image, launch.block_devices)
    having = snapshots.hosts_with(ctx.session, disks.snapshot_keys)
    need = placement.Need(launch.processors, launch.type.memory_mib * MIB)
    placement.check(need, image.generation)
    public_key = targets.public_key(ctx, launch.key_name)
    password.check_key(image, public_key)
    if launch.interface_id is not None:
        targets.refuse_interface(ctx, launch.interface_id)
    candidates = targets.subnets(ctx, launch)
    if launch.private_ip is not None:
        candidates = [addresses.holder(candidates, launch.private_ip)]
    groups = targets.groups(ctx, launch, candidates[0])
    most = min(launch.maximum, _allowed(ctx, launch.minimum))
    wanted = _Wanted(need, disks.size_gib * GIB, having)
    place = _place(ctx, launch, candidates, wanted, most)
    if having is not None:
        snapshots.send_for(ctx, disks.snapshot_keys, set(place.hosts))
    return launched.write(
        ctx, launch, launched.Subject(image, disks, need, public_key, groups), place
    )


def _allowed(ctx: Context, minimum: int) -> int:
    """Say how many more instances the account may have.

    :raises Ec2Error: ``InstanceLimitExceeded``
    """
    limit = ctx.settings.instance_limit
    asked = {"account": ctx.account_key, "region": ctx.region}
    left: int = limit - _COUNT.scalar(ctx.session, asked)
    if left < minimum:
        raise instance_errors.instance_limit_exceeded(minimum, limit)
    return left


def _place(
    ctx: Context,
    launch: requested.Launch,
    candidates: Sequence[Any],
    wanted: _Wanted,
    most: int,
) -> launched.Place:
    """Choose the subnet whose zone has room for the most of them, then hosts and addresses."""
    # A VPC has one default subnet in a zone, so no two candidates share hosts.
    letters = {subnet.zone.removeprefix(ctx.region): subnet for subnet in candidates}
    offers = _offers(ctx, launch, letters, wanted, most)
    if not offers and wanted.having is not None and ctx.settings.depot is not None:
        # Where its disks are there is no room: they are sent for.
        offers = _offers(ctx, launch, letters, dataclasses.replace(wanted, having=None), most)
    if not offers:
        raise _no_capacity(ctx, launch, candidates, wanted)
    offers.sort(key=lambda offer: (len(offer[0]), offer[1]), reverse=True)
    if launch.private_ip is not None:
        hosts, _, subnet = offers[0]
        return launched.Place(subnet, hosts[:1], [addresses.claim(ctx, subnet, launch.private_ip)])
    for hosts, _, subnet in offers:
        found = addresses.take(ctx, subnet, len(hosts))
        if len(found) >= launch.minimum:
            return launched.Place(subnet, hosts[: len(found)], found)
    raise errors.insufficient_free_addresses_in_subnet(offers[0][2].id)


def _offers(
    ctx: Context,
    launch: requested.Launch,
    letters: Mapping[str, Any],
    wanted: _Wanted,
    most: int,
) -> list[tuple[list[int], int, Any]]:
    """List for each zone with room for MinCount: hosts, free memory, the subnet."""
    rooms = placement.rooms(ctx, letters)
    offers: list[tuple[list[int], int, Any]] = []
    for letter, subnet in letters.items():
        reached = placement.on_switch(wanted.reach(rooms.get(letter, ())), subnet.switch)
        free_bytes = sum(room.memory_bytes for room in reached)
        hosts = placement.place(reached, wanted.need, wanted.disk_bytes, most)
        if len(hosts) >= launch.minimum:
            offers.append((hosts, free_bytes, subnet))
    return offers


def _no_capacity(
    ctx: Context,
    launch: requested.Launch,
    candidates: Sequence[Any],
    wanted: _Wanted,
) -> errors.Ec2Error:
    name = launch.type.name
    if launch.subnet_id is None and launch.zone is None and launch.zone_id is None:
        return instance_errors.insufficient_capacity_anywhere(name)
    zone = candidates[0].zone
    others = [one for one in zones.zones(ctx.session, ctx.region) if one.name != zone]
    rooms = placement.rooms(ctx, [other.letter for other in others])
    roomy = [
        other.name
        for other in others
        if len(
            placement.place(
                wanted.reach(rooms.get(other.letter, ())),
                wanted.need,
                wanted.disk_bytes,
                launch.minimum,
            )
        )
        == launch.minimum
    ]
    return instance_errors.insufficient_instance_capacity(name, zone, roomy)
