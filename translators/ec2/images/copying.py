"""CopyImage: within one deployment, from a region to another one or the same.

Source: EC2 API Reference, CopyImage.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from state import ids
from state.models import Image, Snapshot
from translators import errors, refusals, snapshots, tags, zones
from translators.ec2.images import disks, names, refused, rights
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import CopyImageRequestTypeDef


@action("CopyImage", changes=True)
def copy_image(ctx: Context, request: CopyImageRequestTypeDef) -> Result:
    """Make an image of the caller's own of one that the caller may launch.

    Its snapshots are the caller's too; their files are those of the others.

    :raises Ec2Error: ``InvalidAMIName.Malformed``, ``InvalidAMIName.Duplicate``,
        ``InvalidAMIID.Malformed``, ``InvalidAMIID.NotFound``, ``InvalidAMIID.Unavailable``,
        ``InvalidParameterValue``, ``UnsupportedOperation`` also where no host of the region has
        the disks
    """
    refusals.check(request, refused.COPY)
    name = names.checked(request["Name"])
    description = names.checked_description(request.get("Description"))
    given = tags.from_specifications(request, "image", allowed=("snapshot",))
    snapshot_tags = tags.from_specifications(request, "snapshot", allowed=("image",))
    region = request["SourceRegion"]
    if not zones.exists(ctx.session, region):
        raise errors.invalid_parameter_value(region, "sourceRegion", "There is no such region.")
    source = rights.visible(ctx, request["SourceImageId"], region)
    rights.check_free(ctx, name)
    if request.get("CopyImageTags"):
        theirs = tags.of(ctx, "image", [source.key])[source.key]
        given = {**{tag["Key"]: tag["Value"] for tag in theirs}, **given}
    image_id = ids.mint("ami")
    words = f"Copied for DestinationAmi {image_id} from SourceAmi {source.id}"
    made: list[Snapshot] = []

    def copied(snapshot_key: int) -> Snapshot:
        row = ctx.session.get_one(Snapshot, snapshot_key)
        made.append(snapshots.copy(ctx, row, f"{words} for SourceSnapshot {row.id}"))
        return made[-1]

    assert source.snapshot_key is not None
    root = copied(source.snapshot_key)
    more = [
        dataclasses.replace(one, snapshot_key=copied(one.snapshot_key).key)
        if one.snapshot_key is not None
        else one
        for one in disks.of(ctx, source.key)
    ]
    image = Image(
        id=image_id,
        account_key=ctx.account_key,
        region=ctx.region,
        name=name,
        description=description,
        file_name=source.file_name,
        architecture=source.architecture,
        platform=source.platform,
        generation=source.generation,
        secure_boot_template=source.secure_boot_template,
        boot_mode=source.boot_mode,
        root_device_name=source.root_device_name,
        size_gib=source.size_gib,
        snapshot_id=root.id,
        snapshot_key=root.key,
        guest=dict(source.guest),
        ena_support=source.ena_support,
        volume_type=source.volume_type,
        iops=source.iops,
        throughput=source.throughput,
        delete_on_termination=source.delete_on_termination,
        source_image_id=source.id,
        source_image_region=region,
        created_at=ctx.now,
    )
    ctx.session.add(image)
    ctx.session.flush()
    disks.keep(ctx, image, more)
    tags.put(ctx, "image", image.key, image.id, given)
    tags.put_all(ctx, "snapshot", {row.key: row.id for row in made}, snapshot_tags)
    return {"ImageId": image.id}
