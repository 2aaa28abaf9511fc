"""The README's story by boto3, with what the answers hold, and the same after a restart.

Source: issue of the first release, "How it is shown"; EC2 API Reference, the actions.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization

from ec2gw.lab.world import World
from tests.gateway import LINUX_IMAGE, WINDOWS_IMAGE, Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.literals import WaiterName
    from types_boto3_ec2.type_defs import InstanceTypeDef

ID = "[0-9a-f]{17}"
QUICK: Any = {"Delay": 0.1, "MaxAttempts": 300}
REGION = "eu-central-1"


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


def wait(ec2: EC2Client, waiter: WaiterName, ids: list[str]) -> None:
    found: Any = ec2.get_waiter(waiter)
    found.wait(InstanceIds=ids, WaiterConfig=QUICK)


def instances(ec2: EC2Client, ids: list[str]) -> list[InstanceTypeDef]:
    found = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    return [one for reservation in found for one in reservation["Instances"]]


def state(change: Any) -> tuple[str, str]:
    return change["PreviousState"]["Name"], change["CurrentState"]["Name"]


def launch(ec2: EC2Client, count: int, **more: Any) -> Any:
    return ec2.run_instances(
        ImageId=LINUX_IMAGE, InstanceType="t3.small", MinCount=count, MaxCount=count, **more
    )


# -- what is there before anything was made


def test_the_laboratory_has_two_public_images_of_amazon(ec2: EC2Client) -> None:
    images = {one["ImageId"]: one for one in ec2.describe_images(Owners=["amazon"])["Images"]}
    assert set(images) == {LINUX_IMAGE, WINDOWS_IMAGE}
    linux, windows = images[LINUX_IMAGE], images[WINDOWS_IMAGE]
    for image in (linux, windows):
        assert (image["State"], image["RootDeviceType"]) == ("available", "ebs")
        assert image["VirtualizationType"] == "hvm"
        assert image["Public"]
        assert image["ImageOwnerAlias"] == "amazon"
        (disk,) = image["BlockDeviceMappings"]
        assert disk["DeviceName"] == image["RootDeviceName"]
        assert disk["Ebs"]["SnapshotId"].startswith("snap-")
    assert "Platform" not in linux
    assert windows["Platform"] == "windows"
    assert ec2.describe_images(Owners=["self"])["Images"] == []


def test_an_account_finds_a_default_network_in_a_region(ec2: EC2Client) -> None:
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    assert vpc["IsDefault"]
    subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])
    zones = [f"{REGION}{letter}" for letter in "abc"]
    assert sorted(one["AvailabilityZone"] for one in subnets["Subnets"]) == zones
    for subnet in subnets["Subnets"]:
        assert subnet["DefaultForAz"]
        assert subnet["AvailableIpAddressCount"] > 4000
    listed = ec2.describe_availability_zones()["AvailabilityZones"]
    assert [one["ZoneName"] for one in listed] == zones
    (group,) = ec2.describe_security_groups()["SecurityGroups"]
    assert (group["GroupName"], group["VpcId"]) == ("default", vpc["VpcId"])
    (table,) = ec2.describe_route_tables()["RouteTables"]
    (gateway,) = ec2.describe_internet_gateways()["InternetGateways"]
    routes = {one["DestinationCidrBlock"]: one["GatewayId"] for one in table["Routes"]}
    assert routes == {vpc["CidrBlock"]: "local", "0.0.0.0/0": gateway["InternetGatewayId"]}
    (acl,) = ec2.describe_network_acls()["NetworkAcls"]
    assert acl["IsDefault"]
    (options,) = ec2.describe_dhcp_options()["DhcpOptions"]
    assert options["DhcpOptionsId"] == vpc["DhcpOptionsId"]
    answer = ec2.describe_vpc_attribute(VpcId=vpc["VpcId"], Attribute="enableDnsSupport")
    assert answer["EnableDnsSupport"] == {"Value": True}


def test_regions_are_the_same_whoever_asks(ec2: EC2Client) -> None:
    regions = {one["RegionName"] for one in ec2.describe_regions()["Regions"]}
    assert {"us-east-1", REGION} <= regions
    named = ec2.describe_regions(RegionNames=[REGION])["Regions"]
    assert [one["RegionName"] for one in named] == [REGION]


# -- key pairs


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_key_pair_is_answered_once_and_remembered_by_its_public_half(
    ec2: EC2Client, kind: Any
) -> None:
    made = ec2.create_key_pair(
        KeyName=f"made-{kind}",
        KeyType=kind,
        TagSpecifications=[{"ResourceType": "key-pair", "Tags": [{"Key": "for", "Value": "us"}]}],
    )
    text = made["KeyMaterial"].encode()
    private: Any = (
        serialization.load_pem_private_key(text, None)
        if kind == "rsa"
        else serialization.load_ssh_private_key(text, None)
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    (listed,) = ec2.describe_key_pairs(KeyNames=[f"made-{kind}"], IncludePublicKey=True)["KeyPairs"]
    assert listed["PublicKey"].split()[:2] == public.decode().split()
    assert listed["KeyFingerprint"] == made["KeyFingerprint"]
    assert listed["KeyType"] == kind
    assert listed["Tags"] == [{"Key": "for", "Value": "us"}]
    imported = ec2.import_key_pair(KeyName=f"imported-{kind}", PublicKeyMaterial=public)
    # Of the private half where EC2 made it, of the public one where it was brought.
    assert (imported["KeyFingerprint"] == made["KeyFingerprint"]) is (kind == "ed25519")
    for name in (f"made-{kind}", f"imported-{kind}"):
        assert ec2.delete_key_pair(KeyName=name)["Return"]
    assert ec2.describe_key_pairs()["KeyPairs"] == []
    ec2.delete_key_pair(KeyName="never was")  # success, as with EC2


# -- the life of instances


def test_instances_live_as_their_owner_asks(ec2: EC2Client, gateway: Gateway) -> None:
    ec2.create_key_pair(KeyName="story", KeyType="ed25519")
    before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=2)
    answer = launch(
        ec2,
        2,
        KeyName="story",
        UserData="#!/bin/sh\necho hello\n",
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "Name", "Value": "disk of web"}]},
        ],
    )
    assert re.fullmatch(f"r-{ID}", answer["ReservationId"])
    assert answer["OwnerId"] == gateway.client("sts").get_caller_identity()["Account"]
    ids = [one["InstanceId"] for one in answer["Instances"]]
    assert all(re.fullmatch(f"i-{ID}", one) for one in ids)
    assert [one["AmiLaunchIndex"] for one in answer["Instances"]] == [0, 1]
    for one in answer["Instances"]:
        assert one["State"] == {"Code": 0, "Name": "pending"}
        assert one["StateReason"] == {"Code": "pending", "Message": "pending"}
        assert before <= one["LaunchTime"] <= before + dt.timedelta(seconds=60)

    wait(ec2, "instance_running", ids)
    (reservation,) = ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert reservation["ReservationId"] == answer["ReservationId"]
    addresses = set()
    for one in reservation["Instances"]:
        assert one["State"] == {"Code": 16, "Name": "running"}
        assert (one["ImageId"], one["InstanceType"]) == (LINUX_IMAGE, "t3.small")
        assert one["KeyName"] == "story"
        assert one["Tags"] == [{"Key": "Name", "Value": "web"}]
        assert one["Placement"]["AvailabilityZone"].startswith(REGION)
        assert one["Placement"]["Tenancy"] == "default"
        assert one["Monitoring"] == {"State": "disabled"}
        (group,) = one["SecurityGroups"]
        assert group["GroupName"] == "default"
        (interface,) = one["NetworkInterfaces"]
        assert interface["Attachment"]["DeviceIndex"] == 0
        assert interface["Attachment"]["Status"] == "attached"
        assert interface["PrivateIpAddress"] == one["PrivateIpAddress"]
        addresses.add(one["PrivateIpAddress"])
        (disk,) = one["BlockDeviceMappings"]
        assert disk["DeviceName"] == one["RootDeviceName"]
        assert disk["Ebs"]["Status"] == "attached"
        (volume,) = ec2.describe_volumes(VolumeIds=[disk["Ebs"]["VolumeId"]])["Volumes"]
        assert (volume["State"], volume["Size"]) == ("in-use", 8)
        assert volume["Tags"] == [{"Key": "Name", "Value": "disk of web"}]
        assert volume["Attachments"][0]["InstanceId"] == one["InstanceId"]
    assert len(addresses) == 2

    changes = ec2.stop_instances(InstanceIds=ids)["StoppingInstances"]
    assert [state(one) for one in changes] == [("running", "stopping")] * 2
    wait(ec2, "instance_stopped", ids)
    for one in instances(ec2, ids):
        assert one["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
        assert re.fullmatch(
            r"User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)", one["StateTransitionReason"]
        )
    again = ec2.stop_instances(InstanceIds=ids)["StoppingInstances"]
    assert [state(one) for one in again] == [("stopped", "stopped")] * 2
    refuse(ec2.reboot_instances, ids, f"The instance '{ids[0]}' is not in a state from which it "
           "can be rebooted.")  # fmt: skip

    changes = ec2.start_instances(InstanceIds=ids)["StartingInstances"]
    assert [state(one) for one in changes] == [("stopped", "pending")] * 2
    wait(ec2, "instance_running", ids)
    assert {one["PrivateIpAddress"] for one in instances(ec2, ids)} == addresses

    ec2.reboot_instances(InstanceIds=ids)
    assert {one["State"]["Name"] for one in instances(ec2, ids)} == {"running"}
    wait(ec2, "instance_status_ok", ids)

    changes = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert [state(one) for one in changes] == [("running", "shutting-down")] * 2
    wait(ec2, "instance_terminated", ids)
    for one in instances(ec2, ids):
        assert one["State"] == {"Code": 48, "Name": "terminated"}
        assert one["Tags"] == [{"Key": "Name", "Value": "web"}]
        assert "PrivateIpAddress" not in one
        assert one["BlockDeviceMappings"] == []
    assert ec2.describe_volumes()["Volumes"] == []
    again = ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"]
    assert [state(one) for one in again] == [("terminated", "terminated")] * 2
    refuse(ec2.start_instances, ids, f"The instance '{ids[0]}' is not in a state from which it "
           "can be started.")  # fmt: skip
    refuse(ec2.stop_instances, ids, f"This instance '{ids[0]}' is not in a state from which it "
           "can be stopped.")  # fmt: skip
    assert vms(gateway, ids) == {}
    ec2.delete_key_pair(KeyName="story")


def refuse(call: Any, ids: list[str], message: str) -> None:
    with pytest.raises(ClientError) as caught:
        call(InstanceIds=ids)
    assert caught.value.response["Error"] == {"Code": "IncorrectInstanceState", "Message": message}


def vms(gateway: Gateway, ids: list[str]) -> dict[str, tuple[str, str]]:
    """Instance id -> id and state of its VM, from the laboratory's own world."""
    world = World(gateway.data / "lab" / "world.sqlite3", hosts=())
    try:
        found = [vm for host in world.snapshot().values() for vm in host["vms"]]
    finally:
        world.close()
    ours = {vm["name"]: (vm["id"], vm["state"]) for vm in found if vm["name"] in ids}
    assert len(ours) == len([vm for vm in found if vm["name"] in ids])
    return ours


