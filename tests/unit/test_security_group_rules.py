"""Rules of security groups, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from state import ids, models
from state.store import Store
from tests.reads import Reads
from translators.errors import Ec2Error
from translators.settings import Settings


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def group(reads: Reads) -> models.SecurityGroup:
    [row] = [one for one in reads.rows(models.SecurityGroup) if one.name == "default"]
    assert isinstance(row, models.SecurityGroup)
    return row


def add(reads: Reads, **columns: Any) -> str:
    rule_id = ids.mint("sgr")
    own = group(reads)
    row = {"is_egress": False, "protocol": "tcp", "group_key": own.key, **columns}
    owned = {"account_key": own.account_key, "region": own.region}
    reads.store.write(
        lambda session: session.add(models.SecurityGroupRule(id=rule_id, **owned, **row))
    )
    return rule_id


def rules(reads: Reads, **request: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = reads.call("DescribeSecurityGroupRules", **request)[
        "SecurityGroupRules"
    ]
    return listed


def test_the_default_group_has_a_rule_each_way(reads: Reads) -> None:
    own = group(reads)
    inward, outward = sorted(rules(reads), key=lambda rule: bool(rule["IsEgress"]))
    shared = {
        "FromPort": -1,
        "GroupId": own.id,
        "GroupOwnerId": reads.account_id,
        "IpProtocol": "-1",
        "Tags": [],
        "ToPort": -1,
    }
    assert inward.items() >= shared.items()
    assert outward.items() >= shared.items()
    assert inward["ReferencedGroupInfo"] == {"GroupId": own.id, "UserId": reads.account_id}
    assert outward["CidrIpv4"] == "0.0.0.0/0"
    assert outward["SecurityGroupRuleArn"] == (
        f"arn:aws:ec2:us-east-1:{reads.account_id}:security-group-rule/"
        f"{outward['SecurityGroupRuleId']}"
    )


def test_rules_are_found_by_id_group_and_tag(reads: Reads) -> None:
    ssh = add(reads, from_port=22, to_port=22, cidr_ipv6="::/0", description="everywhere")
    [shown] = rules(reads, SecurityGroupRuleIds=[ssh])
    assert (shown["FromPort"], shown["ToPort"], shown["CidrIpv6"]) == (22, 22, "::/0")
    assert shown["Description"] == "everywhere"
    by_group = [{"Name": "group-id", "Values": [group(reads).id]}]
    assert len(rules(reads, Filters=by_group)) == 3
    reads.call("CreateTags", Resources=[ssh], Tags=[{"Key": "for", "Value": "admins"}])
    by_tag = [{"Name": "tag:for", "Values": ["adm*"]}]
    assert [one["SecurityGroupRuleId"] for one in rules(reads, Filters=by_tag)] == [ssh]
    assert rules(reads, SecurityGroupRuleIds=[ssh])[0]["Tags"] == [
        {"Key": "for", "Value": "admins"}
    ]


def test_rules_of_others_are_not_there(reads: Reads) -> None:
    ssh = add(reads, from_port=22, to_port=22, cidr_ipv4="10.0.0.0/8")
    reads.account_key, reads.account_id = reads.account("two")
    assert len(rules(reads)) == 2
    for asked, code in (
        (ssh, "InvalidSecurityGroupRuleId.NotFound"),
        ("sgr-1", "InvalidParameterValue"),
    ):
        with pytest.raises(Ec2Error) as caught:
            rules(reads, SecurityGroupRuleIds=[asked])
        assert caught.value.code == code


def test_rules_come_a_page_at_a_time(reads: Reads) -> None:
    made = [add(reads, from_port=port, to_port=port, cidr_ipv4="10.0.0.0/8") for port in range(6)]
    first = reads.call("DescribeSecurityGroupRules", MaxResults=5)
    rest = reads.call("DescribeSecurityGroupRules", MaxResults=5, NextToken=first["NextToken"])
    listed = [*first["SecurityGroupRules"], *rest["SecurityGroupRules"]]
    assert [one["SecurityGroupRuleId"] for one in listed][2:] == made
    assert "NextToken" not in rest
