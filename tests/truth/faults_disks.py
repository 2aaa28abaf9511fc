"""Faults of volumes, snapshots, images and keys.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

from typing import Final

from tests.conformance.asked import ED25519
from tests.truth.faults import NO, Fault, disk, each

_DISKS: Final = disk(VolumeSize=8)
FAULTS: Final[tuple[Fault, ...]] = (
    # volumes and snapshots
    Fault("DescribeVolumes", {"VolumeIds": [f"vol-{NO}"]}, "InvalidVolume.NotFound", ""),
    *each("DeleteVolume CreateSnapshot", {"VolumeId": f"vol-{NO}"}, "InvalidVolume.NotFound", ""),
    Fault(
        "AttachVolume",
        {"VolumeId": f"vol-{NO}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidVolume.NotFound",
        "",
    ),
    Fault("DescribeVolumes", {"VolumeIds": ["x"]}, "InvalidParameterValue", "parameter volumes"),
    *each(
        "DeleteVolume CreateSnapshot DetachVolume",
        {"VolumeId": "x"},
        "InvalidParameterValue",
        "parameter volumeId",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "x", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidParameterValue",
        "parameter volumeId",
    ),
    Fault("DescribeVolumes", {"VolumeIds": ["vol-x"]}, "InvalidVolumeID.Malformed", ""),
    Fault("DescribeSnapshots", {"SnapshotIds": ["snap-x"]}, "InvalidSnapshotID.Malformed", ""),
    Fault("DeleteSnapshot", {"SnapshotId": "snap-x"}, "InvalidSnapshotID.Malformed", ""),
    Fault("DescribeSnapshots", {"SnapshotIds": [f"snap-{NO}"]}, "InvalidSnapshot.NotFound", ""),
    Fault("DeleteSnapshot", {"SnapshotId": f"snap-{NO}"}, "InvalidSnapshot.NotFound", ""),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "SnapshotId": f"snap-{NO}"},
        "InvalidSnapshot.NotFound",
        "",
    ),
    Fault(
        "CopySnapshot",
        {"SourceRegion": "us-east-1", "SourceSnapshotId": f"snap-{NO}"},
        "InvalidSnapshot.NotFound",
        "",
    ),
    Fault("DeleteSnapshot", {"SnapshotId": "{imaged}"}, "InvalidSnapshot.InUse", ""),
    Fault("DeleteVolume", {"VolumeId": "{used}"}, "VolumeInUse", "currently attached"),
    Fault(
        "AttachVolume",
        {"VolumeId": "{used}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "VolumeInUse",
        "already attached",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{pending}", "Device": "/dev/sdz"},
        "IncorrectState",
        "is not 'running'",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{creating}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "IncorrectState",
        "is not 'available'",
    ),
    Fault("DetachVolume", {"VolumeId": "{free}"}, "IncorrectState", "in the 'available'"),
    Fault(
        "AttachVolume",
        {"VolumeId": "{far}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidVolume.ZoneMismatch",
        "",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{i}", "Device": "/dev/sda1"},
        "InvalidParameterValue",
        "for unixDevice",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{i}", "Device": "nonsense"},
        "InvalidParameterValue",
        "valid EBS device name",
    ),
    Fault("ModifyVolume", {"VolumeId": "{free}", "Size": 1}, "InvalidParameterValue", "New size"),
    Fault(
        "ModifyVolume", {"VolumeId": "{completed}", "Size": 9}, "VolumeModificationRateExceeded", ""
    ),
    Fault(
        "CreateVolume", {"AvailabilityZone": "us-east-9z", "Size": 1}, "InvalidZone.NotFound", ""
    ),
    Fault("CreateVolume", {"AvailabilityZone": "us-east-1a"}, "MissingParameter", "size/snapshot"),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "Size": 1, "VolumeType": "gp2", "Iops": 100},
        "InvalidParameterCombination",
        "iops is not supported",
    ),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "Size": 100, "VolumeType": "gp3", "Iops": 999999},
        "InvalidParameterValue",
        "too high",
    ),
    # images and keys
    *each(
        "CopyImage",
        {"SourceImageId": "{ami}", "SourceRegion": "us-east-1", "Name": "available"},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "RegisterImage",
        {"Name": "available", "ImageLocation": "new.vhdx", "BlockDeviceMappings": _DISKS},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "CreateImage",
        {"InstanceId": "{stopped}", "Name": "available"},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "RegisterImage",
        {"Name": "a", "ImageLocation": "new.vhdx", "BlockDeviceMappings": _DISKS},
        "InvalidAMIName.Malformed",
        "",
    ),
    Fault("CreateImage", {"InstanceId": "{stopped}", "Name": "a"}, "InvalidAMIName.Malformed", ""),
    Fault(
        "CopyImage",
        {"SourceImageId": "{ami}", "SourceRegion": "us-east-1", "Name": "a"},
        "InvalidAMIName.Malformed",
        "",
    ),
    Fault(
        "ModifyImageAttribute",
        {"ImageId": "{ami}", "LaunchPermission": {"Add": [{"UserId": "x"}]}},
        "InvalidAMIAttributeItemValue",
        "",
    ),
    Fault(
        "DescribeImageAttribute",
        {"ImageId": "{ami}", "Attribute": "blockDeviceMapping"},
        "AuthFailure",
        "restricted resource",
    ),
    *each("CreateKeyPair", {"KeyName": "created"}, "InvalidKeyPair.Duplicate", ""),
    Fault(
        "ImportKeyPair",
        {"KeyName": "created", "PublicKeyMaterial": ED25519},
        "InvalidKeyPair.Duplicate",
        "",
    ),
    Fault("ImportKeyPair", {"KeyName": "n", "PublicKeyMaterial": b"x"}, "InvalidKey.Format", ""),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "Size": 2, "ClientToken": "made"},
        "IdempotentParameterMismatch",
        "",
    ),
)
