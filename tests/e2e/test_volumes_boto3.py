"""Volumes through boto3: a disk's whole life, its waiters, its modifications, its filters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway

REGION = "eu-north-1"
ZONE = f"{REGION}a"
QUICK = {"Delay": 0.1, "MaxAttempts": 300}


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[Any]:
    client = gateway.client(region=REGION)
    yield client
    client.close()


@pytest.fixture(scope="module")
def instance_id(ec2: Any) -> Iterator[str]:
    """An instance in zone a."""
    made = launch(ec2)
    yield made
    ec2.terminate_instances(InstanceIds=[made])


def launch(ec2: Any, **request: Any) -> str:
    answer = ec2.run_instances(
        ImageId=LINUX_IMAGE,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        Placement={"AvailabilityZone": ZONE},
        **request,
    )
    instance_id: str = answer["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[instance_id], WaiterConfig=QUICK)
    return instance_id


def make(ec2: Any, **request: Any) -> str:
    asked = {"AvailabilityZone": ZONE, "Size": 4, **request}
    volume_id: str = ec2.create_volume(**asked)["VolumeId"]
    ec2.get_waiter("volume_available").wait(VolumeIds=[volume_id], WaiterConfig=QUICK)
    return volume_id


def seen(ec2: Any, volume_id: str) -> dict[str, Any]:
    [one] = ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"]
    assert isinstance(one, dict)
    return one


def until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < limit, f"never happened: {what}"
        time.sleep(0.1)


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_volume_is_made_attached_grown_detached_and_deleted(ec2: Any, instance_id: str) -> None:
    one = make(ec2, VolumeType="gp3")
    answer = ec2.attach_volume(VolumeId=one, InstanceId=instance_id, Device="/dev/sdh")
    assert answer["State"] == "attaching"
    ec2.get_waiter("volume_in_use").wait(VolumeIds=[one], WaiterConfig=QUICK)
    until(lambda: seen(ec2, one)["Attachments"][0]["State"] == "attached", "it is attached")
    assert refusal(ec2.delete_volume, VolumeId=one)[0] == "VolumeInUse"
    ec2.modify_volume(VolumeId=one, Size=8, Iops=4000)

    def state() -> str:
        [made] = ec2.describe_volumes_modifications(VolumeIds=[one])["VolumesModifications"]
        return str(made["ModificationState"])

    until(lambda: state() == "completed", "it is modified")
    assert (seen(ec2, one)["Size"], seen(ec2, one)["Iops"]) == (8, 4000)
    assert refusal(ec2.modify_volume, VolumeId=one, Size=9)[0] == "VolumeModificationRateExceeded"
    assert ec2.detach_volume(VolumeId=one)["State"] == "detaching"
    ec2.get_waiter("volume_available").wait(VolumeIds=[one], WaiterConfig=QUICK)
    assert refusal(ec2.detach_volume, VolumeId=one) == (
        "IncorrectState",
        f"Volume '{one}' is in the 'available' state.",
    )
    ec2.delete_volume(VolumeId=one)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[one], WaiterConfig=QUICK)


def test_terraforms_question_for_an_attachment_finds_it(ec2: Any, instance_id: str) -> None:
    one = make(ec2)
    ec2.attach_volume(VolumeId=one, InstanceId=instance_id, Device="/dev/sdi")
    asked = [
        {"Name": "attachment.device", "Values": ["/dev/sdi"]},
        {"Name": "attachment.instance-id", "Values": [instance_id]},
    ]

    def states() -> list[str]:
        listed = ec2.describe_volumes(VolumeIds=[one], Filters=asked)["Volumes"]
        return [volume["Attachments"][0]["State"] for volume in listed]

    until(lambda: states() == ["attached"], "it is attached")
    ec2.detach_volume(VolumeId=one, InstanceId=instance_id, Device="/dev/sdi")
    until(lambda: states() == [], "it is detached")
    ec2.delete_volume(VolumeId=one)


def test_a_token_makes_one_volume_and_tags_are_there_at_once(ec2: Any) -> None:
    asked = {
        "AvailabilityZone": ZONE,
        "Size": 1,
        "ClientToken": "once",
        "TagSpecifications": [
            {"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "once"}]}
        ],
    }
    first, again = ec2.create_volume(**asked), ec2.create_volume(**asked)
    assert first["VolumeId"] == again["VolumeId"]
    mine = [{"Name": "tag:Name", "Values": ["once"]}]
    assert [one["VolumeId"] for one in ec2.describe_volumes(Filters=mine)["Volumes"]] == [
        first["VolumeId"]
    ]
    ec2.get_waiter("volume_available").wait(VolumeIds=[first["VolumeId"]], WaiterConfig=QUICK)
    [status] = ec2.describe_volume_status(VolumeIds=[first["VolumeId"]])["VolumeStatuses"]
    assert status["VolumeStatus"]["Status"] == "ok"
    ec2.delete_volume(VolumeId=first["VolumeId"])


def test_an_instances_own_disks_come_and_go_with_it(ec2: Any) -> None:
    instance_id = launch(
        ec2,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 12, "VolumeType": "gp3"}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 2, "DeleteOnTermination": False}},
        ],
    )
    [found] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    mapped = {one["DeviceName"]: one["Ebs"] for one in found["BlockDeviceMappings"]}
    assert {name: one["Status"] for name, one in mapped.items()} == {
        "/dev/sda1": "attached",
        "/dev/sdf": "attached",
        "/dev/sdg": "attached",
    }
    disks = {name: one["VolumeId"] for name, one in mapped.items()}
    assert seen(ec2, disks["/dev/sda1"])["Size"] == 12
    ec2.terminate_instances(InstanceIds=[instance_id])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance_id], WaiterConfig=QUICK)
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[disks["/dev/sdf"]], WaiterConfig=QUICK)
    assert refusal(ec2.describe_volumes, VolumeIds=[disks["/dev/sda1"]])[0] == (
        "InvalidVolume.NotFound"
    )
    stays = seen(ec2, disks["/dev/sdg"])
    assert (stays["State"], stays["Attachments"]) == ("available", [])
    ec2.delete_volume(VolumeId=stays["VolumeId"])


def test_a_volume_of_an_images_snapshot_holds_what_the_image_does(
    ec2: Any, instance_id: str
) -> None:
    [image] = ec2.describe_images(ImageIds=[LINUX_IMAGE])["Images"]
    disk = image["BlockDeviceMappings"][0]["Ebs"]
    answer = ec2.create_volume(AvailabilityZone=ZONE, SnapshotId=disk["SnapshotId"])
    one = answer["VolumeId"]
    assert (answer["Size"], answer["SnapshotId"]) == (disk["VolumeSize"], disk["SnapshotId"])
    ec2.get_waiter("volume_available").wait(VolumeIds=[one], WaiterConfig=QUICK)
    ec2.attach_volume(VolumeId=one, InstanceId=instance_id, Device="/dev/sdj")
    until(lambda: seen(ec2, one)["Attachments"][0]["State"] == "attached", "it is attached")
    ec2.detach_volume(VolumeId=one, Force=True)
    ec2.get_waiter("volume_available").wait(VolumeIds=[one], WaiterConfig=QUICK)
    ec2.delete_volume(VolumeId=one)


def test_what_cannot_be_changes_nothing(ec2: Any, instance_id: str) -> None:
    before = ids(ec2)
    far = f"{REGION}b"
    assert refusal(ec2.create_volume, AvailabilityZone=ZONE, Size=0)[0] == "InvalidParameterValue"
    assert refusal(ec2.create_volume, AvailabilityZone=f"{REGION}z", Size=1)[0] == (
        "InvalidZone.NotFound"
    )
    assert refusal(ec2.create_volume, AvailabilityZone=ZONE, Size=1, Encrypted=True)[0] == (
        "UnsupportedOperation"
    )
    huge = {"AvailabilityZone": ZONE, "Size": 16_000, "VolumeType": "gp3"}
    assert refusal(ec2.create_volume, **huge)[0] == "InsufficientVolumeCapacity"
    assert ids(ec2) <= before  # one of another test's may be on its way out
    elsewhere = make(ec2, AvailabilityZone=far)
    where = {"VolumeId": elsewhere, "InstanceId": instance_id, "Device": "/dev/sdk"}
    assert refusal(ec2.attach_volume, **where)[0] == "InvalidVolume.ZoneMismatch"
    ec2.delete_volume(VolumeId=elsewhere)
    root = seen_root(ec2, instance_id)
    assert refusal(ec2.detach_volume, VolumeId=root)[0] == "OperationNotPermitted"
    assert refusal(ec2.modify_volume, VolumeId=root, Size=1)[0] == "InvalidParameterValue"


def ids(ec2: Any) -> set[str]:
    return {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]}


def seen_root(ec2: Any, instance_id: str) -> str:
    asked = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    listed = ec2.describe_volumes(Filters=asked)["Volumes"]
    roots = [one for one in listed if one["Attachments"][0]["Device"] == "/dev/sda1"]
    return str(roots[0]["VolumeId"])
