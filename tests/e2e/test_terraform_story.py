"""What Terraform asks while it makes, changes and takes away groups, disks and images, by boto3.

The requests are those that the provider sends for the configuration in
tests/tools/terraform/storage, in their order; each answer is held to what the provider waits for
or compares. It goes where no Terraform is.

Source: the log of provider 5.100.0 (TF_LOG_PROVIDER=DEBUG); its `internal/service/ec2`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE, Gateway

REGION = "ca-central-1"
ZONE = f"{REGION}a"
ALL: Any = {"FromPort": 0, "ToPort": 0, "IpProtocol": "-1"}


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[Any]:
    client = gateway.client(region=REGION)
    yield client
    client.close()


def code(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    said: str = caught.value.response["Error"]["Code"]
    return said


def until(holds: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < limit, f"never happened: {what}"
        time.sleep(0.1)


def named(name: str, kind: str) -> Any:
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": name}]}]


def group(ec2: Any, name: str, vpc_id: str) -> str:
    """What the provider does for `aws_security_group`, up to its rules."""
    made: str = ec2.create_security_group(
        GroupName=name,
        Description="Managed by Terraform",
        VpcId=vpc_id,
        TagSpecifications=named(name, "security-group"),
    )["GroupId"]
    [found] = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    assert found["VpcId"] == vpc_id
    v4: Any = {**ALL, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    v6: Any = {**ALL, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    assert ec2.revoke_security_group_egress(GroupId=made, IpPermissions=[v4])["Return"]
    refused = code(ec2.revoke_security_group_egress, GroupId=made, IpPermissions=[v6])
    assert refused == "InvalidPermission.NotFound"
    [found] = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    assert found["IpPermissionsEgress"] == []
    return made


def test_a_group_and_its_rules(ec2: Any) -> None:
    asked: Any = [{"Name": "isDefault", "Values": ["true"]}]
    [vpc] = ec2.describe_vpcs(Filters=asked)["Vpcs"]
    admins, web = group(ec2, "tf-admins", vpc["VpcId"]), group(ec2, "tf-web", vpc["VpcId"])

    # aws_security_group: all in one request; read back as it was written.
    https: Any = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}
    peers = [{"CidrIp": cidr, "Description": "first"} for cidr in ("10.0.0.0/8", "192.168.0.0/16")]
    ssh: Any = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22}
    ec2.authorize_security_group_ingress(
        GroupId=web,
        IpPermissions=[
            {**ssh, "UserIdGroupPairs": [{"GroupId": admins}]},
            {**https, "IpRanges": peers},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": web}]},
        ],
    )
    [shown] = ec2.describe_security_groups(GroupIds=[web])["SecurityGroups"]
    by_port: dict[Any, Any] = {one.get("FromPort"): one for one in shown["IpPermissions"]}
    assert by_port[443]["IpRanges"] == peers
    assert [one["GroupId"] for one in by_port[22]["UserIdGroupPairs"]] == [admins]
    assert [one["GroupId"] for one in by_port[None]["UserIdGroupPairs"]] == [web]

    # A change of description is an update, one of ports a revoke and an authorize.
    second: Any = {**https, "IpRanges": [{**one, "Description": "second"} for one in peers]}
    ec2.update_security_group_rule_descriptions_ingress(GroupId=web, IpPermissions=[second])
    ec2.revoke_security_group_ingress(GroupId=web, IpPermissions=[second])
    moved = {**second, "FromPort": 8443, "ToPort": 8443}
    ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[moved])

    # aws_vpc_security_group_ingress_rule: its id is in the answer.
    ping: Any = {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}
    [rule] = ec2.authorize_security_group_ingress(
        GroupId=admins,
        IpPermissions=[{**ping, "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "first"}]}],
        TagSpecifications=named("ping", "security-group-rule"),
    )["SecurityGroupRules"]
    rule_id = rule["SecurityGroupRuleId"]
    ec2.modify_security_group_rules(
        GroupId=admins,
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": rule_id,
                "SecurityGroupRule": {**ping, "CidrIpv4": "0.0.0.0/0", "Description": "second"},
            }
        ],
    )
    asked = [{"Name": "group-id", "Values": [admins]}]
    [read] = ec2.describe_security_group_rules(Filters=asked)["SecurityGroupRules"]
    assert (read["SecurityGroupRuleId"], read["Description"]) == (rule_id, "second")
    assert (read["FromPort"], read["ToPort"], read["IsEgress"]) == (8, -1, False)
    assert read["Tags"] == [{"Key": "Name", "Value": "ping"}]
    ec2.revoke_security_group_ingress(GroupId=admins, SecurityGroupRuleIds=[rule_id])
    gone = code(ec2.describe_security_group_rules, SecurityGroupRuleIds=[rule_id])
    assert gone == "InvalidSecurityGroupRuleId.NotFound"

    # What is still referred to is asked again until it can go.
    for one, refused in ((admins, "DependencyViolation"), (web, None), (admins, None)):
        asked = [{"Name": "group-id", "Values": [one]}]
        assert ec2.describe_network_interfaces(Filters=asked)["NetworkInterfaces"] == []
        if refused is None:
            ec2.delete_security_group(GroupId=one)
            assert code(ec2.describe_security_groups, GroupIds=[one]) == "InvalidGroup.NotFound"
        else:
            assert code(ec2.delete_security_group, GroupId=one) == refused


def test_a_disk_its_snapshot_and_images(ec2: Any, gateway: Gateway) -> None:
    instance = ec2.run_instances(
        ImageId=LINUX_IMAGE,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        ClientToken=str(uuid.uuid4()),
        CreditSpecification={"CpuCredits": "unlimited"},
        DisableApiTermination=False,
        HibernationOptions={"Configured": False},
        Placement={"AvailabilityZone": ZONE},
    )["Instances"][0]["InstanceId"]
    until(lambda: state_of(ec2, instance) == "running", "it runs")

    # aws_ebs_volume and aws_volume_attachment
    disk = ec2.create_volume(
        AvailabilityZone=ZONE,
        Size=4,
        VolumeType="gp3",
        Iops=3000,
        Throughput=125,
        ClientToken=str(uuid.uuid4()),
        TagSpecifications=named("data", "volume"),
    )["VolumeId"]
    until(lambda: volume(ec2, disk)["State"] == "available", "the disk is there")
    place: Any = [
        {"Name": "attachment.device", "Values": ["/dev/sdf"]},
        {"Name": "attachment.instance-id", "Values": [instance]},
    ]
    assert ec2.describe_volumes(VolumeIds=[disk], Filters=place)["Volumes"] == []
    ec2.attach_volume(VolumeId=disk, InstanceId=instance, Device="/dev/sdf")

    def attachment() -> str:
        found = ec2.describe_volumes(VolumeIds=[disk], Filters=place)["Volumes"]
        return str(found[0]["Attachments"][0]["State"]) if found else "detached"

    until(lambda: attachment() == "attached", "the disk is attached")
    ec2.modify_volume(VolumeId=disk, Size=8, Iops=4000, Throughput=125, VolumeType="gp3")

    def modification() -> str:
        told = ec2.describe_volumes_modifications(VolumeIds=[disk])["VolumesModifications"]
        return str(told[0]["ModificationState"])

    until(lambda: modification() in ("optimizing", "completed"), "the disk has grown")
    assert (volume(ec2, disk)["Size"], volume(ec2, disk)["Iops"]) == (8, 4000)

    # aws_ebs_snapshot and who may use it
    friend = gateway.account("terraform-story").account_id
    snapshot = ec2.create_snapshot(
        VolumeId=disk, Description="of the disk", TagSpecifications=named("data", "snapshot")
    )["SnapshotId"]

    def progress() -> str:
        return str(ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"])

    until(lambda: progress() == "completed", "the snapshot is whole")
    permission: Any = {"SnapshotId": snapshot, "Attribute": "createVolumePermission"}
    change: Any = {"CreateVolumePermission": {"Add": [{"UserId": friend}]}}
    ec2.modify_snapshot_attribute(**permission, **change)
    read = ec2.describe_snapshot_attribute(**permission)["CreateVolumePermissions"]
    assert read == [{"UserId": friend}]

    # aws_ami, aws_ami_from_instance and who may launch it. What has no value is sent empty.
    registered = ec2.register_image(
        Name="tf-registered",
        Description="",
        ImageLocation="",
        Architecture="x86_64",
        BootMode="uefi",
        EnaSupport=True,
        RootDeviceName="/dev/sda1",
        SriovNetSupport="simple",
        VirtualizationType="hvm",
        BlockDeviceMappings=[
            {
                "DeviceName": "/dev/sda1",
                "Ebs": {
                    "SnapshotId": snapshot,
                    "VolumeSize": 20,
                    "VolumeType": "gp3",
                    "DeleteOnTermination": True,
                },
            }
        ],
    )["ImageId"]
    made = ec2.create_image(
        InstanceId=instance,
        Name="tf-made",
        Description="first",
        NoReboot=True,
        TagSpecifications=named("made", "image"),
    )["ImageId"]
    until(lambda: image(ec2, made)["State"] == "available", "the image is made")
    assert image(ec2, registered)["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 20
    # The provider asks it of images, and does without.
    assert code(ec2.get_instance_uefi_data, InstanceId=made) == "InvalidAction"
    ec2.modify_image_attribute(
        ImageId=made,
        Attribute="launchPermission",
        LaunchPermission={"Add": [{"UserId": friend}]},
    )
    shared = ec2.describe_image_attribute(ImageId=made, Attribute="launchPermission")
    assert shared["LaunchPermissions"] == [{"UserId": friend}]
    ec2.modify_image_attribute(
        ImageId=made, Attribute="description", Description={"Value": "second"}
    )
    assert image(ec2, made)["Description"] == "second"

    # All of it goes again.
    for one in (registered, made):
        held = [each["Ebs"]["SnapshotId"] for each in image(ec2, one)["BlockDeviceMappings"]]
        ec2.deregister_image(ImageId=one)
        until(lambda one=one: images(ec2, one) == [], "the image is gone")  # type: ignore[misc]
        for each in {*held} - {snapshot}:
            ec2.delete_snapshot(SnapshotId=each)
    ec2.delete_snapshot(SnapshotId=snapshot)
    ec2.detach_volume(VolumeId=disk, InstanceId=instance, Device="/dev/sdf")
    until(lambda: attachment() == "detached", "the disk is off")
    ec2.delete_volume(VolumeId=disk)
    ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    ec2.terminate_instances(InstanceIds=[instance])
    until(lambda: state_of(ec2, instance) == "terminated", "it is gone")
    assert code(ec2.describe_volumes, VolumeIds=[disk]) == "InvalidVolume.NotFound"
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []


def state_of(ec2: Any, instance_id: str) -> str:
    [reservation] = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"]
    return str(reservation["Instances"][0]["State"]["Name"])


def volume(ec2: Any, volume_id: str) -> Any:
    return ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]


def images(ec2: Any, image_id: str) -> list[Any]:
    return [*ec2.describe_images(ImageIds=[image_id])["Images"]]


def image(ec2: Any, image_id: str) -> Any:
    return images(ec2, image_id)[0]
