"""AuthorizeSecurityGroup- and RevokeSecurityGroupIngress and -Egress: rules come and go.

Source: EC2 API Reference, the four actions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from state.models import SecurityGroup
from translators import errors, tags
from translators.ec2.security_groups import permissions
from translators.ec2.security_groups.groups import find
from translators.ec2.security_groups.rules import ALL, SECURITY_GROUP_RULES
from translators.ec2.security_groups.table import Table, follow
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        AuthorizeSecurityGroupEgressRequestTypeDef,
        AuthorizeSecurityGroupIngressRequestTypeDef,
        RevokedSecurityGroupRuleTypeDef,
        RevokeSecurityGroupEgressRequestTypeDef,
        RevokeSecurityGroupIngressRequestTypeDef,
    )


@action("AuthorizeSecurityGroupIngress", changes=True)
def authorize_security_group_ingress(
    ctx: Context, request: AuthorizeSecurityGroupIngressRequestTypeDef
) -> Result:
    """Let more in; all of it, or nothing.

    What is true for the group's members reaches their ports soon after (`translators.port_rules`).

    :raises Ec2Error: ``InvalidPermission.Duplicate``, ``RulesPerSecurityGroupLimitExceeded``;
        see `permissions.read` and `groups.find`
    """
    return _authorize(ctx, request, egress=False)


@action("AuthorizeSecurityGroupEgress", changes=True)
def authorize_security_group_egress(
    ctx: Context, request: AuthorizeSecurityGroupEgressRequestTypeDef
) -> Result:
    """Let more out; all of it, or nothing.

    :raises Ec2Error: as for what comes in
    """
    return _authorize(ctx, request, egress=True)


@action("RevokeSecurityGroupIngress", changes=True)
def revoke_security_group_ingress(
    ctx: Context, request: RevokeSecurityGroupIngressRequestTypeDef
) -> Result:
    """Let less in; all of it, or nothing when one of the rules is not there.

    EC2 passes over unknown rules in a default VPC; tools only rely on what it does elsewhere.

    :raises Ec2Error: ``InvalidPermission.NotFound``, ``InvalidSecurityGroupRuleId.NotFound``;
        see `permissions.read` and `groups.find`
    """
    return _revoke(ctx, request, egress=False)


@action("RevokeSecurityGroupEgress", changes=True)
def revoke_security_group_egress(
    ctx: Context, request: RevokeSecurityGroupEgressRequestTypeDef
) -> Result:
    """Let less out; all of it, or nothing when one of the rules is not there.

    :raises Ec2Error: as for what comes in
    """
    return _revoke(ctx, request, egress=True)


def _authorize(ctx: Context, request: Mapping[str, Any], *, egress: bool) -> Result:
    given = tags.from_specifications(request, "security-group-rule")
    group = find(ctx, request)
    rules = permissions.read(ctx, group, request)
    keys = Table(ctx, group, egress=egress).add(rules)
    follow(ctx, group, more=True)
    shown = SECURITY_GROUP_RULES.view(ctx, keys)
    tags.put_all(
        ctx,
        "security-group-rule",
        {key: str(shown[key]["SecurityGroupRuleId"]) for key in keys},
        given,
    )
    tagged = [{"Key": tag, "Value": value} for tag, value in sorted(given.items())]
    return {
        "Return": True,
        "SecurityGroupRules": [{**shown[key], "Tags": tagged} for key in keys],
    }


def _revoke(ctx: Context, request: Mapping[str, Any], *, egress: bool) -> Result:
    group = find(ctx, request)
    table = Table(ctx, group, egress=egress)
    named = request.get("SecurityGroupRuleIds") or ()
    if named and request.get("IpPermissions"):
        raise errors.invalid_parameter_combination("securityGroupRuleIds", "ipPermissions")
    if named:
        rows = table.named(named)
    else:
        rows = table.matching(permissions.read(ctx, group, request))
    shown = _revoked(ctx, group, rows)
    table.remove(rows)
    follow(ctx, group, more=False)
    return {"Return": True, "RevokedSecurityGroupRules": shown}


def _revoked(
    ctx: Context, group: Any, rows: Sequence[Any]
) -> list[RevokedSecurityGroupRuleTypeDef]:
    peers = {row.referenced_group_key for row in rows}
    query = sa.select(SecurityGroup.key, SecurityGroup.id).where(SecurityGroup.key.in_(peers))
    peer_ids = {key: group_id for key, group_id in ctx.session.execute(query)}
    listed: list[RevokedSecurityGroupRuleTypeDef] = []
    for row in rows:
        shown: RevokedSecurityGroupRuleTypeDef = {
            "FromPort": ALL if row.from_port is None else row.from_port,
            "GroupId": group.id,
            "IpProtocol": row.protocol,
            "IsEgress": row.is_egress,
            "SecurityGroupRuleId": row.id,
            "ToPort": ALL if row.to_port is None else row.to_port,
        }
        if row.cidr_ipv4 is not None:
            shown["CidrIpv4"] = row.cidr_ipv4
        if row.cidr_ipv6 is not None:
            shown["CidrIpv6"] = row.cidr_ipv6
        if row.referenced_group_key is not None:
            shown["ReferencedGroupId"] = peer_ids[row.referenced_group_key]
        if row.description is not None:
            shown["Description"] = row.description
        listed.append(shown)
    return listed
