"""What an account finds in a region from its first request on: its default VPC, whole.

The subnets are those of the configured networks. EC2's own block 172.31.0.0/16 is the VPC's where
it holds all of them, else the smallest block that does.

Source: VPC User Guide, "Default VPC components", "Default security groups", "Default network ACL".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from state import ids
from state.models import (
    DhcpOptions,
    InternetGateway,
    Network,
    NetworkAcl,
    Route,
    RouteTable,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
    Vpc,
)
from translators import zones
from translators.registry import Context, first_request

_EC2_BLOCK: Final = ipaddress.IPv4Network("172.31.0.0/16")
_ANYWHERE: Final = "0.0.0.0/0"


@first_request
def make(ctx: Context) -> None:
    """Make the default VPC and all that belongs to it."""
    networks = ctx.session.scalars(
        sa.select(Network)
        .where(Network.region.in_([ctx.region, zones.ANY]))
        .order_by(Network.zone_letter, Network.key)
    ).all()
    owner: dict[str, Any] = {"account_key": ctx.account_key, "region": ctx.region}
    options = DhcpOptions(
        id=ids.mint("dopt"),
        configurations={
            "domain-name": [zones.domain(ctx.region)],
            "domain-name-servers": ["AmazonProvidedDNS"],
        },
        **owner,
    )
    ctx.session.add(options)
    ctx.session.flush()
    vpc = Vpc(
        id=ids.mint("vpc"),
        cidr=str(_block([network.cidr for network in networks])),
        is_default=True,
        dhcp_options_key=options.key,
        association_id=ids.mint("vpc-cidr-assoc"),
        **owner,
    )
    ctx.session.add(vpc)
    ctx.session.flush()
    _add_subnets(ctx, vpc, networks, owner)
    _add_group(ctx, vpc, owner)
    _add_routes(ctx, vpc, owner)
    ctx.session.add(
        NetworkAcl(
            id=ids.mint("acl"), vpc_key=vpc.key, is_default=True, entries=_acl_entries(), **owner
        )
    )


def _add_subnets(
    ctx: Context, vpc: Vpc, networks: Sequence[Network], owner: dict[str, Any]
) -> None:
    served: set[str] = set()
    for network in networks:
        zone = f"{ctx.region}{network.zone_letter}"
        ctx.session.add(
            Subnet(
                id=ids.mint("subnet"),
                vpc_key=vpc.key,
                network_key=network.key,
                zone=zone,
                cidr=network.cidr,
                default_for_az=zone not in served,  # EC2 has one of them in a zone
                map_public_ip_on_launch=zone not in served,
                network_acl_association_id=ids.mint("aclassoc"),
                **owner,
            )
        )
        served.add(zone)


def _add_group(ctx: Context, vpc: Vpc, owner: dict[str, Any]) -> None:
    group = SecurityGroup(
        id=ids.mint("sg"),
        name="default",
        description="default VPC security group",
        vpc_key=vpc.key,
        **owner,
    )
    ctx.session.add(group)
    ctx.session.flush()
    ctx.session.add_all(
        [
            SecurityGroupRule(
                id=ids.mint("sgr"),
                group_key=group.key,
                is_egress=False,
                protocol="-1",
                referenced_group_key=group.key,
                **owner,
            ),
            SecurityGroupRule(
                id=ids.mint("sgr"),
                group_key=group.key,
                is_egress=True,
                protocol="-1",
                cidr_ipv4=_ANYWHERE,
                **owner,
            ),
        ]
    )


def _add_routes(ctx: Context, vpc: Vpc, owner: dict[str, Any]) -> None:
    gateway = InternetGateway(id=ids.mint("igw"), vpc_key=vpc.key, **owner)
    table = RouteTable(
        id=ids.mint("rtb"),
        vpc_key=vpc.key,
        main=True,
        main_association_id=ids.mint("rtbassoc"),
        **owner,
    )
    ctx.session.add_all([gateway, table])
    ctx.session.flush()
    ctx.session.add_all(
        [
            Route(
                route_table_key=table.key,
                destination_cidr=vpc.cidr,
                gateway_id="local",
                origin="CreateRouteTable",
            ),
            Route(
                route_table_key=table.key,
                destination_cidr=_ANYWHERE,
                gateway_id=gateway.id,
                origin="CreateRoute",
            ),
        ]
    )


def _acl_entries() -> list[dict[str, object]]:
    return [
        {
            "CidrBlock": _ANYWHERE,
            "Egress": egress,
            "Protocol": "-1",
            "RuleAction": action,
            "RuleNumber": number,
        }
        for egress in (True, False)
        for action, number in (("allow", 100), ("deny", 32767))
    ]


def _block(cidrs: Sequence[str]) -> ipaddress.IPv4Network:
    networks = [ipaddress.IPv4Network(cidr) for cidr in cidrs]
    if all(network.subnet_of(_EC2_BLOCK) for network in networks):
        return _EC2_BLOCK
    block = networks[0]
    while not all(network.subnet_of(block) for network in networks):
        block = block.supernet()
    return block
