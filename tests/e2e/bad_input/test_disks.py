"""Volumes, snapshots and images that cannot be: sizes, places, what is in use or on its way out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.bad_input.asked import (
    ABSENT,
    COMBINATION,
    MISSING,
    REGION,
    UNSUPPORTED,
    VALUE,
    Case,
    check,
    refused,
    tags,
)

QUICK = {"Delay": 0.2, "MaxAttempts": 200}
MAPPING = "InvalidBlockDeviceMapping"


@pytest.fixture(scope="module")
def disks(ec2: Any, facts: dict[str, str]) -> dict[str, str]:
    """More facts: {zone}, {free} and {far} (volumes, the latter in another zone), {snapshot}."""
    running = {"InstanceIds": [facts["instance"]], "WaiterConfig": QUICK}
    ec2.get_waiter("instance_running").wait(**running)
    [reservation] = ec2.describe_instances(InstanceIds=[facts["instance"]])["Reservations"]
    zone = reservation["Instances"][0]["Placement"]["AvailabilityZone"]
    other = next(f"{REGION}{letter}" for letter in "abc" if not zone.endswith(letter))
    made = {
        name: ec2.create_volume(AvailabilityZone=where, Size=4, VolumeType="gp3")["VolumeId"]
        for name, where in (("free", zone), ("far", other))
    }
    ec2.get_waiter("volume_available").wait(VolumeIds=[*made.values()], WaiterConfig=QUICK)
    snapshot = ec2.create_snapshot(VolumeId=made["free"])["SnapshotId"]
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=[snapshot], WaiterConfig=QUICK)
    return {**facts, **made, "zone": zone, "snapshot": snapshot}


def volume(says: str, given: Mapping[str, Any], code: str, message: str) -> Case:
    return Case(says, "create_volume", {"AvailabilityZone": "{zone}", **given}, code, message)


def sized(kind: str, size: int, message: str, **more: int) -> Case:
    return volume(f"{kind} of {size}", {"VolumeType": kind, "Size": size, **more}, VALUE, message)


def attach(says: str, given: Mapping[str, Any], code: str, message: str) -> Case:
    asked = {"VolumeId": "{free}", "InstanceId": "{instance}", "Device": "/dev/sdg", **given}
    return Case(says, "attach_volume", asked, code, message)


def modify(says: str, given: Mapping[str, Any], code: str, message: str) -> Case:
    return Case(says, "modify_volume", {"VolumeId": "{free}", **given}, code, message)


def image(says: str, given: Mapping[str, Any], code: str, message: str) -> Case:
    asked = {"InstanceId": "{instance}", "Name": "made", **given}
    return Case(says, "create_image", asked, code, message)


def registered(says: str, given: Mapping[str, Any], code: str, message: str) -> Case:
    asked = {"Name": "registered", "RootDeviceName": "/dev/sda1", **given}
    return Case(says, "register_image", asked, code, message)


def mapped(**ebs: Any) -> dict[str, Any]:
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}]}


def not_offered(name: str) -> str:
    return f"The parameter {name} is not supported by this service."


def no_volume(volume_id: str = f"vol-{ABSENT}") -> str:
    return f"The volume '{volume_id}' does not exist."


NO_SNAPSHOT = f"The snapshot 'snap-{ABSENT}' does not exist."
VOLUMES = [
    volume("neither size nor snapshot", {}, MISSING, "~size/snapshot"),
    sized("gp2", 0, "~too small for volume type gp2; minimum is 1GiB"),
    sized("gp2", -1, "~too small for volume type gp2; minimum is 1GiB"),
    sized("gp2", 16385, "~too large for volume type gp2; maximum is 16384GiB"),
    sized("gp3", 65537, "~too large for volume type gp3; maximum is 65536GiB"),
    sized("io1", 3, "~too small for volume type io1; minimum is 4GiB", Iops=100),
    sized("st1", 124, "~too small for volume type st1; minimum is 125GiB"),
    sized("sc1", 16385, "~too large for volume type sc1; maximum is 16384GiB"),
    sized("standard", 1025, "~too large for volume type standard; maximum is 1024GiB"),
    sized("gp9", 1, "Value (gp9) for parameter volumeType is invalid. Unknown volume type."),
    sized("io1", 4, "Iops to volume size ratio of 50.250000 is too high; maximum is 50.", Iops=201),
    sized("gp3", 10, "~iops of 2999 is too low; minimum is 3000", Iops=2999),
    sized("gp3", 10, "~throughput of 124 is too low; minimum is 125", Throughput=124),
    sized("gp3", 10, "~to iops ratio of 0.333333 is too high", Throughput=1000),
    volume("io1 without iops", {"VolumeType": "io1", "Size": 4}, MISSING, "~iops"),
    volume("gp2 with iops", {"VolumeType": "gp2", "Size": 1, "Iops": 100}, COMBINATION, "~iops"),
    volume("a size in words", {"Size": "big"}, VALUE, r"~Value \(big\) for parameter Size"),
    volume(
        "smaller than its snapshot",
        {"SnapshotId": "{snapshot}", "Size": 3},
        VALUE,
        "~cannot be smaller than that of its snapshot",
    ),
    volume(
        "an unknown snapshot",
        {"SnapshotId": f"snap-{ABSENT}"},
        "InvalidSnapshot.NotFound",
        NO_SNAPSHOT,
    ),
    volume(
        "an unknown zone",
        {"AvailabilityZone": f"{REGION}z", "Size": 1},
        "InvalidZone.NotFound",
        f"The zone '{REGION}z' does not exist.",
    ),
    volume("encrypted", {"Size": 1, "Encrypted": True}, UNSUPPORTED, not_offered("Encrypted")),
    volume("a key", {"Size": 1, "KmsKeyId": "alias/k"}, UNSUPPORTED, not_offered("KmsKeyId")),
    volume(
        "for several instances",
        {"Size": 4, "VolumeType": "io1", "Iops": 100, "MultiAttachEnabled": True},
        UNSUPPORTED,
        not_offered("MultiAttachEnabled"),
    ),
    volume("tags of others", {"Size": 1, **tags("snapshot", ("a", ""))}, VALUE, "~'snapshot' is"),
]
ATTACHMENTS = [
    attach(
        "the root's device",
        {"Device": "/dev/sda1"},
        VALUE,
        "Invalid value '/dev/sda1' for unixDevice. Attachment point /dev/sda1 is already in use",
    ),
    attach("the root's device by its other name", {"Device": "/dev/xvda1"}, VALUE, "~in use"),
    attach("no device", {"Device": "sdg!"}, VALUE, "~sdg! is not a valid EBS device name"),
    attach(
        "across zones",
        {"VolumeId": "{far}"},
        "InvalidVolume.ZoneMismatch",
        "The volume '{far}' is not in the same availability zone as instance '{instance}'",
    ),
    attach(
        "what is attached",
        {"VolumeId": "{volume}"},
        "VolumeInUse",
        "{volume} is already attached to an instance",
    ),
    attach(
        "an unknown volume", {"VolumeId": f"vol-{ABSENT}"}, "InvalidVolume.NotFound", no_volume()
    ),
    attach(
        "to an unknown instance",
        {"InstanceId": f"i-{ABSENT}"},
        "InvalidInstanceID.NotFound",
        f"The instance ID 'i-{ABSENT}' does not exist",
    ),
    Case(
        "what is free",
        "detach_volume",
        {"VolumeId": "{free}"},
        "IncorrectState",
        "Volume '{free}' is in the 'available' state.",
    ),
    Case(
        "the root",
        "detach_volume",
        {"VolumeId": "{volume}"},
        "OperationNotPermitted",
        "Unable to detach root volume '{volume}' from instance '{instance}'",
    ),
    Case(
        "from where it is not",
        "detach_volume",
        {"VolumeId": "{volume}", "Device": "/dev/sdz"},
        "InvalidAttachment.NotFound",
        "The volume '{volume}' is not attached to instance '{instance}' as device '/dev/sdz'",
    ),
    Case(
        "what is in use",
        "delete_volume",
        {"VolumeId": "{volume}"},
        "VolumeInUse",
        "Volume {volume} is currently attached to {instance}",
    ),
    Case(
        "an unknown volume",
        "delete_volume",
        {"VolumeId": f"vol-{ABSENT}"},
        "InvalidVolume.NotFound",
        no_volume(),
    ),
]
MODIFICATIONS = [
    modify("shrunk", {"Size": 3}, VALUE, "New size cannot be smaller than existing size"),
    modify("to nothing", {"Size": 0}, VALUE, "New size cannot be smaller than existing size"),
    modify("not at all", {}, MISSING, "~size"),
    modify("beyond its type", {"Size": 65537}, VALUE, "~too large for volume type gp3"),
    modify("to a type too small", {"VolumeType": "st1"}, VALUE, "~too small for volume type st1"),
    modify("to no type", {"VolumeType": "gp9"}, VALUE, "~Unknown volume type"),
    modify("to one iops", {"Iops": 1}, VALUE, "~too low; minimum is 3000"),
    modify("for many", {"MultiAttachEnabled": True}, UNSUPPORTED, "~MultiAttachEnabled"),
]
SNAPSHOTS = [
    Case(
        "of nothing",
        "create_snapshot",
        {"VolumeId": f"vol-{ABSENT}"},
        "InvalidVolume.NotFound",
        no_volume(),
    ),
    Case(
        "a long description",
        "create_snapshot",
        {"VolumeId": "{free}", "Description": "x" * 256},
        VALUE,
        "~for parameter description is invalid. Up to 255",
    ),
    Case(
        "of no instance",
        "create_snapshots",
        {"InstanceSpecification": {"InstanceId": f"i-{ABSENT}"}},
        "InvalidInstanceID.NotFound",
        f"The instance ID 'i-{ABSENT}' does not exist",
    ),
    Case(
        "without a disk that is none of its own",
        "create_snapshots",
        {
            "InstanceSpecification": {
                "InstanceId": "{instance}",
                "ExcludeDataVolumeIds": ["{free}"],
            }
        },
        VALUE,
        "~excludeDataVolumeId is invalid",
    ),
    Case(
        "encrypted",
        "copy_snapshot",
        {"SourceSnapshotId": "{snapshot}", "SourceRegion": REGION, "Encrypted": True},
        UNSUPPORTED,
        not_offered("Encrypted"),
    ),
    Case(
        "from nowhere",
        "copy_snapshot",
        {"SourceSnapshotId": "{snapshot}", "SourceRegion": "moon-1"},
        VALUE,
        "~sourceRegion is invalid",
    ),
    Case(
        "an unknown one",
        "delete_snapshot",
        {"SnapshotId": f"snap-{ABSENT}"},
        "InvalidSnapshot.NotFound",
        NO_SNAPSHOT,
    ),
]
IMAGES = [
    image("a name of two", {"Name": "ab"}, "InvalidAMIName.Malformed", "~between 3 and 128"),
    image("a name of 129", {"Name": "x" * 129}, "InvalidAMIName.Malformed", "~between 3 and 128"),
    image("a name with a star", {"Name": "a*b"}, "InvalidAMIName.Malformed", "~may contain"),
    image(
        "of no instance",
        {"InstanceId": f"i-{ABSENT}"},
        "InvalidInstanceID.NotFound",
        f"The instance ID 'i-{ABSENT}' does not exist",
    ),
    image("a smaller root", mapped(VolumeSize=1), MAPPING, "~^Volume of size 1GB is smaller than"),
    image(
        "no root",
        {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "NoDevice": ""}]},
        MAPPING,
        "Invalid device name /dev/sda1",
    ),
    registered("of nothing", {}, MISSING, "~must contain the parameter imageLocation"),
    registered(
        "of an unknown snapshot",
        mapped(SnapshotId=f"snap-{ABSENT}"),
        "InvalidSnapshot.NotFound",
        NO_SNAPSHOT,
    ),
    registered("smaller", mapped(SnapshotId="{snapshot}", VolumeSize=1), MAPPING, "~size >= 4GB"),
    registered(
        "for other processors",
        {"Architecture": "i386", **mapped(SnapshotId="{snapshot}")},
        UNSUPPORTED,
        not_offered("Architecture"),
    ),
    Case(
        "an unknown one",
        "deregister_image",
        {"ImageId": f"ami-{ABSENT}"},
        "InvalidAMIID.NotFound",
        f"The image id '[ami-{ABSENT}]' does not exist",
    ),
    Case(
        "somebody else's",
        "deregister_image",
        {"ImageId": "ami-0ec20000000000001"},
        "AuthFailure",
        "Not authorized for image:ami-0ec20000000000001",
    ),
    Case(
        "an unknown one",
        "copy_image",
        {"SourceImageId": f"ami-{ABSENT}", "SourceRegion": REGION, "Name": "copied"},
        "InvalidAMIID.NotFound",
        f"The image id '[ami-{ABSENT}]' does not exist",
    ),
]


@pytest.mark.parametrize(
    "case", [*VOLUMES, *ATTACHMENTS, *MODIFICATIONS, *SNAPSHOTS, *IMAGES], ids=str
)
def test_it_is_refused_in_ec2s_words_and_nothing_is_half_done(
    ec2: Any, disks: dict[str, str], case: Case
) -> None:
    before = standing(ec2)
    check(ec2, disks, case)
    assert standing(ec2) == before


def standing(ec2: Any) -> list[Any]:
    """All that a request might have begun: volumes with what they are, snapshots, images."""
    volumes = ec2.describe_volumes()["Volumes"]
    return [
        [{**one, "Attachments": [each["State"] for each in one["Attachments"]]} for one in volumes],
        ec2.describe_volumes_modifications()["VolumesModifications"],
        ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"],
        ec2.describe_images(Owners=["self"])["Images"],
    ]


def test_of_a_volume_on_its_way_out_nothing_is_made(ec2: Any, disks: dict[str, str]) -> None:
    made = ec2.create_volume(AvailabilityZone=disks["zone"], Size=1)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[made], WaiterConfig=QUICK)
    ec2.delete_volume(VolumeId=made)
    attached = {"VolumeId": made, "InstanceId": disks["instance"], "Device": "/dev/sdg"}
    for call, given in (
        (ec2.create_snapshot, {"VolumeId": made}),
        (ec2.attach_volume, attached),
        (ec2.modify_volume, {"VolumeId": made, "Size": 2}),
    ):
        code, status, message = refused(call, **given)
        assert (code, status) in (("IncorrectState", 400), ("InvalidVolume.NotFound", 400))
        assert made in message
    mine = [{"Name": "volume-id", "Values": [made]}]
    assert ec2.describe_snapshots(Filters=mine)["Snapshots"] == []
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[made], WaiterConfig=QUICK)


def test_a_disk_is_attached_once_and_to_a_free_device(ec2: Any, disks: dict[str, str]) -> None:
    where = {"InstanceId": disks["instance"], "Device": "/dev/sdf"}
    one, other = (
        ec2.create_volume(AvailabilityZone=disks["zone"], Size=1)["VolumeId"] for _ in range(2)
    )
    ec2.get_waiter("volume_available").wait(VolumeIds=[one, other], WaiterConfig=QUICK)
    ec2.attach_volume(VolumeId=one, **where)
    # From the moment of the answer on, not only once the host has done it.
    for given, code in (
        ({**where, "VolumeId": one}, "VolumeInUse"),
        ({**where, "VolumeId": one, "Device": "/dev/sdh"}, "VolumeInUse"),
        ({**where, "VolumeId": other}, VALUE),
        ({**where, "VolumeId": other, "Device": "/dev/xvdf"}, VALUE),
    ):
        assert refused(ec2.attach_volume, **given)[:2] == (code, 400), given
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[one], WaiterConfig=QUICK)
    [left] = ec2.describe_volumes(VolumeIds=[other])["Volumes"]
    assert (left["State"], left["Attachments"]) == ("available", [])
    ec2.detach_volume(VolumeId=one)
    ec2.get_waiter("volume_available").wait(VolumeIds=[one], WaiterConfig=QUICK)
    for each in (one, other):
        ec2.delete_volume(VolumeId=each)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[one, other], WaiterConfig=QUICK)


def test_a_snapshot_that_an_image_needs_stays(ec2: Any, disks: dict[str, str]) -> None:
    asked = {"RootDeviceName": "/dev/sda1", **mapped(SnapshotId=disks["snapshot"])}
    made = ec2.register_image(Name="needs-it", **asked)["ImageId"]
    assert refused(ec2.delete_snapshot, SnapshotId=disks["snapshot"]) == (
        "InvalidSnapshot.InUse",
        400,
        f"The snapshot {disks['snapshot']} is currently in use by {made}",
    )
    assert refused(ec2.register_image, Name="needs-it", **asked) == (
        "InvalidAMIName.Duplicate",
        400,
        f"AMI name needs-it is already in use by AMI {made}",
    )
    ec2.deregister_image(ImageId=made)
    assert refused(ec2.deregister_image, ImageId=made)[0] == "InvalidAMIID.Unavailable"
