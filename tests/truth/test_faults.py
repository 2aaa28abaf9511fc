"""The same fault has the same code, status and words in the same action as on EC2.

What was seen on EC2 is done again here; what cannot be, or was not yet, is counted as unknown.

Source: tests/data/aws-errors.json: the actions that were seen to answer so.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import pytest

from tests.conformance.asked import EC2, ED25519, Facts, World
from tests.truth import catalogue
from tests.truth.catalogue import DATA
from tests.truth.ledger import Ledger

NO: Final = "0123456789abcdef0"
"""The digits of ids that nothing has."""


class Fault(NamedTuple):
    """A request that EC2 refuses so; `{i}` stands for an id of the account's."""

    action: str
    request: Mapping[str, Any]
    code: str
    words: str
    """A part of EC2's sentence that no other of that code has."""

    @property
    def message(self) -> Mapping[str, Any]:
        """What is known of it."""
        listed = DATA["errors"][self.code]["messages"]
        found = [one for one in listed if self.words in one["text"]]
        assert len(found) == 1, f"{self.code}: {self.words}"
        message: Mapping[str, Any] = found[0]
        return message


def rule(**members: Any) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}], **members}]


def launch(**members: Any) -> dict[str, Any]:
    return {"ImageId": "{ami}", "MinCount": 1, "MaxCount": 1, **members}


def interface(**members: Any) -> list[dict[str, Any]]:
    return [{"DeviceIndex": 0, **members}]


def disk(device: str = "/dev/sda1", **ebs: Any) -> list[dict[str, Any]]:
    return [{"DeviceName": device, "Ebs": ebs}]


def each(actions: str, request: Mapping[str, Any], code: str, words: str) -> list[Fault]:
    return [Fault(action, request, code, words) for action in actions.split()]


_ONE_TOO_LONG: Final = "x" * 16385
_MANY: Final = [{"Name": "tag:x", "Values": [str(number) for number in range(201)]}]
_NEW: Final = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}
_RULES: Final = "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress"
_DISKS: Final = disk(VolumeSize=8)
_IN_USE: Final = [{"SecurityGroupRuleId": "{in}", "SecurityGroupRule": {**_NEW}}]

