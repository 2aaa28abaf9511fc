"""Packer's builders for EC2 against a running gateway: what they build, launches.

No guest answers in the laboratory, so nothing is provisioned (`communicator: none`); all that a
build asks of EC2 is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway
from tests.tools import packing

pytestmark = pytest.mark.timeout(2 * packing.SECONDS)
QUICK = {"Delay": 1, "MaxAttempts": 60}


@pytest.fixture
def packer(tools: Path, gateway: Gateway, tmp_path: Path) -> packing.Packer:
    assert tools.is_dir()
    try:
        return packing.Packer(gateway, tmp_path)
    except packing.NotToBeHad as error:
        pytest.skip(str(error))


def image(ec2: Any, image_id: str) -> Any:
    [found] = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert found["State"] == "available"
    return found


def disks(image: Any) -> dict[str, Any]:
    return {one["DeviceName"]: one["Ebs"] for one in image["BlockDeviceMappings"]}


def launched(ec2: Any, image_id: str) -> dict[str, int]:
    """Launch it until it runs; answer the size of each disk, and end it."""
    answer = ec2.run_instances(ImageId=image_id, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    one = answer["Instances"][0]["InstanceId"]
    ec2.get_waiter("instance_running").wait(InstanceIds=[one], WaiterConfig=QUICK)
    where = [{"Name": "attachment.instance-id", "Values": [one]}]
    volumes = ec2.describe_volumes(Filters=where)["Volumes"]
    ec2.terminate_instances(InstanceIds=[one])
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[one], WaiterConfig=QUICK)
    return {volume["Attachments"][0]["Device"]: volume["Size"] for volume in volumes}


def test_what_packer_builds_launches_and_is_built_anew(
    packer: packing.Packer, gateway: Gateway
) -> None:
    ec2 = gateway.client()
    friend = gateway.account("friend")
    about = {"image_id": LINUX_IMAGE, "name": "packed", "friend": friend.account_id}
    before = standing(ec2)
    built = packer.build("images.json", **about)
    assert sorted(built) == ["amazon-ebs", "amazon-ebssurrogate", "amazon-ebsvolume"]

    # Of an instance with two disks, shared with its snapshots.
    first = image(ec2, built["amazon-ebs"])
    assert (first["Name"], first["Description"]) == ("packed", "made of an instance")
    assert first["Tags"] == [
        {"Key": "Name", "Value": "packed"},
        {"Key": "Source", "Value": LINUX_IMAGE},
    ]
    snapshots = [disk["SnapshotId"] for disk in disks(first).values()]
    theirs = gateway.client(credentials=friend)
    assert len(theirs.describe_snapshots(SnapshotIds=snapshots)["Snapshots"]) == 2
    assert launched(theirs, first["ImageId"]) == {"/dev/sda1": 12, "/dev/sdf": 2}
    theirs.close()

    # Of a snapshot of a second disk, registered as the root one.
    second = image(ec2, built["amazon-ebssurrogate"])
    assert launched(ec2, second["ImageId"]) == {"/dev/sda1": 3}

    # And a disk alone, which the instance that it was made with has left behind.
    [volume] = ec2.describe_volumes(VolumeIds=[built["amazon-ebsvolume"]])["Volumes"]
    assert (volume["State"], volume["Size"]) == ("available", 5)
    assert volume["Tags"] == [{"Key": "Name", "Value": "packed"}]

    # The same once more takes the place of the former: neither image nor snapshot stays.
    again = packer.build("images.json", only="amazon-ebs", **about)["amazon-ebs"]
    assert again != first["ImageId"]
    assert launched(ec2, again) == {"/dev/sda1": 12, "/dev/sdf": 2}
    assert ec2.describe_images(ImageIds=[first["ImageId"]])["Images"] == []
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.describe_snapshots(SnapshotIds=snapshots)

    # What is taken away leaves what was there before.
    for one in (again, second["ImageId"]):
        held = [disk["SnapshotId"] for disk in disks(image(ec2, one)).values()]
        ec2.deregister_image(ImageId=one)
        for snapshot in held:
            ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.delete_volume(VolumeId=volume["VolumeId"])
    ec2.get_waiter("volume_deleted").wait(VolumeIds=[volume["VolumeId"]], WaiterConfig=QUICK)
    assert standing(ec2) == before


def standing(ec2: Any) -> dict[str, set[str]]:
    """What a build might leave behind."""
    mine = {"OwnerIds": ["self"]}
    return {
        "volumes": {one["VolumeId"] for one in ec2.describe_volumes()["Volumes"]},
        "snapshots": {one["SnapshotId"] for one in ec2.describe_snapshots(**mine)["Snapshots"]},
        "images": {one["ImageId"] for one in ec2.describe_images(Owners=["self"])["Images"]},
        "keys": {one["KeyPairId"] for one in ec2.describe_key_pairs()["KeyPairs"]},
        "groups": {one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]},
    }
