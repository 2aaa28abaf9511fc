"""DescribeSubnets.

Source: EC2 API Reference, DescribeSubnets, data type Subnet.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Network, NetworkInterface, Subnet, Vpc
from translators import errors, listing, tags, zones
from translators.filters import Filter, always, flag, mapped, never, owner, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeSubnetsRequestTypeDef, SubnetTypeDef

_RESERVED_FIRST: Final = 4
"""EC2 keeps the first four addresses of a subnet, and the last."""


def _arn_head(ctx: Context) -> str:
    partition = zones.partition(ctx.region)
    return f"arn:{partition}:ec2:{ctx.region}:{ctx.account_id}:subnet/"


def _free_by_key(ctx: Context) -> dict[int, str]:
    mine = listing.owned(ctx, Subnet)
    return {key: str(count) for key, count in _free_addresses(ctx, mine).items()}


_ZONE: Final = text(Subnet.zone)
_ZONE_ID: Final = mapped(Subnet.zone, lambda ctx: zones.ids(ctx.session, ctx.region))
_CIDR: Final = text(Subnet.cidr)
_DEFAULT: Final = flag(Subnet.default_for_az)
_NO: Final = always("false")
FILTERS: Final[Mapping[str, Filter]] = {
    "availability-zone": _ZONE,
    "availabilityZone": _ZONE,
    "availability-zone-id": _ZONE_ID,
    "availabilityZoneId": _ZONE_ID,
    "available-ip-address-count": mapped(Subnet.key, _free_by_key),
    "cidr-block": _CIDR,
    "cidr": _CIDR,
    "cidrBlock": _CIDR,
    "customer-owned-ipv4-pool": never,
    "default-for-az": _DEFAULT,
    "defaultForAz": _DEFAULT,
    "enable-dns64": _NO,
    "enable-lni-at-device-index": never,
    "ipv6-cidr-block-association.ipv6-cidr-block": never,
    "ipv6-cidr-block-association.association-id": never,
    "ipv6-cidr-block-association.state": never,
    "ipv6-native": _NO,
    "map-customer-owned-ip-on-launch": _NO,
    "map-public-ip-on-launch": flag(Subnet.map_public_ip_on_launch),
    "outpost-arn": never,
    "owner-id": owner,
    "private-dns-name-options-on-launch.hostname-type": always("ip-name"),
    "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": _NO,
    "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": _NO,
    "state": text(Subnet.state),
    "subnet-arn": text(lambda ctx: sa.literal(_arn_head(ctx)) + Subnet.id),
    "subnet-id": text(Subnet.id),
    "vpc-id": through(Subnet.vpc_key, Vpc.key, text(Vpc.id)),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(Subnet.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == Subnet.vpc_key)
        .where(Subnet.key.in_(keys))
    )
    tagged = tags.of(ctx, "subnet", keys)
    free = _free_addresses(ctx, Subnet.key.in_(keys))
    return {row.key: _shown(ctx, row, free[row.key], tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, free: int, tagged: list[Any]) -> SubnetTypeDef:
    shown: SubnetTypeDef = {
        "AssignIpv6AddressOnCreation": False,
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": zones.zone_id(ctx.region, row.zone[-1]),
        "AvailableIpAddressCount": free,
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "CidrBlock": row.cidr,
        "DefaultForAz": row.default_for_az,
        "EnableDns64": False,
        "Ipv6CidrBlockAssociationSet": [],
        "Ipv6Native": False,
        "MapCustomerOwnedIpOnLaunch": False,
        "MapPublicIpOnLaunch": row.map_public_ip_on_launch,
        "OwnerId": ctx.account_id,
        "PrivateDnsNameOptionsOnLaunch": {
            "HostnameType": "ip-name",
            "EnableResourceNameDnsARecord": False,
            "EnableResourceNameDnsAAAARecord": False,
        },
        "State": row.state,
        "SubnetArn": _arn_head(ctx) + row.id,
        "SubnetId": row.id,
        "VpcId": row.vpc_id,
    }
    if tagged:
        shown["Tags"] = tagged
    return shown


def _free_addresses(ctx: Context, which: sa.ColumnElement[bool]) -> dict[int, int]:
    """Count what may still be given out; a network is shared, so other accounts count too."""
    rows = ctx.session.execute(
        sa.select(
            Subnet.key,
            Subnet.cidr,
            Subnet.network_key,
            Network.router,
            Network.dns,
            Network.reserved,
        )
        .join(Network, Network.key == Subnet.network_key)
        .where(which)
    ).all()
    networks = {row.network_key for row in rows}
    used: dict[int, list[int]] = {key: [] for key in networks}
    for network_key, address in ctx.session.execute(
        sa.select(NetworkInterface.network_key, NetworkInterface.private_ip).where(
            NetworkInterface.network_key.in_(networks)
        )
    ):
        used[network_key].append(int(ipaddress.IPv4Address(address)))
    free: dict[int, int] = {}
    for row in rows:
        router = [row.router] if row.router else []
        holes = [_range(one) for one in (*router, *row.dns, *row.reserved)]
        taken = [(address, address) for address in used[row.network_key]]
        free[row.key] = _count_free(ipaddress.IPv4Network(row.cidr), [*holes, *taken])
    return free


def _range(written: str) -> tuple[int, int]:
    first, _, last = written.partition("-")
    begin = int(ipaddress.IPv4Address(first.strip()))
    return begin, int(ipaddress.IPv4Address(last.strip())) if last else begin


def _count_free(subnet: ipaddress.IPv4Network, holes: Iterable[tuple[int, int]]) -> int:
    position = int(subnet.network_address) + _RESERVED_FIRST
    end = int(subnet.broadcast_address)  # itself not free
    free = 0
    for first, last in sorted(holes):
        free += max(min(first, end) - position, 0)
        position = max(position, last + 1)
    return free + max(end - position, 0)


SUBNETS: Final = listing.Resource(
    action="DescribeSubnets",
    kind="subnet",
    model=Subnet,
    prefix="subnet",
    id_member="SubnetIds",
    ids_word="subnetSet",
    malformed=errors.invalid_subnet_id_malformed,
    not_found=errors.invalid_subnet_id_not_found,
    filters=FILTERS,
    view=_view,
)


@action("DescribeSubnets")
def describe_subnets(ctx: Context, request: DescribeSubnetsRequestTypeDef) -> Result:
    """List the account's subnets.

    :raises Ec2Error: ``InvalidSubnetId.Malformed``, ``InvalidSubnetID.NotFound``
    """
    page = listing.describe(ctx, SUBNETS, request)
    # No fragments: the free addresses change with no version raised.
    return page.answer("Subnets", page.views())
