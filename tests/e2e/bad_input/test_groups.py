"""Rules of security groups that cannot be: overlapping, of a wrong form, too many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.bad_input.asked import (
    ABSENT,
    COMBINATION,
    MISSING,
    UNSUPPORTED,
    VALUE,
    Case,
    check,
    refused,
)

ANY = [{"CidrIp": "10.0.0.0/8"}]
SSH: Mapping[str, Any] = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ANY}
MALFORMED = "InvalidPermission.Malformed"
THERE = (
    'the specified rule "peer: 10.0.0.0/8, TCP, from port: 22, to port: 22, ALLOW" already exists'
)
PORTS = "Invalid value for portRange. Must specify both from and to ports with TCP/UDP."
DESCRIPTION = "~^Invalid rule description. Valid descriptions are strings less than 256 characters"


@pytest.fixture(scope="module")
def groups(ec2: Any, facts: dict[str, str]) -> dict[str, str]:
    """One fact more, {rules}: a group that lets SSH in from 10.0.0.0/8, and nothing else."""
    made = ec2.create_security_group(GroupName="rules", Description="wrong ones")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[SSH])
    return {**facts, "rules": made}


def allow(says: str, wrong: list[Mapping[str, Any]], code: str, message: str) -> Case:
    """A permission that would be fine stands ahead: it has to go with the others."""
    fine = {**SSH, "FromPort": 8000, "ToPort": 8000}
    given = {"GroupId": "{rules}", "IpPermissions": [fine, *wrong]}
    return Case(says, "authorize_security_group_ingress", given, code, message)


def icmp(kind: int, code: int) -> Mapping[str, Any]:
    return {"IpProtocol": "icmp", "FromPort": kind, "ToPort": code, "IpRanges": ANY}


def ports(**given: int) -> Mapping[str, Any]:
    return {"IpProtocol": "tcp", "IpRanges": ANY, **given}


def pair(group_id: str) -> Mapping[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}


def ranges(*cidrs: str, **more: str) -> Mapping[str, Any]:
    return {**SSH, "IpRanges": [{"CidrIp": cidr, **more} for cidr in cidrs]}


RULES = [
    allow("a rule that is there", [SSH], "InvalidPermission.Duplicate", THERE),
    allow(
        "beside a new one",
        [ranges("11.0.0.0/8", "10.0.0.0/8")],
        "InvalidPermission.Duplicate",
        THERE,
    ),
    allow("by number", [{**SSH, "IpProtocol": "6"}], "InvalidPermission.Duplicate", THERE),
    allow("with bits of a host", [ranges("10.1.2.3/8")], "InvalidPermission.Duplicate", THERE),
    allow(
        "twice",
        [ranges("11.0.0.0/8"), ranges("11.0.0.0/8")],
        VALUE,
        "The same permission must not appear multiple times",
    ),
    allow(
        "an unknown protocol",
        [{**SSH, "IpProtocol": "tpc"}],
        VALUE,
        "Invalid value 'tpc' for IP protocol. Unknown protocol.",
    ),
    allow("protocol 256", [{**SSH, "IpProtocol": "256"}], VALUE, "~'256' for IP protocol"),
    allow("port 65536", [ports(FromPort=1, ToPort=65536)], MALFORMED, "~65536. out of range"),
    allow("port -2", [ports(FromPort=-2, ToPort=1)], MALFORMED, "~-2. out of range"),
    allow("ports the wrong way round", [ports(FromPort=23, ToPort=22)], VALUE, "~'23-22'"),
    allow("one port", [ports(FromPort=22)], VALUE, PORTS),
    allow("no ports", [ports()], VALUE, PORTS),
    allow("ICMP 300", [icmp(300, -1)], MALFORMED, "ICMP type (300) out of range"),
    allow("ICMP of any type and one code", [icmp(-1, 3)], MALFORMED, "~^ICMP type"),
    allow("no range", [ranges("10.0.0.0/33")], VALUE, "CIDR block 10.0.0.0/33 is malformed"),
    allow("nobody", [{**SSH, "IpRanges": []}], MISSING, "~must contain the parameter"),
    allow(
        "an unknown group",
        [pair(f"sg-{ABSENT}")],
        "InvalidGroup.NotFound",
        f"The security group 'sg-{ABSENT}' does not exist",
    ),
    allow("no group", [pair("web")], "InvalidGroupId.Malformed", '~"web"'),
    allow(
        "a prefix list",
        [{"IpProtocol": "-1", "PrefixListIds": [{"PrefixListId": f"pl-{ABSENT}"}]}],
        UNSUPPORTED,
        "The parameter IpPermissions.PrefixListIds is not supported by this service.",
    ),
    allow("a long description", [ranges("11.0.0.0/8", Description="x" * 256)], VALUE, DESCRIPTION),
    allow("a description in umlauts", [ranges("11.0.0.0/8", Description="ü")], VALUE, DESCRIPTION),
    allow(
        "61 rules",
        [ranges(*(f"11.{number}.0.0/16" for number in range(59)))],
        "RulesPerSecurityGroupLimitExceeded",
        "The maximum number of rules per security group has been reached.",
    ),
    Case(
        "a rule that is not there beside one that is",
        "revoke_security_group_ingress",
        {"GroupId": "{rules}", "IpPermissions": [SSH, {**SSH, "FromPort": 21}]},
        "InvalidPermission.NotFound",
        "The specified rule does not exist in this security group.",
    ),
    Case(
        "an unknown rule",
        "revoke_security_group_ingress",
        {"GroupId": "{rules}", "SecurityGroupRuleIds": [f"sgr-{ABSENT}"]},
        "InvalidSecurityGroupRuleId.NotFound",
        f"The security group rule ID 'sgr-{ABSENT}' does not exist",
    ),
    Case(
        "by permission and by id",
        "revoke_security_group_ingress",
        {
            "GroupId": "{rules}",
            "SecurityGroupRuleIds": [f"sgr-{ABSENT}"],
            "IpPermissions": [SSH],
        },
        COMBINATION,
        "~cannot be used with the parameter",
    ),
    Case(
        "a name that is taken",
        "create_security_group",
        {"GroupName": "rules", "Description": "again"},
        "InvalidGroup.Duplicate",
        "The security group 'rules' already exists for VPC '{vpc}'",
    ),
    Case(
        "the default one's name",
        "create_security_group",
        {"GroupName": "default", "Description": "mine"},
        VALUE,
        "Cannot use reserved security group name: default",
    ),
    Case(
        "a name like an id",
        "create_security_group",
        {"GroupName": "sg-mine", "Description": "mine"},
        VALUE,
        "~may not be in the format sg-",
    ),
    Case("the default one", "delete_security_group", {"GroupId": "{group}"}, "CannotDelete", "~"),
    Case(
        "17 groups",
        "modify_network_interface_attribute",
        {"NetworkInterfaceId": "{interface}", "Groups": [f"sg-{n:017x}" for n in range(17)]},
        "SecurityGroupsPerInterfaceLimitExceeded",
        "The maximum number of security groups per interface has been reached.",
    ),
]


@pytest.mark.parametrize("case", RULES, ids=str)
def test_it_is_refused_in_ec2s_words_and_nothing_is_half_done(
    ec2: Any, groups: dict[str, str], case: Case
) -> None:
    before = standing(ec2)
    check(ec2, groups, case)
    assert standing(ec2) == before


def standing(ec2: Any) -> list[Any]:
    return [
        ec2.describe_security_groups()["SecurityGroups"],
        ec2.describe_security_group_rules()["SecurityGroupRules"],
        [one["Groups"] for one in ec2.describe_network_interfaces()["NetworkInterfaces"]],
    ]


def test_the_sixtieth_rule_is_let_in_and_the_next_is_not(ec2: Any, groups: dict[str, str]) -> None:
    made = ec2.create_security_group(GroupName="full", Description="of rules")["GroupId"]
    full = ranges(*(f"11.{number}.0.0/16" for number in range(60)))
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[full])
    found = refused(
        ec2.authorize_security_group_ingress, GroupId=made, IpPermissions=[ranges("12.0.0.0/8")]
    )
    assert found[:2] == ("RulesPerSecurityGroupLimitExceeded", 400)
    # The other way has a limit of its own, as each family of addresses has.
    v6 = {**SSH, "IpRanges": [], "Ipv6Ranges": [{"CidrIpv6": "2001:db8::/32"}]}
    ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[v6])
    ec2.authorize_security_group_egress(GroupId=made, IpPermissions=[SSH])
    [group] = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    assert len(group["IpPermissions"][0]["IpRanges"]) == 60
    ec2.delete_security_group(GroupId=made)