# -- lists


def test_pages_hold_everything_once(ec2: EC2Client) -> None:
    tag: Any = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "page"}]}]
    made = [launch(ec2, 4, TagSpecifications=tag) for _ in range(3)]
    ids = [one["InstanceId"] for each in made for one in each["Instances"]]
    ours: Any = [{"Name": "tag:Name", "Values": ["pa*"]}]
    pages = list(
        ec2.get_paginator("describe_instances").paginate(
            Filters=ours, PaginationConfig={"PageSize": 5}
        )
    )
    seen = [
        [one["InstanceId"] for each in page["Reservations"] for one in each["Instances"]]
        for page in pages
    ]
    assert [len(one) for one in seen] == [5, 5, 2]
    assert [one for page in seen for one in page] == ids
    assert ["NextToken" in page for page in pages] == [True, True, False]
    reservations = [each["ReservationId"] for each in made]
    whole = ec2.describe_instances(Filters=ours)["Reservations"]
    assert [each["ReservationId"] for each in whole] == reservations

    types = ec2.get_paginator("describe_instance_types").paginate()
    names = [one["InstanceType"] for page in types for one in page["InstanceTypes"]]
    assert len(names) == len(set(names)) > 50
    tagged = ec2.get_paginator("describe_tags").paginate(
        Filters=[{"Name": "value", "Values": ["page"]}], PaginationConfig={"PageSize": 5}
    )
    assert sorted(one["ResourceId"] for page in tagged for one in page["Tags"]) == sorted(ids)
    ec2.terminate_instances(InstanceIds=ids)
    wait(ec2, "instance_terminated", ids)


