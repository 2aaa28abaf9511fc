"""DescribeSecurityGroupReferences and DescribeStaleSecurityGroups.

Both speak of peered VPCs, of which there are none: what is named is checked, the lists are empty.

Source: EC2 API Reference, the actions of these names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from state import ids
from state.models import Vpc
from translators import errors, listing, paging
from translators.ec2.security_groups.groups import SECURITY_GROUPS
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeSecurityGroupReferencesRequestTypeDef,
        DescribeStaleSecurityGroupsRequestTypeDef,
    )

_BOUNDS: Final = (5, 255)


@action("DescribeSecurityGroupReferences")
def describe_security_group_references(
    ctx: Context, request: DescribeSecurityGroupReferencesRequestTypeDef
) -> Result:
    """List no VPC that refers to these groups from the other side of a peering.

    :raises Ec2Error: ``InvalidGroup.NotFound``, ``InvalidGroupId.Malformed``
    """
    listing.find(ctx, SECURITY_GROUPS, request["GroupId"])
    return {"SecurityGroupReferenceSet": []}


@action("DescribeStaleSecurityGroups")
def describe_stale_security_groups(
    ctx: Context, request: DescribeStaleSecurityGroupsRequestTypeDef
) -> Result:
    """List no group of the VPC with a rule for a peer that is gone.

    :raises Ec2Error: ``InvalidVpcID.NotFound``, ``InvalidParameterValue``, ``InvalidNextToken``
    """
    paging.limit(request, _BOUNDS, cut=False)
    paging.after(ctx, "DescribeStaleSecurityGroups", request)
    vpc_id = request["VpcId"]
    if not ids.is_well_formed("vpc", vpc_id):
        raise errors.invalid_vpc_id_malformed(vpc_id)
    known = sa.select(Vpc.key).where(listing.owned(ctx, Vpc), Vpc.id == vpc_id)
    if ctx.session.scalar(known) is None:
        raise errors.invalid_vpc_id_not_found([vpc_id])
    return {"StaleSecurityGroupSet": []}
