"""DescribeSecurityGroupRules: rules one by one, as they were made.

Source: EC2 API Reference, DescribeSecurityGroupRules, data type SecurityGroupRule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from state import ids
from state.models import SecurityGroup, SecurityGroupRule
from translators import errors, forms, listing, tags, zones
from translators.ec2.security_groups import group_errors
from translators.filters import Filter, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeSecurityGroupRulesRequestTypeDef,
        SecurityGroupRuleTypeDef,
    )

_Peer: Final = aliased(SecurityGroup)
ALL: Final = -1
"""EC2's number for all ports, and all types and codes of ICMP."""

FILTERS: Final[Mapping[str, Filter]] = {
    "group-id": through(SecurityGroupRule.group_key, SecurityGroup.key, text(SecurityGroup.id)),
    "security-group-rule-id": text(SecurityGroupRule.id),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(
            SecurityGroupRule.__table__,
            SecurityGroup.id.label("group_id"),
            _Peer.id.label("peer_id"),
        )
        .join(SecurityGroup, SecurityGroup.key == SecurityGroupRule.group_key)
        .outerjoin(_Peer, _Peer.key == SecurityGroupRule.referenced_group_key)
        .where(SecurityGroupRule.key.in_(keys))
    )
    tagged = tags.of(ctx, "security-group-rule", keys)
    return {row.key: _shown(ctx, row, tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, tagged: list[Any]) -> SecurityGroupRuleTypeDef:
    head = f"arn:{zones.partition(ctx.region)}:ec2:{ctx.region}:{ctx.account_id}"
    shown: SecurityGroupRuleTypeDef = {
        "FromPort": ALL if row.from_port is None else row.from_port,
        "GroupId": row.group_id,
        "GroupOwnerId": ctx.account_id,
        "IpProtocol": row.protocol,
        "IsEgress": row.is_egress,
        "SecurityGroupRuleArn": f"{head}:security-group-rule/{row.id}",
        "SecurityGroupRuleId": row.id,
        "Tags": tagged,
        "ToPort": ALL if row.to_port is None else row.to_port,
    }
    if row.cidr_ipv4 is not None:
        shown["CidrIpv4"] = row.cidr_ipv4
    if row.cidr_ipv6 is not None:
        shown["CidrIpv6"] = row.cidr_ipv6
    if row.peer_id is not None:
        shown["ReferencedGroupInfo"] = {"GroupId": row.peer_id, "UserId": ctx.account_id}
    if row.description is not None:
        shown["Description"] = row.description
    return shown


SECURITY_GROUP_RULES: Final = listing.Resource(
    action="DescribeSecurityGroupRules",
    kind="security-group-rule",
    model=SecurityGroupRule,
    prefix="sgr",
    id_member="SecurityGroupRuleIds",
    ids_word="securityGroupRuleIdSet",
    malformed=forms.not_a_rule_id,
    not_found=errors.invalid_security_group_rule_id_not_found,
    filters=FILTERS,
    view=_view,
)


def _check(request: DescribeSecurityGroupRulesRequestTypeDef) -> None:
    """Look at the ids of groups too: the form of what a filter names is that of any id here."""
    forms.check(request)
    for one in request.get("Filters") or ():
        if one.get("Name") == "group-id":
            for value in one.get("Values") or ():
                is_pattern = "*" in value or "?" in value
                if not is_pattern and not ids.is_well_formed("sg", value):
                    raise group_errors.malformed_in_a_filter(value)


@action("DescribeSecurityGroupRules", check=_check)
def describe_security_group_rules(
    ctx: Context, request: DescribeSecurityGroupRulesRequestTypeDef
) -> Result:
    """List the rules of the account's security groups.

    :raises Ec2Error: ``InvalidSecurityGroupRuleId.NotFound``, ``InvalidParameterValue``
    """
    page = listing.describe(ctx, SECURITY_GROUP_RULES, request)
    return page.answer("SecurityGroupRules", page.fragments())
