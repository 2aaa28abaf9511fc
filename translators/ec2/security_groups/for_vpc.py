"""GetSecurityGroupsForVpc: the groups that interfaces of a VPC may be in.

None is shared between VPCs or accounts, so they are the VPC's own.

Source: EC2 API Reference, GetSecurityGroupsForVpc, data type SecurityGroupForVpc.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import SecurityGroup, Vpc
from translators import errors, listing, paging, tags
from translators.filters import Filter, owner, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        GetSecurityGroupsForVpcRequestTypeDef,
        SecurityGroupForVpcTypeDef,
    )

FILTERS: Final[Mapping[str, Filter]] = {
    "description": text(SecurityGroup.description),
    "group-id": text(SecurityGroup.id),
    "group-name": text(SecurityGroup.name),
    "owner-id": owner,
    "primary-vpc-id": through(SecurityGroup.vpc_key, Vpc.key, text(Vpc.id)),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(SecurityGroup.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == SecurityGroup.vpc_key)
        .where(SecurityGroup.key.in_(keys))
    )
    tagged = tags.of(ctx, "security-group", keys)
    return {row.key: _shown(ctx, row, tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, tagged: list[Any]) -> SecurityGroupForVpcTypeDef:
    return {
        "Description": row.description,
        "GroupId": row.id,
        "GroupName": row.name,
        "OwnerId": ctx.account_id,
        "PrimaryVpcId": row.vpc_id,
        "Tags": tagged,
    }


OF_A_VPC: Final = listing.Resource(
    action="GetSecurityGroupsForVpc",
    kind="security-group",
    model=SecurityGroup,
    prefix="sg",
    id_member="GroupIds",  # it has none: groups are found by filters alone
    ids_word="groupIdSet",
    malformed=errors.invalid_group_id_malformed,
    not_found=errors.invalid_group_not_found,
    filters=FILTERS,
    view=_view,
)


@action("GetSecurityGroupsForVpc")
def get_security_groups_for_vpc(
    ctx: Context, request: GetSecurityGroupsForVpcRequestTypeDef
) -> Result:
    """List the groups of a VPC.

    :raises Ec2Error: ``InvalidVpcID.NotFound``
    """
    paging.after(ctx, OF_A_VPC.action, request)  # a token is looked at before what it is for
    vpc_id = request["VpcId"]
    if not ids.is_well_formed("vpc", vpc_id):
        raise errors.invalid_vpc_id_malformed(vpc_id)
    known = sa.select(Vpc.key).where(listing.owned(ctx, Vpc), Vpc.id == vpc_id)
    vpc_key = ctx.session.scalar(known)
    if vpc_key is None:
        raise errors.invalid_vpc_id_not_found([vpc_id])
    page = listing.describe(ctx, OF_A_VPC, request, where=[SecurityGroup.vpc_key == vpc_key])
    # No fragments: those of groups are what DescribeSecurityGroups shows of them.
    return page.answer("SecurityGroupForVpcs", page.views())