FAULTS: Final[tuple[Fault, ...]] = (
    # ids of what is not there
    *each(
        "DescribeInstances StartInstances StopInstances TerminateInstances RebootInstances",
        {"InstanceIds": [f"i-{NO}"]},
        "InvalidInstanceID.NotFound",
        "The instance ID '",
    ),
    *each(
        "DescribeInstances StartInstances StopInstances TerminateInstances",
        {"InstanceIds": [f"i-{NO}", f"i-{NO[::-1]}"]},
        "InvalidInstanceID.NotFound",
        "The instance IDs '",
    ),
    Fault(
        "CreateTags",
        {"Resources": [f"i-{NO}"], "Tags": [{"Key": "a"}]},
        "InvalidInstanceID.NotFound",
        "The instance ID '",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": f"i-{NO}", "Device": "/dev/sdz"},
        "InvalidInstanceID.NotFound",
        "The instance ID '",
    ),
    *each(
        "DescribeInstances StartInstances DescribeInstanceStatus",
        {"InstanceIds": ["i-xyz"]},
        "InvalidInstanceID.Malformed",
        "Invalid id",
    ),
    Fault(
        "TerminateInstances", {"InstanceIds": ["i-xyz"]}, "InvalidInstanceID.Malformed", "instance"
    ),
    *each(
        "DescribeSecurityGroups",
        {"GroupIds": [f"sg-{NO}"]},
        "InvalidGroup.NotFound",
        "group '{id}' does",
    ),
    Fault("DeleteSecurityGroup", {"GroupId": f"sg-{NO}"}, "InvalidGroup.NotFound", "'{id}' does"),
    Fault(
        "AuthorizeSecurityGroupIngress",
        {"GroupId": f"sg-{NO}", "IpPermissions": rule(FromPort=1, ToPort=1)},
        "InvalidGroup.NotFound",
        "group '{id}' does",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {"GroupId": f"sg-{NO}", "SecurityGroupRules": _IN_USE},
        "InvalidGroup.NotFound",
        "group '{id}' does",
    ),
    Fault(
        "RunInstances",
        launch(SecurityGroupIds=[f"sg-{NO}"]),
        "InvalidGroup.NotFound",
        "group '{id}' does",
    ),
    Fault(
        "AuthorizeSecurityGroupIngress",
        {"GroupName": "no", "IpPermissions": rule(FromPort=1, ToPort=1)},
        "InvalidGroup.NotFound",
        "in default VPC",
    ),
    Fault("RunInstances", launch(SecurityGroups=["no"]), "InvalidGroup.NotFound", "default VPC"),
    Fault("DeleteSecurityGroup", {"GroupName": "no"}, "InvalidGroup.NotFound", "default VPC"),
    Fault("DescribeSecurityGroups", {"GroupNames": ["no"]}, "InvalidGroup.NotFound", "default VPC"),
    Fault(
        "DescribeSecurityGroups", {"GroupIds": ["sg-x"]}, "InvalidGroupId.Malformed", "expecting"
    ),
    Fault("DeleteSecurityGroup", {"GroupId": "sg-x"}, "InvalidGroupId.Malformed", "expecting"),
    Fault(
        "AuthorizeSecurityGroupIngress",
        {"GroupId": "sg-x", "IpPermissions": rule(FromPort=1, ToPort=1)},
        "InvalidGroupId.Malformed",
        "expecting",
    ),
    Fault(
        "RunInstances", launch(SecurityGroupIds=["sg-x"]), "InvalidGroupId.Malformed", "expecting"
    ),
    Fault(
        "DescribeSecurityGroupRules",
        {"Filters": [{"Name": "group-id", "Values": ["x"]}]},
        "InvalidGroupId.Malformed",
        "is malformed",
    ),
    Fault("RunInstances", launch(ImageId="ami-x"), "InvalidAMIID.Malformed", "expecting"),
    Fault("DescribeImages", {"ImageIds": ["ami-x"]}, "InvalidAMIID.Malformed", "expecting"),
    Fault("RunInstances", launch(ImageId=f"ami-{NO}"), "InvalidAMIID.NotFound", "image id "),
    Fault("DescribeImages", {"ImageIds": [f"ami-{NO}"]}, "InvalidAMIID.NotFound", "image id "),
    Fault(
        "DescribeImages",
        {"ImageIds": [f"ami-{NO}", f"ami-{NO[::-1]}"]},
        "InvalidAMIID.NotFound",
        "image ids",
    ),
    Fault(
        "CopyImage",
        {"SourceImageId": f"ami-{NO}", "SourceRegion": "us-east-1", "Name": "new"},
        "InvalidAMIID.NotFound",
        "image id ",
    ),
    Fault(
        "DescribeImageAttribute",
        {"ImageId": "{gone}", "Attribute": "description"},
        "InvalidAMIID.Unavailable",
        "",
    ),
    Fault(
        "ModifyImageAttribute",
        {"ImageId": "{gone}", "Description": {"Value": "x"}},
        "InvalidAMIID.Unavailable",
        "",
    ),
    Fault("DeregisterImage", {"ImageId": "{gone}"}, "InvalidAMIID.Unavailable", ""),
    Fault("DescribeKeyPairs", {"KeyNames": ["no"]}, "InvalidKeyPair.NotFound", ""),
    Fault("RunInstances", launch(KeyName="no"), "InvalidKeyPair.NotFound", ""),
    Fault("DescribeSubnets", {"SubnetIds": [f"subnet-{NO}"]}, "InvalidSubnetID.NotFound", ""),
    Fault("RunInstances", launch(SubnetId=f"subnet-{NO}"), "InvalidSubnetID.NotFound", ""),
    Fault("DescribeVpcs", {"VpcIds": [f"vpc-{NO}"]}, "InvalidVpcID.NotFound", ""),
    Fault(
        "CreateSecurityGroup",
        {"GroupName": "n", "Description": "n", "VpcId": f"vpc-{NO}"},
        "InvalidVpcID.NotFound",
        "",
    ),
    Fault(
        "DescribeInternetGateways",
        {"InternetGatewayIds": [f"igw-{NO}"]},
        "InvalidInternetGatewayID.NotFound",
        "",
    ),
    Fault(
        "DescribeRouteTables", {"RouteTableIds": [f"rtb-{NO}"]}, "InvalidRouteTableID.NotFound", ""
    ),
    Fault(
        "DescribeNetworkInterfaces",
        {"NetworkInterfaceIds": [f"eni-{NO}"]},
        "InvalidNetworkInterfaceID.NotFound",
        "",
    ),
    Fault("DescribeAddresses", {"PublicIps": ["203.0.113.1"]}, "InvalidAddress.NotFound", "not f"),
    Fault(
        "DescribeAddresses",
        {"AllocationIds": [f"eipalloc-{NO}"]},
        "InvalidAllocationID.NotFound",
        "",
    ),
    Fault(
        "DescribeVpcPeeringConnections",
        {"VpcPeeringConnectionIds": [f"pcx-{NO}"]},
        "InvalidVpcPeeringConnectionID.NotFound",
        "",
    ),
    Fault("DescribePlacementGroups", {"GroupNames": ["no"]}, "InvalidPlacementGroup.Unknown", ""),
    Fault(
        "RunInstances",
        launch(Placement={"GroupName": "no"}),
        "InvalidPlacementGroup.Unknown",
        "",
    ),
    Fault(
        "DescribeLaunchTemplates",
        {"LaunchTemplateNames": ["no"]},
        "InvalidLaunchTemplateName.NotFoundException",
        "At least one",
    ),
    Fault("DescribeInstanceTypes", {"InstanceTypes": ["no"]}, "InvalidInstanceType", ""),
    *each(
        "DescribeSecurityGroupRules",
        {"SecurityGroupRuleIds": [f"sgr-{NO}"]},
        "InvalidSecurityGroupRuleId.NotFound",
        "",
    ),
    Fault(
        "RevokeSecurityGroupIngress",
        {"GroupId": "{web}", "SecurityGroupRuleIds": [f"sgr-{NO}"]},
        "InvalidSecurityGroupRuleId.NotFound",
        "",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {
            "GroupId": "{web}",
            "SecurityGroupRules": [
                {
                    "SecurityGroupRuleId": f"sgr-{NO}",
                    "SecurityGroupRule": {**_NEW, "CidrIpv4": "10.0.0.0/8"},
                }
            ],
        },
        "InvalidSecurityGroupRuleId.NotFound",
        "",
    ),
    # volumes and snapshots
    Fault("DescribeVolumes", {"VolumeIds": [f"vol-{NO}"]}, "InvalidVolume.NotFound", ""),
    *each("DeleteVolume CreateSnapshot", {"VolumeId": f"vol-{NO}"}, "InvalidVolume.NotFound", ""),
    Fault(
        "AttachVolume",
        {"VolumeId": f"vol-{NO}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidVolume.NotFound",
        "",
    ),
    Fault("DescribeVolumes", {"VolumeIds": ["x"]}, "InvalidParameterValue", "parameter volumes"),
    *each(
        "DeleteVolume CreateSnapshot DetachVolume",
        {"VolumeId": "x"},
        "InvalidParameterValue",
        "parameter volumeId",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "x", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidParameterValue",
        "parameter volumeId",
    ),
    Fault("DescribeVolumes", {"VolumeIds": ["vol-x"]}, "InvalidVolumeID.Malformed", ""),
    Fault("DescribeSnapshots", {"SnapshotIds": ["snap-x"]}, "InvalidSnapshotID.Malformed", ""),
    Fault("DeleteSnapshot", {"SnapshotId": "snap-x"}, "InvalidSnapshotID.Malformed", ""),
    Fault("DescribeSnapshots", {"SnapshotIds": [f"snap-{NO}"]}, "InvalidSnapshot.NotFound", ""),
    Fault("DeleteSnapshot", {"SnapshotId": f"snap-{NO}"}, "InvalidSnapshot.NotFound", ""),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "SnapshotId": f"snap-{NO}"},
        "InvalidSnapshot.NotFound",
        "",
    ),
    Fault(
        "CopySnapshot",
        {"SourceRegion": "us-east-1", "SourceSnapshotId": f"snap-{NO}"},
        "InvalidSnapshot.NotFound",
        "",
    ),
    Fault("DeleteSnapshot", {"SnapshotId": "{imaged}"}, "InvalidSnapshot.InUse", ""),
    Fault("DeleteVolume", {"VolumeId": "{used}"}, "VolumeInUse", "currently attached"),
    Fault(
        "AttachVolume",
        {"VolumeId": "{used}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "VolumeInUse",
        "already attached",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{pending}", "Device": "/dev/sdz"},
        "IncorrectState",
        "is not 'running'",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{creating}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "IncorrectState",
        "is not 'available'",
    ),
    Fault("DetachVolume", {"VolumeId": "{free}"}, "IncorrectState", "in the 'available'"),
    Fault(
        "AttachVolume",
        {"VolumeId": "{far}", "InstanceId": "{i}", "Device": "/dev/sdz"},
        "InvalidVolume.ZoneMismatch",
        "",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{i}", "Device": "/dev/sda1"},
        "InvalidParameterValue",
        "for unixDevice",
    ),
    Fault(
        "AttachVolume",
        {"VolumeId": "{free}", "InstanceId": "{i}", "Device": "nonsense"},
        "InvalidParameterValue",
        "valid EBS device name",
    ),
    Fault("ModifyVolume", {"VolumeId": "{free}", "Size": 1}, "InvalidParameterValue", "New size"),
    Fault(
        "ModifyVolume", {"VolumeId": "{completed}", "Size": 9}, "VolumeModificationRateExceeded", ""
    ),
    Fault(
        "CreateVolume", {"AvailabilityZone": "us-east-9z", "Size": 1}, "InvalidZone.NotFound", ""
    ),
    Fault("CreateVolume", {"AvailabilityZone": "us-east-1a"}, "MissingParameter", "size/snapshot"),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "Size": 1, "VolumeType": "gp2", "Iops": 100},
        "InvalidParameterCombination",
        "iops is not supported",
    ),
    Fault(
        "CreateVolume",
        {"AvailabilityZone": "us-east-1a", "Size": 100, "VolumeType": "gp3", "Iops": 999999},
        "InvalidParameterValue",
        "too high",
    ),
    # states of instances
    Fault("StartInstances", {"InstanceIds": ["{stopping}"]}, "IncorrectInstanceState", "started"),
    Fault(
        "StopInstances", {"InstanceIds": ["{terminated}"]}, "IncorrectInstanceState", "This inst"
    ),
    Fault("StopInstances", {"InstanceIds": ["{pending}"]}, "IncorrectInstanceState", "never reach"),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{i}", "InstanceType": {"Value": "m5.large"}},
        "IncorrectInstanceState",
        "not in the 'stopped' state",
    ),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{stopped}", "InstanceType": {"Value": "no"}},
        "InvalidParameterValue",
        "for InstanceType",
    ),
    # launches
    Fault("RunInstances", launch(InstanceType="no"), "InvalidParameterValue", "for InstanceType"),
    Fault(
        "RunInstances",
        launch(Placement={"AvailabilityZone": "us-east-9z"}),
        "InvalidParameterValue",
        "for AvailabilityZone",
    ),
    Fault(
        "RunInstances",
        launch(UserData=_ONE_TOO_LONG),
        "InvalidParameterValue",
        "User data is limited to 16384",
    ),
    Fault(
        "ModifyInstanceAttribute",
        {"InstanceId": "{stopped}", "UserData": {"Value": b"x" * 16385}},
        "InvalidParameterValue",
        "User data is limited to 16384",
    ),
    Fault("RunInstances", launch(SecurityGroupIds=[""]), "InvalidParameterValue", "groupId"),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(), SecurityGroupIds=["{web}"]),
        "InvalidParameterCombination",
        "instance-level security groups",
    ),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(), SubnetId="{subnet}"),
        "InvalidParameterCombination",
        "instance-level subnet ID",
    ),
    Fault(
        "RunInstances",
        launch(NetworkInterfaces=interface(NetworkInterfaceId="{eni}")),
        "InvalidNetworkInterface.InUse",
        "",
    ),
    Fault(
        "RunInstances",
        launch(SubnetId="{subnet}", PrivateIpAddress="172.31.0.1"),
        "InvalidParameterValue",
        "reserved address range",
    ),
    Fault(
        "RunInstances",
        launch(SubnetId="{subnet}", PrivateIpAddress="172.31.0.250"),
        "InvalidIPAddress.InUse",
        "Address {value} is in use",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk(VolumeSize=1)),
        "InvalidBlockDeviceMapping",
        "smaller than",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk("nonsense", VolumeSize=1)),
        "InvalidBlockDeviceMapping",
        "device name",
    ),
    Fault(
        "RunInstances",
        launch(BlockDeviceMappings=disk("/dev/sdz", VolumeType="gp3")),
        "InvalidBlockDeviceMapping",
        "must be provided",
    ),
    # images and keys
    *each(
        "CopyImage",
        {"SourceImageId": "{ami}", "SourceRegion": "us-east-1", "Name": "available"},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "RegisterImage",
        {"Name": "available", "ImageLocation": "new.vhdx", "BlockDeviceMappings": _DISKS},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "CreateImage",
        {"InstanceId": "{stopped}", "Name": "available"},
        "InvalidAMIName.Duplicate",
        "",
    ),
    Fault(
        "RegisterImage",
        {"Name": "a", "ImageLocation": "new.vhdx", "BlockDeviceMappings": _DISKS},
        "InvalidAMIName.Malformed",
        "",
    ),
    Fault("CreateImage", {"InstanceId": "{stopped}", "Name": "a"}, "InvalidAMIName.Malformed", ""),
    Fault(
        "CopyImage",
        {"SourceImageId": "{ami}", "SourceRegion": "us-east-1", "Name": "a"},
        "InvalidAMIName.Malformed",
        "",
    ),
    Fault(
        "ModifyImageAttribute",
        {"ImageId": "{ami}", "LaunchPermission": {"Add": [{"UserId": "x"}]}},
        "InvalidAMIAttributeItemValue",
        "",
    ),
    Fault(
        "DescribeImageAttribute",
        {"ImageId": "{ami}", "Attribute": "blockDeviceMapping"},
        "AuthFailure",
        "restricted resource",
    ),
    *each("CreateKeyPair", {"KeyName": "created"}, "InvalidKeyPair.Duplicate", ""),
    Fault(
        "ImportKeyPair",
        {"KeyName": "created", "PublicKeyMaterial": ED25519},
        "InvalidKeyPair.Duplicate",
        "",
    ),
    Fault("ImportKeyPair", {"KeyName": "n", "PublicKeyMaterial": b"x"}, "InvalidKey.Format", ""),
    # groups and their rules
    Fault(
        "CreateSecurityGroup",
        {"GroupName": "web", "Description": "x"},
        "InvalidGroup.Duplicate",
        "",
    ),
    Fault(
        "CreateSecurityGroup",
        {"GroupName": "n", "Description": "\u00e9"},
        "InvalidParameterValue",
        "parameter GroupDescription",
    ),
    Fault("DeleteSecurityGroup", {"GroupId": "{web}"}, "DependencyViolation", "has a dependent"),
    Fault("DeleteSecurityGroup", {"GroupId": "{default}"}, "CannotDelete", ""),
    *each(
        _RULES,
        {"GroupId": "{web}", "IpPermissions": rule(FromPort=22, ToPort=22)},
        "InvalidPermission.Duplicate",
        "",
    ),
    *each(
        "RevokeSecurityGroupIngress RevokeSecurityGroupEgress",
        {"GroupId": "{web}", "IpPermissions": rule(FromPort=9, ToPort=9)},
        "InvalidPermission.NotFound",
        "",
    ),
    *each(
        _RULES,
        {"GroupId": "{web}", "IpPermissions": rule()},
        "InvalidParameterValue",
        "Must specify both from and to",
    ),
    *each(
        _RULES,
        {"GroupId": "{web}", "IpPermissions": [{"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]},
        "InvalidParameterValue",
        "'null' for protocol",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {
            "GroupId": "{web}",
            "SecurityGroupRules": [
                {
                    "SecurityGroupRuleId": "{in}",
                    "SecurityGroupRule": {"IpProtocol": "tcp", "CidrIpv4": "10.0.0.0/8"},
                }
            ],
        },
        "InvalidParameterValue",
        "Must specify both from and to",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {
            "GroupId": "{web}",
            "SecurityGroupRules": [
                {"SecurityGroupRuleId": "{in}", "SecurityGroupRule": {"CidrIpv4": "10.0.0.0/8"}}
            ],
        },
        "InvalidParameterValue",
        "'null' for protocol",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {"GroupId": "{web}", "SecurityGroupRules": _IN_USE},
        "MissingParameter",
        "exactly one of: cidrIp",
    ),
    Fault(
        "ModifySecurityGroupRules",
        {
            "GroupId": "{web}",
            "SecurityGroupRules": [
                {
                    "SecurityGroupRuleId": "{in}",
                    "SecurityGroupRule": {
                        **_NEW,
                        "CidrIpv4": "10.0.0.0/8",
                        "ReferencedGroupId": "{web}",
                    },
                }
            ],
        },
        "InvalidParameterCombination",
        "Only one of cidrIp",
    ),
    # any request
    *each(
        "DescribeInstances DescribeVolumes DescribeTags",
        {"Filters": [{"Name": "no", "Values": ["x"]}]},
        "InvalidParameterValue",
        "The filter",
    ),
    *each(
        "DescribeInstances DescribeVolumes",
        {"Filters": _MANY},
        "InvalidParameterValue",
        "maximum number of filter values",
    ),
    *each(
        "DescribeInstances DescribeVolumes",
        {"MaxResults": 1},
        "InvalidParameterValue",
        "greater than 5",
    ),
    Fault(
        "DescribeInstances",
        {"InstanceIds": ["{i}"], "MaxResults": 5},
        "InvalidParameterCombination",
        "The parameter {name} cannot",
    ),
    Fault(
        "DescribeVolumes",
        {"VolumeIds": ["{free}"], "MaxResults": 5},
        "InvalidParameterCombination",
        "The parameter {name} cannot",
    ),
    Fault(
        "DescribeSnapshots",
        {"SnapshotIds": ["{snap}"], "MaxResults": 5},
        "InvalidParameterCombination",
        "The parameter {name} cannot",
    ),
    Fault(
        "DescribeImages",
        {"ImageIds": ["{ami}"], "MaxResults": 5},
        "InvalidParameterCombination",
        "The parameter {name} cannot",
    ),
    Fault(
        "DescribeInstanceStatus",
        {"InstanceIds": [f"i-{number:017x}" for number in range(101)]},
        "InvalidRequest",
        "",
    ),
    Fault(
        "CreateTags",
        {"Resources": ["{i}"], "Tags": [{"Key": str(number)} for number in range(51)]},
        "TagLimitExceeded",
        "",
    ),
    Fault("CreateTags", {"Resources": ["x-1"], "Tags": [{"Key": "a"}]}, "InvalidID", ""),
    Fault("DeleteTags", {"Resources": ["x-1"]}, "InvalidID", ""),
    Fault("CreateTags", {"Tags": [{"Key": "a"}]}, "MissingParameter", "resourceIdSet"),
    Fault("DeleteTags", {}, "MissingParameter", "resourceIdSet"),
    Fault("RunInstances", {"ImageId": "{ami}"}, "MissingParameter", "the parameter {name}"),
    Fault("StopInstances", {"InstanceIds": ["{i}"], "DryRun": True}, "DryRunOperation", ""),
    Fault("AllocateAddress", {}, "InvalidAction", ""),
)


@pytest.fixture(scope="module")
def cloud(states: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A copy of the account with one of each thing, with what protects an instance."""
    made = World(states, tmp_path_factory.mktemp("faults") / "world")
    yield made
    made.close()


def named(fault: Fault) -> str:
    return f"{fault.action}-{fault.code}-{fault.words[:20]}"


def differs(fault: Fault, answer: tuple[str, int, str]) -> list[str]:
    """What of an answer is not as EC2's."""
    code, status, message = answer
    known = fault.message
    wrong = []
    if code != fault.code:
        wrong.append(f"{code} instead of {fault.code}")
    if status != known.get("status", DATA["errors"][fault.code]["status"]):
        wrong.append(f"{status}")
    pattern = re.sub(r"\\\{\w+\\\}|\d+(\\\.\d+)?", "(?s:.*)", re.escape(known["text"]))
    if not re.fullmatch(pattern + (".*" if known.get("cut") else ""), message):
        wrong.append(f"{message!r} instead of {known['text']!r}")
    return wrong


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_fault_is_answered_as_ec2_answers_it(cloud: World, fault: Fault) -> None:
    request = cloud.filled(dict(fault.request))
    assert differs(fault, cloud.refusal(fault.action, **request)) == []


def test_each_was_seen_in_that_action(ledger: Ledger) -> None:
    for fault in FAULTS:
        actions = fault.message.get("operations", ["*"])
        assert any(fnmatch.fnmatch(fault.action, one) for one in actions), fault
    seen = set(sightings())
    again = {(fault.code, fault.message["text"], fault.action) for fault in FAULTS} & seen
    against = "wordings by action, as seen on EC2"
    ledger.note("faults", against, checked=len(again), unknown=len(seen - again))


def sightings() -> Iterator[tuple[str, str, str]]:
    """Code, wording and action of all that was seen of actions on offer."""
    for code, known in DATA["errors"].items():
        for message in known["messages"]:
            if message["real"] in ("recorded", "sdk text") and code in catalogue.CODES:
                for action in set(message.get("operations", ())) & set(EC2):
                    yield code, message["text"], action
