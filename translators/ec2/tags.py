"""CreateTags, DeleteTags, DescribeTags, on resources of every kind.

Source: EC2 API Reference, the actions of these names, data type TagDescription.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids, models
from state.models import Tag
from state.statements import Statement, listed
from translators import errors, filters, listing, paging, tags
from translators.errors import Ec2Error
from translators.filters import Filter, text
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeTagsRequestTypeDef

_MOST_RESOURCES: Final = 1000


@dataclass(frozen=True, slots=True)
class _Kind:
    """What can be tagged, known by its id's prefix."""

    name: str
    model: type[models.Base]
    malformed: Callable[[str], Ec2Error]
    not_found: Callable[[Collection[str]], Ec2Error]
    exists: filters.Condition = sa.true()  # noqa: RUF009 - a constant


def _unknown_key_pair(given: str) -> Ec2Error:
    return errors.invalid_key_pair_not_found([given])


_KINDS: Final[Mapping[str, _Kind]] = {
    "acl": _Kind(
        "network-acl",
        models.NetworkAcl,
        errors.invalid_network_acl_id_malformed,
        errors.invalid_network_acl_id_not_found,
    ),
    "ami": _Kind(
        "image",
        models.Image,
        errors.invalid_ami_id_malformed,
        errors.invalid_ami_id_not_found,
        models.Image.state != "deregistered",
    ),
    "dopt": _Kind(
        "dhcp-options",
        models.DhcpOptions,
        errors.invalid_dhcp_options_id_malformed,
        errors.invalid_dhcp_options_id_not_found,
    ),
    "eni": _Kind(
        "network-interface",
        models.NetworkInterface,
        errors.invalid_network_interface_id_malformed,
        errors.invalid_network_interface_id_not_found,
    ),
    "i": _Kind(
        "instance",
        models.Instance,
        errors.invalid_instance_id_malformed,
        errors.invalid_instance_id_not_found,
    ),
    "igw": _Kind(
        "internet-gateway",
        models.InternetGateway,
        errors.invalid_internet_gateway_id_malformed,
        errors.invalid_internet_gateway_id_not_found,
    ),
    "import-ami": _Kind(
        "import-image-task",
        models.ImportImageTask,
        errors.invalid_conversion_task_id_malformed,
        errors.invalid_conversion_task_id,
    ),
    "import-snap": _Kind(
        "import-snapshot-task",
        models.ImportSnapshotTask,
        errors.invalid_conversion_task_id_malformed,
        errors.invalid_conversion_task_id,
    ),
    "key": _Kind("key-pair", models.KeyPair, _unknown_key_pair, errors.invalid_key_pair_not_found),
    "rtb": _Kind(
        "route-table",
        models.RouteTable,
        errors.invalid_route_table_id_malformed,
        errors.invalid_route_table_id_not_found,
    ),
    "sg": _Kind(
        "security-group",
        models.SecurityGroup,
        errors.invalid_group_id_malformed,
        errors.invalid_group_not_found,
    ),
    "sgr": _Kind(
        "security-group-rule",
        models.SecurityGroupRule,
        errors.invalid_id,
        errors.invalid_security_group_rule_id_not_found,
    ),
    "snap": _Kind(
        "snapshot",
        models.Snapshot,
        errors.invalid_snapshot_id_malformed,
        errors.invalid_snapshot_not_found,
        models.Snapshot.phase != "deleting",
    ),
    "subnet": _Kind(
        "subnet",
        models.Subnet,
        errors.invalid_subnet_id_malformed,
        errors.invalid_subnet_id_not_found,
    ),
    "vol": _Kind(
        "volume",
        models.Volume,
        errors.invalid_volume_id_malformed,
        errors.invalid_volume_not_found,
    ),
    "vpc": _Kind(
        "vpc", models.Vpc, errors.invalid_vpc_id_malformed, errors.invalid_vpc_id_not_found
    ),
}


def _prefix(resource_id: str) -> str:
    prefix = resource_id.rpartition("-")[0]
    if prefix not in _KINDS:
        raise errors.invalid_id(resource_id)
    if not ids.is_well_formed(prefix, resource_id):
        raise _KINDS[prefix].malformed(resource_id)
    return prefix


def _check(request: Mapping[str, Any]) -> None:
    for one in request["Resources"]:
        _prefix(one)


@action("CreateTags", changes=True, check=_check)
def create_tags(ctx: Context, request: Mapping[str, Any]) -> Result:
    """Give tags to resources; all of them or, if one cannot have them, none.

    :raises Ec2Error: ``InvalidID`` or the resource's own NotFound, ``TagLimitExceeded``
    """
    given = tags.checked(request["Tags"])
    if not given:
        raise errors.missing_parameter("tagSet")
    for kind, found in _resources(ctx, request["Resources"]).items():
        tags.put_all(ctx, kind, found, given)
    return {}


