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
    found = session.execute(
        sa.select(
            models.Instance, models.Image, models.Reservation.id, models.Account.id, models.Vpc
        )
        .join(models.Image, models.Image.key == models.Instance.image_key)
        .join(models.Reservation, models.Reservation.key == models.Instance.reservation_key)
        .join(models.Account, models.Account.key == models.Instance.account_key)
        .join(models.Vpc, models.Vpc.key == models.Instance.vpc_key)
        .where(models.Instance.key == instance_key)
    ).one_or_none()
    if found is None:
        return None
    instance, image, reservation_id, account_id, vpc = found
    interfaces = _interfaces(session, instance, account_id, vpc)
    if not interfaces:
        return None
    places = zones.zones(session, instance.region)
    return Facts(
        instance_key=instance.key,
        version=instance.version,
        id=instance.id,
        account_id=account_id,
        region=instance.region,
        zone=instance.zone,
        zone_id=next((one.id for one in places if one.name == instance.zone), ""),
        partition=zones.partition(instance.region),
        image_id=instance.image_id,
        type=instance.type,
        architecture=image.architecture,
        platform=instance.platform,
        reservation_id=reservation_id,
        launch_index=instance.launch_index,
        launched_at=instance.launch_time,
        hostname=interfaces[0].private_dns_name,
        domain=zones.domain(instance.region),
        key_name=instance.key_name,
        public_key=instance.options.get("PublicKey"),
        user_data=instance.user_data,
        interfaces=interfaces,
        disks=_disks(session, instance),
        tags=_tags(session, instance.key),
        options={**METADATA_OPTIONS, **instance.metadata_options},
        guest=policy.of_image(deployment, image.guest),
        password_data=instance.password_data,
    )


def _interfaces(
    session: Session, instance: models.Instance, account_id: str, vpc: models.Vpc
) -> tuple[Interface, ...]:
    row = models.NetworkInterface
    query = (
        sa.select(row, models.Subnet, models.Network)
        .join(models.Subnet, models.Subnet.key == row.subnet_key)
        .join(models.Network, models.Network.key == row.network_key)
        .where(row.instance_key == instance.key)
        .order_by(row.device_index)
    )
    return tuple(
        _interface(session, instance, account_id, vpc, *found) for found in session.execute(query)
    )


def _interface(
    session: Session,
    instance: models.Instance,
    account_id: str,
    vpc: models.Vpc,
    row: models.NetworkInterface,
    subnet: models.Subnet,
    network: models.Network,
) -> Interface:
    groups = session.execute(
        sa.select(models.SecurityGroup.id, models.SecurityGroup.name)
        .join(models.InterfaceGroup, models.InterfaceGroup.group_key == models.SecurityGroup.key)
        .where(models.InterfaceGroup.interface_key == row.key)
        .order_by(models.SecurityGroup.key)
    ).all()
    whole = ipaddress.IPv4Network(network.cidr)
    return Interface(
        id=row.id,
        device_index=row.device_index,
        mac=row.mac.lower(),
        private_ip=row.private_ip,
        private_dns_name=zones.private_dns_name(
            instance.region, instance.id, instance.options, row.private_ip
        ),
        owner_id=account_id,
        subnet_id=subnet.id,
        subnet_cidr=subnet.cidr,
        vpc_id=vpc.id,
        vpc_cidr=vpc.cidr,
        group_ids=tuple(one.id for one in groups),
        group_names=tuple(one.name for one in groups),
        router=network.router or str(whole.network_address + 1),
        prefix_length=whole.prefixlen,
        dns=tuple(network.dns),
        network=network.name,
    )


def _disks(session: Session, instance: models.Instance) -> tuple[Disk, ...]:
    volume = models.Volume
    query = (
        sa.select(volume.device, volume.location)
        .where(volume.instance_key == instance.key, volume.device.is_not(None))
        .order_by(volume.location)
    )
    root = instance.root_device_name
    found = [Disk("ami", root.removeprefix("/dev/")), Disk("root", root)]
    extra = [row.device for row in session.execute(query) if row.location is not None]
    for number, device in enumerate(extra, start=1):
        found.append(Disk(f"ebs{number}", device.removeprefix("/dev/")))
    return tuple(found)


def _tags(session: Session, instance_key: int) -> dict[str, str]:
    tag = models.Tag
    query = (
        sa.select(tag.key, tag.value)
        .where(tag.resource_type == "instance", tag.resource_key == instance_key)
        .order_by(tag.key)
    )
    return {name: value for name, value in session.execute(query)}
