"""Images made of instances, as tools bake them: all disks, tags, sharing, copies, deprecation."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

REGION = "ap-south-2"
QUICK: Any = {"Delay": 0.1, "MaxAttempts": 300}


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


def launch(ec2: EC2Client, image: str, **request: Any) -> str:
    asked = {"InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **request}
    made: str = ec2.run_instances(ImageId=image, **asked)["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig=QUICK)
    return made


def state(ec2: EC2Client, instance: str) -> str:
    found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    return str(found[0]["State"]["Name"])


def available(ec2: EC2Client, image: str) -> Any:
    ec2.get_waiter("image_available").wait(ImageIds=[image], WaiterConfig=QUICK)
    return ec2.describe_images(ImageIds=[image])["Images"][0]


@pytest.fixture(scope="module")
def baked(ec2: EC2Client) -> Iterator[Any]:
    """An image of an instance with two disks, made while the instance was down."""
    disks: Any = [{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2, "VolumeType": "gp3"}}]
    instance = launch(ec2, LINUX_IMAGE, BlockDeviceMappings=disks)
    overrides: Any = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 12}},
        {"DeviceName": "/dev/sdh", "Ebs": {"VolumeSize": 3, "DeleteOnTermination": False}},
    ]
    made = ec2.create_image(
        InstanceId=instance, Name="baked", Description="by hand", BlockDeviceMappings=overrides
    )["ImageId"]
    assert state(ec2, instance) == "running"  # as EC2 shows it, while it goes down and up
    yield available(ec2, made)
    ec2.terminate_instances(InstanceIds=[instance])


def test_an_image_has_all_disks_of_its_instance(ec2: EC2Client, baked: Any) -> None:
    mappings = {one["DeviceName"]: one["Ebs"] for one in baked["BlockDeviceMappings"]}
    assert {name: ebs["VolumeSize"] for name, ebs in mappings.items()} == {
        "/dev/sda1": 12,
        "/dev/sdf": 2,
        "/dev/sdh": 3,
    }
    assert "SnapshotId" not in mappings["/dev/sdh"]
    assert mappings["/dev/sdh"]["DeleteOnTermination"] is False
    ids = [mappings[name]["SnapshotId"] for name in ("/dev/sda1", "/dev/sdf")]
    snapshots = ec2.describe_snapshots(SnapshotIds=ids)["Snapshots"]
    assert [one["VolumeSize"] for one in snapshots] == [8, 2]
    assert all(baked["ImageId"] in one["Description"] for one in snapshots)
    assert (baked["State"], baked["Public"], baked["Description"]) == (
        "available",
        False,
        "by hand",
    )
    assert baked["RootDeviceName"] == "/dev/sda1"
    with pytest.raises(ClientError) as error:
        ec2.delete_snapshot(SnapshotId=ids[0])
    assert error.value.response["Error"]["Code"] == "InvalidSnapshot.InUse"


def test_what_is_launched_from_it_has_its_disks(ec2: EC2Client, baked: Any) -> None:
    instance = launch(ec2, baked["ImageId"])
    by: Any = [{"Name": "attachment.instance-id", "Values": [instance]}]
    found: Any = ec2.describe_volumes(Filters=by)["Volumes"]
    disks = {one["Attachments"][0]["Device"]: (one["Size"], one["SnapshotId"]) for one in found}
    expected = {
        one["DeviceName"]: (one["Ebs"]["VolumeSize"], one["Ebs"].get("SnapshotId", ""))
        for one in baked["BlockDeviceMappings"]
    }
    assert disks == expected
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=QUICK)
    kept = [one["VolumeId"] for one in ec2.describe_volumes()["Volumes"] if one["Size"] == 3]
    for volume in kept:
        ec2.delete_volume(VolumeId=volume)


def test_an_image_is_registered_of_snapshots(ec2: EC2Client, baked: Any) -> None:
    mappings = {one["DeviceName"]: one["Ebs"] for one in baked["BlockDeviceMappings"]}
    asked: Any = [
        {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": mappings["/dev/sda1"]["SnapshotId"]}},
        {"DeviceName": "/dev/xvdb", "Ebs": {"SnapshotId": mappings["/dev/sdf"]["SnapshotId"]}},
    ]
    made = ec2.register_image(
        Name="of snapshots", RootDeviceName="/dev/xvda", BlockDeviceMappings=asked
    )["ImageId"]
    image = available(ec2, made)
    assert "BootMode" not in image  # nobody said one; the disk is known to start as before
    instance = launch(ec2, made)
    [shown] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"]
    assert shown["CurrentInstanceBootMode"] == baked["BootMode"]
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.deregister_image(ImageId=made)


def test_an_image_is_copied_to_another_region_and_launches_there(
    ec2: EC2Client, gateway: Gateway, baked: Any
) -> None:
    elsewhere: EC2Client = gateway.client(region="ap-southeast-3")
    asked: Any = {
        "SourceRegion": REGION,
        "SourceImageId": baked["ImageId"],
        "Name": "copied",
        "ClientToken": "copy-1",
    }
    made = elsewhere.copy_image(**asked)["ImageId"]
    assert elsewhere.copy_image(**asked)["ImageId"] == made
    copy = available(elsewhere, made)
    assert (copy["SourceImageId"], copy["SourceImageRegion"]) == (baked["ImageId"], REGION)
    originals = {one["Ebs"].get("SnapshotId") for one in baked["BlockDeviceMappings"]}
    copies = {one["Ebs"].get("SnapshotId") for one in copy["BlockDeviceMappings"]}
    assert originals & copies == {None}
    instance = launch(elsewhere, made)
    elsewhere.terminate_instances(InstanceIds=[instance])
    elsewhere.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=QUICK)
    gone = elsewhere.deregister_image(ImageId=made, DeleteAssociatedSnapshots=True)
    assert {one["ReturnCode"] for one in gone["DeleteSnapshotResults"]} == {"success"}
    assert available(ec2, baked["ImageId"])["State"] == "available"
    elsewhere.close()


def test_a_deprecated_image_is_in_its_owners_lists_alone(
    ec2: EC2Client, gateway: Gateway, baked: Any
) -> None:
    stranger: EC2Client = gateway.client(
        region=REGION, credentials=gateway.account("reader-of-images")
    )
    everybody: Any = {"Add": [{"Group": "all"}]}
    ec2.modify_image_attribute(ImageId=baked["ImageId"], LaunchPermission=everybody)
    ec2.enable_image_deprecation(
        ImageId=baked["ImageId"], DeprecateAt=dt.datetime.now(dt.UTC) + dt.timedelta(days=30)
    )

    def listed(client: EC2Client, **request: Any) -> list[str]:
        names = [one["Name"] for one in client.describe_images(**request)["Images"]]
        return [name for name in names if name == "baked"]

    assert listed(stranger) == ["baked"]
    assert available(ec2, baked["ImageId"])["DeprecationTime"].endswith("Z")
    ec2.disable_image_deprecation(ImageId=baked["ImageId"])
    assert "DeprecationTime" not in available(ec2, baked["ImageId"])
    nobody: Any = {"Remove": [{"Group": "all"}]}
    ec2.modify_image_attribute(ImageId=baked["ImageId"], LaunchPermission=nobody)
    assert listed(stranger) == []
    stranger.close()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"InstanceId": "i-x"}, "InvalidInstanceID.Malformed"),
        ({"InstanceId": "i-0123456789abcdef0"}, "InvalidInstanceID.NotFound"),
        ({"Name": "baked"}, "InvalidAMIName.Duplicate"),
        ({"Name": "semi;colon"}, "InvalidAMIName.Malformed"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 1}}]},
            "InvalidBlockDeviceMapping",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "NoDevice": ""}]},
            "InvalidBlockDeviceMapping",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdz", "Ebs": {"Encrypted": True}}]},
            "UnsupportedOperation",
        ),
        ({"SnapshotLocation": "local"}, "UnsupportedOperation"),
    ],
)
def test_what_cannot_be_made_is_refused_and_nothing_is_half_made(
    ec2: EC2Client, baked: Any, request_: Any, expected: str
) -> None:
    asked = {"InstanceId": baked["SourceInstanceId"], "Name": "refused", **request_}
    before = len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"])
    with pytest.raises(ClientError) as error:
        ec2.create_image(**asked)
    assert error.value.response["Error"]["Code"] == expected
    by: Any = [{"Name": "name", "Values": ["refused"]}]
    assert ec2.describe_images(Owners=["self"], Filters=by)["Images"] == []
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == before
    assert state(ec2, baked["SourceInstanceId"]) == "running"