def test_tags_are_put_changed_filtered_and_taken_away(ec2: EC2Client) -> None:
    subnet, other = (one["SubnetId"] for one in ec2.describe_subnets()["Subnets"][:2])
    ec2.create_tags(
        Resources=[subnet, other],
        Tags=[{"Key": "tier", "Value": "front"}, {"Key": "empty", "Value": ""}],
    )
    ec2.create_tags(Resources=[other], Tags=[{"Key": "tier", "Value": "back"}])

    def found(*filters: Any) -> list[str]:
        return [one["SubnetId"] for one in ec2.describe_subnets(Filters=filters)["Subnets"]]

    assert found({"Name": "tag:tier", "Values": ["front"]}) == [subnet]
    assert found({"Name": "tag:tier", "Values": ["front", "back"]}) == [subnet, other]
    assert found({"Name": "tag:tier", "Values": ["?ront", "nothing"]}) == [subnet]
    assert found({"Name": "tag-key", "Values": ["emp*"]}) == [subnet, other]
    assert found({"Name": "tag:tier", "Values": []}) == []
    assert found({"Name": "tag:tier", "Values": ["Front"]}) == []
    listed = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [other]}])["Tags"]
    assert {(one["Key"], one["Value"], one["ResourceType"]) for one in listed} == {
        ("tier", "back", "subnet"),
        ("empty", "", "subnet"),
    }
    ec2.delete_tags(Resources=[subnet], Tags=[{"Key": "tier", "Value": "not this"}])
    assert found({"Name": "tag-key", "Values": ["tier"]}) == [subnet, other]
    ec2.delete_tags(Resources=[subnet, other])
    left = ec2.describe_tags(Filters=[{"Name": "resource-type", "Values": ["subnet"]}])
    assert left["Tags"] == []


