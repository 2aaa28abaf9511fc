"""Attributes of an instance by boto3, in the order in which Terraform asks for them.

Source: terraform-provider-aws, read and update paths of `aws_instance`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.literals import InstanceAttributeNameType, WaiterName

REGION = "ap-southeast-2"


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


@pytest.fixture(scope="module")
def instance_id(ec2: EC2Client) -> Iterator[str]:
    answer = ec2.run_instances(ImageId=LINUX_IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1)
    one = answer["Instances"][0]["InstanceId"]
    wait(ec2, "instance_running", one)
    yield one
    ec2.terminate_instances(InstanceIds=[one])


def wait(ec2: EC2Client, waiter: WaiterName, instance_id: str) -> None:
    found: Any = ec2.get_waiter(waiter)
    found.wait(InstanceIds=[instance_id], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})


def told(ec2: EC2Client, instance_id: str, name: InstanceAttributeNameType) -> Any:
    answer: Any = ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=name)
    assert answer.pop("InstanceId") == instance_id
    del answer["ResponseMetadata"]
    [value] = answer.values()
    return value


def test_what_terraform_reads_of_a_fresh_instance(ec2: EC2Client, instance_id: str) -> None:
    assert told(ec2, instance_id, "instanceInitiatedShutdownBehavior") == {"Value": "stop"}
    assert told(ec2, instance_id, "disableApiStop") == {"Value": False}
    assert told(ec2, instance_id, "disableApiTermination") == {"Value": False}
    assert told(ec2, instance_id, "userData") == {}
    assert told(ec2, instance_id, "productCodes") == []
    [device] = told(ec2, instance_id, "blockDeviceMapping")
    assert device["Ebs"]["VolumeId"].startswith("vol-")


def test_a_resize_and_new_user_data_are_a_stop_two_changes_and_a_start(
    ec2: EC2Client, instance_id: str
) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": "t3.small"})
    assert refused.value.response["Error"]["Code"] == "IncorrectInstanceState"
    ec2.stop_instances(InstanceIds=[instance_id], Force=True)
    wait(ec2, "instance_stopped", instance_id)
    ec2.modify_instance_attribute(InstanceId=instance_id, InstanceType={"Value": "t3.small"})
    ec2.modify_instance_attribute(InstanceId=instance_id, UserData={"Value": b"#!/bin/sh\n\xff"})
    ec2.start_instances(InstanceIds=[instance_id])
    wait(ec2, "instance_running", instance_id)
    [shown] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert shown["InstanceType"] == "t3.small"
    kept = told(ec2, instance_id, "userData")["Value"]
    assert base64.b64decode(kept) == b"#!/bin/sh\n\xff"


def test_protection_is_lifted_before_the_end(ec2: EC2Client, instance_id: str) -> None:
    ec2.modify_instance_attribute(
        InstanceId=instance_id, Attribute="disableApiTermination", Value="true"
    )
    with pytest.raises(ClientError) as refused:
        ec2.terminate_instances(InstanceIds=[instance_id])
    assert refused.value.response["Error"]["Code"] == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=instance_id, DisableApiTermination={"Value": False})
    assert told(ec2, instance_id, "disableApiTermination") == {"Value": False}


def test_monitoring_metadata_and_offerings_travel(ec2: EC2Client, instance_id: str) -> None:
    monitored = ec2.monitor_instances(InstanceIds=[instance_id])["InstanceMonitorings"]
    assert monitored == [{"InstanceId": instance_id, "Monitoring": {"State": "pending"}}]
    changed = ec2.modify_instance_metadata_options(InstanceId=instance_id, HttpTokens="required")
    assert changed["InstanceMetadataOptions"]["HttpTokens"] == "required"
    [shown] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert shown["Monitoring"] == {"State": "enabled"}
    assert shown["MetadataOptions"]["HttpTokens"] == "required"
    credit = ec2.describe_instance_credit_specifications(InstanceIds=[instance_id])
    [option] = credit["InstanceCreditSpecifications"]
    assert option == {"InstanceId": instance_id, "CpuCredits": "standard"}
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", PaginationConfig={"PageSize": 100}
    )
    places = {
        one["Location"]
        for page in pages
        for one in page["InstanceTypeOfferings"]
        if one["InstanceType"] == "t3.small"
    }
    assert places == {f"{REGION}{letter}" for letter in "abc"}
    ec2.reset_instance_attribute(InstanceId=instance_id, Attribute="sourceDestCheck")
