"""Images registered by the API, launched on the laboratory's hosts, shared, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.gateway import Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.literals import WaiterName

REGION = "ca-central-1"
QUICK: Any = {"Delay": 0.1, "MaxAttempts": 300}
DISK = "ec2gw-lab-linux.vhdx"


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


def wait(ec2: EC2Client, waiter: WaiterName, ids: list[str]) -> None:
    found: Any = ec2.get_waiter(waiter)
    found.wait(InstanceIds=ids, WaiterConfig=QUICK)


def launch(ec2: EC2Client, image_id: str) -> str:
    answer = ec2.run_instances(ImageId=image_id, InstanceType="t3.small", MinCount=1, MaxCount=1)
    return answer["Instances"][0]["InstanceId"]


def test_what_runs_on_an_image_outlives_it(ec2: EC2Client, gateway: Gateway) -> None:
    image_id = ec2.register_image(Name="of the store", ImageLocation=DISK)["ImageId"]
    mine = launch(ec2, image_id)
    friend = gateway.account("friend-of-images")
    permission: Any = {"Add": [{"UserId": friend.account_id}]}
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission=permission)
    theirs = gateway.client(region=REGION, credentials=friend)
    shared = launch(theirs, image_id)
    wait(ec2, "instance_running", [mine])
    wait(theirs, "instance_running", [shared])
    ec2.deregister_image(ImageId=image_id)
    ec2.stop_instances(InstanceIds=[mine])
    wait(ec2, "instance_stopped", [mine])
    ec2.start_instances(InstanceIds=[mine])
    wait(ec2, "instance_running", [mine])
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    for client, instance_id in ((ec2, mine), (theirs, shared)):
        client.terminate_instances(InstanceIds=[instance_id])
        wait(client, "instance_terminated", [instance_id])
    theirs.close()
