"""CreateVolume and DeleteVolume: they write the intent; the engine makes and removes the disk.

Source: EC2 API Reference, the two actions; EBS User Guide, "Create an Amazon EBS volume".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from state import ids, storage
from state.models import Host, Volume
from translators import errors, refusals, snapshots, tags, volume_types, zones
from translators.ec2.volumes import describe, find, intents, placement, refused, volume_errors
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CreateVolumeRequestTypeDef,
        DeleteVolumeRequestTypeDef,
    )


@action("CreateVolume", changes=True)
def create_volume(ctx: Context, request: CreateVolumeRequestTypeDef) -> Result:
    """Write down a new volume, blank or with what a snapshot holds.

    :raises Ec2Error: ``InvalidZone.NotFound``, ``InvalidSnapshot.NotFound``,
        ``InvalidParameterValue``, ``InvalidParameterCombination``, ``MissingParameter``,
        ``InsufficientVolumeCapacity``, ``UnsupportedOperation``
    """
    refusals.check(request, refused.VOLUME)
    zone = _zone(ctx, request)
    given = tags.from_specifications(request, "volume")
    source = None
    if snapshot_id := request.get("SnapshotId"):
        source = snapshots.usable(ctx, snapshot_id)
    size = request.get("Size")
    if size is None:
        if source is None:
            raise errors.missing_parameter("size/snapshot")
        size = source.size_gib
    wanted = volume_types.settle(
        request.get("VolumeType", volume_types.DEFAULT),
        size,
        request.get("Iops"),
        request.get("Throughput"),
    )
    if source is not None and size < source.size_gib:
        raise volume_errors.smaller_than_snapshot(size, source.id, source.size_gib)
    snapshot_key = source.key if source is not None else None
    host_key = placement.choose(ctx, zone, size, snapshot_key)
    volume_id = ids.mint("vol")
    row = Volume(
        id=volume_id,
        account_key=ctx.account_key,
        region=ctx.region,
        zone=zone,
        host_key=host_key,
        snapshot_id=source.id if source is not None else None,
        snapshot_key=snapshot_key,
        generation=1,
        phase_since=ctx.now,
        created_at=ctx.now,
        written=False,
        file_name=f"volumes/{volume_id}.vhdx",
        **wanted.columns(),
        **storage.entered("creating"),
    )
    ctx.session.add(row)
    ctx.session.flush()
    tags.put(ctx, "volume", row.key, row.id, given)
    ctx.wake.add(host_key)
    shown = cast("dict[str, Any]", describe.load(ctx, [row.key])[row.key])
    return {name: value for name, value in shown.items() if name != "Attachments"}


def _zone(ctx: Context, request: CreateVolumeRequestTypeDef) -> str:
    """Find the zone asked for, by name or by id."""
    name, zone_id = request.get("AvailabilityZone"), request.get("AvailabilityZoneId")
    if name and zone_id:
        raise errors.invalid_parameter_combination("availabilityZone", "availabilityZoneId")
    if not name and not zone_id:
        raise errors.missing_parameter("availabilityZone")
    for zone in zones.zones(ctx.session, ctx.region):
        if zone.name == name or zone.id == zone_id:
            return zone.name
    raise volume_errors.unknown_zone(name or zone_id or "")


@action("DeleteVolume", changes=True)
def delete_volume(ctx: Context, request: DeleteVolumeRequestTypeDef) -> Result:
    """Ask for a free volume to be removed with all that is in it.

    :raises Ec2Error: ``VolumeInUse``, ``IncorrectState``, ``InvalidVolume.NotFound``
    """
    row = find.volume(ctx, request["VolumeId"])
    if row.phase in find.ATTACHED:
        instance_id = find.instance_id(ctx, row.instance_key)
        raise volume_errors.currently_attached(row.id, instance_id)
    if row.phase == "creating":
        raise volume_errors.not_available(row.id)
    if ctx.session.get_one(Host, row.host_key).state == "removed":  # with all that was on it
        intents.forget(ctx.session, row.key)
    elif row.phase != "deleting":
        change(ctx, row, **storage.entered("deleting"))
    return {}


def change(ctx: Context, row: Any, **columns: object) -> None:
    """Give a volume a new intent, and wake the driver of its host."""
    ctx.session.execute(
        sa.update(Volume)
        .where(Volume.key == row.key)
        .values(generation=Volume.generation + 1, phase_since=ctx.now, **columns)
    )
    ctx.wake.add(row.host_key)
