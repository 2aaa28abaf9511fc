"""DescribeNetworkAcls and DescribeDhcpOptions.

Source: EC2 API Reference, DescribeNetworkAcls, DescribeDhcpOptions, data type NetworkAcl.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import DhcpOptions, NetworkAcl, Subnet, Vpc
from translators import errors, listing, tags
from translators.filters import Filter, among, either, flag, owner, text, through, within
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeDhcpOptionsRequestTypeDef,
        DescribeNetworkAclsRequestTypeDef,
        DhcpOptionsTypeDef,
    )


def _subnet(inner: Filter) -> Filter:
    # Subnets are with the default ACL of their VPC.
    of_default = through(NetworkAcl.vpc_key, Subnet.vpc_key, inner)
    return lambda ctx, values: sa.and_(NetworkAcl.is_default, of_default(ctx, values))


def _associated(own: Filter) -> Filter:
    """A filter of the ACL itself, where it has associations."""
    any_subnet = _subnet(lambda ctx, values: sa.true())
    return lambda ctx, values: sa.and_(own(ctx, values), any_subnet(ctx, values))


def _entry(member: str, words: Mapping[Any, str] | None = None) -> Filter:
    return within(NetworkAcl.entries, member, words)


ACL_FILTERS: Final[Mapping[str, Filter]] = {
    "association.association-id": _subnet(text(Subnet.network_acl_association_id)),
    "association.network-acl-id": _associated(text(NetworkAcl.id)),
    "association.subnet-id": _subnet(text(Subnet.id)),
    "default": flag(NetworkAcl.is_default),
    "entry.cidr": _entry("CidrBlock"),
    "entry.egress": _entry("Egress", {1: "true", 0: "false"}),
    "entry.icmp.code": _entry("IcmpTypeCode.Code"),
    "entry.icmp.type": _entry("IcmpTypeCode.Type"),
    "entry.ipv6-cidr": _entry("Ipv6CidrBlock"),
    "entry.port-range.from": _entry("PortRange.From"),
    "entry.port-range.to": _entry("PortRange.To"),
    "entry.protocol": either(
        _entry("Protocol"), _entry("Protocol", {"1": "icmp", "6": "tcp", "17": "udp"})
    ),
    "entry.rule-action": _entry("RuleAction"),
    "entry.rule-number": _entry("RuleNumber"),
    "network-acl-id": text(NetworkAcl.id),
    "owner-id": owner,
    "vpc-id": through(NetworkAcl.vpc_key, Vpc.key, text(Vpc.id)),
}
DHCP_FILTERS: Final[Mapping[str, Filter]] = {
    "dhcp-options-id": text(DhcpOptions.id),
    "key": among(DhcpOptions.configurations, "keys"),
    "value": among(DhcpOptions.configurations, "atoms"),
    "owner-id": owner,
}


def _acls(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(NetworkAcl.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == NetworkAcl.vpc_key)
        .where(NetworkAcl.key.in_(keys))
    ).all()
    subnets: dict[int, list[Any]] = {}
    for subnet in ctx.session.execute(
        sa.select(Subnet.vpc_key, Subnet.id, Subnet.network_acl_association_id)
        .where(Subnet.vpc_key.in_([row.vpc_key for row in rows if row.is_default]))
        .order_by(Subnet.key)
    ):
        subnets.setdefault(subnet.vpc_key, []).append(subnet)
    tagged = tags.of(ctx, "network-acl", keys)
    return {
        row.key: {
            "Associations": [
                {
                    "NetworkAclAssociationId": subnet.network_acl_association_id,
                    "NetworkAclId": row.id,
                    "SubnetId": subnet.id,
                }
                for subnet in (subnets.get(row.vpc_key, ()) if row.is_default else ())
            ],
            "Entries": row.entries,
            "IsDefault": row.is_default,
            "NetworkAclId": row.id,
            "OwnerId": ctx.account_id,
            "Tags": tagged[row.key],
            "VpcId": row.vpc_id,
        }
        for row in rows
    }


def _options(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(DhcpOptions.key, DhcpOptions.id, DhcpOptions.configurations).where(
            DhcpOptions.key.in_(keys)
        )
    )
    tagged = tags.of(ctx, "dhcp-options", keys)
    return {row.key: _set(ctx, row, tagged[row.key]) for row in rows}


def _set(ctx: Context, row: Any, tagged: list[Any]) -> DhcpOptionsTypeDef:
    return {
        "DhcpConfigurations": [
            {"Key": name, "Values": [{"Value": value} for value in values]}
            for name, values in row.configurations.items()
        ],
        "DhcpOptionsId": row.id,
        "OwnerId": ctx.account_id,
        "Tags": tagged,
    }


NETWORK_ACLS: Final = listing.Resource(
    action="DescribeNetworkAcls",
    kind="network-acl",
    model=NetworkAcl,
    prefix="acl",
    id_member="NetworkAclIds",
    ids_word="networkAclIdSet",
    malformed=errors.invalid_network_acl_id_malformed,
    not_found=errors.invalid_network_acl_id_not_found,
    filters=ACL_FILTERS,
    view=_acls,
)
DHCP_OPTIONS: Final = listing.Resource(
    action="DescribeDhcpOptions",
    kind="dhcp-options",
    model=DhcpOptions,
    prefix="dopt",
    id_member="DhcpOptionsIds",
    ids_word="dhcpOptionsSet",
    malformed=errors.invalid_dhcp_options_id_malformed,
    not_found=errors.invalid_dhcp_options_id_not_found,
    filters=DHCP_FILTERS,
    view=_options,
)


@action("DescribeNetworkAcls")
def describe_network_acls(ctx: Context, request: DescribeNetworkAclsRequestTypeDef) -> Result:
    """List the account's network ACLs.

    :raises Ec2Error: ``InvalidNetworkAclId.Malformed``, ``InvalidNetworkAclID.NotFound``
    """
    page = listing.describe(ctx, NETWORK_ACLS, request)
    # No fragments: a subnet that comes or goes raises no version of its VPC's ACL.
    return page.answer("NetworkAcls", page.views())


@action("DescribeDhcpOptions")
def describe_dhcp_options(ctx: Context, request: DescribeDhcpOptionsRequestTypeDef) -> Result:
    """List the account's DHCP options sets.

    :raises Ec2Error: ``InvalidDhcpOptionsId.Malformed``, ``InvalidDhcpOptionID.NotFound``
    """
    page = listing.describe(ctx, DHCP_OPTIONS, request)
    return page.answer("DhcpOptions", page.fragments())
