"""Snapshots and images by the unmodified `aws`: the commands of EC2's own guides."""

from __future__ import annotations

import time
from typing import Any

from tests.gateway import LINUX_IMAGE, Gateway

REGION = "eu-central-2"


def ec2(gateway: Gateway, *arguments: str) -> Any:
    return gateway.aws("ec2", *arguments, "--region", REGION)


def until(gateway: Gateway, member: str, state: str, *arguments: str) -> Any:
    """Describe until the one that is named is in that state."""
    limit = time.monotonic() + 60
    while True:
        [found] = ec2(gateway, *arguments)[member]
        if found["State"] == state:
            return found
        assert found["State"] in ("pending", "creating"), found
        assert time.monotonic() < limit, found
        time.sleep(0.2)


def running(gateway: Gateway, image: str) -> str:
    asked = ("run-instances", "--image-id", image, "--instance-type", "t3.micro")
    [launched] = ec2(gateway, *asked)["Instances"]
    instance: str = launched["InstanceId"]
    limit = time.monotonic() + 60
    while True:
        answer = ec2(gateway, "describe-instances", "--instance-ids", instance)
        if answer["Reservations"][0]["Instances"][0]["State"]["Name"] == "running":
            return instance
        assert time.monotonic() < limit
        time.sleep(0.2)


def test_an_image_is_made_launched_deregistered_and_its_snapshot_deleted(gateway: Gateway) -> None:
    instance = running(gateway, LINUX_IMAGE)
    made = ec2(
        gateway,
        *("create-image", "--instance-id", instance, "--name", "golden", "--no-reboot"),
        *("--tag-specifications", "ResourceType=image,Tags=[{Key=os,Value=debian}]"),
        "ResourceType=snapshot,Tags=[{Key=part,Value=root}]",
    )["ImageId"]
    image = until(gateway, "Images", "available", "describe-images", "--image-ids", made)
    snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    assert image["Tags"] == [{"Key": "os", "Value": "debian"}]
    shown = until(
        gateway, "Snapshots", "completed", "describe-snapshots", "--snapshot-ids", snapshot
    )
    assert shown["Tags"] == [{"Key": "part", "Value": "root"}]
    second = running(gateway, made)
    ec2(gateway, "deregister-image", "--image-id", made)
    ec2(gateway, "delete-snapshot", "--snapshot-id", snapshot)
    owned = ec2(gateway, "describe-snapshots", "--owner-ids", "self")
    assert owned["Snapshots"] == []
    ec2(gateway, "terminate-instances", "--instance-ids", instance, second)
