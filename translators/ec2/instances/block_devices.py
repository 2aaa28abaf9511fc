"""The disks that a launch asks for: the root disk, a child of the image's.

Source: EC2 API Reference, BlockDeviceMapping and EbsBlockDevice; EBS User Guide, "Amazon EBS
volume types".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from translators import errors
from translators.ec2.instances import instance_errors, refusals

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import BlockDeviceMappingTypeDef, EbsBlockDeviceTypeDef

MOST_GIB: Final = 16384
ROOT_FILE: Final = "root.vhdx"
_IOPS: Final[Mapping[str, tuple[int, int]]] = {
    "gp3": (3000, 80_000),
    "io1": (100, 64_000),
    "io2": (100, 256_000),
}
"""Types that take Iops -> the least and the most of them."""
_THROUGHPUT: Final = (125, 2000)
_ROOT_TYPES: Final = frozenset({"gp2", "gp3", "io1", "io2", "standard"})
_OTHER_TYPES: Final = frozenset({"st1", "sc1"})


@dataclass(frozen=True, slots=True)
class Root:
    """The root disk as it is to be; Hyper-V knows no volume types, they are remembered."""

    device: str
    size_gib: int
    type: str
    iops: int | None
    throughput: int | None
    delete_on_termination: bool


def root(image: Any, mappings: Sequence[BlockDeviceMappingTypeDef]) -> Root:
    """Read the mapping of the image's root device; other disks are refused.

    :raises Ec2Error: ``InvalidBlockDeviceMapping``, ``InvalidParameterValue``,
        ``UnsupportedOperation``
    """
    asked: EbsBlockDeviceTypeDef = {}
    seen: set[str] = set()
    for number, mapping in enumerate(mappings, 1):
        prefix = f"BlockDeviceMapping.{number}."
        device = mapping.get("DeviceName")
        if not device:
            raise errors.missing_parameter("deviceName")
        if device in seen:
            raise errors.device_mapped_twice(device)
        seen.add(device)
        if device == image.root_device_name:
            if "NoDevice" in mapping or "VirtualName" in mapping:
                raise errors.invalid_device_name(device)
            asked = mapping.get("Ebs", {})
            refusals.check(asked, refusals.DISK, prefix + "Ebs.")
        elif "Ebs" in mapping:
            raise errors.unsupported_operation(prefix + "Ebs")
        # What is left says that a device is not to be there, or names an instance store volume:
        # both are ignored where the image and the type have none.
    return _root(image, asked)


def _root(image: Any, asked: EbsBlockDeviceTypeDef) -> Root:
    snapshot = asked.get("SnapshotId")
    if snapshot is not None and snapshot != image.snapshot_id:
        message = "The snapshotId of the root device cannot be modified."
        raise instance_errors.invalid_block_device_mapping(message)
    size = asked.get("VolumeSize", image.size_gib)
    if size < image.size_gib:
        raise errors.volume_smaller_than_snapshot(size, image.snapshot_id, image.size_gib)
    kind: str = asked.get("VolumeType", image.volume_type)
    if kind in _OTHER_TYPES:
        message = f"The volume type {kind} is not supported as a root device."
        raise errors.invalid_parameter_value_text(message)
    if kind not in _ROOT_TYPES:
        raise errors.invalid_parameter_value(kind, "volumeType", "Unknown volume type.")
    if size > MOST_GIB:
        message = (
            f"Volume of {size}GiB is too large for volume type {kind}; maximum is {MOST_GIB}GiB."
        )
        raise errors.invalid_parameter_value_text(message)
    return Root(
        device=image.root_device_name,
        size_gib=size,
        type=kind,
        iops=_iops(kind, size, asked.get("Iops")),
        throughput=_throughput(kind, asked.get("Throughput")),
        delete_on_termination=asked.get("DeleteOnTermination", image.delete_on_termination),
    )


def _iops(kind: str, size_gib: int, asked: int | None) -> int | None:
    if kind == "gp2":
        if asked is not None:
            message = "The parameter iops is not supported for gp2 volumes"
            raise errors.invalid_parameter_combination_text(message)
        return max(100, min(16_000, 3 * size_gib))
    if kind not in _IOPS:
        if asked is not None:
            message = f"The parameter iops is not supported for {kind} volumes"
            raise errors.invalid_parameter_combination_text(message)
        return None
    least, most = _IOPS[kind]
    if asked is None:
        if kind != "gp3":
            raise errors.missing_parameter("iops")
        return least
    if asked < least:
        message = f"Volume iops of {asked} is too low; minimum is {least}."
        raise errors.invalid_parameter_value_text(message)
    if asked > most:
        message = f"Volume iops of {asked} is too high; maximum is {most}."
        raise errors.invalid_parameter_value_text(message)
    return asked


def _throughput(kind: str, asked: int | None) -> int | None:
    if kind != "gp3":
        if asked is not None:
            message = f"The parameter throughput is not supported for {kind} volumes"
            raise errors.invalid_parameter_combination_text(message)
        return None
    least, most = _THROUGHPUT
    if asked is None:
        return least
    if not least <= asked <= most:
        word, limit = ("low; minimum", least) if asked < least else ("high; maximum", most)
        message = f"Volume throughput of {asked} is too {word} is {limit}."
        raise errors.invalid_parameter_value_text(message)
    return asked
