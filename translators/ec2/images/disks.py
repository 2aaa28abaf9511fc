"""The block device mappings of an image: what a request asks of its disks, and how they are kept.

Source: EC2 API Reference, BlockDeviceMapping and EbsBlockDevice; EC2 User Guide, "Block device
mappings for volumes on Amazon EC2 instances".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Image, ImageDisk, Snapshot
from translators import devices, errors, forms, refusals, snapshots, volume_types
from translators.ec2.images import image_errors, refused
from translators.registry import Context

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import BlockDeviceMappingTypeDef, EbsBlockDeviceTypeDef

DEFAULT_TYPE: Final = "gp3"
MOST: Final = devices.MOST_ATTACHED
"""Disks of one image, the root disk among them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of one device; None: there is to be no such device."""

    ebs: EbsBlockDeviceTypeDef | None
    prefix: str
    """Where it stands in the request, for what is refused."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as launches of the image make it."""

    device: str
    snapshot_key: int | None
    size_gib: int
    volume_type: str
    iops: int | None
    throughput: int | None
    delete_on_termination: bool


def read(mappings: Sequence[BlockDeviceMappingTypeDef]) -> dict[str, Asked]:
    """Read the mappings by device, in their order.

    Instance store volumes are named by nobody's instance type here: what names one is ignored, as
    EC2 ignores it.

    :raises Ec2Error: ``MissingParameter``, ``InvalidBlockDeviceMapping``, ``UnsupportedOperation``
    """
    found: dict[str, Asked] = {}
    seen: set[str] = set()
    for number, mapping in enumerate(mappings, 1):
        prefix = f"BlockDeviceMapping.{number}."
        device = mapping.get("DeviceName")
        if not device:
            raise errors.missing_parameter("deviceName")
        if devices.same(device) in seen:
            raise errors.device_mapped_twice(device)
        seen.add(devices.same(device))
        if "NoDevice" in mapping:
            found[device] = Asked(None, prefix)
        elif "VirtualName" not in mapping:
            ebs = mapping.get("Ebs", {})
            refusals.check(ebs, refused.IMAGE_DISK, prefix + "Ebs.")
            snapshot = ebs.get("SnapshotId")
            if snapshot is not None and not ids.is_well_formed("snap", snapshot):
                raise forms.not_a_snapshot_id(snapshot)
            found[device] = Asked(ebs, prefix)
    return found


def settle(ctx: Context, device: str, asked: Mapping[str, Any], base: Disk | None = None) -> Disk:
    """Say how the disk is to be: as asked, else as `base` is, else as EC2 makes one.

    :raises Ec2Error: ``InvalidBlockDeviceMapping``, ``InvalidParameterValue``,
        ``InvalidSnapshot.NotFound``, ``InvalidSnapshotID.Malformed``, ``MissingParameter``
    """
    if not devices.is_name(device):
        raise errors.invalid_device_name(device)
    snapshot_key = base.snapshot_key if base else None
    least: tuple[int, str] | None = None
    if named := asked.get("SnapshotId"):
        found = snapshots.usable(ctx, named)
        snapshot_key, least = found.key, (found.size_gib, found.id)
    elif base is not None and base.snapshot_key is not None:
        kept = ctx.session.get_one(Snapshot, base.snapshot_key)
        least = (kept.size_gib, kept.id)
    size: int | None = asked.get("VolumeSize")
    if size is None:
        size = base.size_gib if base else least[0] if least else None
    if size is None:
        raise image_errors.either_snapshot_or_size(device)
    if least is not None and size < least[0]:
        raise errors.volume_smaller_than_snapshot(size, least[1], least[0])
    kind: str = asked.get("VolumeType") or (base.volume_type if base else DEFAULT_TYPE)
    iops, throughput = asked.get("Iops"), asked.get("Throughput")
    if base is not None and kind == base.volume_type:
        iops = iops if iops is not None or kind == "gp2" else base.iops
        throughput = base.throughput if throughput is None else throughput
    volume = volume_types.settle(kind, size, iops, throughput)
    delete = asked.get("DeleteOnTermination")
    if delete is None:
        delete = base.delete_on_termination if base else True
    return Disk(
        device,
        snapshot_key,
        volume.size_gib,
        volume.type,
        iops,  # as asked: what a type gives by itself is not said of an image
        throughput,
        bool(delete),
    )


def check_root(disk: Disk) -> None:
    """Refuse a root disk of a type that instances do not start from.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if not volume_types.rule_of(disk.volume_type).boots:
        raise errors.invalid_parameter_value(
            disk.volume_type, "volumeType", "Instances do not start from volumes of this type."
        )


def keep(ctx: Context, image: Image, disks: Sequence[Disk]) -> None:
    """Write the disks of an image beside its root disk.

    :raises Ec2Error: ``InvalidBlockDeviceMapping`` for more than an instance can have
    """
    if len(disks) >= MOST:
        raise image_errors.too_many_disks(MOST)
    ctx.session.add_all(
        ImageDisk(
            image_key=image.key,
            device=one.device,
            snapshot_key=one.snapshot_key,
            size_gib=one.size_gib,
            volume_type=one.volume_type,
            iops=one.iops,
            throughput=one.throughput,
            delete_on_termination=one.delete_on_termination,
        )
        for one in disks
    )
    ctx.session.flush()


def of(ctx: Context, image_key: int) -> list[Disk]:
    """The disks of an image beside its root disk, by device."""
    query = sa.select(ImageDisk).where(ImageDisk.image_key == image_key).order_by(ImageDisk.device)
    return [
        Disk(
            row.device,
            row.snapshot_key,
            row.size_gib,
            row.volume_type,
            row.iops,
            row.throughput,
            row.delete_on_termination,
        )
        for row in ctx.session.scalars(query)
    ]
