"""The disks that a launch asks for: the root disk, a child of the image's, and those beside it.

Source: EC2 API Reference, BlockDeviceMapping and EbsBlockDevice; EC2 User Guide, "Block device
mappings for volumes on Amazon EC2 instances".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import ImageDisk, Snapshot
from state.statements import Statement
from translators import devices, errors, snapshots, volume_types
from translators.ec2.instances import instance_errors, refusals
from translators.registry import Context

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import BlockDeviceMappingTypeDef, EbsBlockDeviceTypeDef

ROOT_FILE: Final = "root.vhdx"
_MOST_DISKS: Final = devices.MOST_ATTACHED - 1
"""Beside the one interface."""
_OF_IMAGE: Final = Statement(
    sa.select(
        ImageDisk.device,
        ImageDisk.snapshot_key,
        ImageDisk.size_gib,
        ImageDisk.volume_type,
        ImageDisk.iops,
        ImageDisk.throughput,
        ImageDisk.delete_on_termination,
        Snapshot.id.label("snapshot_id"),
        Snapshot.size_gib.label("snapshot_gib"),
    )
    .outerjoin(Snapshot, Snapshot.key == ImageDisk.snapshot_key)
    .where(ImageDisk.image_key == sa.bindparam("image"))
    .order_by(ImageDisk.device)
)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as it is to be."""

    device: str
    volume: volume_types.Volume
    snapshot_id: str | None
    snapshot_key: int | None
    delete_on_termination: bool
    location: int | None
    """None: the root disk's, which the generation of the VM says."""


@dataclass(frozen=True, slots=True)
class Disks:
    """All disks of an instance."""

    root: Disk
    others: tuple[Disk, ...] = ()

    @property
    def size_gib(self) -> int:
        return sum(one.volume.size_gib for one in (self.root, *self.others))

    @property
    def snapshot_keys(self) -> list[int]:
        """Of those whose files have to be where the instance is made."""
        keys = (one.snapshot_key for one in (self.root, *self.others))
        return [key for key in keys if key is not None]


def read(ctx: Context, image: Any, mappings: Sequence[BlockDeviceMappingTypeDef]) -> Disks:
    """Read the mappings over those of the image.

    :raises Ec2Error: ``InvalidBlockDeviceMapping``, ``InvalidParameterValue``,
        ``InvalidParameterCombination``, ``MissingParameter``, ``InvalidSnapshot.NotFound``,
        ``InvalidSnapshotID.Malformed``, ``IncorrectState``, ``UnsupportedOperation``
    """
    asked, left_out = _asked(image, mappings)
    root = _root(image, asked.pop(image.root_device_name, {}))
    of_image = {row.device: row for row in _OF_IMAGE.named(ctx.session, {"image": image.key})}
    taken: set[int] = set()
    others: list[Disk] = []
    for device in dict.fromkeys((*of_image, *asked)):
        if device not in left_out:
            disk = _other(ctx, device, asked.get(device, {}), of_image.get(device), taken)
            taken.add(disk.location or 0)
            others.append(disk)
    if len(others) >= _MOST_DISKS:
        message = f"An instance has at most {_MOST_DISKS} volumes."
        raise instance_errors.invalid_block_device_mapping(message)
    return Disks(root, tuple(others))


def _asked(
    image: Any, mappings: Sequence[BlockDeviceMappingTypeDef]
) -> tuple[dict[str, EbsBlockDeviceTypeDef], set[str]]:
    """What is asked of each device, and which are not to be there."""
    asked: dict[str, EbsBlockDeviceTypeDef] = {}
    left_out: set[str] = set()
    seen: set[str] = set()
    for number, mapping in enumerate(mappings, 1):
        device = mapping.get("DeviceName")
        if not device:
            raise errors.missing_parameter("deviceName")
        if devices.same(device) in seen:
            raise errors.device_mapped_twice(device)
        seen.add(devices.same(device))
        if device == image.root_device_name and ("NoDevice" in mapping or "VirtualName" in mapping):
            raise errors.invalid_device_name(device)
        if "NoDevice" in mapping:
            left_out.add(device)
        elif "VirtualName" in mapping:
            continue  # an instance store volume, which no type here has: EC2 ignores it then
        elif "Ebs" in mapping:
            refusals.check(mapping["Ebs"], refusals.DISK, f"BlockDeviceMapping.{number}.Ebs.")
            asked[device] = mapping["Ebs"]
    return asked, left_out


def _root(image: Any, asked: EbsBlockDeviceTypeDef) -> Disk:
    snapshot = asked.get("SnapshotId")
    if snapshot is not None and snapshot != image.snapshot_id:
        message = "The snapshotId of the root device cannot be modified."
        raise instance_errors.invalid_block_device_mapping(message)
    size = asked.get("VolumeSize", image.size_gib)
    if size < image.size_gib:
        raise errors.volume_smaller_than_snapshot(size, image.snapshot_id, image.size_gib)
    kind: str = asked.get("VolumeType", image.volume_type)
    if not volume_types.rule_of(kind).boots:
        message = f"The volume type {kind} is not supported as a root device."
        raise errors.invalid_parameter_value_text(message)
    return Disk(
        device=image.root_device_name,
        volume=_volume(kind, size, asked, image if kind == image.volume_type else None),
        snapshot_id=image.snapshot_id,
        snapshot_key=image.snapshot_key,
        delete_on_termination=asked.get("DeleteOnTermination", image.delete_on_termination),
        location=None,
    )


def _other(
    ctx: Context, device: str, asked: EbsBlockDeviceTypeDef, of_image: Any, taken: set[int]
) -> Disk:
    location = devices.location(device, taken)
    if not devices.is_name(device) or location is None:
        raise errors.invalid_device_name(device)
    snapshot_id, snapshot_key, least = None, None, 0
    if named := asked.get("SnapshotId"):
        source = snapshots.usable(ctx, named)
        snapshot_id, snapshot_key, least = source.id, source.key, source.size_gib
    elif of_image is not None and of_image.snapshot_key is not None:
        snapshot_id, snapshot_key = of_image.snapshot_id, of_image.snapshot_key
        least = of_image.snapshot_gib
    size = asked.get("VolumeSize", of_image.size_gib if of_image is not None else least)
    if not size and "VolumeSize" not in asked:
        message = f"Either snapshot ID or volume size must be provided for: {device}"
        raise instance_errors.invalid_block_device_mapping(message)
    if snapshot_id is not None and size < least:
        raise errors.volume_smaller_than_snapshot(size, snapshot_id, least)
    default = of_image.volume_type if of_image is not None else volume_types.DEFAULT
    kind: str = asked.get("VolumeType", default)
    alike = of_image if of_image is not None and kind == of_image.volume_type else None
    goes = of_image is None or of_image.delete_on_termination
    return Disk(
        device=device,
        volume=_volume(kind, size, asked, alike),
        snapshot_id=snapshot_id,
        snapshot_key=snapshot_key,
        delete_on_termination=asked.get("DeleteOnTermination", goes),
        location=location,
    )


def _volume(kind: str, size_gib: int, asked: Mapping[str, Any], alike: Any) -> volume_types.Volume:
    """Settle what is asked; what is not is as the image's disk of the same type has it."""
    iops, throughput = asked.get("Iops"), asked.get("Throughput")
    if alike is not None and volume_types.rule_of(kind).iops is not None:
        iops = alike.iops if iops is None else iops
        throughput = alike.throughput if throughput is None else throughput
    return volume_types.settle(kind, size_gib, iops, throughput)
