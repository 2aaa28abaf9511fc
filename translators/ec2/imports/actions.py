"""ImportImage, ImportSnapshot, CancelImportTask: what is written when a disk is to be fetched.

The gateway's intake does the rest (`translators.imports` says what is whose).

Source: EC2 API Reference, the actions of these names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import guests, ids
from state.models import ImportImageTask, ImportSnapshotTask
from translators import errors, filters, imports, refusals, tags
from translators.ec2.imports import describe, import_errors, refused, sources
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CancelImportTaskRequestTypeDef,
        ImportImageRequestTypeDef,
        ImportSnapshotRequestTypeDef,
    )

MOST: Final = 20
"""Imports of an account under way in a region, as EC2's quota has it."""
_PLATFORMS: Final = ("Windows", "Linux")
_BOOT_MODES: Final = ("legacy-bios", "uefi", "uefi-preferred")
_USAGE: Final[Mapping[str, str]] = {"RunInstances": "Linux", "RunInstances:0002": "Windows"}
"""UsageOperation -> the platform whose images show it here."""
_CHARACTERS: Final = 255
_MODELS: Final[Mapping[str, tuple[type[Any], str]]] = {
    "import-ami": (ImportImageTask, "import-image-task"),
    "import-snap": (ImportSnapshotTask, "import-snapshot-task"),
}


@action("ImportImage", changes=True)
def import_image(ctx: Context, request: ImportImageRequestTypeDef) -> Result:
    """Have an image made of one disk, that a URL below a configured prefix names.

    :raises Ec2Error: ``InvalidParameter``, ``InvalidParameterValue``, ``MissingParameter``,
        ``ResourceLimitExceeded``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.IMAGE)
    given = tags.from_specifications(request, "import-image-task")
    asked = _asked(request)
    source = sources.read(ctx, _container(request.get("DiskContainers", ())), "DiskContainer.1.")
    if source.description is not None:
        asked["DiskDescription"] = _described(source.description)
    _check_count(ctx, ImportImageTask)
    row = imports.begin_image(
        ctx.session,
        account_key=ctx.account_key,
        region=ctx.region,
        url=source.url,
        format=source.format,
        asked=asked,
        description=_described(request.get("Description")),
        now=ctx.now,
    )
    tags.put(ctx, "import-image-task", row.key, row.id, given)
    shown = describe.image_views(ctx, [row.key])[row.key]
    return {name: value for name, value in shown.items() if name != "BootMode"}


@action("ImportSnapshot", changes=True)
def import_snapshot(ctx: Context, request: ImportSnapshotRequestTypeDef) -> Result:
    """Have a snapshot made of a disk that a URL below a configured prefix names.

    :raises Ec2Error: ``InvalidParameter``, ``InvalidParameterValue``, ``MissingParameter``,
        ``ResourceLimitExceeded``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.SNAPSHOT)
    given = tags.from_specifications(request, "import-snapshot-task")
    container = request.get("DiskContainer")
    if not container:
        raise errors.missing_parameter("DiskContainer")
    source = sources.read(ctx, container, "DiskContainer.")
    _check_count(ctx, ImportSnapshotTask)
    row = imports.begin_snapshot(
        ctx.session,
        account_key=ctx.account_key,
        region=ctx.region,
        url=source.url,
        format=source.format,
        description=_described(request.get("Description") or source.description),
        now=ctx.now,
    )
    tags.put(ctx, "import-snapshot-task", row.key, row.id, given)
    return describe.snapshot_views(ctx, [row.key])[row.key]


@action("CancelImportTask", changes=True)
def cancel_import_task(ctx: Context, request: CancelImportTaskRequestTypeDef) -> Result:
    """End an import that is under way; what there is of it is removed.

    :raises Ec2Error: ``InvalidConversionTaskId.Malformed``, ``InvalidConversionTaskId``,
        ``IncorrectState`` for one that has ended
    """
    task_id = request.get("ImportTaskId")
    if not task_id:
        raise errors.missing_parameter("ImportTaskId")
    reason = _described(request.get("CancelReason"), "cancelReason")
    row = _own(ctx, task_id)
    before = describe.STATES[row.phase]
    if row.phase not in guests.IMPORT_WORKING:
        raise import_errors.over(task_id, before)
    host_key = imports.cancel(ctx.session, row, ctx.now, reason)
    if host_key is not None:
        ctx.wake.add(host_key)
    return {"ImportTaskId": task_id, "PreviousState": before, "State": "deleting"}


def _own(ctx: Context, task_id: str) -> imports.Task:
    prefix = task_id.rpartition("-")[0]
    if prefix not in _MODELS or not ids.is_well_formed(prefix, task_id):
        raise errors.invalid_conversion_task_id_malformed(task_id)
    kind, _ = _MODELS[prefix]
    query = sa.select(kind).where(
        kind.id == task_id,
        filters.unindexed(kind.account_key) == ctx.account_key,
        filters.unindexed(kind.region) == ctx.region,
    )
    row: imports.Task | None = ctx.session.scalars(query).one_or_none()
    if row is None:
        raise errors.invalid_conversion_task_id([task_id])
    return row


# -- what is asked


def _container(containers: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    if not containers:
        raise errors.missing_parameter("DiskContainer")
    if len(containers) > 1:  # an image of several disks would have been one VM's
        raise errors.unsupported_operation("DiskContainer.2")
    return containers[0]


def _asked(request: ImportImageRequestTypeDef) -> dict[str, Any]:
    """What is said of the image, checked."""
    platform, boot_mode = request.get("Platform"), request.get("BootMode")
    usage = request.get("UsageOperation")
    if platform and platform not in _PLATFORMS:
        sentence = f"Valid values are {' and '.join(_PLATFORMS)}."
        raise errors.invalid_parameter_value(platform, "platform", sentence)
    if boot_mode and boot_mode not in _BOOT_MODES:
        sentence = f"Valid values are {', '.join(_BOOT_MODES)}."
        raise errors.invalid_parameter_value(boot_mode, "bootMode", sentence)
    if usage and (usage not in _USAGE or platform not in (None, _USAGE[usage])):
        raise errors.unsupported_operation("UsageOperation")
    said = {
        "Platform": platform or _USAGE.get(usage or ""),
        "BootMode": boot_mode,
        "LicenseType": request.get("LicenseType"),
        "UsageOperation": usage,
    }
    return {name: value for name, value in said.items() if value}


def _described(text: str | None, name: str = "description") -> str | None:
    if text is not None and len(text) > _CHARACTERS:
        sentence = f"Up to {_CHARACTERS} characters are expected."
        raise errors.invalid_parameter_value(text[:_CHARACTERS] + "...", name, sentence)
    return text or None


def _check_count(ctx: Context, kind: type[ImportImageTask] | type[ImportSnapshotTask]) -> None:
    """Refuse more at a time than an account is given."""
    query = sa.select(sa.func.count()).where(
        kind.account_key == ctx.account_key,
        kind.region == ctx.region,
        kind.phase.in_(guests.IMPORT_WORKING),
    )
    if (ctx.session.scalar(query) or 0) >= MOST:
        raise import_errors.too_many(MOST)
