"""DescribeImportImageTasks, DescribeImportSnapshotTasks: how far imports are, or why they ended.

Source: EC2 API Reference, the actions of these names, SnapshotDetail, SnapshotTaskDetail; VM
Import/Export User Guide, "Import task statuses".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import guests
from state.models import Image, ImportImageTask, ImportSnapshotTask, Snapshot, Transfer
from translators import errors, imports, listing, tags
from translators.filters import Filter, mapped
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeImportImageTasksRequestTypeDef,
        DescribeImportSnapshotTasksRequestTypeDef,
    )

STATES: Final[Mapping[guests.ImportPhase, str]] = {
    "queued": "active",
    "fetching": "active",
    "converting": "active",
    "sending": "active",
    "verifying": "active",
    "completed": "completed",
    "cancelled": "deleted",
    "failed": "deleted",
}
"""Phase -> EC2's Status; it calls deleted whatever has ended without a result."""
_MESSAGES: Final[Mapping[guests.ImportPhase, str]] = {
    "queued": "pending",
    "fetching": "downloading/converting",
    "converting": "converting",
    "sending": "updating",
    "verifying": "validating",
}
"""Phase -> EC2's StatusMessage, while nothing else is to be said."""
_STARTED_PERCENT: Final = 1
_DEVICE: Final = "/dev/sda1"
IMAGE_FILTERS: Final[Mapping[str, Filter]] = {"task-state": mapped(ImportImageTask.phase, STATES)}
SNAPSHOT_FILTERS: Final[Mapping[str, Filter]] = {
    "task-state": mapped(ImportSnapshotTask.phase, STATES)
}


# -- what both show


def _status(row: Any) -> dict[str, object]:
    """How far a task is; a completed one shows neither progress nor message."""
    shown: dict[str, object] = {"Status": STATES[row.phase]}
    if row.phase == "completed":
        return shown
    message = row.message or _MESSAGES.get(row.phase)
    if message is not None:
        shown["StatusMessage"] = message
    if row.phase in guests.IMPORT_WORKING:
        shown["Progress"] = str(max(_progress(row), _STARTED_PERCENT))
    return shown


def _progress(row: Any) -> int:
    """Percent of the whole; on its way to the host, as far as the host has told."""
    if row.phase != "sending" or not row.length_bytes:
        return int(row.progress)
    left = imports.VERIFYING_PERCENT - imports.FETCHED_PERCENT
    return imports.FETCHED_PERCENT + left * int(row.done_bytes) // int(row.length_bytes)


def _disk(row: Any) -> dict[str, object]:
    """What was said of the disk, and what is known of its file."""
    shown: dict[str, object] = {"DiskImageSize": float(row.disk_bytes or 0), "Url": row.url}
    if row.format:
        shown["Format"] = row.format
    if row.phase == "completed" and row.made_snapshot is not None:
        shown["SnapshotId"] = row.made_snapshot
    return shown


# -- images


