"""RunInstances: the intent of a launch, written in one transaction, answered at once.

Source: EC2 API Reference, RunInstances; EC2 User Guide, "Ensuring idempotency in Amazon EC2 API
requests".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids, lifecycle
from state.models import (
    Instance,
    InterfaceGroup,
    NetworkInterface,
    Reservation,
    Tag,
    Volume,
    Work,
)
from translators import errors, zones
from translators.ec2.instances import (
    addresses,
    block_devices,
    instance_errors,
    placement,
    requested,
    targets,
    views,
)
from translators.registry import Context, Result, action
from translators.settings import GIB, MIB

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef, RunInstancesRequestTypeDef

_MOST_PROCESSORS: Final = {1: 64, 2: 240}
"""Generation of a VM -> virtual processors, on every version of Hyper-V."""
_MOST_MEMORY: Final = {1: 1024 * GIB, 2: 12 * 1024 * GIB}

# Statements are made once: to make one costs several times what it costs to run it.
_COUNT: Final = sa.select(sa.func.count()).where(
    Instance.account_key == sa.bindparam("account"),
    Instance.region == sa.bindparam("region"),
    Instance.phase.in_([phase for phase in lifecycle.PHASES if phase != "terminated"]),
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
_INSERT: Final[Mapping[type[Any], Any]] = {
    model: sa.insert(model).returning(model.key, sort_by_parameter_order=True)
    for model in (Reservation, Instance, NetworkInterface, Volume)
}
_INSERT_GROUPS: Final = sa.insert(InterfaceGroup)
_INSERT_TAGS: Final = sa.insert(Tag)
_INSERT_WORK: Final = sa.insert(Work)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a launch goes: a subnet, and for each instance a host and an address."""

    subnet: Any
    hosts: Sequence[int]
    addresses: Sequence[str]


def replay(ctx: Context, answer: Mapping[str, Any]) -> Result:
    """Show what an earlier launch with the same ClientToken made, as it is now.

    :raises Ec2Error: ``IdempotentInstanceTerminated``
    """
    asked = {"reservation": answer["ReservationId"], "account": ctx.account_key}
    found = ctx.session.connection().scalars(_LAUNCHED, {**asked, **views.listed_since(ctx)})
    keys = list(found)
    made = views.load(ctx, keys)
    if all(shown["State"]["Name"] == "terminated" for shown in made.values()):
        raise errors.idempotent_instance_terminated()
    return _answer(ctx, answer["ReservationId"], [made[key] for key in keys])


@action("RunInstances", changes=True, prepare=requested.read, replay=replay)
def run_instances(ctx: Context, request: RunInstancesRequestTypeDef) -> Result:
    """Write down new instances, as many between MinCount and MaxCount as there is room for.

    All go to one subnet, so to one zone; within it each to the host with the most free memory.

    :raises Ec2Error: see `requested` and `targets`; ``InsufficientInstanceCapacity``,
        ``InsufficientFreeAddressesInSubnet``, ``InstanceLimitExceeded``, ``Unsupported``
    """
    launch: requested.Launch = ctx.prepared
    image = targets.image(ctx, launch)
    root = block_devices.root(image, launch.block_devices)
    need = placement.Need(launch.processors, launch.type.memory_mib * MIB)
    if (
        need.processors > _MOST_PROCESSORS[image.generation]
        or need.memory_bytes > _MOST_MEMORY[image.generation]
    ):
        raise instance_errors.unsupported_configuration()
    public_key = targets.public_key(ctx, launch.key_name)
    if launch.interface_id is not None:
        targets.refuse_interface(ctx, launch.interface_id)
    candidates = targets.subnets(ctx, launch)
    groups = targets.groups(ctx, launch, candidates[0])
    most = min(launch.maximum, _allowed(ctx, launch.minimum))
    place = _place(ctx, launch, candidates, need, root.size_gib * GIB, most)
    return _write(ctx, launch, _Subject(image, root, need, public_key, groups), place)


def _allowed(ctx: Context, minimum: int) -> int:
    """Say how many more instances the account may have.

    :raises Ec2Error: ``InstanceLimitExceeded``
    """
    limit = ctx.settings.instance_limit
    asked = {"account": ctx.account_key, "region": ctx.region}
    left = limit - (ctx.session.connection().scalar(_COUNT, asked) or 0)
    if left < minimum:
        raise errors.instance_limit_exceeded(minimum, limit)
    return left


