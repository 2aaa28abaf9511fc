"""Faults of ids and names: what is malformed, and what is not there.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

from typing import Final

from tests.truth.faults import NEW_RULE, NO, Fault, each, launch, rule

_NO_PEER: Final = [{"SecurityGroupRuleId": "{in}", "SecurityGroupRule": {**NEW_RULE}}]
FAULTS: Final[tuple[Fault, ...]] = (
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
        {"GroupId": f"sg-{NO}", "SecurityGroupRules": _NO_PEER},
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
                    "SecurityGroupRule": {**NEW_RULE, "CidrIpv4": "10.0.0.0/8"},
                }
            ],
        },
        "InvalidSecurityGroupRuleId.NotFound",
        "",
    ),
)
