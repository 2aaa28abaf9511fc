"""CreateSecurityGroup and DeleteSecurityGroup.

Source: EC2 API Reference, the two actions; VPC User Guide, "Amazon VPC quotas".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import InterfaceGroup, SecurityGroup, SecurityGroupRule, Tag, Vpc
from translators import errors, listing, tags
from translators.ec2.security_groups import group_errors, permissions
from translators.ec2.security_groups.groups import arn, find
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateSecurityGroupRequestTypeDef,
        DeleteSecurityGroupRequestTypeDef,
    )

_MOST: Final = 2500
"""EC2's quota of security groups in a region."""
_DEFAULT: Final = "default"
_ANYWHERE: Final = "0.0.0.0/0"
_CHARACTERS: Final = 255


@action("CreateSecurityGroup", changes=True)
def create_security_group(ctx: Context, request: CreateSecurityGroupRequestTypeDef) -> Result:
    """Make a group that lets nothing in and everything out.

    :raises Ec2Error: ``InvalidGroup.Duplicate``, ``InvalidParameterValue``,
        ``SecurityGroupLimitExceeded``, ``InvalidVpcID.NotFound``, ``VPCIdNotSpecified``
    """
    name = request["GroupName"].rstrip(" ")
    _check(name, request["Description"])
    given = tags.from_specifications(request, "security-group")
    vpc = _vpc(ctx, request.get("VpcId") or None)  # Packer says "" for the default one
    taken = sa.select(SecurityGroup.key).where(
        SecurityGroup.vpc_key == vpc.key, SecurityGroup.name == name
    )
    if ctx.session.scalar(taken) is not None:
        raise group_errors.duplicate_group(name, vpc.id)
    mine = sa.select(sa.func.count()).where(listing.owned(ctx, SecurityGroup))
    if (ctx.session.scalar(mine) or 0) >= _MOST:
        raise group_errors.security_group_limit_exceeded()
    owner: dict[str, Any] = {"account_key": ctx.account_key, "region": ctx.region}
    group = SecurityGroup(
        id=ids.mint("sg"),
        name=name,
        description=request["Description"],
        vpc_key=vpc.key,
        **owner,
    )
    ctx.session.add(group)
    ctx.session.flush()
    ctx.session.add(
        SecurityGroupRule(
            id=ids.mint("sgr"),
            group_key=group.key,
            is_egress=True,
            protocol="-1",
            cidr_ipv4=_ANYWHERE,
            **owner,
        )
    )
    tags.put(ctx, "security-group", group.key, group.id, given)
    return {
        "GroupId": group.id,
        "SecurityGroupArn": arn(ctx, group.id),
        "Tags": [{"Key": tag, "Value": value} for tag, value in sorted(given.items())],
    }


def _check(name: str, description: str) -> None:
    for text, parameter in ((name, "GroupName"), (description, "GroupDescription")):
        if not text:
            raise errors.missing_parameter(parameter)
        if not text.isascii():
            sentence = "Character sets beyond ASCII are not supported."
            raise errors.invalid_parameter_value(text, parameter, sentence)
    permissions.check_text(name, "security group name")
    permissions.check_text(description, "security group description")
    if name.startswith("sg-"):
        raise group_errors.name_in_the_form_of_an_id(name)
    if name.lower() == _DEFAULT:
        raise group_errors.name_reserved(name)


def _vpc(ctx: Context, vpc_id: str | None) -> Any:
    if vpc_id is not None and not ids.is_well_formed("vpc", vpc_id):
        raise errors.invalid_vpc_id_malformed(vpc_id)
    which = Vpc.is_default if vpc_id is None else Vpc.id == vpc_id
    row = ctx.session.execute(
        sa.select(Vpc.key, Vpc.id).where(listing.owned(ctx, Vpc), which)
    ).one_or_none()
    if row is not None:
        return row
    if vpc_id is None:
        raise group_errors.vpc_id_not_specified()
    raise errors.invalid_vpc_id_not_found([vpc_id])


@action("DeleteSecurityGroup", changes=True)
def delete_security_group(ctx: Context, request: DeleteSecurityGroupRequestTypeDef) -> Result:
    """Delete a group with its rules, unless an interface or another group's rule needs it.

    :raises Ec2Error: ``CannotDelete``, ``DependencyViolation``, ``InvalidGroup.NotFound``
    """
    group = find(ctx, request)
    if group.name == _DEFAULT:
        raise group_errors.cannot_delete(group.id)
    member = sa.select(InterfaceGroup.interface_key).where(InterfaceGroup.group_key == group.key)
    referring = sa.select(SecurityGroupRule.key).where(
        SecurityGroupRule.referenced_group_key == group.key,
        SecurityGroupRule.group_key != group.key,
    )
    if ctx.session.scalar(sa.select(sa.or_(member.exists(), referring.exists()))):
        raise group_errors.dependency_violation(group.id)
    rules = sa.select(SecurityGroupRule.key).where(SecurityGroupRule.group_key == group.key)
    ctx.session.execute(
        sa.delete(Tag).where(
            Tag.resource_type == "security-group-rule", Tag.resource_key.in_(rules)
        )
    )
    ctx.session.execute(
        sa.delete(SecurityGroupRule).where(SecurityGroupRule.group_key == group.key)
    )
    tags.remove_all(ctx, "security-group", group.key)
    ctx.session.execute(sa.delete(SecurityGroup).where(SecurityGroup.key == group.key))
    return {"Return": True, "GroupId": group.id}
