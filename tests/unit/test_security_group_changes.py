"""Rules of security groups that come, go, and change, as boto3 sees them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from state.secrets import Vault
from state.store import Store
from tests.groups import allow, from_group, make, modify, refusal, rules, shown, tcp
from tests.in_process import InProcess
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


# -- rules come


def test_each_range_of_each_permission_is_a_rule_of_its_own(
    cloud: InProcess, group_id: str
) -> None:
    web = tcp(443, "10.0.0.0/8", "192.168.0.0/16", Ipv6Ranges=[{"CidrIpv6": "2001:DB8::/32"}])
    web["IpRanges"][0]["Description"] = "ours"
    answer = allow(cloud, group_id, web, from_group(group_id))
    made = answer["SecurityGroupRules"]
    assert answer["Return"] is True
    assert made == rules(cloud, group_id)
    peers = [one.get("CidrIpv4") or one.get("CidrIpv6") for one in made]
    assert peers == ["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", None]
    assert made[0]["Description"] == "ours"
    assert made[3]["ReferencedGroupInfo"]["GroupId"] == group_id
    https, everything = shown(cloud, group_id)["IpPermissions"]
    assert (https["FromPort"], https["ToPort"]) == (443, 443)
    assert [one["CidrIp"] for one in https["IpRanges"]] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert https["Ipv6Ranges"] == [{"CidrIpv6": "2001:db8::/32"}]
    assert everything["UserIdGroupPairs"][0]["GroupId"] == group_id


def test_new_rules_take_tags(cloud: InProcess, group_id: str) -> None:
    tag = {"Key": "for", "Value": "admins"}
    answer = cloud.call(
        "AuthorizeSecurityGroupEgress",
        GroupId=group_id,
        IpPermissions=[tcp(22, "10.0.0.0/8", "11.0.0.0/8")],
        TagSpecifications=[{"ResourceType": "security-group-rule", "Tags": [tag]}],
    )
    assert [one["Tags"] for one in answer["SecurityGroupRules"]] == [[tag], [tag]]
    assert [one["Tags"] for one in rules(cloud, group_id, egress=True)] == [[], [tag], [tag]]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"IpProtocol": "6", "FromPort": 0, "ToPort": 65535}, ("tcp", 0, 65535)),
        ({"IpProtocol": "UDP", "FromPort": 53, "ToPort": 53}, ("udp", 53, 53)),
        ({"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1}, ("icmp", 8, -1)),
        ({"IpProtocol": "1", "FromPort": -1, "ToPort": -1}, ("icmp", -1, -1)),
        ({"IpProtocol": "icmpv6"}, ("icmpv6", -1, -1)),
        ({"IpProtocol": "58", "FromPort": 128, "ToPort": 0}, ("icmpv6", 128, 0)),
        ({"IpProtocol": "50", "FromPort": 7, "ToPort": 9}, ("50", -1, -1)),
        ({"IpProtocol": "-1", "FromPort": 22, "ToPort": 22}, ("-1", -1, -1)),
    ],
)
def test_protocols_are_named_alike(
    cloud: InProcess, group_id: str, asked: dict[str, Any], kept: tuple[str, int, int]
) -> None:
    allow(cloud, group_id, {**asked, "IpRanges": [{"CidrIp": "10.9.8.7/8"}]})
    [rule] = rules(cloud, group_id)
    assert (rule["IpProtocol"], rule["FromPort"], rule["ToPort"]) == kept
    assert rule["CidrIpv4"] == "10.0.0.0/8"


NO_PERMISSIONS: list[tuple[dict[str, Any], str]] = [
    (tcp() | {"IpProtocol": "all"}, "InvalidParameterValue: Invalid value 'all' for IP"),
    (tcp() | {"IpProtocol": "256"}, "InvalidParameterValue"),
    (tcp() | {"IpProtocol": "-2"}, "InvalidParameterValue"),
    (tcp() | {"IpProtocol": ""}, "InvalidParameterValue"),
    (tcp(-1), "InvalidPermission.Malformed: TCP/UDP port (-1) out of range"),
    (tcp(65536), "InvalidPermission.Malformed: TCP/UDP port (65536) out of range"),
    (tcp() | {"ToPort": 21}, "InvalidParameterValue: Invalid value '22-21' for portRange"),
    ({"IpProtocol": "tcp", "IpRanges": tcp()["IpRanges"]}, "InvalidParameterValue: Invalid va"),
    ({"IpProtocol": "icmp", "IpRanges": tcp()["IpRanges"]}, "InvalidParameterValue: Invalid v"),
    (tcp() | {"IpProtocol": "icmp", "ToPort": 256}, "InvalidPermission.Malformed: ICMP code"),
    (
        tcp() | {"IpProtocol": "icmp", "FromPort": -1, "ToPort": 0},
        "InvalidPermission.Malformed: ICMP type (-1) out of range",
    ),
    (tcp(22, "10.0.0.0"), "InvalidParameterValue: CIDR block 10.0.0.0 is malformed"),
    (tcp(22, "10.0.0.0/33"), "InvalidParameterValue: CIDR block 10.0.0.0/33 is malformed"),
    (tcp(22, "10.0.0.0/255.0.0.0"), "InvalidParameterValue"),
    (tcp(22, "010.0.0.0/8"), "InvalidParameterValue"),
    (tcp(22, "::/0"), "InvalidParameterValue"),
    (tcp(22, ""), "InvalidParameterValue"),
    (tcp() | {"Ipv6Ranges": [{"CidrIpv6": "fe80::1%eth0/64"}]}, "InvalidParameterValue"),
    (tcp() | {"Ipv6Ranges": [{"CidrIpv6": "10.0.0.0/8"}]}, "InvalidParameterValue"),
    (tcp() | {"IpRanges": []}, "MissingParameter"),
    (tcp(22, "10.0.0.0/8", "10.0.0.1/8"), "InvalidParameterValue: The same permission must"),
    (tcp() | {"PrefixListIds": [{"PrefixListId": "pl-1"}]}, "UnsupportedOperation"),
    (from_group("sg-1"), "InvalidGroupId.Malformed"),
    (from_group("sg-01234567"), "InvalidGroup.NotFound"),
    (from_group("sg-01234567", UserId="000000000000"), "InvalidGroup.NotFound"),
    (from_group("sg-01234567", VpcPeeringConnectionId="pcx-1"), "UnsupportedOperation"),
    (tcp() | {"IpRanges": [{"CidrIp": "1.0.0.0/8", "Description": "a'b"}]}, "InvalidParamete"),
]


def test_a_permission_that_is_none(cloud: InProcess, group_id: str) -> None:
    for permission, code in NO_PERMISSIONS:
        for way in ("Ingress", "Egress"):
            assert refusal(cloud, group_id, permission, way=way).startswith(code), permission


@pytest.mark.parametrize(
    ("permission", "words"),
    [
        (tcp(), "peer: 10.0.0.0/8, TCP, from port: 22, to port: 22, ALLOW"),
        (tcp() | {"IpProtocol": "-1"}, "peer: 10.0.0.0/8, ALL, ALLOW"),
        (
            tcp() | {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1},
            "peer: 10.0.0.0/8, ICMP, type: 8, code: ALL, ALLOW",
        ),
        (
            {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            "peer: ::/0, ALL, ALLOW",
        ),
    ],
)
def test_a_rule_that_is_there_already(
    cloud: InProcess, group_id: str, permission: dict[str, Any], words: str
) -> None:
    allow(cloud, group_id, permission)
    said = refusal(cloud, group_id, tcp(99), permission)
    assert said == f'InvalidPermission.Duplicate: the specified rule "{words}" already exists'


def test_the_same_rule_from_a_group_is_named_by_its_id(cloud: InProcess, group_id: str) -> None:
    allow(cloud, group_id, from_group(group_id))
    assert f'"peer: {group_id}, ALL, ALLOW"' in refusal(cloud, group_id, from_group(group_id))


def test_a_group_of_another_vpc_is_out_of_reach(cloud: InProcess, group_id: str) -> None:
    theirs = cloud.call("CreateSecurityGroup", GroupName="x", Description="x", by=cloud.stranger)[
        "GroupId"
    ]
    assert refusal(cloud, group_id, from_group(theirs)).startswith("InvalidGroup.NotFound")


def test_a_group_has_so_many_rules_and_no_more(cloud: InProcess, group_id: str) -> None:
    cidrs = [f"10.{number}.0.0/16" for number in range(60)]
    allow(cloud, group_id, tcp(22, *cidrs))
    for more in (tcp(23), from_group(group_id)):
        assert refusal(cloud, group_id, more).startswith("RulesPerSecurityGroupLimitExceeded")
    # Those of the other version of IP, and of the other direction, are counted for themselves.
    allow(cloud, group_id, {"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]})
    allow(cloud, group_id, tcp(22, *cidrs[:59]), way="Egress")
    assert refusal(cloud, group_id, tcp(24), way="Egress").startswith("RulesPerSecurityGroup")


def test_old_requests_say_one_rule_in_members_of_their_own(cloud: InProcess, group_id: str) -> None:
    old: dict[str, Any] = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "CidrIp": "10.0.0.0/8",
    }
    cloud.call("AuthorizeSecurityGroupIngress", GroupName="web", **old)
    [rule] = rules(cloud, group_id)
    assert (rule["IpProtocol"], rule["CidrIpv4"]) == ("tcp", "10.0.0.0/8")
    cloud.call("RevokeSecurityGroupIngress", GroupName="web", **old)
    assert rules(cloud, group_id) == []


def test_an_old_request_for_a_group_lets_all_of_it_in(cloud: InProcess, group_id: str) -> None:
    mine = cloud.call("GetCallerIdentity", service="sts")["Account"]
    cloud.call(
        "AuthorizeSecurityGroupIngress",
        GroupId=group_id,
        SourceSecurityGroupName="default",
        SourceSecurityGroupOwnerId=mine,
    )
    made = [(one["IpProtocol"], one["FromPort"], one["ToPort"]) for one in rules(cloud, group_id)]
    assert made == [("tcp", 0, 65535), ("udp", 0, 65535), ("icmp", -1, -1)]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "MissingParameter"),
        ({"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}, "MissingParameter"),
        ({"CidrIp": "10.0.0.0/8"}, "InvalidParameterValue"),
        ({"SourceSecurityGroupOwnerId": "123456789012"}, "MissingParameter"),
        ({"SourceSecurityGroupName": "none"}, "InvalidGroup.NotFound"),
        (
            {"SourceSecurityGroupName": "default", "CidrIp": "10.0.0.0/8"},
            "InvalidParameterCombination",
        ),
        ({"CidrIp": "10.0.0.0/8", "IpPermissions": [tcp()]}, "InvalidParameterCombination"),
    ],
)
def test_an_old_request_that_says_too_little_or_too_much(
    cloud: InProcess, group_id: str, asked: dict[str, Any], code: str
) -> None:
    said = cloud.refusal("AuthorizeSecurityGroupIngress", GroupId=group_id, **asked)
    assert said[0] == code
    assert rules(cloud, group_id) == []


def test_a_change_names_its_group(cloud: InProcess) -> None:
    for asked, code in (
        ({}, "MissingParameter"),
        ({"GroupName": "none"}, "InvalidGroup.NotFound"),
        ({"GroupId": "sg-0"}, "InvalidGroupId.Malformed"),
    ):
        said = cloud.refusal("AuthorizeSecurityGroupIngress", IpPermissions=[tcp()], **asked)
        assert said[0] == code


# -- rules go


def test_terraform_empties_a_new_group_of_its_two_rules(cloud: InProcess, group_id: str) -> None:
    """It asks for both versions of IP whatever there is, and looks at the code of the second."""
    v4 = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    v6 = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    done = cloud.call("RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=[v4])
    assert done["Return"] is True
    assert [one["CidrIpv4"] for one in done["RevokedSecurityGroupRules"]] == ["0.0.0.0/0"]
    refused = cloud.refusal("RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=[v6])
    assert refused[:2] == ("InvalidPermission.NotFound", 400)
    assert shown(cloud, group_id)["IpPermissionsEgress"] == []


def test_what_is_revoked_need_not_be_described(cloud: InProcess, group_id: str) -> None:
    said = tcp() | {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "ours"}]}
    [made] = allow(cloud, group_id, said, from_group(group_id))["SecurityGroupRules"][:1]
    answer = cloud.call("RevokeSecurityGroupIngress", GroupId=group_id, IpPermissions=[tcp()])
    assert answer["RevokedSecurityGroupRules"] == [
        {
            "CidrIpv4": "10.0.0.0/8",
            "Description": "ours",
            "FromPort": 22,
            "GroupId": group_id,
            "IpProtocol": "tcp",
            "IsEgress": False,
            "SecurityGroupRuleId": made["SecurityGroupRuleId"],
            "ToPort": 22,
        }
    ]
    again = cloud.call(
        "RevokeSecurityGroupIngress", GroupId=group_id, IpPermissions=[from_group(group_id)]
    )
    assert again["RevokedSecurityGroupRules"][0]["ReferencedGroupId"] == group_id


def test_one_rule_that_is_not_there_keeps_all(cloud: InProcess, group_id: str) -> None:
    allow(cloud, group_id, tcp(22), tcp(23))
    for wrong in (tcp(24), tcp(22, "10.0.0.0/9"), tcp() | {"IpProtocol": "udp"}):
        said = cloud.refusal(
            "RevokeSecurityGroupIngress", GroupId=group_id, IpPermissions=[tcp(23), wrong]
        )
        assert said[0] == "InvalidPermission.NotFound"
    wrong_way = cloud.refusal(
        "RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=[tcp(23)]
    )
    assert wrong_way[0] == "InvalidPermission.NotFound"
    assert len(rules(cloud, group_id)) == 2


def test_rules_go_by_their_ids(cloud: InProcess, group_id: str) -> None:
    made = allow(cloud, group_id, tcp(22), tcp(23), tcp(24))["SecurityGroupRules"]
    first, second, third = (one["SecurityGroupRuleId"] for one in made)
    cloud.call("CreateTags", Resources=[first], Tags=[{"Key": "k", "Value": "v"}])
    answer = cloud.call(
        "RevokeSecurityGroupIngress", GroupId=group_id, SecurityGroupRuleIds=[first, second]
    )
    gone = [one["SecurityGroupRuleId"] for one in answer["RevokedSecurityGroupRules"]]
    assert gone == [first, second]
    assert cloud.call("DescribeTags")["Tags"] == []
    for way, named, code in (
        ("Ingress", [third, first], "InvalidSecurityGroupRuleId.NotFound"),
        ("Egress", [third], "InvalidSecurityGroupRuleId.NotFound"),
        ("Ingress", ["sgr-1"], "InvalidParameterValue"),
    ):
        said = cloud.refusal(
            f"RevokeSecurityGroup{way}", GroupId=group_id, SecurityGroupRuleIds=named
        )
        assert said[0] == code
    both = cloud.refusal(
        "RevokeSecurityGroupIngress",
        GroupId=group_id,
        SecurityGroupRuleIds=[third],
        IpPermissions=[tcp(24)],
    )
    assert both[0] == "InvalidParameterCombination"
    assert [one["SecurityGroupRuleId"] for one in rules(cloud, group_id)] == [third]


# -- rules change


def test_a_rule_says_something_else_under_the_same_id(cloud: InProcess, group_id: str) -> None:
    [made] = allow(cloud, group_id, tcp())["SecurityGroupRules"]
    rule_id = made["SecurityGroupRuleId"]
    said = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 54, "CidrIpv4": "11.0.0.0/8"}
    modify(cloud, group_id, (rule_id, {**said, "Description": "names"}))
    [rule] = rules(cloud, group_id)
    assert rule["SecurityGroupRuleId"] == rule_id
    assert rule.items() >= {**said, "Description": "names"}.items()
    modify(cloud, group_id, (rule_id, said))
    assert "Description" not in rules(cloud, group_id)[0]


def test_two_rules_may_change_places(cloud: InProcess, group_id: str) -> None:
    made = allow(cloud, group_id, tcp(22), tcp(23))["SecurityGroupRules"]
    first, second = (one["SecurityGroupRuleId"] for one in made)
    of = {port: {"IpProtocol": "tcp", "FromPort": port, "ToPort": port} for port in (22, 23)}
    peer = {"CidrIpv4": "10.0.0.0/8"}
    modify(cloud, group_id, (first, of[23] | peer), (second, of[22] | peer))
    assert [one["FromPort"] for one in rules(cloud, group_id)] == [23, 22]


def test_a_modification_that_cannot_be(cloud: InProcess, group_id: str) -> None:
    made = allow(cloud, group_id, tcp(22), tcp(23))["SecurityGroupRules"]
    first, second = (one["SecurityGroupRuleId"] for one in made)
    before = rules(cloud, group_id)
    as_second = {"IpProtocol": "tcp", "FromPort": 23, "ToPort": 23, "CidrIpv4": "10.0.0.0/8"}
    new = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}
    for changes, code in (
        ([(first, as_second)], "InvalidPermission.Duplicate"),
        ([(first, new | {"CidrIpv6": "::/0"})], "InvalidParameterValue"),
        ([(first, new | {"ReferencedGroupId": group_id})], "InvalidParameterValue"),
        ([(first, new)], "MissingParameter"),
        ([(first, new | {"PrefixListId": "pl-1"})], "UnsupportedOperation"),
        (
            [(first, new | {"CidrIpv4": "1.0.0.0/8", "CidrIpv6": "::/0"})],
            "InvalidParameterCombination",
        ),
        ([("sgr-01234567", as_second)], "InvalidSecurityGroupRuleId.NotFound"),
        ([("sgr-", as_second)], "InvalidParameterValue"),
        ([(first, as_second), (first, as_second)], "InvalidParameterValue"),
        (
            [(second, as_second), (first, new | {"FromPort": 9, "CidrIpv4": "1.0.0.0/8"})],
            "InvalidParameterValue",
        ),
    ):
        with pytest.raises(ClientError) as caught:
            modify(cloud, group_id, *changes)
        assert caught.value.response["Error"]["Code"] == code, changes
        assert rules(cloud, group_id) == before


def test_a_rule_is_described_by_what_it_says_or_by_its_id(cloud: InProcess, group_id: str) -> None:
    [made] = allow(cloud, group_id, tcp())["SecurityGroupRules"]
    said = tcp() | {"IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "ours"}]}
    describe = "UpdateSecurityGroupRuleDescriptionsIngress"
    assert cloud.call(describe, GroupId=group_id, IpPermissions=[said])["Return"] is True
    assert rules(cloud, group_id)[0]["Description"] == "ours"
    listed = [{"SecurityGroupRuleId": made["SecurityGroupRuleId"], "Description": "theirs"}]
    cloud.call(describe, GroupId=group_id, SecurityGroupRuleDescriptions=listed)
    assert shown(cloud, group_id)["IpPermissions"][0]["IpRanges"][0]["Description"] == "theirs"
    cloud.call(describe, GroupId=group_id, IpPermissions=[tcp()])
    assert "Description" not in rules(cloud, group_id)[0]
    code = cloud.refusal(
        "UpdateSecurityGroupRuleDescriptionsEgress", GroupId=group_id, IpPermissions=[said]
    )[0]
    assert code == "InvalidPermission.NotFound"