def _place(
    ctx: Context,
    launch: requested.Launch,
    candidates: Sequence[Any],
    need: placement.Need,
    disk_bytes: int,
    most: int,
) -> _Place:
    """Choose the subnet whose zone has room for the most of them, then hosts and addresses."""
    letters = {subnet.zone.removeprefix(ctx.region): subnet for subnet in candidates}
    rooms = placement.rooms(ctx, letters)
    offers = [
        (len(hosts), free, hosts, subnet)
        for letter, subnet in letters.items()
        for free in [sum(room.memory_bytes for room in rooms.get(letter, ()))]
        for hosts in [placement.place(rooms.get(letter, ()), need, disk_bytes, most)]
    ]
    offers.sort(key=lambda offer: offer[:2], reverse=True)
    fitting = [offer for offer in offers if offer[0] >= launch.minimum]
    if not fitting:
        raise _no_capacity(ctx, launch, candidates, need, disk_bytes)
    if launch.private_ip is not None:
        _, _, hosts, subnet = fitting[0]
        return _Place(subnet, hosts[:1], [addresses.claim(ctx, subnet, launch.private_ip)])
    for _, _, hosts, subnet in fitting:
        found = addresses.take(ctx, subnet, len(hosts))
        if len(found) >= launch.minimum:
            return _Place(subnet, hosts[: len(found)], found)
    raise errors.insufficient_free_addresses_in_subnet(fitting[0][3].id)


def _no_capacity(
    ctx: Context,
    launch: requested.Launch,
    candidates: Sequence[Any],
    need: placement.Need,
    disk_bytes: int,
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
        if len(placement.place(rooms.get(other.letter, ()), need, disk_bytes, launch.minimum))
        == launch.minimum
    ]
    return errors.insufficient_instance_capacity(name, zone, roomy)


