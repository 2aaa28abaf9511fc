"""Reviewed exceptions: what answers of ours need not hold although recorded ones do, and why.

One that is not needed any more fails the suite.
"""

from __future__ import annotations

from typing import Final

from tests.truth.evidence import Exempt

_NONE: Final = "an account has none of these here: the list is empty, truly"
_PUBLIC: Final = "there are no public addresses"
_IPV6: Final = "networks have no IPv6"


def _empty(operation: str, items: str) -> Exempt:
    return Exempt(f"ec2.{operation}", f"{items}[].", _NONE)


EXCEPTIONS: Final[tuple[Exempt, ...]] = (
    _empty("DescribeAddresses", "Addresses"),
    _empty("DescribeCapacityReservations", "CapacityReservations"),
    _empty("DescribeFlowLogs", "FlowLogs"),
    _empty("DescribeHosts", "Hosts"),
    _empty("DescribeIamInstanceProfileAssociations", "IamInstanceProfileAssociations"),
    _empty("DescribeLaunchTemplates", "LaunchTemplates"),
    _empty("DescribeManagedPrefixLists", "PrefixLists"),
    _empty("DescribeNatGateways", "NatGateways"),
    _empty("DescribePrefixLists", "PrefixLists"),
    _empty("DescribeReservedInstances", "ReservedInstances"),
    _empty("DescribeSpotInstanceRequests", "SpotInstanceRequests"),
    _empty("DescribeStaleSecurityGroups", "StaleSecurityGroupSet"),
    _empty("DescribeTransitGateways", "TransitGateways"),
    _empty("DescribeVpcEndpoints", "VpcEndpoints"),
    _empty("DescribeVpcPeeringConnections", "VpcPeeringConnections"),
    Exempt(
        "ec2.DescribeImages",
        "Images[].BlockDeviceMappings[].Ebs.SnapshotId",
        "a disk that is empty at first comes from no snapshot; EC2 leaves it out too",
        {"DeviceName": "/dev/sdf"},
    ),
    Exempt(
        "ec2.DescribeInstances",
        "Reservations[].Instances[].IamInstanceProfile.",
        "a launch with an instance profile is refused",
    ),
    Exempt(
        "ec2.DescribeInstances",
        "Reservations[].Instances[].NetworkInterfaces[].Association.",
        _PUBLIC,
    ),
    Exempt(
        "ec2.DescribeInstances",
        "Reservations[].Instances[].NetworkInterfaces[].PrivateIpAddresses[].Association.",
        _PUBLIC,
    ),
    Exempt("ec2.DescribeNetworkInterfaces", "NetworkInterfaces[].Association.", _PUBLIC),
    Exempt(
        "ec2.DescribeNetworkInterfaces",
        "NetworkInterfaces[].PrivateIpAddresses[].Association.",
        _PUBLIC,
    ),
    Exempt("ec2.DescribeNetworkInterfaces", "NetworkInterfaces[].PublicIpDnsNameOptions.", _PUBLIC),
    Exempt(
        "ec2.DescribeNetworkInterfaces",
        "NetworkInterfaces[].RequesterId",
        "names the user or service that made the interface; nobody is told apart in an account",
    ),
    Exempt(
        "ec2.DescribeRouteTables",
        "RouteTables[].Associations[].SubnetId",
        "the main table's own association is with no subnet; there are no others",
        {"Main": True},
    ),
    Exempt(
        "ec2.DescribeSecurityGroups",
        "SecurityGroups[].IpPermissions[].PrefixListIds[].",
        "rules that name a prefix list are refused",
    ),
    Exempt(
        "ec2.DescribeVolumes",
        "Volumes[].Iops",
        "volumes of this type have a throughput; EC2 tells no IOPS of them",
        {"VolumeType": "st1"},
    ),
    Exempt(
        "ec2.DescribeSnapshotAttribute",
        "CreateVolumePermissions",
        "another attribute was asked for; the recordings are of this one alone",
        {"ProductCodes": []},
    ),
    Exempt(
        "ec2.DescribeSnapshotAttribute",
        "CreateVolumePermissions[].UserId",
        "everybody has no account's number",
        {"Group": "all"},
    ),
    Exempt("ec2.DescribeVpcs", "Vpcs[].Ipv6CidrBlockAssociationSet[].", _IPV6),
    Exempt(
        "ec2.DisableImageDeprecation",
        "Return",
        "botocore's model was without a type for it when this was recorded",
    ),
    Exempt(
        "ec2.EnableImageDeprecation",
        "Return",
        "botocore's model was without a type for it when this was recorded",
    ),
    Exempt(
        "ec2.ModifyInstanceAttribute",
        "DisableApiStop.",
        "an answer of DescribeInstanceAttribute, recorded under this name",
    ),
    Exempt(
        "ec2.RunInstances",
        "Instances[].IamInstanceProfile.",
        "a launch with an instance profile is refused",
    ),
    Exempt("ec2.RunInstances", "Instances[].NetworkInterfaces[].Association.", _PUBLIC),
    Exempt(
        "ec2.RunInstances",
        "Instances[].NetworkInterfaces[].PrivateIpAddresses[].Association.",
        _PUBLIC,
    ),
    Exempt(
        "ec2.TerminateInstances",
        "StoppingInstances[].",
        "an answer of StopInstances, recorded under this name",
    ),
    Exempt("iam.GetUser", "User.PermissionsBoundary.", "nobody has a permissions boundary"),
    Exempt("iam.GetUser", "User.Tags[].", "an account's one user has no tags"),
)
