"""What is true of one instance, as its guest is told: read once, the same for disc and metadata.

Source: EC2 User Guide, "Instance metadata categories".
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.statements import Statement
from translators import zones
from translators.guests import policy
from translators.settings import Guest

METADATA_OPTIONS: Final[Mapping[str, Any]] = {
    "HttpTokens": "optional",
    "HttpPutResponseHopLimit": 1,
    "HttpEndpoint": "enabled",
    "HttpProtocolIpv6": "disabled",
    "InstanceMetadataTags": "disabled",
}
"""What an instance has whose owner said nothing of them."""


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface and the network that it is on; addresses without a prefix."""

    id: str
    device_index: int
    mac: str  # lower case, with colons
    private_ip: str
    private_dns_name: str
    owner_id: str
    subnet_id: str
    subnet_cidr: str
    vpc_id: str
    vpc_cidr: str
    group_ids: tuple[str, ...]
    group_names: tuple[str, ...]
    router: str
    prefix_length: int
    """Of the layer 2 that the guest is on: its neighbours, whatever subnets they are in."""
    dns: tuple[str, ...]
    network: str = ""
    """The name of that layer 2 in the configuration."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A mapped disk: EC2's device name, and which it is (`root`, `ami`, `ebs1`...)."""

    name: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a guest is told; times are aware UTC."""

    instance_key: int
    version: int
    id: str
    account_id: str
    region: str
    zone: str
    zone_id: str
    partition: str
    image_id: str
    type: str
    architecture: str
    platform: str | None
    """`windows` or None."""
    reservation_id: str
    launch_index: int
    launched_at: dt.datetime
    hostname: str
    """With its domain: ip-10-0-0-4.ec2.internal."""
    domain: str
    key_name: str | None
    public_key: str | None
    """In OpenSSH's form, as authorized_keys has it."""
    user_data: bytes | None
    interfaces: tuple[Interface, ...]
    """By device index; the first is the primary one."""
    disks: tuple[Disk, ...]
    tags: Mapping[str, str]
    options: Mapping[str, Any]
    """MetadataOptions as the owner set them, with EC2's defaults."""
    guest: Guest
    """The deployment's [guest] with what the image says otherwise."""
    password_data: str | None


def read(session: Session, instance_key: int, deployment: Guest) -> Facts | None:
    """Read all that is told of an instance; None when there is none (any more).

    An instance that has given its interface back has no facts: it has no guest either.
    """
    found = _INSTANCE.named(session, {"key": instance_key})
    if not found:
        return None
    [instance] = found
    interfaces = tuple(
        _interface(session, instance, row)
        for row in _INTERFACES.named(session, {"key": instance_key})
    )
    if not interfaces:
        return None
    return Facts(
        instance_key=instance.key,
        version=instance.version,
        id=instance.id,
        account_id=instance.account_id,
        region=instance.region,
        zone=instance.zone,
        zone_id=zones.zone_id(instance.region, instance.zone.removeprefix(instance.region)),
        partition=zones.partition(instance.region),
        image_id=instance.image_id,
        type=instance.type,
        architecture=instance.architecture,
        platform=instance.platform,
        reservation_id=instance.reservation_id,
        launch_index=instance.launch_index,
        launched_at=instance.launch_time,
        hostname=interfaces[0].private_dns_name,
        domain=zones.domain(instance.region),
        key_name=instance.key_name,
        public_key=instance.options.get("PublicKey"),
        user_data=instance.user_data,
        interfaces=interfaces,
        disks=_disks(session, instance),
        tags=dict(_TAGS.run(session, {"key": instance_key})),
        options={**METADATA_OPTIONS, **instance.metadata_options},
        guest=policy.of_image(deployment, instance.image_guest),
        password_data=instance.password_data,
    )


