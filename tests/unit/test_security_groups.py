"""Security groups that come and go, as boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest

from state.secrets import Vault
from state.store import Store
from tests.groups import allow, from_group, launch, make, rules, shown, tcp
from tests.in_process import InProcess
from translators.ec2.security_groups import making
from translators.settings import InstanceType, Settings


@pytest.fixture
def settings() -> Settings:
    kind = InstanceType("t3.micro", 2, 1024)
    return Settings(instance_types={kind.name: kind}, laboratory=True)


@pytest.fixture
def cloud(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


@pytest.fixture
def group_id(cloud: InProcess) -> str:
    return make(cloud, "web")


# -- groups


def test_a_new_group_lets_nothing_in_and_everything_out(cloud: InProcess) -> None:
    [vpc] = cloud.call("DescribeVpcs")["Vpcs"]
    tag = {"Key": "Name", "Value": "web"}
    specification = [{"ResourceType": "security-group", "Tags": [tag]}]
    made = cloud.call(
        "CreateSecurityGroup",
        GroupName="web ",
        Description="for tests",
        VpcId=vpc["VpcId"],
        TagSpecifications=specification,
    )
    group = shown(cloud, made["GroupId"])
    assert made["Tags"] == group["Tags"] == [tag]
    assert made["SecurityGroupArn"] == group["SecurityGroupArn"]
    assert (group["GroupName"], group["Description"]) == ("web", "for tests")
    assert group["VpcId"] == vpc["VpcId"]
    assert group["IpPermissions"] == []
    [out] = group["IpPermissionsEgress"]
    assert (out["IpProtocol"], out["IpRanges"]) == ("-1", [{"CidrIp": "0.0.0.0/0"}])
    assert "FromPort" not in out


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GroupName": "web"}, "InvalidGroup.Duplicate"),
        ({"GroupName": "sg-web"}, "InvalidParameterValue"),
        ({"GroupName": "default"}, "InvalidParameterValue"),
        ({"GroupName": "Default "}, "InvalidParameterValue"),
        ({"GroupName": "wéb"}, "InvalidParameterValue"),
        ({"GroupName": "a<b"}, "InvalidParameterValue"),
        ({"GroupName": "x" * 256}, "InvalidParameterValue"),
        ({"GroupName": "  "}, "MissingParameter"),
        ({"GroupName": "new", "Description": "it's"}, "InvalidParameterValue"),
        ({"GroupName": "new", "Description": "x" * 256}, "InvalidParameterValue"),
        ({"GroupName": "new", "Description": ""}, "MissingParameter"),
        ({"GroupName": "new", "VpcId": "vpc-01234567"}, "InvalidVpcID.NotFound"),
        ({"GroupName": "new", "VpcId": "vpc"}, "InvalidVpcID.NotFound"),
    ],
)
def test_a_group_that_cannot_be_made(
    cloud: InProcess, group_id: str, asked: dict[str, Any], code: str
) -> None:
    request = {"Description": "for tests", **asked}
    assert cloud.refusal("CreateSecurityGroup", **request)[0] == code
    assert len(cloud.call("DescribeSecurityGroups")["SecurityGroups"]) == 2


def test_the_same_name_is_free_for_others(cloud: InProcess, group_id: str) -> None:
    made = cloud.call(
        "CreateSecurityGroup", GroupName="web", Description="theirs", by=cloud.stranger
    )
    assert made["GroupId"] != group_id
    for action in ("DeleteSecurityGroup", "RevokeSecurityGroupIngress"):
        asked = {} if action.startswith("Delete") else {"IpPermissions": [tcp()]}
        assert cloud.refusal(action, GroupId=made["GroupId"], **asked)[0] == "InvalidGroup.NotFound"


def test_an_empty_vpc_is_the_default_one(cloud: InProcess) -> None:
    [vpc] = cloud.call("DescribeVpcs")["Vpcs"]
    made = cloud.call("CreateSecurityGroup", GroupName="packer", Description="x", VpcId="")
    assert shown(cloud, made["GroupId"])["VpcId"] == vpc["VpcId"]


def test_a_deleted_group_is_gone_with_its_rules_and_tags(cloud: InProcess, group_id: str) -> None:
    allow(cloud, group_id, tcp())
    for named in (group_id, rules(cloud, group_id)[0]["SecurityGroupRuleId"]):
        cloud.call("CreateTags", Resources=[named], Tags=[{"Key": "k", "Value": "v"}])
    deleted = cloud.call("DeleteSecurityGroup", GroupId=group_id)
    assert (deleted["Return"], deleted["GroupId"]) == (True, group_id)
    assert rules(cloud, group_id) == []
    assert cloud.call("DescribeTags")["Tags"] == []
    gone = cloud.refusal("DeleteSecurityGroup", GroupId=group_id)
    assert gone[0] == "InvalidGroup.NotFound"
    make(cloud, "web")
    assert cloud.call("DeleteSecurityGroup", GroupName="web")["Return"]


def test_a_default_group_stays(cloud: InProcess) -> None:
    code, _, message = cloud.refusal("DeleteSecurityGroup", GroupName="default")
    assert code == "CannotDelete"
    assert message.endswith('name: "default" cannot be deleted by a user')


def test_a_group_that_is_needed_stays(cloud: InProcess, group_id: str) -> None:
    peer = make(cloud, "peer")
    allow(cloud, peer, from_group(peer))
    allow(cloud, peer, from_group(group_id))
    assert cloud.refusal("DeleteSecurityGroup", GroupId=group_id) == (
        "DependencyViolation",
        400,
        f"resource {group_id} has a dependent object",
    )
    # What refers to itself alone needs nobody.
    cloud.call("DeleteSecurityGroup", GroupId=peer)
    cloud.call("DeleteSecurityGroup", GroupId=group_id)


def test_a_group_with_an_interface_stays(cloud: InProcess, group_id: str) -> None:
    launch(cloud, group_id)
    assert cloud.refusal("DeleteSecurityGroup", GroupId=group_id)[0] == "DependencyViolation"


def test_a_region_has_so_many_groups_and_no_more(
    cloud: InProcess, group_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_MOST", 2)
    asked = {"GroupName": "more", "Description": "more"}
    assert cloud.refusal("CreateSecurityGroup", **asked)[0] == "SecurityGroupLimitExceeded"
    cloud.call("DeleteSecurityGroup", GroupId=group_id)
    assert make(cloud, "more")


# -- for a VPC


def test_the_groups_of_a_vpc_are_listed(cloud: InProcess, group_id: str) -> None:
    [vpc] = cloud.call("DescribeVpcs")["Vpcs"]
    listed = cloud.call("GetSecurityGroupsForVpc", VpcId=vpc["VpcId"])["SecurityGroupForVpcs"]
    assert [one["GroupName"] for one in listed] == ["default", "web"]
    named = [{"Name": "group-name", "Values": ["w*"]}]
    [web] = cloud.call("GetSecurityGroupsForVpc", VpcId=vpc["VpcId"], Filters=named)[
        "SecurityGroupForVpcs"
    ]
    assert (web["GroupId"], web["PrimaryVpcId"]) == (group_id, vpc["VpcId"])
    none = cloud.refusal("GetSecurityGroupsForVpc", VpcId="vpc-01234567")
    assert none[0] == "InvalidVpcID.NotFound"