@action("DeleteTags", changes=True, check=_check)
def delete_tags(ctx: Context, request: Mapping[str, Any]) -> Result:
    """Take tags away: by key, by key and value, or without any named, all of the user's.

    A tag that a resource does not have, or has with another value, is no error.

    :raises Ec2Error: ``InvalidID`` or the resource's own NotFound
    """
    conditions: list[filters.Condition] = []
    for tag in request.get("Tags") or ():
        tags.check_key(tag.get("Key") or "")
        condition = Tag.key == tag["Key"]
        value = tag.get("Value")
        conditions.append(condition if value is None else sa.and_(condition, Tag.value == value))
    for kind, found in _resources(ctx, request["Resources"]).items():
        ctx.session.execute(
            sa.delete(Tag).where(
                Tag.resource_type == kind,
                Tag.resource_key.in_(found),
                Tag.account_key == ctx.account_key,
                sa.or_(*conditions) if conditions else Tag.key.not_like("aws:%"),
            )
        )
    return {}


def _resources(ctx: Context, named: Sequence[str]) -> dict[str, dict[int, str]]:
    """Kind -> key -> id, the form of every id being looked at before any is looked up."""
    if not named:
        raise errors.missing_parameter("resourceIdSet")
    if len(named) > _MOST_RESOURCES:
        raise errors.too_many_ids(len(named), _MOST_RESOURCES, "resource")
    by_prefix: dict[str, list[str]] = {}
    for one in dict.fromkeys(named):
        by_prefix.setdefault(_prefix(one), []).append(one)
    result: dict[str, dict[int, str]] = {}
    for prefix, wanted in by_prefix.items():
        kind = _KINDS[prefix]
        asked = {"ids": wanted, "account": ctx.account_key, "region": ctx.region}
        found = dict(_found(prefix).run(ctx.session, asked))
        if missing := [one for one in wanted if one not in found.values()]:
            raise kind.not_found(missing)
        result[kind.name] = found
    return result


@functools.cache
def _found(prefix: str) -> Statement:
    kind = _KINDS[prefix]
    columns = kind.model.__table__.c
    # Driven by the ids: the owner's index would walk all that the account has.
    account, region = filters.unindexed(columns.account_key), filters.unindexed(columns.region)
    return Statement(
        sa.select(columns.key, columns.id).where(
            columns.id.in_(listed("ids", sa.String)),
            account == sa.bindparam("account", type_=sa.BigInteger),
            region.in_([sa.bindparam("region", type_=sa.String), "*"]),
            kind.exists,
        )
    )


# -- DescribeTags

FILTERS: Final[Mapping[str, Filter]] = {
    "key": text(Tag.key),
    "resource-id": text(Tag.resource_id),
    "resource-type": text(Tag.resource_type),
    "value": text(Tag.value),
}
_BOUNDS: Final = (5, 1000)
_ORDER: Final = (Tag.resource_type, Tag.resource_key, Tag.key)


def _tagged(name: str) -> Filter:
    values_of = text(Tag.value)
    return lambda ctx, values: sa.and_(Tag.key == name.removeprefix("tag:"), values_of(ctx, values))


@action("DescribeTags")
def describe_tags(ctx: Context, request: DescribeTagsRequestTypeDef) -> Result:
    """List the account's tags.

    :raises Ec2Error: ``InvalidParameterValue``, ``InvalidNextToken``
    """
    limit = paging.limit(request, _BOUNDS, cut=False)
    after = paging.after(ctx, "DescribeTags", request)
    requested = request.get("Filters") or ()
    names = [one.get("Name") or "" for one in requested]
    table = {**FILTERS, **{name: _tagged(name) for name in names if name.startswith("tag:")}}
    compiled = filters.compile(ctx, requested, table, kind=None, key=Tag.resource_key)
    query = sa.select(*_ORDER, Tag.resource_id, Tag.value).where(
        listing.owned(ctx, Tag), *compiled.conditions
    )
    if after is not None:
        query = query.where(sa.tuple_(*_ORDER) > sa.tuple_(*after))
    query = query.order_by(*_ORDER)
    if limit is not None:
        query = query.limit(limit + 1)
    rows = ctx.session.execute(query).all()
    answer: dict[str, Any] = {}
    if limit is not None and len(rows) > limit:
        rows = rows[:limit]
        last = rows[-1]
        position = [last.resource_type, last.resource_key, last.key]
        answer["NextToken"] = paging.token(ctx, "DescribeTags", request, position)
    answer["Tags"] = [
        {
            "Key": row.key,
            "ResourceId": row.resource_id,
            "ResourceType": row.resource_type,
            "Value": row.value,
        }
        for row in rows
    ]
    return answer