# -- rows


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is launched."""

    image: Any
    root: block_devices.Root
    need: placement.Need
    public_key: str | None
    groups: Sequence[Any]


def _write(ctx: Context, launch: requested.Launch, subject: _Subject, place: _Place) -> Result:
    connection = ctx.session.connection()
    owner = {"account_key": ctx.account_key, "region": ctx.region}
    reservation_id = ids.mint("r")
    [reservation_key] = _insert(connection, Reservation, [{"id": reservation_id, **owner}])
    rows = [
        {
            "id": ids.mint("i"),
            **owner,
            "reservation_key": reservation_key,
            "launch_index": index,
            "host_key": host_key,
            **_instance(ctx, launch, subject, place.subnet),
        }
        for index, host_key in enumerate(place.hosts)
    ]
    keys = _insert(connection, Instance, rows)
    interfaces = [
        {**owner, **_interface(ctx, launch, place.subnet, key, address)}
        for key, address in zip(keys, place.addresses, strict=True)
    ]
    interface_keys = _insert(connection, NetworkInterface, interfaces)
    connection.execute(
        _INSERT_GROUPS,
        [
            {"interface_key": interface_key, "group_key": group.key}
            for interface_key in interface_keys
            for group in subject.groups
        ],
    )
    volumes = [
        {**owner, **_volume(ctx, subject, place.subnet.zone, key, host_key)}
        for key, host_key in zip(keys, place.hosts, strict=True)
    ]
    volume_keys = _insert(connection, Volume, volumes)
    made = {
        "instance": list(zip(keys, rows, strict=True)),
        "network-interface": list(zip(interface_keys, interfaces, strict=True)),
        "volume": list(zip(volume_keys, volumes, strict=True)),
    }
    tags = [
        {
            "resource_type": kind,
            "resource_key": key,
            "resource_id": row["id"],
            "key": name,
            "value": value,
            **owner,
        }
        for kind, listed in made.items()
        for name, value in launch.tags[kind].items()
        for key, row in listed
    ]
    if tags:
        connection.execute(_INSERT_TAGS, tags)
    connection.execute(_INSERT_WORK, [{"instance_key": key, "tries": 0} for key in keys])
    ctx.wake.update(place.hosts)
    shown = _shown(ctx, launch, subject, place, list(zip(rows, interfaces, volumes, strict=True)))
    return _answer(ctx, reservation_id, shown)


def _insert(
    connection: sa.Connection, model: type[Any], rows: Sequence[dict[str, Any]]
) -> list[int]:
    """Insert the rows in bulk; answer their keys in the same order."""
    return list(connection.execute(_INSERT[model], rows).scalars())


def _instance(
    ctx: Context, launch: requested.Launch, subject: _Subject, subnet: Any
) -> dict[str, Any]:
    image = subject.image
    options = launch.options
    if subject.public_key is not None:
        # The guest gets it from here: the pair may be deleted before the guest is made.
        options = {**launch.options, "PublicKey": subject.public_key}
    return {
        "image_id": image.id,
        "image_key": image.key,
        "type": launch.type.name,
        "processors": subject.need.processors,
        "memory_bytes": subject.need.memory_bytes,
        "key_name": launch.key_name,
        "zone": subnet.zone,
        "vpc_key": subnet.vpc_key,
        "subnet_key": subnet.key,
        "phase": "pending",
        "generation": 1,
        "phase_since": ctx.now,
        "launch_time": ctx.now,
        "state_reason_code": None,
        "state_reason_message": None,
        "transition_reason": "",
        "source_dest_check": True,
        "platform": image.platform,
        "vm_generation": image.generation,
        "root_device_name": image.root_device_name,
        "options": options,
        **launch.columns,
    }


def _interface(
    ctx: Context, launch: requested.Launch, subnet: Any, instance_key: int, address: str
) -> dict[str, Any]:
    return {
        "id": ids.mint("eni"),
        "vpc_key": subnet.vpc_key,
        "subnet_key": subnet.key,
        "network_key": subnet.network_key,
        "zone": subnet.zone,
        "description": launch.interface_description,
        "mac": ids.mint_mac(),
        "private_ip": address,
        "source_dest_check": True,
        "status": "in-use",
        "instance_key": instance_key,
        "device_index": 0,
        "attachment_id": ids.mint("eni-attach"),
        "attachment_status": "attaching",
        "attach_time": ctx.now,
        "delete_on_termination": True,
    }


def _volume(
    ctx: Context, subject: _Subject, zone: str, instance_key: int, host_key: int
) -> dict[str, Any]:
    root = subject.root
    return {
        "id": ids.mint("vol"),
        "zone": zone,
        "host_key": host_key,
        "size_gib": root.size_gib,
        "type": root.type,
        "iops": root.iops,
        "throughput": root.throughput,
        "snapshot_id": subject.image.snapshot_id,
        "image_key": subject.image.key,
        "state": "creating",
        "created_at": ctx.now,
        "instance_key": instance_key,
        "device": root.device,
        "attachment_state": "attaching",
        "attach_time": ctx.now,
        "delete_on_termination": root.delete_on_termination,
        "file_name": block_devices.ROOT_FILE,
    }


# -- the answer


def _shown(
    ctx: Context,
    launch: requested.Launch,
    subject: _Subject,
    place: _Place,
    made: Sequence[tuple[views.Row, views.Row, views.Row]],
) -> list[InstanceTypeDef]:
    """Shape what was just written, without reading it back."""
    also = {
        "vpc_id": place.subnet.vpc_id,
        "subnet_id": place.subnet.id,
        "architecture": subject.image.architecture,
    }
    return [
        views.instance(
            ctx,
            {**row, **also},
            views.Parts(
                interfaces=[
                    (
                        interface,
                        [
                            {"GroupId": group.id, "GroupName": group.name}
                            for group in subject.groups
                        ],
                    )
                ],
                volumes=[volume],
                tags=[
                    {"Key": name, "Value": launch.tags["instance"][name]}
                    for name in sorted(launch.tags["instance"])
                ],
            ),
        )
        for row, interface, volume in made
    ]


def _answer(ctx: Context, reservation_id: str, instances: Sequence[InstanceTypeDef]) -> Result:
    return {
        "ReservationId": reservation_id,
        "OwnerId": ctx.account_id,
        "Groups": [],
        "Instances": list(instances),
    }