# -- a restart


def test_after_a_restart_everything_is_as_it_was(tmp_path: Path, quick: dict[str, str]) -> None:
    with Gateway(tmp_path / "data", environ=quick) as gateway:
        client: EC2Client = gateway.client(region=REGION)
        key = client.create_key_pair(KeyName="kept", KeyType="ed25519")
        tags: Any = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "kept"}]}]
        answer = launch(client, 3, KeyName="kept", TagSpecifications=tags)
        running, stopped, gone = ids = [one["InstanceId"] for one in answer["Instances"]]
        wait(client, "instance_running", ids)
        client.stop_instances(InstanceIds=[stopped])
        wait(client, "instance_stopped", [stopped])
        client.terminate_instances(InstanceIds=[gone])
        wait(client, "instance_terminated", [gone])
        page = client.describe_instance_types(MaxResults=5)
        before, machines = everything(client), vms(gateway, ids)
        client.close()
        keys = {name: gateway.environment[name] for name in KEYS}

        assert gateway.stop() == 0
        assert vms(gateway, ids) == machines
        gateway.start()

        assert {name: gateway.environment[name] for name in KEYS} == keys
        client = gateway.client(region=REGION)
        assert everything(client) == before
        (reservation,) = client.describe_instances()["Reservations"]
        assert reservation["ReservationId"] == answer["ReservationId"]
        states = {one["InstanceId"]: one["State"]["Name"] for one in reservation["Instances"]}
        assert states == {running: "running", stopped: "stopped", gone: "terminated"}
        (pair,) = client.describe_key_pairs()["KeyPairs"]
        assert pair["KeyPairId"] == key["KeyPairId"]
        following = client.describe_instance_types(MaxResults=5, NextToken=page["NextToken"])
        assert len(following["InstanceTypes"]) == 5
        client.start_instances(InstanceIds=[stopped])
        wait(client, "instance_running", [running, stopped])
        assert vms(gateway, ids) == {
            running: machines[running],
            stopped: (machines[stopped][0], "Running"),
        }
        client.close()


KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def everything(ec2: EC2Client) -> dict[str, Any]:
    """What every Describe answers, as the account sees it."""
    answers: dict[str, Any] = {
        "instances": ec2.describe_instances(),
        "images": ec2.describe_images(),
        "key pairs": ec2.describe_key_pairs(IncludePublicKey=True),
        "tags": ec2.describe_tags(),
        "volumes": ec2.describe_volumes(),
        "interfaces": ec2.describe_network_interfaces(),
        "vpcs": ec2.describe_vpcs(),
        "subnets": ec2.describe_subnets(),
        "groups": ec2.describe_security_groups(),
        "route tables": ec2.describe_route_tables(),
        "gateways": ec2.describe_internet_gateways(),
        "acls": ec2.describe_network_acls(),
        "dhcp options": ec2.describe_dhcp_options(),
        "attributes": ec2.describe_account_attributes(),
    }
    for answer in answers.values():
        del answer["ResponseMetadata"]
    return answers
