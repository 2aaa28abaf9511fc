"""What IAM answers of an account that has no users, roles and instance profiles, as all here have.

Tools ask it for the account behind their keys, and whether a role is there before they use one.

Source: IAM API Reference, the actions of these names, "Common errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from state.models import Account
from translators import zones
from translators.errors import Ec2Error
from translators.registry import Context, Result, action

_MOST_ITEMS: Final = 1000


@action("GetUser", service="iam")
def get_user(ctx: Context, request: Mapping[str, Any]) -> Result:
    """Answer who signs: the account itself, by its name, as IAM does of a root user.

    :raises Ec2Error: ``NoSuchEntity`` for any name
    """
    name = request.get("UserName")
    if name is not None:
        raise _no_such_entity(f"The user with name {name} cannot be found.")
    account = ctx.session.execute(
        sa.select(Account.name, Account.created_at).where(Account.key == ctx.account_key)
    ).one()
    return {
        "User": {
            "Arn": f"arn:{zones.partition(ctx.region)}:iam::{ctx.account_id}:root",
            "CreateDate": account.created_at,
            "Path": "/",
            "UserId": ctx.account_id,
            "UserName": account.name,
        }
    }


@action("ListRoles", service="iam")
def list_roles(_ctx: Context, request: Mapping[str, Any]) -> Result:
    """List no roles.

    :raises Ec2Error: ``ValidationError``
    """
    return _none("Roles", request)


@action("ListAccountAliases", service="iam")
def list_account_aliases(_ctx: Context, request: Mapping[str, Any]) -> Result:
    """List no alias: accounts are called by their number here.

    :raises Ec2Error: ``ValidationError``
    """
    return _none("AccountAliases", request)


@action("GetInstanceProfile", service="iam")
def get_instance_profile(_ctx: Context, request: Mapping[str, Any]) -> Result:
    """Refuse every name: there are no instance profiles.

    :raises Ec2Error: ``NoSuchEntity``
    """
    name = request["InstanceProfileName"]
    raise _no_such_entity(f"Instance Profile {name} cannot be found.")


@action("ListInstanceProfiles", service="iam")
def list_instance_profiles(_ctx: Context, request: Mapping[str, Any]) -> Result:
    """List no instance profiles.

    :raises Ec2Error: ``ValidationError``
    """
    return _none("InstanceProfiles", request)


def _none(member: str, request: Mapping[str, Any]) -> Result:
    """Answer an empty list to a request whose page is one that there could be."""
    most = request.get("MaxItems")
    if most is not None and not 1 <= most <= _MOST_ITEMS:
        word, bound = ("greater", 1) if most < 1 else ("less", _MOST_ITEMS)
        raise _out_of_bounds(most, word, bound)
    if request.get("Marker"):
        # Nothing is ever cut off here, so no marker is one of ours.
        raise _invalid_marker()
    return {member: [], "IsTruncated": False}


def _invalid_marker() -> Ec2Error:
    return Ec2Error("ValidationError", "Invalid Marker.")


def _no_such_entity(sentence: str) -> Ec2Error:
    return Ec2Error("NoSuchEntity", sentence, 404)


def _out_of_bounds(most: int, word: str, bound: int) -> Ec2Error:
    message = (
        f"1 validation error detected: Value '{most}' at 'maxItems' failed to satisfy "
        f"constraint: Member must have value {word} than or equal to {bound}"
    )
    return Ec2Error("ValidationError", message)
