"""CopySnapshot: within one deployment, from a region to another one or the same.

Source: EC2 API Reference, CopySnapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from translators import errors, refusals, snapshots, tags, zones
from translators.ec2.snapshots import creation, refused
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import CopySnapshotRequestTypeDef


@action("CopySnapshot", changes=True)
def copy_snapshot(ctx: Context, request: CopySnapshotRequestTypeDef) -> Result:
    """Make a snapshot of the caller's own of one that the caller may use.

    It goes to the region of the endpoint that was asked; DestinationRegion is for what signs URLs.

    :raises Ec2Error: ``InvalidSnapshot.NotFound``, ``IncorrectState``, ``InvalidParameterValue``,
        ``UnsupportedOperation`` also where no host of the region has the disk
    """
    refusals.check(request, refused.SNAPSHOT_COPY)
    description = creation.checked_description(request.get("Description"))
    given = tags.from_specifications(request, "snapshot")
    region = request["SourceRegion"]
    if not zones.exists(ctx.session, region):
        raise errors.invalid_parameter_value(region, "sourceRegion", "There is no such region.")
    source = snapshots.usable(ctx, request["SourceSnapshotId"], region)
    row = snapshots.copy(ctx, source, description)
    tags.put(ctx, "snapshot", row.key, row.id, given)
    shown = [{"Key": key, "Value": value} for key, value in sorted(given.items())]
    return {"SnapshotId": row.id, "Tags": shown}
