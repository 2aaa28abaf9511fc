"""Launches that cannot be: values, references, bounds, capacity, what is not there yet."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.bad_input.asked import (
    ABSENT,
    COMBINATION,
    LAUNCH,
    MISSING,
    REGION,
    UNSUPPORTED,
    VALUE,
    Case,
    check,
    refused,
)
from tests.gateway import Gateway


def launch(says: str, given: Mapping[str, Any], code: str, message: str, status: int = 400) -> Case:
    return Case(says, "run_instances", {**LAUNCH, **given}, code, message, status)


def root(**ebs: Any) -> dict[str, Any]:
    return {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": ebs}]}


def interface(**given: Any) -> dict[str, Any]:
    return {"NetworkInterfaces": [{"DeviceIndex": 0, **given}]}


def unsupported(says: str, name: str, given: Mapping[str, Any]) -> Case:
    return launch(
        says, given, UNSUPPORTED, f"The parameter {name} is not supported by this service."
    )


LAUNCHES = [
    launch(
        "an unknown type",
        {"InstanceType": "t9.micro"},
        VALUE,
        "Invalid value 't9.micro' for InstanceType.",
    ),
    launch(
        "more at least than at most",
        {"MinCount": 2, "MaxCount": 1},
        VALUE,
        "Maximum instance count must not be smaller than minimum instance count",
    ),
    launch("none", {"MinCount": 0}, VALUE, "Minimum instance count must be greater than zero"),
    launch("fewer than none", {"MinCount": -1}, VALUE, "~Minimum instance count .* zero"),
    launch(
        "a count in words", {"MinCount": "two"}, VALUE, r"~Value \(two\) for parameter MinCount"
    ),
    launch("no image", {"ImageId": None}, MISSING, "~must contain the parameter [iI]mageId"),
    launch(
        "a malformed image",
        {"ImageId": "ubuntu"},
        "InvalidAMIID.Malformed",
        'Invalid id: "ubuntu" (expecting "ami-...")',
    ),
    launch(
        "an unknown image",
        {"ImageId": f"ami-{ABSENT}"},
        "InvalidAMIID.NotFound",
        f"The image id '[ami-{ABSENT}]' does not exist",
    ),
    launch(
        "an unknown key pair",
        {"KeyName": "nobody's"},
        "InvalidKeyPair.NotFound",
        "The key pair 'nobody's' does not exist",
    ),
    launch(
        "an unknown subnet",
        {"SubnetId": f"subnet-{ABSENT}"},
        "InvalidSubnetID.NotFound",
        f"The subnet ID 'subnet-{ABSENT}' does not exist",
    ),
    launch(
        "a malformed subnet",
        {"SubnetId": "subnet"},
        "InvalidSubnetId.Malformed",
        'Invalid id: "subnet" (expecting "subnet-...")',
    ),
    launch(
        "an unknown group",
        {"SecurityGroupIds": [f"sg-{ABSENT}"]},
        "InvalidGroup.NotFound",
        f"The security group 'sg-{ABSENT}' does not exist",
    ),
    launch(
        "an empty group",
        {"SecurityGroupIds": [""]},
        VALUE,
        "Value () for parameter groupId is invalid. The value cannot be empty",
    ),
    launch(
        "an unknown group name",
        {"SecurityGroups": ["web"]},
        "InvalidGroup.NotFound",
        "The security group 'web' does not exist in default VPC '{vpc}'",
    ),
    launch(
        "an unknown zone",
        {"Placement": {"AvailabilityZone": "eu-west-1z"}},
        VALUE,
        "Invalid value 'eu-west-1z' for AvailabilityZone.",
    ),
    launch(
        "an unknown placement group",
        {"Placement": {"GroupName": "near"}},
        "InvalidPlacementGroup.Unknown",
        "The Placement Group 'near' is unknown.",
    ),
    launch(
        "no host so large",
        {"InstanceType": "m5.24xlarge"},
        "InsufficientInstanceCapacity",
        "~^We currently do not have sufficient m5.24xlarge capacity",
        500,
    ),
    launch(
        "no host so large in that zone",
        {"InstanceType": "m5.24xlarge", "Placement": {"AvailabilityZone": "eu-west-1a"}},
        "InsufficientInstanceCapacity",
        "We currently do not have sufficient m5.24xlarge capacity in the Availability Zone you "
        "requested (eu-west-1a). Our system will be working on provisioning additional capacity.",
        500,
    ),
    launch(
        "no room for so many",
        {"InstanceType": "m5.8xlarge", "MinCount": 40, "MaxCount": 40},
        "InsufficientInstanceCapacity",
        "~^We currently do not have sufficient m5.8xlarge capacity",
        500,
    ),
    launch(
        "more than the account may have",
        {"MinCount": 20_000, "MaxCount": 20_000},
        "InstanceLimitExceeded",
        "~^You have requested more instances .20000. than your current instance limit of 10000",
    ),
    launch(
        "user data of 17 KB",
        {"UserData": "x" * 17 * 1024},
        VALUE,
        "User data is limited to 16384 bytes",
    ),
    launch(
        "user data of 24 KB",
        {"UserData": "x" * 24 * 1024},
        VALUE,
        "Encoded User data is limited to 25600 bytes",
    ),
    launch(
        "an unknown shutdown behaviour",
        {"InstanceInitiatedShutdownBehavior": "hibernate"},
        VALUE,
        "~^Value .hibernate. for parameter instanceInitiatedShutdownBehavior is invalid.",
    ),
    launch(
        "metadata 65 hops away",
        {"MetadataOptions": {"HttpPutResponseHopLimit": 65}},
        VALUE,
        r"~^Value \(65\) for parameter .*HttpPutResponseHopLimit is invalid",
    ),
    launch(
        "metadata tokens that may be",
        {"MetadataOptions": {"HttpTokens": "maybe"}},
        VALUE,
        r"~^Value \(maybe\) for parameter .*HttpTokens is invalid",
    ),
    launch(
        "more cores than the type has",
        {"CpuOptions": {"CoreCount": 8, "ThreadsPerCore": 2}},
        COMBINATION,
        "~'t3.nano'",
    ),
    launch(
        "a disk smaller than its image",
        root(VolumeSize=4),
        "InvalidBlockDeviceMapping",
        "Volume of size 4GB is smaller than  snapshot 'snap-0ec20000000000001', expect size >= 8GB",
    ),
    launch("a disk too large", root(VolumeSize=70_000), VALUE, "~too large.* maximum is 65536GiB"),
    launch(
        "a disk of no type",
        root(VolumeType="gp9"),
        VALUE,
        r"~^Value \(gp9\) for parameter volumeType is invalid",
    ),
    launch(
        "iops of a type without",
        root(VolumeType="gp2", Iops=3000),
        COMBINATION,
        "The parameter iops is not supported for gp2 volumes",
    ),
    launch(
        "too many iops",
        root(VolumeType="io1", Iops=70_000),
        VALUE,
        "Volume iops of 70000 is too high; maximum is 64000.",
    ),
    launch(
        "a device twice",
        {"BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {}}] * 2},
        "InvalidBlockDeviceMapping",
        "~'/dev/sda1'",
    ),
    launch(
        "a device without a name",
        {"BlockDeviceMappings": [{"Ebs": {"VolumeSize": 8}}]},
        MISSING,
        "The request must contain the parameter deviceName",
    ),
    launch(
        "an interface and a subnet",
        {**interface(), "SubnetId": f"subnet-{ABSENT}"},
        COMBINATION,
        "Network interfaces and an instance-level subnet ID may not be specified on the same "
        "request",
    ),
    launch(
        "an interface and groups",
        {**interface(), "SecurityGroupIds": [f"sg-{ABSENT}"]},
        COMBINATION,
        "Network interfaces and an instance-level security groups may not be specified on the "
        "same request",
    ),
    launch(
        "an unknown interface",
        interface(NetworkInterfaceId=f"eni-{ABSENT}"),
        "InvalidNetworkInterfaceID.NotFound",
        f"The networkInterface ID 'eni-{ABSENT}' does not exist",
    ),
    launch(
        "somebody's interface",
        interface(NetworkInterfaceId="{interface}"),
        "InvalidNetworkInterface.InUse",
        "Interface: [{interface}] in use.",
    ),
    launch(
        "an address in use",
        {"SubnetId": "{subnet}", "PrivateIpAddress": "{address}"},
        "InvalidIPAddress.InUse",
        "Address {address} is in use.",
    ),
    launch(
        "a reserved address",
        {"SubnetId": "{subnet}", "PrivateIpAddress": "172.31.0.1"},
        VALUE,
        "Address 172.31.0.1 is in subnet's reserved address range",
    ),
    launch(
        "an address of elsewhere",
        {"SubnetId": "{subnet}", "PrivateIpAddress": "192.0.2.1"},
        VALUE,
        "~192.0.2.1",
    ),
    launch(
        "one address for two",
        {"PrivateIpAddress": "172.31.0.99", "MaxCount": 2},
        COMBINATION,
        "~single private IP address",
    ),
    launch("no address", {"PrivateIpAddress": "172.31.0.999"}, VALUE, "~172.31.0.999"),
    launch(
        "a token too long",
        {"ClientToken": "x" * 65},
        VALUE,
        "~clientToken is invalid.* 64 ",
    ),
    unsupported(
        "a launch template", "LaunchTemplate", {"LaunchTemplate": {"LaunchTemplateName": "x"}}
    ),
    unsupported("an instance profile", "IamInstanceProfile", {"IamInstanceProfile": {"Name": "x"}}),
    unsupported("spot", "InstanceMarketOptions", {"InstanceMarketOptions": {"MarketType": "spot"}}),
    unsupported(
        "hibernation",
        "HibernationOptions.Configured",
        {"HibernationOptions": {"Configured": True}},
    ),
    unsupported("a dedicated host", "Placement.Tenancy", {"Placement": {"Tenancy": "host"}}),
    unsupported("IPv6", "Ipv6AddressCount", {"Ipv6AddressCount": 1}),
    unsupported("encryption", "BlockDeviceMapping.1.Ebs.Encrypted", root(Encrypted=True)),
    unsupported(
        "encryption of a second disk",
        "BlockDeviceMapping.1.Ebs.Encrypted",
        {"BlockDeviceMappings": [{"DeviceName": "/dev/sdf", "Ebs": {"Encrypted": True}}]},
    ),
    unsupported(
        "a second interface",
        "NetworkInterface.2",
        {"NetworkInterfaces": [{"DeviceIndex": 0}, {"DeviceIndex": 1}]},
    ),
    unsupported(
        "a public address",
        "NetworkInterface.1.AssociatePublicIpAddress",
        interface(AssociatePublicIpAddress=True),
    ),
]


@pytest.mark.parametrize("case", LAUNCHES, ids=str)
def test_a_launch_is_refused_in_ec2s_words(ec2: Any, facts: dict[str, str], case: Case) -> None:
    check(ec2, facts, case)


@pytest.mark.parametrize("text", ["%%%", "ä", "abc", "Zm9v!"])
def test_user_data_that_is_no_base64_is_refused(gateway: Gateway, text: str) -> None:
    client = gateway.client(region=REGION, parameter_validation=False)

    def as_it_stands(params: dict[str, Any], **_: Any) -> None:
        params["body"]["UserData"] = text

    client.meta.events.register("before-call.ec2.RunInstances", as_it_stands)
    found = refused(client.run_instances, **LAUNCH, UserData="x")
    client.close()
    assert found == (VALUE, 400, "Invalid BASE64 encoding of user data.")


def test_base64_with_line_breaks_is_user_data(gateway: Gateway) -> None:
    client = gateway.client(region=REGION, parameter_validation=False)
    text = base64.encodebytes(b"#!/bin/sh\n" * 20).decode()
    assert "\n" in text.strip()

    def as_it_stands(params: dict[str, Any], **_: Any) -> None:
        params["body"]["UserData"] = text

    client.meta.events.register("before-call.ec2.RunInstances", as_it_stands)
    code, status, _ = refused(client.run_instances, **LAUNCH, UserData="x", DryRun=True)
    client.close()
    assert (code, status) == ("DryRunOperation", 412)


def test_nothing_that_was_refused_was_launched(ec2: Any, facts: dict[str, str]) -> None:
    """Runs after the others of this file."""
    listed = [one for each in ec2.describe_instances()["Reservations"] for one in each["Instances"]]
    assert [one["InstanceId"] for one in listed] == [facts["instance"]]
