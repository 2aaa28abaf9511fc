"""What DescribeInstances filters by: every filter that EC2 documents, as a table.

A filter on what nothing here ever has (spot requests, Elastic IP addresses, Outposts) matches no
instance; one on what is the same for all matches all or none.

Source: EC2 API Reference, DescribeInstances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from state import lifecycle
from state.models import (
    Image,
    Instance,
    InterfaceGroup,
    NetworkInterface,
    Reservation,
    SecurityGroup,
    Subnet,
    Tag,
    Volume,
    Vpc,
)
from translators import zones
from translators.ec2.instances import views
from translators.filters import (
    Condition,
    Filter,
    Values,
    always,
    flag,
    mapped,
    never,
    number,
    owner,
    text,
    through,
    time,
)
from translators.guests import facts
from translators.registry import Context


def _interface(inner: Filter, *also: Condition) -> Filter:
    """Look at the instance's interfaces."""
    return through(Instance.key, NetworkInterface.instance_key, inner, *also)


def _disk(inner: Filter) -> Filter:
    """Look at the instance's disks."""
    return through(Instance.key, Volume.instance_key, inner)


def _group(inner: Filter) -> Filter:
    """Look at the security groups of the instance's interfaces."""
    named = through(InterfaceGroup.group_key, SecurityGroup.key, inner)
    return _interface(through(NetworkInterface.key, InterfaceGroup.interface_key, named))


def _placed(inner: Filter) -> Filter:
    """Look at what an instance loses when it is terminated."""
    return lambda ctx, values: sa.and_(Instance.phase != "terminated", inner(ctx, values))


def _member(column: Any, name: str, default: str | int | None = None) -> Any:
    """A member of a JSON object, as text."""
    found = sa.func.json_extract(sa.type_coerce(column, sa.String), f"$.{name}")
    if default is None:
        return sa.cast(found, sa.String)
    return sa.cast(sa.func.coalesce(found, default), sa.String)


def _metadata(name: str) -> Filter:
    return text(_member(Instance.metadata_options, name, facts.METADATA_OPTIONS[name]))


def _dns_option(name: str) -> Filter:
    found = _member(Instance.options, f"PrivateDnsNameOptions.{name}", 0)
    return _placed(mapped(found, {"1": "true", "0": "false"}))


def _private_dns_name(ctx: Context, values: Values) -> Condition:
    owner_row = aliased(Instance)
    domain = zones.domain(ctx.region)
    by_address = sa.literal("ip-") + sa.func.replace(NetworkInterface.private_ip, ".", "-")
    chosen = _member(owner_row.options, "PrivateDnsNameOptions.HostnameType", "ip-name")
    name = sa.case((chosen == "resource-name", owner_row.id), else_=by_address) + f".{domain}"
    found = sa.select(owner_row.key).join(
        NetworkInterface, NetworkInterface.instance_key == owner_row.key
    )
    return Instance.key.in_(
        found.where(owner_row.account_key == ctx.account_key, text(name)(ctx, values))
    )


def _zone_ids(ctx: Context) -> Mapping[Any, str]:
    return {zone.name: zone.id for zone in zones.zones(ctx.session, ctx.region)}


_PRIMARY: Final = NetworkInterface.device_index == 0
_DETAILS: Final = {platform: words[0] for platform, words in views.PLATFORM_DETAILS.items()}
_USAGE: Final = {platform: words[1] for platform, words in views.PLATFORM_DETAILS.items()}
_IS_PENDING: Final = Instance.phase.in_(views.PENDING)
STATE_NAME: Final = mapped(
    Instance.phase, {phase: name for phase, (_, name) in lifecycle.STATES.items()}
)
STATE_CODE: Final = mapped(
    Instance.phase, {phase: str(code) for phase, (code, _) in lifecycle.STATES.items()}
)
ZONE: Final = text(Instance.zone)
ZONE_ID: Final = mapped(Instance.zone, _zone_ids)

