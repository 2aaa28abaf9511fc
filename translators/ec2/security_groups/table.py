"""The rules that groups have, as rows: read, written, and counted against EC2's quota.

Source: VPC User Guide, "Amazon VPC quotas", "Security groups".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from state import ids
from state.models import SecurityGroup, SecurityGroupRule, Tag
from state.statements import Insertion
from translators import errors, forms, port_rules
from translators.ec2.security_groups import group_errors, permissions
from translators.ec2.security_groups.permissions import Rule
from translators.registry import Context

_MOST: Final = 60
"""Rules of a group in one direction: as many for IPv4, and as many for IPv6."""
_INSERT: Final = Insertion(SecurityGroupRule)


class Table:
    """The rules of one direction of a group, by what they say."""

    def __init__(self, ctx: Context, group: Any, *, egress: bool) -> None:
        self._ctx = ctx
        self._group = group
        self._egress = egress
        rows = ctx.session.execute(
            sa.select(SecurityGroupRule.__table__)
            .where(
                SecurityGroupRule.group_key == group.key,
                SecurityGroupRule.is_egress.is_(egress),
            )
            .order_by(SecurityGroupRule.key)
        ).all()
        self.by_id: Final[Mapping[str, Any]] = {row.id: row for row in rows}
        self._by_rule = {permissions.kept(row): row for row in rows}

    def named(self, rule_ids: Collection[str]) -> list[Any]:
        """Find rules by their ids.

        :raises Ec2Error: ``InvalidSecurityGroupRuleId.NotFound``, ``InvalidParameterValue``
        """
        for rule_id in rule_ids:
            check_id(rule_id)
        if missing := [rule_id for rule_id in rule_ids if rule_id not in self.by_id]:
            raise errors.invalid_security_group_rule_id_not_found(missing)
        return [self.by_id[rule_id] for rule_id in dict.fromkeys(rule_ids)]

    def matching(self, rules: Sequence[Rule]) -> list[Any]:
        """Find the rules that say just this; their descriptions do not count.

        :raises Ec2Error: ``InvalidPermission.NotFound``
        """
        if any(rule not in self._by_rule for rule in rules):
            raise group_errors.rule_not_found()
        return [self._by_rule[rule] for rule in rules]

    def add(self, rules: Sequence[Rule]) -> list[int]:
        """Write new rules; answer their keys.

        :raises Ec2Error: ``InvalidPermission.Duplicate``, ``RulesPerSecurityGroupLimitExceeded``
        """
        for rule in rules:
            if rule in self._by_rule:
                raise self.duplicate(rule)
        check_count([*self._by_rule, *rules])
        own = {
            "account_key": self._ctx.account_key,
            "region": self._ctx.region,
            "group_key": self._group.key,
            "is_egress": self._egress,
        }
        rows = [{"id": ids.mint("sgr"), **own, **rule.columns()} for rule in rules]
        return _INSERT.run(self._ctx.session, rows)

    def duplicate(self, rule: Rule) -> errors.Ec2Error:
        """The error for a rule that is there already."""
        peer = self._ctx.session.scalar(
            sa.select(SecurityGroup.id).where(SecurityGroup.key == rule.referenced_group_key)
        )
        return group_errors.duplicate_rule(permissions.words(rule, peer))

    def remove(self, rows: Sequence[Any]) -> None:
        """Take rules away, with their tags."""
        keys = [row.key for row in rows]
        session = self._ctx.session
        session.execute(
            sa.delete(Tag).where(
                Tag.resource_type == "security-group-rule", Tag.resource_key.in_(keys)
            )
        )
        session.execute(sa.delete(SecurityGroupRule).where(SecurityGroupRule.key.in_(keys)))


def follow(ctx: Context, group: Any, *, more: bool) -> None:
    """Have the ports of the group's members seen to; `more` is to be let through, or less.

    :raises Ec2Error: ``RulesPerSecurityGroupLimitExceeded`` when a port has no room for more
    """
    if more and not port_rules.fits(ctx.session, group.key):
        raise group_errors.rules_per_group_limit_exceeded()
    ctx.wake |= port_rules.changed(ctx.session, [group.key], ctx.now)


def check_id(rule_id: str) -> None:
    """Refuse what is no rule's id.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if not ids.is_well_formed("sgr", rule_id):
        raise forms.not_a_rule_id(rule_id)


def check_count(rules: Collection[Rule]) -> None:
    """Refuse more rules of one direction than a group may have.

    One that refers to a group counts for both versions of IP.

    :raises Ec2Error: ``RulesPerSecurityGroupLimitExceeded``
    """
    of_v4 = sum(rule.cidr_ipv6 is None for rule in rules)
    of_v6 = sum(rule.cidr_ipv4 is None for rule in rules)
    if max(of_v4, of_v6) > _MOST:
        raise group_errors.rules_per_group_limit_exceeded()
