"""DescribeImageAttribute, ModifyImageAttribute, ResetImageAttribute: for an image's owner alone.

Source: EC2 API Reference, the actions of these names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from state.models import Account, Image, ImagePermission, Instance
from translators import errors, refusals
from translators.ec2.images import image_errors, names, refused, rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeImageAttributeRequestTypeDef,
        LaunchPermissionTypeDef,
        ModifyImageAttributeRequestTypeDef,
        ResetImageAttributeRequestTypeDef,
    )

_ALL: Final = "all"
_PERMISSIONS: Final = "launchPermission"
_MOST: Final = 1000
"""Accounts named in one request."""


# -- what it is


def _permissions(ctx: Context, row: Image) -> list[LaunchPermissionTypeDef]:
    shown: list[LaunchPermissionTypeDef] = [{"Group": "all"}] if row.public else []
    query = (
        sa.select(Account.id)
        .join(ImagePermission, ImagePermission.account_key == Account.key)
        .where(ImagePermission.image_key == row.key)
        .order_by(Account.id)
    )
    shown += [{"UserId": account_id} for account_id in ctx.session.scalars(query)]
    return shown


def _last_launched(ctx: Context, row: Image) -> dict[str, str]:
    query = sa.select(sa.func.max(Instance.launch_time)).where(Instance.image_key == row.key)
    found = ctx.session.scalar(query)
    return {"Value": found.strftime("%Y-%m-%dT%H:%M:%SZ")} if found is not None else {}


def _description(_ctx: Context, row: Image) -> dict[str, str]:
    return {"Value": row.description} if row.description is not None else {}


def _boot_mode(_ctx: Context, row: Image) -> dict[str, str]:
    return {"Value": row.boot_mode} if row.boot_mode is not None else {}


def _always(value: object) -> Callable[[Context, Image], object]:
    return lambda ctx, row: value


_ATTRIBUTES: Final[Mapping[str, tuple[str, Callable[[Context, Image], object]]]] = {
    "bootMode": ("BootMode", _boot_mode),
    "deregistrationProtection": ("DeregistrationProtection", _always({"Value": "disabled"})),
    "description": ("Description", _description),
    "imdsSupport": ("ImdsSupport", _always({})),
    "kernel": ("KernelId", _always({})),
    "lastLaunchedTime": ("LastLaunchedTime", _last_launched),
    _PERMISSIONS: ("LaunchPermissions", _permissions),
    "productCodes": ("ProductCodes", _always([])),
    "ramdisk": ("RamdiskId", _always({})),
    "sriovNetSupport": ("SriovNetSupport", _always({"Value": "simple"})),
    "tpmSupport": ("TpmSupport", _always({})),
    "uefiData": ("UefiData", _always({})),
}
"""EC2's name of an attribute -> the answer's member, and what is in it."""


@action("DescribeImageAttribute")
def describe_image_attribute(ctx: Context, request: DescribeImageAttributeRequestTypeDef) -> Result:
    """Answer one attribute of an image that the caller owns.

    :raises Ec2Error: ``InvalidParameterValue`` for an unknown name, ``AuthFailure`` for the one
        that EC2 refuses to everybody; see `rights.owned`
    """
    name: str = request["Attribute"]
    if name not in _ATTRIBUTES and name != "blockDeviceMapping":
        raise errors.invalid_parameter_value(name, "attribute", "Unknown attribute.")
    row = rights.owned(ctx, request["ImageId"])
    if name not in _ATTRIBUTES:
        raise image_errors.restricted_resource()
    member, show = _ATTRIBUTES[name]
    return {"ImageId": row.id, member: show(ctx, row)}


# -- what it becomes


@dataclass(frozen=True, slots=True)
class _Change:
    """Who may launch from now on, and who no longer."""

    add: Sequence[LaunchPermissionTypeDef] = ()
    remove: Sequence[LaunchPermissionTypeDef] = ()


@action("ModifyImageAttribute", changes=True)
def modify_image_attribute(ctx: Context, request: ModifyImageAttributeRequestTypeDef) -> Result:
    """Change an image's description, or who may launch it; one of them a request.

    What is there already, or not there to be removed, is no error.

    :raises Ec2Error: ``InvalidParameterCombination``, ``InvalidParameterValue``,
        ``InvalidAMIAttributeItemValue``; see `rights.owned`
    """
    refusals.check(request, refused.IMAGE_ATTRIBUTES, "", refused.ON_THE_WIRE)
    for number, permission in enumerate(request.get("LaunchPermission", {}).get("Add", ()), 1):
        refusals.check(permission, refused.PERMISSION, f"LaunchPermission.Add.{number}.")
    description, change = _asked(request)
    row = rights.owned(ctx, request["ImageId"])
    if change is None:
        row.description = names.checked_description(description)
        return {}
    added, removed = _accounts(ctx, change.add), _accounts(ctx, change.remove)
    if _names_all(change.add):
        row.public = True
    if _names_all(change.remove):
        row.public = False
    _permit(ctx, row, added)
    _forbid(ctx, row, removed)
    return {}


@action("ResetImageAttribute", changes=True)
def reset_image_attribute(ctx: Context, request: ResetImageAttributeRequestTypeDef) -> Result:
    """Let nobody but its owner launch an image.

    :raises Ec2Error: ``InvalidParameterValue`` for any other attribute; see `rights.owned`
    """
    name: str = request["Attribute"]
    if name != _PERMISSIONS:
        raise errors.invalid_parameter_value(name, "attribute", f"Expected: {_PERMISSIONS}.")
    row = rights.owned(ctx, request["ImageId"])
    row.public = False
    ctx.session.execute(sa.delete(ImagePermission).where(ImagePermission.image_key == row.key))
    return {}


def _asked(request: ModifyImageAttributeRequestTypeDef) -> tuple[str | None, _Change | None]:
    """Read the one thing that is to change, in the form of today or the older one."""
    named = request.get("Attribute") or ""
    # Ansible begins them with a capital.
    attribute = named[:1].lower() + named[1:]
    if attribute not in ("", "description", _PERMISSIONS):
        raise errors.invalid_parameter_value(named, "attribute", "Unknown attribute.")
    described = attribute == "description" or "Description" in request
    permitted = attribute == _PERMISSIONS or "LaunchPermission" in request
    if described and permitted:
        raise errors.invalid_parameter_combination("description", _PERMISSIONS)
    if described:
        given = request.get("Description", {}).get("Value")
        return request.get("Value") if given is None else given, None
    if permitted:
        return None, _change(request)
    raise errors.no_attributes()


def _change(request: ModifyImageAttributeRequestTypeDef) -> _Change:
    given: Mapping[str, Any] = request.get("LaunchPermission", {})
    users, groups = request.get("UserIds", ()), request.get("UserGroups", ())
    older = [*({"UserId": one} for one in users), *({"Group": one} for one in groups)]
    operation: str | None = request.get("OperationType")
    if operation is None:  # Packer says the same in both forms
        told = [*given.get("Add", ()), *given.get("Remove", ())]
        older = [one for one in older if one not in told]
    if older and operation not in ("add", "remove"):
        raise errors.invalid_parameter_value(
            operation, "operationType", "Valid values are add and remove."
        )
    change = _Change(
        [*given.get("Add", ()), *(older if operation == "add" else ())],
        [*given.get("Remove", ()), *(older if operation == "remove" else ())],
    )
    if not change.add and not change.remove:
        raise errors.no_attributes()
    return change


def _names_all(permissions: Sequence[LaunchPermissionTypeDef]) -> bool:
    """Tell whether the group of all is among them; there is no other group."""
    groups: set[str] = {one["Group"] for one in permissions if one.get("Group")}
    for group in groups - {_ALL}:
        raise image_errors.invalid_ami_attribute_item_value(group, "userGroup")
    return bool(groups)


def _accounts(ctx: Context, permissions: Sequence[LaunchPermissionTypeDef]) -> dict[str, int]:
    """The keys of the accounts that are named; EC2 too refuses those that do not exist."""
    named = [one["UserId"] for one in permissions if one.get("UserId")]
    if len(named) > _MOST:
        raise errors.too_many_ids(len(named), _MOST, "account")
    query = sa.select(Account.id, Account.key).where(Account.id.in_(named))
    found = {account_id: key for account_id, key in ctx.session.execute(query)}
    for account_id in named:
        if account_id not in found:
            raise image_errors.invalid_ami_attribute_item_value(account_id, "userId")
    return found


def _permit(ctx: Context, row: Image, accounts: Mapping[str, int]) -> None:
    if accounts:
        ctx.session.execute(
            sqlite.insert(ImagePermission).on_conflict_do_nothing(),
            [{"image_key": row.key, "account_key": key} for key in accounts.values()],
        )


def _forbid(ctx: Context, row: Image, accounts: Mapping[str, int]) -> None:
    if accounts:
        ctx.session.execute(
            sa.delete(ImagePermission).where(
                ImagePermission.image_key == row.key,
                ImagePermission.account_key.in_(accounts.values()),
            )
        )
