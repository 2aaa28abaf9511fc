"""ModifySecurityGroupRules, and UpdateSecurityGroupRuleDescriptionsIngress and -Egress.

Source: EC2 API Reference, the three actions, data type SecurityGroupRuleRequest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from state.models import SecurityGroupRule
from translators import errors
from translators.ec2.security_groups import group_errors, permissions, table
from translators.ec2.security_groups.groups import find
from translators.ec2.security_groups.permissions import Rule
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        ModifySecurityGroupRulesRequestTypeDef,
        UpdateSecurityGroupRuleDescriptionsEgressRequestTypeDef,
        UpdateSecurityGroupRuleDescriptionsIngressRequestTypeDef,
    )


@action("ModifySecurityGroupRules", changes=True)
def modify_security_group_rules(
    ctx: Context, request: ModifySecurityGroupRulesRequestTypeDef
) -> Result:
    """Make rules say something else; they keep their ids, and the kind of their peers.

    What is not said of a rule anew is not as it was: it is not there.

    :raises Ec2Error: ``InvalidSecurityGroupRuleId.NotFound``, ``InvalidPermission.Duplicate``,
        ``InvalidParameterValue``; see `permissions.read_one` and `groups.find`
    """
    group = find(ctx, request)
    tables = [table.Table(ctx, group, egress=egress) for egress in (False, True)]
    asked = _asked(ctx, group, request["SecurityGroupRules"])
    for rule_id in asked:
        table.check_id(rule_id)
    known = {rule_id for one in tables for rule_id in one.by_id}
    if missing := [rule_id for rule_id in asked if rule_id not in known]:
        raise errors.invalid_security_group_rule_id_not_found(missing)
    for one in tables:
        said: set[Rule] = set()
        for rule_id, row in one.by_id.items():
            before = permissions.kept(row)
            rule = asked.get(rule_id, before)
            if _kind(rule) != _kind(before):
                raise group_errors.peer_of_another_kind(rule_id)
            if rule in said:
                raise one.duplicate(rule)
            said.add(rule)
            if rule_id in asked:
                _write(ctx, row, rule.columns())
    table.follow(ctx, group, more=True)
    return {"Return": True}


def _asked(ctx: Context, group: Any, listed: Sequence[Mapping[str, Any]]) -> dict[str, Rule]:
    asked: dict[str, Rule] = {}
    for item in listed:
        rule_id = item.get("SecurityGroupRuleId")
        if not rule_id:
            raise errors.missing_parameter("securityGroupRuleId")
        if rule_id in asked:
            raise group_errors.permission_twice()
        asked[rule_id] = permissions.read_one(ctx, group, item.get("SecurityGroupRule") or {})
    if not asked:
        raise errors.missing_parameter("securityGroupRule")
    return asked


def _kind(rule: Rule) -> tuple[bool, bool]:
    return rule.cidr_ipv4 is None, rule.cidr_ipv6 is None


def _write(ctx: Context, row: Any, columns: Mapping[str, Any]) -> None:
    ctx.session.execute(
        sa.update(SecurityGroupRule).where(SecurityGroupRule.key == row.key).values(**columns)
    )


# -- descriptions


@action("UpdateSecurityGroupRuleDescriptionsIngress", changes=True)
def update_security_group_rule_descriptions_ingress(
    ctx: Context, request: UpdateSecurityGroupRuleDescriptionsIngressRequestTypeDef
) -> Result:
    """Describe rules for what comes in; without a description they lose the one they have.

    :raises Ec2Error: ``InvalidPermission.NotFound``, ``InvalidSecurityGroupRuleId.NotFound``;
        see `permissions.read` and `groups.find`
    """
    return _describe(ctx, request, egress=False)


@action("UpdateSecurityGroupRuleDescriptionsEgress", changes=True)
def update_security_group_rule_descriptions_egress(
    ctx: Context, request: UpdateSecurityGroupRuleDescriptionsEgressRequestTypeDef
) -> Result:
    """Describe rules for what goes out; without a description they lose the one they have.

    :raises Ec2Error: as for what comes in
    """
    return _describe(ctx, request, egress=True)


def _describe(ctx: Context, request: Mapping[str, Any], *, egress: bool) -> Result:
    group = find(ctx, request)
    rules = table.Table(ctx, group, egress=egress)
    listed = request.get("SecurityGroupRuleDescriptions") or ()
    if listed and request.get("IpPermissions"):
        raise errors.invalid_parameter_combination("securityGroupRuleDescriptions", "ipPermissions")
    if listed:
        given = {
            item.get("SecurityGroupRuleId") or "": permissions.description(item.get("Description"))
            for item in listed
        }
        rows = rules.named(list(given))
        for row in rows:
            _write(ctx, row, {"description": given[row.id]})
    else:
        said = permissions.read(ctx, group, request)
        for rule, row in zip(said, rules.matching(said), strict=True):
            _write(ctx, row, {"description": rule.description})
    return {"Return": True}
