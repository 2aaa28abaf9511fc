"""DescribeSnapshotAttribute, ModifySnapshotAttribute, ResetSnapshotAttribute: who may use one.

Source: EC2 API Reference, the actions of these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from state import ids
from state.models import Account, Snapshot, SnapshotPermission
from translators import errors
from translators.ec2.snapshots import rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateVolumePermissionTypeDef,
        DescribeSnapshotAttributeRequestTypeDef,
        ModifySnapshotAttributeRequestTypeDef,
        ResetSnapshotAttributeRequestTypeDef,
    )

_PERMISSIONS: Final = "createVolumePermission"
_PRODUCT_CODES: Final = "productCodes"
_ALL: Final = "all"
_MOST: Final = 1000
"""Accounts named in one request."""


@action("DescribeSnapshotAttribute")
def describe_snapshot_attribute(
    ctx: Context, request: DescribeSnapshotAttributeRequestTypeDef
) -> Result:
    """Answer one attribute of a snapshot that the caller owns.

    :raises Ec2Error: ``InvalidParameterValue`` for an unknown name; see `rights.owned`
    """
    name: str = request["Attribute"]
    if name not in (_PERMISSIONS, _PRODUCT_CODES):
        raise errors.invalid_parameter_value(name, "attribute", "Unknown attribute.")
    row = rights.owned(ctx, request["SnapshotId"])
    if name == _PRODUCT_CODES:
        return {"SnapshotId": row.id, "ProductCodes": []}
    return {"SnapshotId": row.id, "CreateVolumePermissions": _permissions(ctx, row)}


def _permissions(ctx: Context, row: Snapshot) -> list[CreateVolumePermissionTypeDef]:
    shown: list[CreateVolumePermissionTypeDef] = [{"Group": "all"}] if row.public else []
    query = (
        sa.select(Account.id)
        .join(SnapshotPermission, SnapshotPermission.account_key == Account.key)
        .where(SnapshotPermission.snapshot_key == row.key)
        .order_by(Account.id)
    )
    shown += [{"UserId": account_id} for account_id in ctx.session.scalars(query)]
    return shown


@action("ModifySnapshotAttribute", changes=True)
def modify_snapshot_attribute(
    ctx: Context, request: ModifySnapshotAttributeRequestTypeDef
) -> Result:
    """Change who may make volumes of a snapshot.

    What is there already, or not there to be removed, is no error.

    :raises Ec2Error: ``InvalidParameterCombination``, ``InvalidParameterValue``,
        ``InvalidUserID.Malformed``; see `rights.owned`
    """
    attribute: str = request.get("Attribute") or _PERMISSIONS
    if attribute != _PERMISSIONS:
        raise errors.invalid_parameter_value(attribute, "attribute", f"Expected: {_PERMISSIONS}.")
    add, remove = _asked(request)
    row = rights.owned(ctx, request["SnapshotId"])
    added, removed = _accounts(ctx, add), _accounts(ctx, remove)
    if _names_all(add):
        row.public = True
    if _names_all(remove):
        row.public = False
    if added:
        ctx.session.execute(
            sqlite.insert(SnapshotPermission).on_conflict_do_nothing(),
            [{"snapshot_key": row.key, "account_key": key} for key in added],
        )
    if removed:
        ctx.session.execute(
            sa.delete(SnapshotPermission).where(
                SnapshotPermission.snapshot_key == row.key,
                SnapshotPermission.account_key.in_(removed),
            )
        )
    return {}


@action("ResetSnapshotAttribute", changes=True)
def reset_snapshot_attribute(ctx: Context, request: ResetSnapshotAttributeRequestTypeDef) -> Result:
    """Let nobody but its owner make volumes of a snapshot.

    :raises Ec2Error: ``InvalidParameterValue`` for any other attribute; see `rights.owned`
    """
    name: str = request["Attribute"]
    if name != _PERMISSIONS:
        raise errors.invalid_parameter_value(name, "attribute", f"Expected: {_PERMISSIONS}.")
    row = rights.owned(ctx, request["SnapshotId"])
    row.public = False
    ctx.session.execute(
        sa.delete(SnapshotPermission).where(SnapshotPermission.snapshot_key == row.key)
    )
    return {}


_Permissions = Sequence[Mapping[str, Any]]


def _asked(request: ModifySnapshotAttributeRequestTypeDef) -> tuple[_Permissions, _Permissions]:
    """Read who is to be added and who removed, in the form of today or the older one."""
    given: Mapping[str, Any] = request.get("CreateVolumePermission", {})
    users, groups = request.get("UserIds", ()), request.get("GroupNames", ())
    older = [*({"UserId": one} for one in users), *({"Group": one} for one in groups)]
    operation: str | None = request.get("OperationType")
    if operation is None:  # Packer says the same in both forms
        told = [*given.get("Add", ()), *given.get("Remove", ())]
        older = [one for one in older if one not in told]
    if older and operation not in ("add", "remove"):
        raise errors.invalid_parameter_value(
            operation, "operationType", "Valid values are add and remove."
        )
    add = [*given.get("Add", ()), *(older if operation == "add" else ())]
    remove = [*given.get("Remove", ()), *(older if operation == "remove" else ())]
    if not add and not remove:
        raise errors.no_attributes()
    return add, remove


def _names_all(permissions: _Permissions) -> bool:
    """Tell whether the group of all is among them; there is no other group."""
    groups = {one["Group"] for one in permissions if one.get("Group")}
    for group in groups - {_ALL}:
        raise errors.invalid_parameter_value(group, "groupName", f"Expected: {_ALL}.")
    return bool(groups)


def _accounts(ctx: Context, permissions: _Permissions) -> list[int]:
    """The keys of the accounts that are named; EC2 too refuses those that do not exist."""
    named = [one["UserId"] for one in permissions if one.get("UserId")]
    if len(named) > _MOST:
        raise errors.too_many_ids(len(named), _MOST, "account")
    for account_id in named:
        if not ids.ACCOUNT.fullmatch(account_id):
            raise errors.invalid_user_id_malformed(account_id)
    query = sa.select(Account.id, Account.key).where(Account.id.in_(named))
    found = {account_id: key for account_id, key in ctx.session.execute(query)}
    for account_id in named:
        if account_id not in found:
            raise errors.invalid_user_id_malformed(account_id)
    return list(found.values())
