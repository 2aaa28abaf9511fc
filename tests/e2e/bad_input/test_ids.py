"""Ids of every kind in every action that takes them: malformed, unknown, several unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.bad_input.asked import ABSENT, refused


@dataclass(frozen=True)
class Ids:
    """What is said of ids of a kind in an action; `{id}` and `{other}` are the ids."""

    action: str
    member: str
    prefix: str
    malformed: tuple[str, str]
    not_found: tuple[str, str]
    several: str
    nothing_like: tuple[str, str] | None = None
    """What is said of a text that does not even begin as an id, where EC2 tells that apart."""

    def refused_with(self, given: str) -> tuple[str, str]:
        """The code and sentence for what is no id."""
        is_like = given.startswith(f"{self.prefix}-")
        return self.malformed if is_like or self.nothing_like is None else self.nothing_like


def _expecting(code: str, prefix: str) -> tuple[str, str]:
    return code, f'Invalid id: "{{id}}" (expecting "{prefix}-...")'


INSTANCE = (
    "i",
    ("InvalidInstanceID.Malformed", 'Invalid id: "{id}"'),
    ("InvalidInstanceID.NotFound", "The instance ID '{id}' does not exist"),
    "The instance IDs '{id}, {other}' do not exist",
)
VOLUME = (
    "vol",
    ("InvalidVolumeID.Malformed", 'Invalid id: "{id}"'),
    ("InvalidVolume.NotFound", "The volume '{id}' does not exist."),
    "The volumes '{id}, {other}' do not exist.",
    (
        "InvalidParameterValue",
        "Value ({id}) for parameter volumes is invalid. Expected: 'vol-...'.",
    ),
)


IDS = [
    Ids("describe_instances", "InstanceIds", *INSTANCE),
    Ids("describe_instance_status", "InstanceIds", *INSTANCE),
    Ids("start_instances", "InstanceIds", *INSTANCE),
    Ids("stop_instances", "InstanceIds", *INSTANCE),
    Ids("reboot_instances", "InstanceIds", *INSTANCE),
    Ids(
        "terminate_instances",
        "InstanceIds",
        "i",
        ("InvalidInstanceID.Malformed", "The instance ID '{id}' is malformed"),
        *INSTANCE[2:],
    ),
    Ids(
        "describe_images",
        "ImageIds",
        "ami",
        _expecting("InvalidAMIID.Malformed", "ami"),
        ("InvalidAMIID.NotFound", "The image id '[{id}]' does not exist"),
        "The image ids '[{id}, {other}]' do not exist",
    ),
    Ids("describe_volumes", "VolumeIds", *VOLUME),
    Ids("describe_volume_status", "VolumeIds", *VOLUME),
    Ids(
        "describe_snapshots",
        "SnapshotIds",
        "snap",
        ("InvalidSnapshotID.Malformed", 'Invalid id: "{id}"'),
        ("InvalidSnapshot.NotFound", "The snapshot '{id}' does not exist."),
        "The snapshot '{id}' does not exist.",
        (
            "InvalidParameterValue",
            "Value ({id}) for parameter snapshotSet is invalid. Expected: 'snap-...'.",
        ),
    ),
    Ids(
        "describe_security_group_rules",
        "SecurityGroupRuleIds",
        "sgr",
        (
            "InvalidParameterValue",
            "Value ({id}) for parameter securityGroupRuleIds is invalid. Expected: 'sgr-...'.",
        ),
        (
            "InvalidSecurityGroupRuleId.NotFound",
            "The security group rule ID '{id}' does not exist",
        ),
        "The security group rule IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_vpcs",
        "VpcIds",
        "vpc",
        ("InvalidVpcID.NotFound", "The vpc ID '{id}' does not exist"),
        ("InvalidVpcID.NotFound", "The vpc ID '{id}' does not exist"),
        "The vpc IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_subnets",
        "SubnetIds",
        "subnet",
        _expecting("InvalidSubnetId.Malformed", "subnet"),
        ("InvalidSubnetID.NotFound", "The subnet ID '{id}' does not exist"),
        "The subnet IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_security_groups",
        "GroupIds",
        "sg",
        _expecting("InvalidGroupId.Malformed", "sg"),
        ("InvalidGroup.NotFound", "The security group '{id}' does not exist"),
        "The security groups '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_route_tables",
        "RouteTableIds",
        "rtb",
        _expecting("InvalidRouteTableId.Malformed", "rtb"),
        ("InvalidRouteTableID.NotFound", "The routeTable ID '{id}' does not exist"),
        "The routeTable IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_internet_gateways",
        "InternetGatewayIds",
        "igw",
        _expecting("InvalidInternetGatewayId.Malformed", "igw"),
        ("InvalidInternetGatewayID.NotFound", "The internetGateway ID '{id}' does not exist"),
        "The internetGateway IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_network_acls",
        "NetworkAclIds",
        "acl",
        _expecting("InvalidNetworkAclId.Malformed", "acl"),
        ("InvalidNetworkAclID.NotFound", "The networkAcl ID '{id}' does not exist"),
        "The networkAcl IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_dhcp_options",
        "DhcpOptionsIds",
        "dopt",
        _expecting("InvalidDhcpOptionsId.Malformed", "dopt"),
        ("InvalidDhcpOptionID.NotFound", "The dhcpOption ID '{id}' does not exist"),
        "The dhcpOption IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_network_interfaces",
        "NetworkInterfaceIds",
        "eni",
        _expecting("InvalidNetworkInterfaceId.Malformed", "eni"),
        ("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{id}' does not exist"),
        "The networkInterface IDs '{id}, {other}' do not exist",
    ),
    Ids(
        "describe_key_pairs",
        "KeyPairIds",
        "key",
        ("InvalidKeyPair.NotFound", "The key pair '{id}' does not exist"),
        ("InvalidKeyPair.NotFound", "The key pair '{id}' does not exist"),
        "The key pairs '{id}, {other}' do not exist",
    ),
]


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: ids.action)
@pytest.mark.parametrize("shape", ["{prefix}-xyz", "{prefix}-{absent}0", "nonsense", "{prefix}"])
def test_a_malformed_id_is_named(ec2: Any, ids: Ids, shape: str) -> None:
    given = shape.format(prefix=ids.prefix, absent=ABSENT)
    code, sentence = ids.refused_with(given)
    found = refused(getattr(ec2, ids.action), **{ids.member: [given]})
    assert found == (code, 400, sentence.format(id=given))


@pytest.mark.parametrize("ids", IDS, ids=lambda ids: ids.action)
def test_an_id_that_nothing_has_is_not_found(ec2: Any, ids: Ids) -> None:
    one, other = f"{ids.prefix}-{ABSENT}", f"{ids.prefix}-{ABSENT[::-1]}"
    code, sentence = ids.not_found
    call = getattr(ec2, ids.action)
    assert refused(call, **{ids.member: [one]}) == (code, 400, sentence.format(id=one))
    several = ids.several.format(id=one, other=other)
    assert refused(call, **{ids.member: [one, other]}) == (code, 400, several)


@pytest.mark.parametrize(
    "ids", [one for one in IDS if one.malformed != one.not_found], ids=lambda ids: ids.action
)
def test_the_form_is_looked_at_before_existence(ec2: Any, ids: Ids) -> None:
    given = [f"{ids.prefix}-{ABSENT}", "nonsense"]
    code, sentence = ids.refused_with("nonsense")
    found = refused(getattr(ec2, ids.action), **{ids.member: given})
    assert found == (code, 400, sentence.format(id="nonsense"))


def test_one_unknown_instance_leaves_the_others_alone(ec2: Any, facts: dict[str, str]) -> None:
    given = [facts["instance"], f"i-{ABSENT}"]
    code, _, message = refused(ec2.terminate_instances, InstanceIds=given)
    assert (code, message) == (
        "InvalidInstanceID.NotFound",
        f"The instance ID 'i-{ABSENT}' does not exist",
    )
    listed = ec2.describe_instances(InstanceIds=[facts["instance"]])["Reservations"]
    assert listed[0]["Instances"][0]["State"]["Name"] in ("pending", "running")
