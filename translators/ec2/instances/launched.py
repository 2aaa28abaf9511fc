"""The rows that a launch writes, and how they are answered without being read back.

Source: EC2 API Reference, RunInstances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from state import ids
from state.models import (
    Instance,
    InterfaceGroup,
    InterfaceRules,
    NetworkInterface,
    Reservation,
    Seed,
    Tag,
    Volume,
)
from state.statements import Insertion
from translators.ec2.instances import (
    block_devices,
    password,
    placement,
    requested,
    seed_rows,
    views,
)
from translators.registry import Context, Result

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import InstanceTypeDef

_RESERVATIONS: Final = Insertion(Reservation)
_INSTANCES: Final = Insertion(Instance)
_INTERFACES: Final = Insertion(NetworkInterface)
_GROUPS: Final = Insertion(InterfaceGroup)
_RULES: Final = Insertion(InterfaceRules)
_VOLUMES: Final = Insertion(Volume)
_SEEDS: Final = Insertion(Seed)
_TAGS: Final = Insertion(Tag)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is launched."""

    image: Any
    disks: block_devices.Disks
    need: placement.Need
    public_key: str | None
    groups: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a launch goes: a subnet, and for each instance a host and an address."""

    subnet: Any
    hosts: Sequence[int]
    addresses: Sequence[str]


def write(ctx: Context, launch: requested.Launch, subject: Subject, place: Place) -> Result:
    session = ctx.session
    owner = {"account_key": ctx.account_key, "region": ctx.region}
    reservation_id = ids.mint("r")
    [reservation_key] = _RESERVATIONS.run(session, [{"id": reservation_id, **owner}])
    new_ids = [ids.mint("i") for _ in place.hosts]
    chosen = launch.metadata_options
    rows = [
        {
            "id": new_id,
            **owner,
            "reservation_key": reservation_key,
            "launch_index": index,
            "host_key": host_key,
            "password_data": password.of_disc(
                ctx.settings, subject.image, subject.public_key, new_id, chosen
            ),
            **_instance(ctx, launch, subject, place.subnet),
        }
        for index, (new_id, host_key) in enumerate(zip(new_ids, place.hosts, strict=True))
    ]
    keys = _INSTANCES.run(session, rows)
    interfaces = [
        {**owner, **_interface(ctx, launch, place.subnet, key, address)}
        for key, address in zip(keys, place.addresses, strict=True)
    ]
    interface_keys = _INTERFACES.run(session, interfaces)
    _GROUPS.run(
        session,
        [
            {"interface_key": interface_key, "group_key": group.key}
            for interface_key in interface_keys
            for group in subject.groups
        ],
    )
    _RULES.run(session, [{"interface_key": key, "changed_at": ctx.now} for key in interface_keys])
    disks = (subject.disks.root, *subject.disks.others)
    volumes = [
        {**owner, **_volume(ctx, subject, disk, place.subnet.zone, key, host_key)}
        for key, host_key in zip(keys, place.hosts, strict=True)
        for disk in disks
    ]
    volume_keys = _VOLUMES.run(session, volumes)
    disc = seed_rows.of_launch(subject.image, subject.public_key, ctx.settings, chosen, ctx.now)
    if disc is not None:
        _SEEDS.run(session, [{"instance_key": key, **disc} for key in keys])
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
    _TAGS.run(session, tags)
    ctx.wake.update(place.hosts)
    mapped: list[list[views.Row]] = [
        [*volumes[first : first + len(disks)]] for first in range(0, len(volumes), len(disks))
    ]
    shown = _shown(ctx, launch, subject, place, list(zip(rows, interfaces, mapped, strict=True)))
    return answer(ctx, reservation_id, shown)


def _instance(
    ctx: Context, launch: requested.Launch, subject: Subject, subnet: Any
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
    ctx: Context,
    subject: Subject,
    disk: block_devices.Disk,
    zone: str,
    instance_key: int,
    host_key: int,
) -> dict[str, Any]:
    is_root = disk.location is None
    volume_id = ids.mint("vol")
    return {
        "id": volume_id,
        "zone": zone,
        "host_key": host_key,
        **disk.volume.columns(),
        "snapshot_id": disk.snapshot_id,
        "snapshot_key": disk.snapshot_key,
        "image_key": subject.image.key if is_root else None,
        "state": "creating",
        "phase_since": ctx.now,
        "created_at": ctx.now,
        "instance_key": instance_key,
        "device": disk.device,
        "location": disk.location,
        "attachment_state": "attaching",
        "attach_time": ctx.now,
        "delete_on_termination": disk.delete_on_termination,
        "file_name": block_devices.ROOT_FILE if is_root else f"volumes/{volume_id}.vhdx",
    }


# -- the answer


def _shown(
    ctx: Context,
    launch: requested.Launch,
    subject: Subject,
    place: Place,
    made: Sequence[tuple[views.Row, views.Row, list[views.Row]]],
) -> list[InstanceTypeDef]:
    """Shape what was just written, without reading it back."""
    also = {
        "vpc_id": place.subnet.vpc_id,
        "subnet_id": place.subnet.id,
        "architecture": subject.image.architecture,
        "boot_mode": subject.image.boot_mode,
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
                volumes=volumes,
                tags=[
                    {"Key": name, "Value": launch.tags["instance"][name]}
                    for name in sorted(launch.tags["instance"])
                ],
            ),
        )
        for row, interface, volumes in made
    ]


def answer(ctx: Context, reservation_id: str, instances: Sequence[InstanceTypeDef]) -> Result:
    return {
        "ReservationId": reservation_id,
        "OwnerId": ctx.account_id,
        "Groups": [],
        "Instances": list(instances),
    }
