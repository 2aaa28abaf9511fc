"""Faults of security groups and their rules, and of any request.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

from typing import Final

from tests.truth.faults import NEW_RULE, Fault, each, rule

_NO_PEER: Final = [{"SecurityGroupRuleId": "{in}", "SecurityGroupRule": {**NEW_RULE}}]
_RULES: Final = "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress"
_TOO_MANY: Final = [{"CidrIp": f"10.{number}.0.0/16"} for number in range(200)]
_MANY: Final = [{"Name": "tag:x", "Values": [str(number) for number in range(201)]}]
FAULTS: Final[tuple[Fault, ...]] = (
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
        {"GroupId": "{web}", "SecurityGroupRules": _NO_PEER},
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
                        **NEW_RULE,
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
    *each(
        _RULES,
        {"GroupId": "{web}", "IpPermissions": rule(FromPort=1, ToPort=1, IpRanges=_TOO_MANY)},
        "RulesPerSecurityGroupLimitExceeded",
        "",
    ),
)
