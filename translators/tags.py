"""Tags: what a request gives at creation, what rows have, and the limits on both.

Source: EC2 User Guide, "Tag your Amazon EC2 resources" (restrictions); API Reference, CreateTags.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from state.models import Tag
from state.statements import Statement, listed
from translators import errors
from translators.registry import Context

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import TagTypeDef

MOST: Final = 50
_KEY_CHARACTERS: Final = 128
_VALUE_CHARACTERS: Final = 256

# Statements are made once: to make one costs several times what it costs to run it.
_OTHERS: Final = Statement(
    sa.select(sa.func.count())
    .select_from(Tag)
    .where(
        Tag.resource_type == sa.bindparam("kind"),
        Tag.resource_key.in_(listed("keys", sa.BigInteger)),
        Tag.key.not_in(listed("given", sa.String)),
    )
    .group_by(Tag.resource_key)
)
_INSERT: Final = sqlite.insert(Tag).values(
    resource_type=sa.bindparam("of_type"),
    resource_key=sa.bindparam("of_key"),
    resource_id=sa.bindparam("of_id"),
    key=sa.bindparam("tag"),
    value=sa.bindparam("given"),
    account_key=sa.bindparam("account"),
    region=sa.bindparam("in_region"),
)
_PUT: Final = Statement(
    _INSERT.on_conflict_do_update(
        index_elements=[Tag.resource_type, Tag.resource_key, Tag.key],
        set_={"value": _INSERT.excluded.value},
        where=Tag.value != _INSERT.excluded.value,
    )
)
_OF: Final = Statement(
    sa.select(Tag.resource_key, Tag.key, Tag.value)
    .where(
        Tag.resource_type == sa.bindparam("kind"),
        Tag.resource_key.in_(listed("keys", sa.BigInteger)),
        Tag.account_key == sa.bindparam("account"),
    )
    .order_by(Tag.resource_key, Tag.key)
)


def from_specifications(
    request: Mapping[str, Any], kind: str, *, allowed: Collection[str] = ()
) -> dict[str, str]:
    """The tags that TagSpecifications give to resources of that type.

    `allowed` are the other types that the action can tag; what is given to them is checked too.

    :raises Ec2Error: ``InvalidParameterValue``, ``TagLimitExceeded``
    """
    given: dict[str, dict[str, str]] = {}
    for item in request.get("TagSpecifications") or ():
        named = item.get("ResourceType")
        if not named:
            raise errors.invalid_parameter_value_text(
                "Tag specification resource type must have a value"
            )
        if named != kind and named not in allowed:
            raise errors.invalid_parameter_value_text(
                f"'{named}' is not a valid taggable resource type for this operation."
            )
        if named in given:
            raise errors.invalid_parameter_value_text(
                f"The resource type '{named}' is specified more than once."
            )
        if not item.get("Tags"):
            raise errors.invalid_parameter_value_text(
                "Tag specification must have at least one tag"
            )
        given[named] = checked(item["Tags"])
    return given.get(kind, {})


def checked(tags: Sequence[TagTypeDef]) -> dict[str, str]:
    """The tags as a mapping, a missing value being empty.

    :raises Ec2Error: for a key or value out of its limits, a reserved key, a key given twice
    """
    result: dict[str, str] = {}
    for tag in tags:
        key, value = tag.get("Key") or "", tag.get("Value") or ""
        check_key(key)
        if len(value) > _VALUE_CHARACTERS:
            raise errors.invalid_parameter_value_text(
                f"Tag value exceeds the maximum length of {_VALUE_CHARACTERS} characters"
            )
        if key in result:
            raise errors.invalid_parameter_value_text(f"Duplicate tag key '{key}' specified.")
        result[key] = value
    if len(result) > MOST:
        raise errors.tag_limit_exceeded(MOST)
    return result


def check_key(key: str) -> None:
    """Refuse a key that no user's tag may have.

    :raises Ec2Error: ``InvalidTagKey.Malformed``, ``InvalidParameterValue``
    """
    if not key:
        raise errors.invalid_tag_key_malformed()
    if len(key) > _KEY_CHARACTERS:
        raise errors.invalid_parameter_value_text(
            f"Tag key exceeds the maximum length of {_KEY_CHARACTERS} characters"
        )
    if key.lower().startswith("aws:"):
        raise errors.invalid_parameter_value(
            f" {key} ", "key", "Tag keys starting with 'aws:' are reserved for internal use"
        )


def put(ctx: Context, kind: str, key: int, resource_id: str, tags: Mapping[str, str]) -> None:
    """Give the tags to a resource of the caller; a key that it has gets the new value.

    :raises Ec2Error: ``TagLimitExceeded``
    """
    put_all(ctx, kind, {key: resource_id}, tags)


def put_all(ctx: Context, kind: str, resources: Mapping[int, str], tags: Mapping[str, str]) -> None:
    """Give the same tags to several resources, named by key and id.

    :raises Ec2Error: ``TagLimitExceeded``
    """
    if not tags or not resources:
        return
    asked = {"kind": kind, "keys": list(resources), "given": list(tags)}
    others = [count for (count,) in _OTHERS.run(ctx.session, asked)]
    if max(others, default=0) + len(tags) > MOST:
        raise errors.tag_limit_exceeded(MOST)
    for key, resource_id in resources.items():
        for tag, value in tags.items():
            row = {
                "of_type": kind,
                "of_key": key,
                "of_id": resource_id,
                "tag": tag,
                "given": value,
                "account": ctx.account_key,
                "in_region": ctx.region,
            }
            _PUT.run(ctx.session, row)


def remove_all(ctx: Context, kind: str, key: int) -> None:
    """Take every tag from a resource that ceases to be."""
    ctx.session.execute(sa.delete(Tag).where(Tag.resource_type == kind, Tag.resource_key == key))


def of(ctx: Context, kind: str, keys: Sequence[int]) -> Mapping[int, list[TagTypeDef]]:
    """The tags that the caller sees on each of the resources, by key; none is an empty list."""
    found: dict[int, list[TagTypeDef]] = {key: [] for key in keys}
    asked = {"kind": kind, "keys": list(keys), "account": ctx.account_key}
    for resource_key, key, value in _OF.run(ctx.session, asked):
        found[resource_key].append({"Key": key, "Value": value})
    return found
