"""DescribeSecurityGroups: groups with their rules joined by protocol and ports.

Source: EC2 API Reference, DescribeSecurityGroups, data types SecurityGroup and IpPermission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from state import ids
from state.models import SecurityGroup, SecurityGroupRule, Vpc
from translators import errors, listing, tags, zones
from translators.filters import Column, Filter, never, number, owner, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeSecurityGroupsRequestTypeDef,
        IpPermissionOutputTypeDef,
        SecurityGroupTypeDef,
    )

_Other: Final = aliased(SecurityGroup)
_Rule: Final = SecurityGroupRule


def _rule(inner: Filter, *, egress: bool) -> Filter:
    return through(SecurityGroup.key, _Rule.group_key, inner, _Rule.is_egress.is_(egress))


def _peer(column: Column) -> Filter:
    return through(_Rule.referenced_group_key, _Other.key, text(column))


def _rule_filters(head: str, *, egress: bool) -> dict[str, Filter]:
    inner: dict[str, Filter] = {
        "cidr": text(_Rule.cidr_ipv4),
        "from-port": number(_Rule.from_port),
        "group-id": _peer(_Other.id),
        "group-name": _peer(_Other.name),
        "ipv6-cidr": text(_Rule.cidr_ipv6),
        "prefix-list-id": never,
        "protocol": text(_Rule.protocol),
        "to-port": number(_Rule.to_port),
        "user-id": through(_Rule.referenced_group_key, _Other.key, owner),
    }
    return {f"{head}.{name}": _rule(one, egress=egress) for name, one in inner.items()}


FILTERS: Final[Mapping[str, Filter]] = {
    "description": text(SecurityGroup.description),
    "group-id": text(SecurityGroup.id),
    "group-name": text(SecurityGroup.name),
    "owner-id": owner,
    "vpc-id": through(SecurityGroup.vpc_key, Vpc.key, text(Vpc.id)),
    **_rule_filters("ip-permission", egress=False),
    **_rule_filters("egress.ip-permission", egress=True),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rules: dict[int, list[Any]] = {key: [] for key in keys}
    for rule in ctx.session.execute(
        sa.select(_Rule.__table__, _Other.id.label("peer_id"))
        .outerjoin(_Other, _Other.key == _Rule.referenced_group_key)
        .where(_Rule.group_key.in_(keys))
        .order_by(_Rule.key)
    ):
        rules[rule.group_key].append(rule)
    rows = ctx.session.execute(
        sa.select(SecurityGroup.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == SecurityGroup.vpc_key)
        .where(SecurityGroup.key.in_(keys))
    )
    tagged = tags.of(ctx, "security-group", keys)
    return {row.key: _shown(ctx, row, rules[row.key], tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, rules: Sequence[Any], tagged: list[Any]) -> SecurityGroupTypeDef:
    shown: SecurityGroupTypeDef = {
        "Description": row.description,
        "GroupId": row.id,
        "GroupName": row.name,
        "IpPermissions": _permissions(ctx, [rule for rule in rules if not rule.is_egress]),
        "IpPermissionsEgress": _permissions(ctx, [rule for rule in rules if rule.is_egress]),
        "OwnerId": ctx.account_id,
        "SecurityGroupArn": arn(ctx, row.id),
        "VpcId": row.vpc_id,
    }
    if tagged:
        shown["Tags"] = tagged
    return shown


def arn(ctx: Context, group_id: str) -> str:
    """The name of a group that is unique across all of AWS."""
    head = f"arn:{zones.partition(ctx.region)}:ec2:{ctx.region}:{ctx.account_id}"
    return f"{head}:security-group/{group_id}"


def _permissions(ctx: Context, rules: Sequence[Any]) -> list[IpPermissionOutputTypeDef]:
    """Join the rules of the same protocol and ports, as EC2 shows them."""
    joined: dict[tuple[str, int | None, int | None], Any] = {}
    for rule in rules:
        ports = (rule.protocol, rule.from_port, rule.to_port)
        if ports not in joined:
            joined[ports] = _permission(*ports)
        described = {"Description": rule.description} if rule.description is not None else {}
        if rule.cidr_ipv4 is not None:
            joined[ports]["IpRanges"].append({"CidrIp": rule.cidr_ipv4, **described})
        elif rule.cidr_ipv6 is not None:
            joined[ports]["Ipv6Ranges"].append({"CidrIpv6": rule.cidr_ipv6, **described})
        else:
            pair = {"GroupId": rule.peer_id, "UserId": ctx.account_id, **described}
            joined[ports]["UserIdGroupPairs"].append(pair)
    return list(joined.values())


def _permission(
    protocol: str, from_port: int | None, to_port: int | None
) -> IpPermissionOutputTypeDef:
    shown: IpPermissionOutputTypeDef = {
        "IpProtocol": protocol,
        "IpRanges": [],
        "Ipv6Ranges": [],
        "PrefixListIds": [],
        "UserIdGroupPairs": [],
    }
    if from_port is not None and to_port is not None:
        shown["FromPort"], shown["ToPort"] = from_port, to_port
    return shown


SECURITY_GROUPS: Final = listing.Resource(
    action="DescribeSecurityGroups",
    kind="security-group",
    model=SecurityGroup,
    prefix="sg",
    id_member="GroupIds",
    ids_word="groupIdSet",
    malformed=errors.invalid_group_id_malformed,
    not_found=errors.invalid_group_not_found,
    filters=FILTERS,
    view=_view,
)


@action("DescribeSecurityGroups")
def describe_security_groups(ctx: Context, request: DescribeSecurityGroupsRequestTypeDef) -> Result:
    """List the account's security groups; names are looked for in the default VPC only.

    :raises Ec2Error: ``InvalidGroup.NotFound``, ``InvalidGroupId.Malformed``
    """
    named = _ids(ctx, request.get("GroupNames") or ())
    if named:
        request = {**request, "GroupIds": [*(request.get("GroupIds") or ()), *named]}
    page = listing.describe(ctx, SECURITY_GROUPS, request)
    return page.answer("SecurityGroups", page.fragments())


def find(ctx: Context, request: Mapping[str, Any]) -> Any:
    """Find the one group that a change is about: by id, else by name in the default VPC.

    :raises Ec2Error: ``MissingParameter``, ``InvalidGroup.NotFound``, ``InvalidGroupId.Malformed``
    """
    group_id, name = request.get("GroupId"), request.get("GroupName")
    if group_id is None and name is None:
        raise errors.missing_parameter("groupId")
    if group_id is None:
        [group_id] = _ids(ctx, [str(name)])
    elif not ids.is_well_formed("sg", group_id):
        raise errors.invalid_group_id_malformed(group_id)
    row = ctx.session.execute(
        sa.select(SecurityGroup.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == SecurityGroup.vpc_key)
        .where(SecurityGroup.id == group_id, listing.owned(ctx, SecurityGroup))
    ).one_or_none()
    if row is None:
        raise errors.invalid_group_not_found([group_id])
    return row


def _ids(ctx: Context, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    default = ctx.session.execute(
        sa.select(Vpc.key, Vpc.id).where(listing.owned(ctx, Vpc), Vpc.is_default)
    ).one_or_none()
    if default is None:
        raise errors.invalid_group_not_found(names)
    found = {
        name: group_id
        for name, group_id in ctx.session.execute(
            sa.select(SecurityGroup.name, SecurityGroup.id).where(
                SecurityGroup.vpc_key == default.key, SecurityGroup.name.in_(names)
            )
        )
    }
    for name in names:
        if name not in found:
            raise errors.invalid_group_name_not_found(name, default.id)
    return list(found.values())