def image_views(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    """The tasks as they are shown, by key."""
    rows = ctx.session.execute(
        sa.select(
            ImportImageTask.__table__,
            Image.id.label("image_id"),
            Image.architecture,
            Image.platform,
            Image.boot_mode,
            Image.snapshot_id.label("made_snapshot"),
            Transfer.done_bytes,
            Transfer.length_bytes,
        )
        .outerjoin(Image, Image.key == ImportImageTask.image_key)
        .outerjoin(Snapshot, Snapshot.key == Image.snapshot_key)
        .outerjoin(Transfer, _is_on_its_way())
        .where(ImportImageTask.key.in_(keys))
    )
    tagged = tags.of(ctx, "import-image-task", keys)
    return {row.key: _image_task(row, tagged[row.key]) for row in rows}


def _is_on_its_way() -> sa.ColumnElement[bool]:
    return sa.and_(
        Transfer.path == Snapshot.file_name, Transfer.target_host_key == Snapshot.host_key
    )


def _image_task(row: Any, tagged: Sequence[Any]) -> dict[str, object]:
    asked: Mapping[str, Any] = row.asked
    detail = _disk(row)
    if asked.get("DiskDescription"):
        detail["Description"] = asked["DiskDescription"]
    if row.image_id is not None:
        detail["DeviceName"] = _DEVICE
        detail["Status"] = "completed" if row.phase == "completed" else STATES[row.phase]
    shown: dict[str, object] = {
        "ImportTaskId": row.id,
        "SnapshotDetails": [detail],
        **_status(row),
        **{name: asked[name] for name in ("LicenseType", "UsageOperation") if asked.get(name)},
    }
    platform = asked.get("Platform")
    if row.image_id is not None:
        shown["Architecture"] = row.architecture
        shown["Hypervisor"] = "xen"
        platform = "Windows" if row.platform == "windows" else "Linux"
    if platform:
        shown["Platform"] = platform
    if boot_mode := row.boot_mode or asked.get("BootMode"):
        shown["BootMode"] = boot_mode
    if row.phase == "completed":
        shown["ImageId"] = row.image_id
    if row.description is not None:
        shown["Description"] = row.description
    if tagged:
        shown["Tags"] = tagged
    return shown


IMAGE_TASKS: Final = listing.Resource(
    action="DescribeImportImageTasks",
    kind="import-image-task",
    model=ImportImageTask,
    prefix="import-ami",
    id_member="ImportTaskIds",
    ids_word="importTaskIds",
    malformed=errors.invalid_conversion_task_id_malformed,
    not_found=errors.invalid_conversion_task_id,
    filters=IMAGE_FILTERS,
    view=image_views,
)


@action("DescribeImportImageTasks")
def describe_import_image_tasks(
    ctx: Context, request: DescribeImportImageTasksRequestTypeDef
) -> Result:
    """List imports of images, the caller's own, those that ended too.

    :raises Ec2Error: ``InvalidConversionTaskId.Malformed``, ``InvalidConversionTaskId``
    """
    # No fragments: progress on the way to the host is another row's.
    page = listing.describe(ctx, IMAGE_TASKS, request)
    return page.answer("ImportImageTasks", page.views())


# -- snapshots


def snapshot_views(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    """The tasks as they are shown, by key."""
    rows = ctx.session.execute(
        sa.select(
            ImportSnapshotTask.__table__,
            ImportSnapshotTask.snapshot_id.label("made_snapshot"),
            Transfer.done_bytes,
            Transfer.length_bytes,
        )
        .outerjoin(Snapshot, Snapshot.id == ImportSnapshotTask.snapshot_id)
        .outerjoin(Transfer, _is_on_its_way())
        .where(ImportSnapshotTask.key.in_(keys))
    )
    tagged = tags.of(ctx, "import-snapshot-task", keys)
    return {row.key: _snapshot_task(row, tagged[row.key]) for row in rows}


def _snapshot_task(row: Any, tagged: Sequence[Any]) -> dict[str, object]:
    detail = {**_disk(row), **_status(row)}
    shown: dict[str, object] = {"ImportTaskId": row.id, "SnapshotTaskDetail": detail}
    if row.description is not None:
        shown["Description"] = row.description
        detail["Description"] = row.description
    if tagged:
        shown["Tags"] = tagged
    return shown


SNAPSHOT_TASKS: Final = listing.Resource(
    action="DescribeImportSnapshotTasks",
    kind="import-snapshot-task",
    model=ImportSnapshotTask,
    prefix="import-snap",
    id_member="ImportTaskIds",
    ids_word="importTaskIds",
    malformed=errors.invalid_conversion_task_id_malformed,
    not_found=errors.invalid_conversion_task_id,
    filters=SNAPSHOT_FILTERS,
    view=snapshot_views,
)


@action("DescribeImportSnapshotTasks")
def describe_import_snapshot_tasks(
    ctx: Context, request: DescribeImportSnapshotTasksRequestTypeDef
) -> Result:
    """List imports of snapshots, the caller's own, those that ended too.

    :raises Ec2Error: ``InvalidConversionTaskId.Malformed``, ``InvalidConversionTaskId``
    """
    page = listing.describe(ctx, SNAPSHOT_TASKS, request)
    return page.answer("ImportSnapshotTasks", page.views())
