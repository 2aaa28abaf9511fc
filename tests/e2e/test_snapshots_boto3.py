"""Snapshots by boto3: made of volumes that are attached and of free ones, used, copied, deleted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

REGION = "eu-south-1"
QUICK: Any = {"Delay": 0.1, "MaxAttempts": 300}


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


@pytest.fixture(scope="module")
def instance(ec2: EC2Client) -> Iterator[str]:
    """An instance with a root disk and a data disk."""
    answer = ec2.run_instances(
        ImageId=LINUX_IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        BlockDeviceMappings=[{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 2}}],
    )
    made = answer["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[made], WaiterConfig=QUICK)
    yield made
    ec2.terminate_instances(InstanceIds=[made])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[made], WaiterConfig=QUICK)


def volumes(ec2: EC2Client, instance: str) -> dict[str, str]:
    """The instance's volumes by device."""
    by = [{"Name": "attachment.instance-id", "Values": [instance]}]
    found: Any = ec2.describe_volumes(Filters=by)["Volumes"]  # type: ignore[arg-type]
    return {one["Attachments"][0]["Device"]: one["VolumeId"] for one in found}


def completed(ec2: EC2Client, *ids: str) -> list[Any]:
    ec2.get_waiter("snapshot_completed").wait(SnapshotIds=list(ids), WaiterConfig=QUICK)
    found: Any = ec2.describe_snapshots(SnapshotIds=list(ids))["Snapshots"]
    return list(found)


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def test_a_snapshot_of_an_attached_volume_becomes_a_volume(ec2: EC2Client, instance: str) -> None:
    root = volumes(ec2, instance)["/dev/sda1"]
    began = time.monotonic()
    tags: Any = [{"ResourceType": "snapshot", "Tags": [{"Key": "Name", "Value": "nightly"}]}]
    made = ec2.create_snapshot(VolumeId=root, Description="nightly", TagSpecifications=tags)
    assert time.monotonic() - began < 25
    assert made["State"] == "pending"
    assert (made["VolumeId"], made["VolumeSize"], made["Encrypted"]) == (root, 8, False)
    assert made["Tags"] == [{"Key": "Name", "Value": "nightly"}]
    [snapshot] = completed(ec2, made["SnapshotId"])
    assert (snapshot["Progress"], snapshot["Description"]) == ("100%", "nightly")
    assert snapshot["CompletionTime"] >= snapshot["StartTime"]
    zone = ec2.describe_volumes(VolumeIds=[root])["Volumes"][0]["AvailabilityZone"]
    volume = ec2.create_volume(
        AvailabilityZone=zone, SnapshotId=made["SnapshotId"], VolumeType="gp3", Size=10
    )["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    ec2.delete_snapshot(SnapshotId=made["SnapshotId"])
    ec2.attach_volume(VolumeId=volume, InstanceId=instance, Device="/dev/sdg")
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    with pytest.raises(ClientError) as error:
        ec2.describe_snapshots(SnapshotIds=[made["SnapshotId"]])
    assert code(error) == "InvalidSnapshot.NotFound"
    ec2.detach_volume(VolumeId=volume)
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    free = ec2.create_snapshot(VolumeId=volume)
    [of_free] = completed(ec2, free["SnapshotId"])
    assert of_free["VolumeSize"] == 10
    ec2.delete_snapshot(SnapshotId=free["SnapshotId"])
    ec2.delete_volume(VolumeId=volume)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume], WaiterConfig=QUICK)


def test_all_disks_of_an_instance_at_one_moment(ec2: EC2Client, instance: str) -> None:
    named = volumes(ec2, instance)
    ec2.create_tags(Resources=[named["/dev/sdf"]], Tags=[{"Key": "disk", "Value": "data"}])
    answer = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": instance}, CopyTagsFromSource="volume"
    )
    made = {one["VolumeId"]: one for one in answer["Snapshots"]}
    assert set(made) == set(named.values())
    assert made[named["/dev/sdf"]]["Tags"] == [{"Key": "disk", "Value": "data"}]
    ids = [one["SnapshotId"] for one in answer["Snapshots"]]
    assert {one["Progress"] for one in completed(ec2, *ids)} == {"100%"}
    for snapshot in ids:
        ec2.delete_snapshot(SnapshotId=snapshot)
    with pytest.raises(ClientError) as error:
        ec2.create_snapshots(
            InstanceSpecification={
                "InstanceId": instance,
                "ExcludeBootVolume": True,
                "ExcludeDataVolumeIds": [named["/dev/sdf"]],
            }
        )
    assert code(error) == "InvalidParameterValue"


def test_a_snapshot_is_copied_to_another_region_and_shared(
    ec2: EC2Client, gateway: Gateway, instance: str
) -> None:
    made = ec2.create_snapshot(VolumeId=volumes(ec2, instance)["/dev/sdf"])["SnapshotId"]
    completed(ec2, made)
    elsewhere: EC2Client = gateway.client(region="eu-south-2")
    copy = elsewhere.copy_snapshot(
        SourceRegion=REGION, SourceSnapshotId=made, Description="elsewhere"
    )["SnapshotId"]
    [shown] = completed(elsewhere, copy)
    assert (shown["Description"], shown["VolumeSize"]) == ("elsewhere", 2)
    ec2.delete_snapshot(SnapshotId=made)
    friend = gateway.account("friend-of-snapshots")
    permission: Any = {"Add": [{"UserId": friend.account_id}]}
    elsewhere.modify_snapshot_attribute(SnapshotId=copy, CreateVolumePermission=permission)
    theirs: EC2Client = gateway.client(region="eu-south-2", credentials=friend)
    listed = theirs.describe_snapshots(RestorableByUserIds=["self"])["Snapshots"]
    assert [one["SnapshotId"] for one in listed] == [copy]
    volume = theirs.create_volume(AvailabilityZone="eu-south-2a", SnapshotId=copy)["VolumeId"]
    theirs.get_waiter("volume_available").wait(VolumeIds=[volume], WaiterConfig=QUICK)
    with pytest.raises(ClientError) as error:
        theirs.delete_snapshot(SnapshotId=copy)
    assert code(error) == "UnauthorizedOperation"
    theirs.delete_volume(VolumeId=volume)
    elsewhere.delete_snapshot(SnapshotId=copy)
    theirs.close()
    elsewhere.close()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"VolumeId": "vol-x"}, "InvalidVolumeID.Malformed"),
        ({"VolumeId": "vol-0123456789abcdef0"}, "InvalidVolume.NotFound"),
        ({"OutpostArn": "arn:aws:outposts:::outpost/op-1"}, "UnsupportedOperation"),
        ({"Description": "d" * 256}, "InvalidParameterValue"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    ec2: EC2Client, instance: str, request_: Any, expected: str
) -> None:
    asked = {"VolumeId": volumes(ec2, instance)["/dev/sda1"], **request_}
    with pytest.raises(ClientError) as error:
        ec2.create_snapshot(**asked)
    assert code(error) == expected
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
