"""DeleteSnapshot: out of sight at once; its file goes from the hosts when no child needs it.

Source: EC2 API Reference, DeleteSnapshot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from state import needs
from translators import arrivals, snapshots
from translators.ec2.snapshots import rights
from translators.errors import Ec2Error
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DeleteSnapshotRequestTypeDef


def in_use(snapshot_id: str, image_id: str) -> Ec2Error:
    message = f"The snapshot {snapshot_id} is currently in use by {image_id}"
    return Ec2Error("InvalidSnapshot.InUse", message)


@action("DeleteSnapshot", changes=True)
def delete_snapshot(ctx: Context, request: DeleteSnapshotRequestTypeDef) -> Result:
    """Delete a snapshot, finished or not; volumes that were made of it live on.

    :raises Ec2Error: ``InvalidSnapshot.InUse`` while an image is made of it; see `rights.owned`
    """
    row = rights.owned(ctx, request["SnapshotId"])
    image_id = needs.image_of(ctx.session, row.key)
    if image_id is not None:
        raise in_use(row.id, image_id)
    arrivals.forsaken(ctx.session, row, ctx.now)
    snapshots.forsake(ctx, row)
    return {}
