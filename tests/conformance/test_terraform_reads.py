"""What Terraform's AWS provider asks while it reads, and what it needs to find in the answers.

The requests are those that the provider sends to the gateway in tests/tools/terraform; the members
are those without which it fails, waits for ever, or sees a drift that nobody made.

Source: the log of provider 5.100.0 (TF_LOG_PROVIDER=DEBUG); its `internal/service/ec2`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import pytest
import sqlalchemy as sa

from state import models
from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from tests.launches import NOW
from tests.truth import evidence
from translators.ec2.instances import intents
from translators.settings import Settings

KEY: Final = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPm9Y2o7sXyXHxoNyUMHZG+5xDGKDsxTeRGWyS8pTzUG"
INSTANCE: Final = "Reservations[].Instances[]."


class Read(NamedTuple):
    """One request; `{i}` stands for the instance's id, `{vpc}` for its VPC's, and so on."""

    of: str
    action: str
    request: Mapping[str, Any]
    needs: tuple[str, ...]
    """Paths to members that have to be there, in every item; `!` before a list: it is empty."""


def where(**values: str) -> list[dict[str, Any]]:
    return [
        {"Name": name.replace("__", ".").replace("_", "-"), "Values": [text]}
        for name, text in values.items()
    ]


def paths(item: str, names: str) -> tuple[str, ...]:
    return tuple(item + name for name in names.split())


def attribute(name: str, *needs: str) -> Read:
    asked = {"InstanceId": "{i}", "Attribute": name}
    return Read("aws_instance", "DescribeInstanceAttribute", asked, needs)


def vpc_attribute(name: str, needs: str) -> Read:
    asked = {"VpcId": "{vpc}", "Attribute": name}
    return Read("aws_vpc", "DescribeVpcAttribute", asked, (f"{needs}.Value",))


READS: Final = (
    Read("provider", "sts:GetCallerIdentity", {}, ("Account", "Arn", "UserId")),
    Read("provider", "iam:ListRoles", {"MaxItems": 1}, ("Roles",)),
    Read(
        "aws_instance",
        "DescribeInstances",
        {"InstanceIds": ["{i}"]},
        paths(
            INSTANCE,
            "InstanceId ImageId InstanceType KeyName LaunchTime State.Name State.Code "
            "Placement.AvailabilityZone Placement.Tenancy Placement.GroupName "
            "RootDeviceName RootDeviceType EbsOptimized SourceDestCheck Monitoring.State "
            "SubnetId VpcId PrivateIpAddress PrivateDnsName "
            "CpuOptions.CoreCount CpuOptions.ThreadsPerCore EnclaveOptions.Enabled "
            "HibernationOptions.Configured MaintenanceOptions.AutoRecovery "
            "CapacityReservationSpecification.CapacityReservationPreference "
            "MetadataOptions.State MetadataOptions.HttpEndpoint MetadataOptions.HttpTokens "
            "MetadataOptions.HttpPutResponseHopLimit MetadataOptions.HttpProtocolIpv6 "
            "MetadataOptions.InstanceMetadataTags PrivateDnsNameOptions.HostnameType "
            "PrivateDnsNameOptions.EnableResourceNameDnsARecord "
            "PrivateDnsNameOptions.EnableResourceNameDnsAAAARecord "
            "Tags[].Key Tags[].Value SecurityGroups[].GroupId SecurityGroups[].GroupName "
            "BlockDeviceMappings[].DeviceName BlockDeviceMappings[].Ebs.VolumeId "
            "BlockDeviceMappings[].Ebs.DeleteOnTermination "
            "NetworkInterfaces[].NetworkInterfaceId NetworkInterfaces[].SourceDestCheck "
            "NetworkInterfaces[].Attachment.DeviceIndex "
            "NetworkInterfaces[].Attachment.DeleteOnTermination "
            "NetworkInterfaces[].Attachment.NetworkCardIndex "
            "NetworkInterfaces[].PrivateIpAddresses[].Primary "
            "NetworkInterfaces[].PrivateIpAddresses[].PrivateIpAddress "
            "NetworkInterfaces[].Groups[].GroupId",
        ),
    ),
    Read(
        "aws_instance",
        "DescribeInstanceTypes",
        {"InstanceTypes": ["t3.micro"]},
        ("InstanceTypes[].InstanceType", "InstanceTypes[].BurstablePerformanceSupported"),
    ),
    Read(
        "aws_instance",
        "DescribeTags",
        {"Filters": where(key="aws:ec2launchtemplate:id", resource_id="{i}")},
        ("!Tags",),
    ),
    attribute(
        "instanceInitiatedShutdownBehavior", "InstanceInitiatedShutdownBehavior.Value", "InstanceId"
    ),
    attribute("disableApiStop", "DisableApiStop.Value"),
    attribute("disableApiTermination", "DisableApiTermination.Value"),
    attribute("userData", "UserData.Value"),
    Read(
        "aws_instance",
        "DescribeVolumes",
        {"VolumeIds": ["{vol}"]},
        paths(
            "Volumes[].",
            "VolumeId Size VolumeType Encrypted AvailabilityZone State CreateTime SnapshotId "
            "Attachments[].InstanceId Attachments[].Device Attachments[].State "
            "Attachments[].DeleteOnTermination",
        ),
    ),
    Read(
        "aws_instance",
        "DescribeInstanceCreditSpecifications",
        {"InstanceIds": ["{i}"]},
        (
            "InstanceCreditSpecifications[].InstanceId",
            "InstanceCreditSpecifications[].CpuCredits",
        ),
    ),
    Read(
        "aws_ec2_instance_state",
        "DescribeInstanceStatus",
        {"InstanceIds": ["{i}"], "IncludeAllInstances": True},
        paths(
            "InstanceStatuses[].", "InstanceState.Name InstanceStatus.Status SystemStatus.Status"
        ),
    ),
    Read(
        "root_block_device",
        "DescribeImages",
        {"ImageIds": ["{ami}"]},
        paths(
            "Images[].",
            "ImageId State RootDeviceType RootDeviceName "
            "BlockDeviceMappings[].DeviceName BlockDeviceMappings[].Ebs.SnapshotId "
            "BlockDeviceMappings[].Ebs.VolumeSize",
        ),
    ),
    Read(
        "aws_key_pair",
        "DescribeKeyPairs",
        {"KeyNames": ["terraform"]},
        paths("KeyPairs[].", "KeyName KeyPairId KeyFingerprint KeyType"),
    ),
    Read(
        "data.aws_key_pair",
        "DescribeKeyPairs",
        {"KeyNames": ["terraform"], "IncludePublicKey": True},
        ("KeyPairs[].PublicKey", "KeyPairs[].CreateTime"),
    ),
    Read(
        "aws_ec2_tag",
        "DescribeTags",
        {"Filters": where(resource_id="{i}", key="Name")},
        ("Tags[].Value", "Tags[].ResourceId", "Tags[].Key"),
    ),
    Read(
        "aws_vpc",
        "DescribeVpcs",
        {"VpcIds": ["{vpc}"]},
        paths(
            "Vpcs[].",
            "VpcId OwnerId CidrBlock State DhcpOptionsId InstanceTenancy IsDefault "
            "CidrBlockAssociationSet[].CidrBlockState.State",
        ),
    ),
    Read("data.aws_vpc", "DescribeVpcs", {"Filters": where(isDefault="true")}, ("Vpcs[].VpcId",)),
    vpc_attribute("enableDnsHostnames", "EnableDnsHostnames"),
    vpc_attribute("enableDnsSupport", "EnableDnsSupport"),
    vpc_attribute("enableNetworkAddressUsageMetrics", "EnableNetworkAddressUsageMetrics"),
    Read(
        "aws_vpc",
        "DescribeNetworkAcls",
        {"Filters": where(default="true", vpc_id="{vpc}")},
        ("NetworkAcls[].NetworkAclId", "NetworkAcls[].Associations[].NetworkAclAssociationId"),
    ),
    Read(
        "aws_vpc",
        "DescribeRouteTables",
        {"Filters": where(association__main="true", vpc_id="{vpc}")},
        paths(
            "RouteTables[].",
            "RouteTableId Associations[].Main Associations[].RouteTableAssociationId "
            "Routes[].State",
        ),
    ),
    Read(
        "aws_vpc",
        "DescribeSecurityGroups",
        {"Filters": where(group_name="default", vpc_id="{vpc}")},
        paths(
            "SecurityGroups[].",
            "GroupId OwnerId VpcId Description IpPermissions "
            "IpPermissionsEgress[].IpRanges[].CidrIp",
        ),
    ),
    Read(
        "data.aws_subnet",
        "DescribeSubnets",
        {"Filters": where(availabilityZone="us-east-1a", defaultForAz="true", vpc_id="{vpc}")},
        paths(
            "Subnets[].",
            "SubnetId SubnetArn OwnerId VpcId CidrBlock AvailabilityZone AvailabilityZoneId "
            "AvailableIpAddressCount DefaultForAz MapPublicIpOnLaunch State "
            "AssignIpv6AddressOnCreation EnableDns64 Ipv6Native "
            "PrivateDnsNameOptionsOnLaunch.HostnameType",
        ),
    ),
    Read(
        "aws_network_interface",
        "DescribeNetworkInterfaces",
        {"NetworkInterfaceIds": ["{eni}"]},
        paths(
            "NetworkInterfaces[].",
            "NetworkInterfaceId Attachment.AttachmentId Attachment.DeviceIndex "
            "Attachment.InstanceId Groups[].GroupId InterfaceType MacAddress OwnerId "
            "PrivateIpAddress PrivateIpAddresses[].Primary SourceDestCheck Status SubnetId",
        ),
    ),
    Read(
        "aws_security_group, when deleted",
        "DescribeNetworkInterfaces",
        {"Filters": where(group_id="{sg}")},
        ("NetworkInterfaces[].Status", "NetworkInterfaces[].Attachment.AttachmentId"),
    ),
    Read(
        "aws_subnet, when deleted",
        "DescribeNetworkInterfaces",
        {"Filters": where(subnet_id="{subnet}")},
        ("NetworkInterfaces[].NetworkInterfaceId",),
    ),
    Read(
        "aws_volume_attachment",
        "DescribeVolumes",
        {
            "VolumeIds": ["{vol}"],
            "Filters": where(attachment__device="/dev/sda1", attachment__instance_id="{i}"),
        },
        ("Volumes[].Attachments[].State",),
    ),
    Read(
        "data.aws_availability_zones",
        "DescribeAvailabilityZones",
        {"Filters": where(state="available")},
        ("AvailabilityZones[].ZoneName", "AvailabilityZones[].ZoneId"),
    ),
    Read(
        "data.aws_ec2_instance_type_offerings",
        "DescribeInstanceTypeOfferings",
        {"LocationType": "availability-zone", "Filters": where(instance_type="t3.micro")},
        ("InstanceTypeOfferings[].Location", "InstanceTypeOfferings[].InstanceType"),
    ),
    Read("data.aws_eips", "DescribeAddresses", {}, ("!Addresses",)),
    Read("data.aws_nat_gateways", "DescribeNatGateways", {}, ("!NatGateways",)),
    Read("data.aws_regions", "DescribeRegions", {}, ("Regions[].RegionName",)),
)


@pytest.fixture
def cloud(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


@pytest.fixture
def ids(cloud: InProcess) -> dict[str, str]:
    """What one configuration makes: an instance with a key pair, user data and tags."""
    cloud.call("ImportKeyPair", KeyName="terraform", PublicKeyMaterial=KEY)
    [image] = cloud.call("DescribeImages", Filters=where(name="linux"))["Images"]
    launched = cloud.call(
        "RunInstances",
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        KeyName="terraform",
        UserData="#!/bin/sh\n",
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "terraform"}]}
        ],
        Placement={"AvailabilityZone": "us-east-1a"},
    )
    [instance] = launched["Instances"]

    def start(session: Any) -> None:
        row = session.scalars(sa.select(models.Instance)).one()
        intents.move(session, row, "launched", None, NOW)

    cloud.store.write(start)
    [told] = cloud.call("DescribeInstances")["Reservations"][0]["Instances"]
    return {
        "i": instance["InstanceId"],
        "ami": instance["ImageId"],
        "vpc": instance["VpcId"],
        "subnet": instance["SubnetId"],
        "sg": instance["SecurityGroups"][0]["GroupId"],
        "eni": instance["NetworkInterfaces"][0]["NetworkInterfaceId"],
        "vol": told["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
    }


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return re.sub(r"\{([a-z]+)\}", lambda found: ids[found[1]], value)
    if isinstance(value, list):
        return [filled(one, ids) for one in value]
    if isinstance(value, Mapping):
        return {name: filled(one, ids) for name, one in value.items()}
    return value


def test_what_the_provider_reads_is_there(cloud: InProcess, ids: Mapping[str, str]) -> None:
    for read in READS:
        service, _, action = read.action.rpartition(":")
        request = filled(dict(read.request), ids)
        answer = cloud.call(action, service=service or "ec2", **request)
        for path in read.needs:
            if path.startswith("!"):
                assert answer[path[1:]] == [], read
            else:
                assert evidence.missing(answer, [path]) == [], read


def test_what_the_provider_compares_fits_together(cloud: InProcess, ids: Mapping[str, str]) -> None:
    [told] = cloud.call("DescribeInstances", InstanceIds=[ids["i"]])["Reservations"][0]["Instances"]
    assert told["State"] == {"Code": 16, "Name": "running"}
    assert told["RootDeviceName"] in [one["DeviceName"] for one in told["BlockDeviceMappings"]]
    [interface] = told["NetworkInterfaces"]
    assert interface["Attachment"]["DeviceIndex"] == 0
    assert [one["GroupId"] for one in interface["Groups"]] == [ids["sg"]]
    assert told["Monitoring"] == {"State": "disabled"}
    assert told["MetadataOptions"]["State"] == "applied"
    [image] = cloud.call("DescribeImages", ImageIds=[ids["ami"]])["Images"]
    assert image["RootDeviceType"] == "ebs"
    assert image["RootDeviceName"] == told["RootDeviceName"]


WITHOUT: Final[tuple[tuple[str, Mapping[str, Any]], ...]] = (
    ("GetInstanceUefiData", {"InstanceId": "{i}"}),
    ("DescribeAddressesAttribute", {}),
)
"""What the provider asks for and does without, if it is told so in the right words."""


@pytest.mark.parametrize(("action", "request_"), WITHOUT)
def test_what_is_not_offered_is_refused_in_the_words_that_the_provider_knows(
    cloud: InProcess, ids: Mapping[str, str], action: str, request_: Mapping[str, Any]
) -> None:
    code, status, message = cloud.refusal(action, **filled(request_, ids))
    assert (code, status) == ("InvalidAction", 400)
    assert message == f"The action {action} is not valid for this web service."


GONE: Final = (
    ("DescribeInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, "InvalidInstanceID.NotFound"),
    ("DescribeKeyPairs", {"KeyNames": ["gone"]}, "InvalidKeyPair.NotFound"),
    ("DescribeVolumes", {"VolumeIds": ["vol-0123456789abcdef0"]}, "InvalidVolume.NotFound"),
    ("DescribeVpcs", {"VpcIds": ["vpc-0123456789abcdef0"]}, "InvalidVpcID.NotFound"),
    ("DescribeSubnets", {"SubnetIds": ["subnet-0123456789abcdef0"]}, "InvalidSubnetID.NotFound"),
    ("DescribeSecurityGroups", {"GroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
    ("DescribeImages", {"ImageIds": ["ami-0123456789abcdef0"]}, "InvalidAMIID.NotFound"),
    (
        "DescribeNetworkInterfaces",
        {"NetworkInterfaceIds": ["eni-0123456789abcdef0"]},
        "InvalidNetworkInterfaceID.NotFound",
    ),
    ("DescribeInstanceTypes", {"InstanceTypes": ["t0.none"]}, "InvalidInstanceType"),
)
"""The codes by which the provider knows that something is no more."""


@pytest.mark.parametrize(("action", "request_", "code"), GONE, ids=[one[0] for one in GONE])
def test_what_is_gone_has_the_code_that_the_provider_waits_for(
    cloud: InProcess, action: str, request_: Mapping[str, Any], code: str
) -> None:
    assert cloud.refusal(action, **request_)[:2] == (code, 400)
