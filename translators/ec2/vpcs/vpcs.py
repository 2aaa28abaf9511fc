"""DescribeVpcs and DescribeVpcAttribute.

Source: EC2 API Reference, DescribeVpcs, DescribeVpcAttribute, data type Vpc.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import DhcpOptions, Vpc
from translators import errors, listing, tags
from translators.filters import Filter, always, flag, never, owner, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeVpcAttributeRequestTypeDef,
        DescribeVpcsRequestTypeDef,
        VpcTypeDef,
    )

_CIDR: Final = text(Vpc.cidr)
FILTERS: Final[Mapping[str, Filter]] = {
    "cidr": _CIDR,
    "cidr-block-association.cidr-block": _CIDR,
    "cidr-block-association.association-id": text(Vpc.association_id),
    "cidr-block-association.state": always("associated"),
    "dhcp-options-id": through(Vpc.dhcp_options_key, DhcpOptions.key, text(DhcpOptions.id)),
    "ipv6-cidr-block-association.ipv6-cidr-block": never,
    "ipv6-cidr-block-association.ipv6-pool": never,
    "ipv6-cidr-block-association.association-id": never,
    "ipv6-cidr-block-association.state": never,
    "is-default": flag(Vpc.is_default),
    "isDefault": flag(Vpc.is_default),
    "owner-id": owner,
    "state": text(Vpc.state),
    "vpc-id": text(Vpc.id),
}
_ATTRIBUTES: Final = {
    "enableDnsSupport": ("EnableDnsSupport", Vpc.dns_support),
    "enableDnsHostnames": ("EnableDnsHostnames", Vpc.dns_hostnames),
    "enableNetworkAddressUsageMetrics": (
        "EnableNetworkAddressUsageMetrics",
        Vpc.network_address_usage_metrics,
    ),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(Vpc.__table__, DhcpOptions.id.label("dhcp_options_id"))
        .join(DhcpOptions, DhcpOptions.key == Vpc.dhcp_options_key)
        .where(Vpc.key.in_(keys))
    )
    tagged = tags.of(ctx, "vpc", keys)
    return {row.key: _shown(ctx, row, tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, tagged: list[Any]) -> VpcTypeDef:
    shown: VpcTypeDef = {
        "BlockPublicAccessStates": {"InternetGatewayBlockMode": "off"},
        "CidrBlock": row.cidr,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": row.association_id,
                "CidrBlock": row.cidr,
                "CidrBlockState": {"State": "associated"},
            }
        ],
        "DhcpOptionsId": row.dhcp_options_id,
        "InstanceTenancy": row.tenancy,
        "IsDefault": row.is_default,
        "OwnerId": ctx.account_id,
        "State": row.state,
        "VpcId": row.id,
    }
    if tagged:
        shown["Tags"] = tagged
    return shown


VPCS: Final = listing.Resource(
    action="DescribeVpcs",
    kind="vpc",
    model=Vpc,
    prefix="vpc",
    id_member="VpcIds",
    ids_word="vpcSet",
    malformed=errors.invalid_vpc_id_malformed,
    not_found=errors.invalid_vpc_id_not_found,
    filters=FILTERS,
    view=_view,
)


@action("DescribeVpcs")
def describe_vpcs(ctx: Context, request: DescribeVpcsRequestTypeDef) -> Result:
    """List the account's VPCs.

    :raises Ec2Error: ``InvalidVpcID.NotFound``
    """
    page = listing.describe(ctx, VPCS, request)
    return page.answer("Vpcs", page.fragments())


@action("DescribeVpcAttribute")
def describe_vpc_attribute(ctx: Context, request: DescribeVpcAttributeRequestTypeDef) -> Result:
    """Answer one attribute of a VPC.

    :raises Ec2Error: ``InvalidVpcID.NotFound``, ``InvalidParameterValue``
    """
    vpc_id = request["VpcId"]
    if request["Attribute"] not in _ATTRIBUTES:
        raise errors.invalid_parameter_value(
            request["Attribute"], "attribute", "Unknown attribute."
        )
    member, column = _ATTRIBUTES[request["Attribute"]]
    key, _ = listing.find(ctx, VPCS, [vpc_id])[vpc_id]
    value = ctx.session.scalar(sa.select(column).where(Vpc.key == key))
    return {"VpcId": vpc_id, member: {"Value": value}}
