"""DescribeVolumes.

Source: EC2 API Reference, DescribeVolumes, data type Volume; EBS User Guide, "Volume types".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Instance, Volume
from translators import errors, forms, listing, tags, volume_types, zones
from translators.filters import (
    Filter,
    always,
    flag,
    mapped,
    never,
    number,
    text,
    through,
    time,
)
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeVolumesRequestTypeDef,
        VolumeAttachmentTypeDef,
        VolumeTypeDef,
    )


def _attached(inner: Filter) -> Filter:
    return lambda ctx, values: sa.and_(Volume.instance_key.is_not(None), inner(ctx, values))


FILTERS: Final[Mapping[str, Filter]] = {
    "attachment.attach-time": time(Volume.attach_time),
    "attachment.delete-on-termination": _attached(flag(Volume.delete_on_termination)),
    "attachment.device": _attached(text(Volume.device)),
    "attachment.instance-id": through(Volume.instance_key, Instance.key, text(Instance.id)),
    "attachment.status": text(Volume.attachment_state),
    "availability-zone": text(Volume.zone),
    "availability-zone-id": mapped(Volume.zone, lambda ctx: zones.ids(ctx.session, ctx.region)),
    "create-time": time(Volume.created_at),
    "encrypted": always("false"),
    "fast-restored": always("false"),
    "multi-attach-enabled": always("false"),
    "operator.managed": always("false"),
    "operator.principal": never,
    "size": number(Volume.size_gib),
    "snapshot-id": text(Volume.snapshot_id),
    "status": text(Volume.state),
    "volume-id": text(Volume.id),
    "volume-type": text(Volume.type),
}


def load(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    """Read and shape volumes."""
    rows = ctx.session.execute(
        sa.select(Volume.__table__, Instance.id.label("instance_id"))
        .outerjoin(Instance, Instance.key == Volume.instance_key)
        .where(Volume.key.in_(keys))
    )
    tagged = tags.of(ctx, "volume", keys)
    return {row.key: _shown(ctx, row, tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, tagged: list[Any]) -> VolumeTypeDef:
    shown: VolumeTypeDef = {
        "Attachments": [],
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": zones.zone_id(ctx.region, row.zone[-1]),
        "CreateTime": row.created_at,
        "Encrypted": False,
        "MultiAttachEnabled": False,
        "Operator": {"Managed": False},
        "Size": row.size_gib,
        "SnapshotId": row.snapshot_id or "",
        "State": row.state,
        "VolumeId": row.id,
        "VolumeType": row.type,
    }
    if (iops := iops_of(row)) is not None:
        shown["Iops"] = iops
    if row.type == "gp3":
        shown["Throughput"] = row.throughput or 125
    if row.instance_id is not None:
        shown["Attachments"] = [attachment(row, row.instance_id)]
    if tagged:
        shown["Tags"] = tagged
    return shown


def iops_of(row: Any) -> int | None:
    """What was asked for, or what the type gives by itself."""
    if row.iops is not None:
        return int(row.iops)
    if row.type == "gp3":
        return 3000
    return volume_types.baseline_iops(row.size_gib) if row.type == "gp2" else None


def attachment(row: Any, instance_id: str) -> VolumeAttachmentTypeDef:
    """Shape what a volume is to its instance."""
    return {
        "AttachTime": row.attach_time,
        "DeleteOnTermination": row.delete_on_termination,
        "Device": row.device,
        "InstanceId": instance_id,
        "State": row.attachment_state,
        "VolumeId": row.id,
    }


VOLUMES: Final = listing.Resource(
    action="DescribeVolumes",
    kind="volume",
    model=Volume,
    prefix="vol",
    id_member="VolumeIds",
    ids_word="volumeSet",
    malformed=forms.not_a_volume_id,
    not_found=errors.invalid_volume_not_found,
    filters=FILTERS,
    view=load,
    cut_max_results=True,
)


@action("DescribeVolumes")
def describe_volumes(ctx: Context, request: DescribeVolumesRequestTypeDef) -> Result:
    """List the account's volumes.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidParameterValue``
    """
    page = listing.describe(ctx, VOLUMES, request)
    return page.answer("Volumes", page.fragments())