def _interface(session: Session, instance: Any, row: Any) -> Interface:
    groups = _GROUPS.named(session, {"interface": row.key})
    whole = ipaddress.IPv4Network(row.network_cidr)
    return Interface(
        id=row.id,
        device_index=row.device_index,
        mac=row.mac.lower(),
        private_ip=row.private_ip,
        private_dns_name=zones.private_dns_name(
            instance.region, instance.id, instance.options, row.private_ip
        ),
        owner_id=instance.account_id,
        subnet_id=row.subnet_id,
        subnet_cidr=row.subnet_cidr,
        vpc_id=instance.vpc_id,
        vpc_cidr=instance.vpc_cidr,
        group_ids=tuple(one.id for one in groups),
        group_names=tuple(one.name for one in groups),
        router=row.router or str(whole.network_address + 1),
        prefix_length=whole.prefixlen,
        dns=tuple(row.dns),
        network=row.network_name,
    )


def _disks(session: Session, instance: Any) -> tuple[Disk, ...]:
    root = instance.root_device_name
    found = [Disk("ami", root.removeprefix("/dev/")), Disk("root", root)]
    extra = _DISKS.named(session, {"key": instance.key})
    for number, row in enumerate(extra, start=1):
        found.append(Disk(f"ebs{number}", row.device.removeprefix("/dev/")))
    return tuple(found)


# Statements are made once: to make one costs several times what it costs to run it.

_KEY: Final = sa.bindparam("key", type_=sa.BigInteger)
_INSTANCE: Final = Statement(
    sa.select(
        models.Instance.key,
        models.Instance.version,
        models.Instance.id,
        models.Instance.region,
        models.Instance.zone,
        models.Instance.image_id,
        models.Instance.type,
        models.Instance.platform,
        models.Instance.launch_index,
        models.Instance.launch_time,
        models.Instance.key_name,
        models.Instance.options,
        models.Instance.user_data,
        models.Instance.root_device_name,
        models.Instance.metadata_options,
        models.Instance.password_data,
        models.Image.architecture,
        models.Image.guest.label("image_guest"),
        models.Reservation.id.label("reservation_id"),
        models.Account.id.label("account_id"),
        models.Vpc.id.label("vpc_id"),
        models.Vpc.cidr.label("vpc_cidr"),
    )
    .join(models.Image, models.Image.key == models.Instance.image_key)
    .join(models.Reservation, models.Reservation.key == models.Instance.reservation_key)
    .join(models.Account, models.Account.key == models.Instance.account_key)
    .join(models.Vpc, models.Vpc.key == models.Instance.vpc_key)
    .where(models.Instance.key == _KEY)
)
_INTERFACES: Final = Statement(
    sa.select(
        models.NetworkInterface.key,
        models.NetworkInterface.id,
        models.NetworkInterface.device_index,
        models.NetworkInterface.mac,
        models.NetworkInterface.private_ip,
        models.Subnet.id.label("subnet_id"),
        models.Subnet.cidr.label("subnet_cidr"),
        models.Network.name.label("network_name"),
        models.Network.cidr.label("network_cidr"),
        models.Network.router,
        models.Network.dns,
    )
    .join(models.Subnet, models.Subnet.key == models.NetworkInterface.subnet_key)
    .join(models.Network, models.Network.key == models.NetworkInterface.network_key)
    .where(models.NetworkInterface.instance_key == _KEY)
    .order_by(models.NetworkInterface.device_index)
)
_GROUPS: Final = Statement(
    sa.select(models.SecurityGroup.id, models.SecurityGroup.name)
    .join(models.InterfaceGroup, models.InterfaceGroup.group_key == models.SecurityGroup.key)
    .where(models.InterfaceGroup.interface_key == sa.bindparam("interface", type_=sa.BigInteger))
    .order_by(models.SecurityGroup.key)
)
_DISKS: Final = Statement(
    sa.select(models.Volume.device)
    .where(
        models.Volume.instance_key == _KEY,
        models.Volume.device.is_not(None),
        models.Volume.location.is_not(None),
    )
    .order_by(models.Volume.location)
)
_TAGS: Final = Statement(
    sa.select(models.Tag.key, models.Tag.value)
    .where(models.Tag.resource_type == "instance", models.Tag.resource_key == _KEY)
    .order_by(models.Tag.key)
)