FILTERS: Final[Mapping[str, Filter]] = {
    "affinity": never,
    "architecture": through(Instance.image_key, Image.key, text(Image.architecture)),
    "availability-zone": ZONE,
    "availability-zone-id": ZONE_ID,
    "block-device-mapping.attach-time": _disk(time(Volume.attach_time)),
    "block-device-mapping.delete-on-termination": _disk(flag(Volume.delete_on_termination)),
    "block-device-mapping.device-name": _disk(text(Volume.device)),
    "block-device-mapping.status": _disk(text(Volume.attachment_state)),
    "block-device-mapping.volume-id": _disk(text(Volume.id)),
    "boot-mode": through(Instance.image_key, Image.key, text(Image.boot_mode)),
    "capacity-reservation-id": never,
    "capacity-reservation-specification.capacity-reservation-preference": text(
        _member(Instance.options, "CapacityReservationPreference", "open")
    ),
    "capacity-reservation-specification.capacity-reservation-target.capacity-reservation-id": never,
    "capacity-reservation-specification.capacity-reservation-target"
    ".capacity-reservation-resource-group-arn": never,
    "client-token": text(Instance.client_token),
    "current-instance-boot-mode": mapped(Instance.vm_generation, views.BOOT_MODES),
    "dns-name": never,
    "ebs-optimized": flag(Instance.ebs_optimized),
    "ena-support": always("true"),
    "enclave-options.enabled": always("false"),
    "hibernation-options.configured": always("false"),
    "host-id": never,
    "hypervisor": always("xen"),
    "iam-instance-profile.arn": never,
    "iam-instance-profile.id": never,
    "image-id": text(Instance.image_id),
    "instance-id": text(Instance.id),
    "instance-lifecycle": never,
    "instance-state-code": STATE_CODE,
    "instance-state-name": STATE_NAME,
    "instance-type": text(Instance.type),
    "instance.group-id": _group(text(SecurityGroup.id)),
    "instance.group-name": _group(text(SecurityGroup.name)),
    "ip-address": never,
    "ipv6-address": never,
    "kernel-id": never,
    "key-name": text(Instance.key_name),
    "launch-index": number(Instance.launch_index),
    "launch-time": time(Instance.launch_time),
    "maintenance-options.auto-recovery": text(_member(Instance.options, "AutoRecovery", "default")),
    "metadata-options.http-endpoint": _metadata("HttpEndpoint"),
    "metadata-options.http-protocol-ipv4": _metadata("HttpEndpoint"),
    "metadata-options.http-protocol-ipv6": _metadata("HttpProtocolIpv6"),
    "metadata-options.http-put-response-hop-limit": _metadata("HttpPutResponseHopLimit"),
    "metadata-options.http-tokens": _metadata("HttpTokens"),
    "metadata-options.instance-metadata-tags": _metadata("InstanceMetadataTags"),
    "metadata-options.state": mapped(
        Instance.phase,
        {phase: views.metadata_state(phase) for phase in lifecycle.PHASES},
    ),
    "monitoring-state": mapped(Instance.monitoring, {True: "enabled", False: "disabled"}),
    "network-interface.addresses.association.allocation-id": never,
    "network-interface.addresses.association.association-id": never,
    "network-interface.addresses.association.carrier-ip": never,
    "network-interface.addresses.association.customer-owned-ip": never,
    "network-interface.addresses.association.ip-owner-id": never,
    "network-interface.addresses.association.public-dns-name": never,
    "network-interface.addresses.association.public-ip": never,
    "network-interface.addresses.primary": _interface(always("true")),
    "network-interface.addresses.private-dns-name": _private_dns_name,
    "network-interface.addresses.private-ip-address": _interface(text(NetworkInterface.private_ip)),
    "network-interface.association.allocation-id": never,
    "network-interface.association.association-id": never,
    "network-interface.association.carrier-ip": never,
    "network-interface.association.customer-owned-ip": never,
    "network-interface.association.ip-owner-id": never,
    "network-interface.association.public-dns-name": never,
    "network-interface.association.public-ip": never,
    "network-interface.attachment.attach-time": _interface(time(NetworkInterface.attach_time)),
    "network-interface.attachment.attachment-id": _interface(text(NetworkInterface.attachment_id)),
    "network-interface.attachment.delete-on-termination": _interface(
        flag(NetworkInterface.delete_on_termination)
    ),
    "network-interface.attachment.device-index": _interface(number(NetworkInterface.device_index)),
    "network-interface.attachment.instance-id": _placed(text(Instance.id)),
    "network-interface.attachment.instance-owner-id": _interface(owner),
    "network-interface.attachment.network-card-index": _interface(always("0")),
    "network-interface.attachment.status": _interface(text(NetworkInterface.attachment_status)),
    "network-interface.availability-zone": _interface(text(NetworkInterface.zone)),
    "network-interface.deny-all-igw-traffic": never,
    "network-interface.description": _interface(text(NetworkInterface.description)),
    "network-interface.group-id": _group(text(SecurityGroup.id)),
    "network-interface.group-name": _group(text(SecurityGroup.name)),
    "network-interface.ipv4-prefixes.ipv4-prefix": never,
    "network-interface.ipv6-address": never,
    "network-interface.ipv6-addresses.ipv6-address": never,
    "network-interface.ipv6-addresses.is-primary-ipv6": never,
    "network-interface.ipv6-native": never,
    "network-interface.ipv6-prefixes.ipv6-prefix": never,
    "network-interface.mac-address": _interface(text(NetworkInterface.mac)),
    "network-interface.network-interface-id": _interface(text(NetworkInterface.id)),
    "network-interface.operator.managed": _interface(always("false")),
    "network-interface.operator.principal": never,
    "network-interface.outpost-arn": never,
    "network-interface.owner-id": _interface(owner),
    "network-interface.private-dns-name": _private_dns_name,
    "network-interface.private-ip-address": _interface(text(NetworkInterface.private_ip)),
    "network-interface.public-dns-name": never,
    "network-interface.requester-id": never,
    "network-interface.requester-managed": _interface(flag(NetworkInterface.requester_managed)),
    "network-interface.source-dest-check": _interface(flag(NetworkInterface.source_dest_check)),
    "network-interface.status": _interface(text(NetworkInterface.status)),
    "network-interface.subnet-id": _interface(
        through(NetworkInterface.subnet_key, Subnet.key, text(Subnet.id))
    ),
    "network-interface.tag-key": _interface(
        through(
            NetworkInterface.key,
            Tag.resource_key,
            text(Tag.key),
            Tag.resource_type == "network-interface",
        )
    ),
    "network-interface.tag-value": _interface(
        through(
            NetworkInterface.key,
            Tag.resource_key,
            text(Tag.value),
            Tag.resource_type == "network-interface",
        )
    ),
    "network-interface.vpc-id": _interface(
        through(NetworkInterface.vpc_key, Vpc.key, text(Vpc.id))
    ),
    "network-performance-options.bandwidth-weighting": always("default"),
    "operator.managed": always("false"),
    "operator.principal": never,
    "outpost-arn": never,
    "owner-id": owner,
    "placement-group-name": never,
    "placement-partition-number": never,
    "platform": text(Instance.platform),
    "platform-details": mapped(Instance.platform, _DETAILS),
    "private-dns-name": _private_dns_name,
    "private-dns-name-options.enable-resource-name-dns-a-record": _dns_option(
        "EnableResourceNameDnsARecord"
    ),
    "private-dns-name-options.enable-resource-name-dns-aaaa-record": _dns_option(
        "EnableResourceNameDnsAAAARecord"
    ),
    "private-dns-name-options.hostname-type": _placed(
        text(_member(Instance.options, "PrivateDnsNameOptions.HostnameType", "ip-name"))
    ),
    "private-ip-address": _interface(text(NetworkInterface.private_ip), _PRIMARY),
    "product-code": never,
    "product-code.type": never,
    "ramdisk-id": never,
    "reason": text(Instance.transition_reason),
    "requester-id": never,
    "reservation-id": through(Instance.reservation_key, Reservation.key, text(Reservation.id)),
    "root-device-name": text(Instance.root_device_name),
    "root-device-type": always("ebs"),
    "source-dest-check": _placed(flag(Instance.source_dest_check)),
    "spot-instance-request-id": never,
    "state-reason-code": text(sa.case((_IS_PENDING, "pending"), else_=Instance.state_reason_code)),
    "state-reason-message": text(
        sa.case((_IS_PENDING, "pending"), else_=Instance.state_reason_message)
    ),
    "subnet-id": _placed(through(Instance.subnet_key, Subnet.key, text(Subnet.id))),
    "tenancy": always("default"),
    "tpm-support": never,
    "usage-operation": mapped(Instance.platform, _USAGE),
    "usage-operation-update-time": _interface(time(NetworkInterface.attach_time), _PRIMARY),
    "virtualization-type": always("hvm"),
    "vpc-id": _placed(through(Instance.vpc_key, Vpc.key, text(Vpc.id))),
}
