"""DeregisterImage.

Source: EC2 API Reference, DeregisterImage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from state import needs
from state.models import Image, ImageDisk, ImagePermission, Snapshot
from translators import arrivals, snapshots, tags
from translators.ec2.images import rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DeleteSnapshotReturnCodeTypeDef,
        DeregisterImageRequestTypeDef,
    )


@action("DeregisterImage", changes=True)
def deregister_image(ctx: Context, request: DeregisterImageRequestTypeDef) -> Result:
    """Take an image off the lists, for good; with its snapshots, where that is asked for.

    Its row stays for the instances that were launched from it. The disks of snapshots stay while
    disks are children of them; an operator's stays for ever.

    :raises Ec2Error: see `rights.owned`
    """
    row = rights.owned(ctx, request["ImageId"])
    arrivals.deregistered(ctx.session, row, ctx.now)
    row.state, row.public = "deregistered", False
    ctx.session.execute(sa.delete(ImagePermission).where(ImagePermission.image_key == row.key))
    tags.remove_all(ctx, "image", row.key)
    ctx.session.flush()
    if not request.get("DeleteAssociatedSnapshots"):
        return {"Return": True}
    return {"Return": True, "DeleteSnapshotResults": _delete_snapshots(ctx, row)}


def _delete_snapshots(ctx: Context, row: Image) -> list[DeleteSnapshotReturnCodeTypeDef]:
    disks = sa.select(ImageDisk.snapshot_key).where(ImageDisk.image_key == row.key)
    query = sa.select(Snapshot).where(
        sa.or_(Snapshot.key == row.snapshot_key, Snapshot.key.in_(disks)), snapshots.EXISTS
    )
    told: list[DeleteSnapshotReturnCodeTypeDef] = []
    for one in ctx.session.scalars(query.order_by(Snapshot.key)).all():
        if one.account_key != ctx.account_key:
            told.append({"SnapshotId": one.id, "ReturnCode": "missing-permissions"})
        elif needs.image_of(ctx.session, one.key) is not None:
            told.append({"SnapshotId": one.id, "ReturnCode": "skipped"})
        else:
            snapshots.forsake(ctx, one)
            told.append({"SnapshotId": one.id, "ReturnCode": "success"})
    return told
