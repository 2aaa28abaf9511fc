"""Tags: on every kind of resource, within EC2's limits, listed and taken away."""

from __future__ import annotations

from typing import Any

import pytest

from state import models
from state.store import Store
from tests.reads import Reads
from translators import tags
from translators.errors import Ec2Error
from translators.registry import ACTIONS
from translators.settings import Settings


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def tag(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def listed(reads: Reads, **filters: list[str]) -> list[tuple[str, str, str]]:
    asked = [{"Name": name.replace("_", "-"), "Values": value} for name, value in filters.items()]
    found = reads.call("DescribeTags", Filters=asked)["Tags"]
    return [(one["ResourceType"], one["Key"], one["Value"]) for one in found]


def test_resources_of_every_kind_take_tags_in_one_request(reads: Reads) -> None:
    [instance_id] = reads.run(1)
    reads.call("CreateKeyPair", KeyName="k", KeyType="ed25519")
    named = [instance_id, reads.image_id]
    for action, member in (
        ("DescribeVpcs", "VpcId"),
        ("DescribeSubnets", "SubnetId"),
        ("DescribeVolumes", "VolumeId"),
        ("DescribeKeyPairs", "KeyPairId"),
        ("DescribeNetworkAcls", "NetworkAclId"),
        ("DescribeDhcpOptions", "DhcpOptionsId"),
        ("DescribeRouteTables", "RouteTableId"),
        ("DescribeSecurityGroups", "GroupId"),
        ("DescribeInternetGateways", "InternetGatewayId"),
        ("DescribeNetworkInterfaces", "NetworkInterfaceId"),
    ):
        [items] = reads.call(action).values()
        named += [one[member] for one in items]
    named += [row.id for row in reads.rows(models.SecurityGroupRule)]
    reads.call("CreateTags", Resources=named, Tags=tag(a="1", b=""))
    assert len(reads.rows(models.Tag)) == 2 * len(named)
    assert {kind for kind, _, _ in listed(reads)} == {
        "dhcp-options",
        "image",
        "instance",
        "internet-gateway",
        "key-pair",
        "network-acl",
        "network-interface",
        "route-table",
        "security-group",
        "security-group-rule",
        "subnet",
        "volume",
        "vpc",
    }
    assert reads.call("DescribeVpcs")["Vpcs"][0]["Tags"] == tag(a="1", b="")
    assert reads.call("DescribeImages")["Images"][0]["Tags"] == tag(a="1", b="")
    [interface] = reads.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    assert interface["TagSet"] == tag(a="1", b="")


def test_a_key_that_is_there_gets_the_new_value_and_a_new_version(reads: Reads) -> None:
    [vpc] = reads.rows(models.Vpc)
    for pairs in ({"a": "1"}, {"a": "2"}, {"a": "2"}):
        reads.call("CreateTags", Resources=[vpc.id], Tags=tag(**pairs))
    assert listed(reads) == [("vpc", "a", "2")]
    [after] = reads.rows(models.Vpc)
    assert after.version == vpc.version + 2


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([{"Key": "", "Value": "x"}], "InvalidTagKey.Malformed"),
        ([{"Value": "x"}], "InvalidTagKey.Malformed"),
        ([{"Key": "aws:x", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "AWS:x", "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k" * 129, "Value": "x"}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([{"Key": "k", "Value": "1"}, {"Key": "k", "Value": "2"}], "InvalidParameterValue"),
        ([{"Key": str(number), "Value": ""} for number in range(51)], "TagLimitExceeded"),
        ([], "MissingParameter"),
    ],
)
def test_a_tag_out_of_its_limits_is_refused(reads: Reads, given: Any, code: str) -> None:
    [vpc] = reads.rows(models.Vpc)
    with pytest.raises(Ec2Error) as caught:
        reads.call("CreateTags", Resources=[vpc.id], Tags=given)
    assert caught.value.code == code
    assert reads.rows(models.Tag) == []


def test_a_tag_at_its_limits_is_taken(reads: Reads) -> None:
    [vpc] = reads.rows(models.Vpc)
    given = [{"Key": "k" * 128, "Value": "v" * 256}, {"Key": "ключ"}, {"Key": "awsome"}]
    reads.call("CreateTags", Resources=[vpc.id], Tags=given)
    assert len(listed(reads)) == 3


def test_fifty_tags_are_the_limit_of_each_resource(reads: Reads) -> None:
    [vpc] = reads.rows(models.Vpc)
    [group] = reads.rows(models.SecurityGroup)
    forty_nine = {f"k{number}": "" for number in range(49)}
    reads.call("CreateTags", Resources=[vpc.id], Tags=tag(**forty_nine))
    reads.call("CreateTags", Resources=[vpc.id, group.id], Tags=tag(k0="new", last=""))
    with pytest.raises(Ec2Error) as caught:
        reads.call("CreateTags", Resources=[group.id, vpc.id], Tags=tag(more=""))
    assert caught.value.code == "TagLimitExceeded"
    assert len(reads.rows(models.Tag)) == 52  # of the group none was kept


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        ("i-" + "0" * 17, "InvalidInstanceID.NotFound"),
        ("i-xyz", "InvalidInstanceID.Malformed"),
        ("vol-" + "0" * 17, "InvalidVolume.NotFound"),
        ("ami-" + "0" * 17, "InvalidAMIID.NotFound"),
        ("sg-" + "0" * 17, "InvalidGroup.NotFound"),
        ("sgr-" + "0" * 17, "InvalidSecurityGroupRuleId.NotFound"),
        ("key-" + "0" * 17, "InvalidKeyPair.NotFound"),
        ("vpc-" + "0" * 17, "InvalidVpcID.NotFound"),
        ("r-" + "0" * 17, "InvalidID"),
        ("x", "InvalidID"),
        ("", "InvalidID"),
    ],
)
def test_one_unknown_resource_refuses_them_all(reads: Reads, resource: str, code: str) -> None:
    [vpc] = reads.rows(models.Vpc)
    for action in ("CreateTags", "DeleteTags"):
        with pytest.raises(Ec2Error) as caught:
            reads.call(action, Resources=[vpc.id, resource], Tags=tag(a="1"))
        assert caught.value.code == code
    assert reads.rows(models.Tag) == []


def test_tags_go_by_key_by_value_or_all_at_once(reads: Reads) -> None:
    [vpc] = reads.rows(models.Vpc)
    reads.call("CreateTags", Resources=[vpc.id], Tags=tag(a="1", b="2", c="", d="4"))

    def left(*given: dict[str, str]) -> str:
        reads.call("DeleteTags", Resources=[vpc.id], Tags=list(given))
        return "".join(key for _, key, _ in listed(reads))

    assert left({"Key": "a"}) == "bcd"
    assert left({"Key": "b", "Value": "other"}, {"Key": "x"}) == "bcd"
    assert left({"Key": "b", "Value": ""}, {"Key": "c", "Value": ""}) == "bd"
    assert left({"Key": "b", "Value": "2"}) == "d"
    reads.call("CreateTags", Resources=[vpc.id], Tags=tag(a="1"))
    assert left() == ""


def test_tags_are_listed_by_filter_and_page(reads: Reads) -> None:
    subnets = [row.id for row in reads.rows(models.Subnet)]
    [vpc] = reads.rows(models.Vpc)
    for number, one in enumerate(subnets):
        reads.call("CreateTags", Resources=[one], Tags=tag(Name=f"n{number}", team="net"))
    reads.call("CreateTags", Resources=[vpc.id], Tags=tag(Name="n1"))
    assert len(listed(reads)) == 7
    assert listed(reads, key=["Name"], value=["n1"]) == [
        ("subnet", "Name", "n1"),
        ("vpc", "Name", "n1"),
    ]
    assert listed(reads, resource_type=["vpc"]) == [("vpc", "Name", "n1")]
    assert listed(reads, resource_id=[subnets[2]], key=["t*"]) == [("subnet", "team", "net")]
    assert listed(reads, **{"tag:Name": ["n?"]}, resource_type=["sub*"]) == [
        ("subnet", "Name", f"n{number}") for number in range(3)
    ]
    first = reads.call("DescribeTags", MaxResults=5)
    rest = reads.call("DescribeTags", MaxResults=5, NextToken=first["NextToken"])
    assert (len(first["Tags"]), len(rest["Tags"])) == (5, 2)
    assert "NextToken" not in rest
    assert first["Tags"] + rest["Tags"] == reads.call("DescribeTags")["Tags"]
    reads.account_key, reads.account_id = reads.account("two")
    assert listed(reads) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([{"Tags": tag(a="1")}], "resource type must have a value"),
        ([{"ResourceType": "instance"}], "at least one tag"),
        ([{"ResourceType": "vpc", "Tags": tag(a="1")}], "'vpc' is not a valid taggable"),
        ([{"ResourceType": "volume", "Tags": tag(**{"aws:a": "1"})}], "reserved"),
        ([{"ResourceType": "instance", "Tags": tag(a="1")}] * 2, "more than once"),
    ],
)
def test_tags_at_creation_are_checked(given: Any, words: str) -> None:
    with pytest.raises(Ec2Error, match=words):
        tags.from_specifications({"TagSpecifications": given}, "instance", allowed=("volume",))


def test_tags_at_creation_are_of_one_type() -> None:
    given = [
        {"ResourceType": "volume", "Tags": tag(a="1")},
        {"ResourceType": "instance", "Tags": tag(b="2")},
    ]
    request = {"TagSpecifications": given}
    assert tags.from_specifications(request, "instance", allowed=("volume",)) == {"b": "2"}
    assert tags.from_specifications(request, "volume", allowed=("instance",)) == {"a": "1"}
    assert tags.from_specifications({}, "instance") == {}


def test_tagging_walks_nothing_that_the_account_has(reads: Reads) -> None:
    [instance_id] = reads.run(1)

    def work(session: Any) -> list[str]:
        statements: list[str] = []
        driver = session.connection().connection.driver_connection
        driver.set_trace_callback(statements.append)
        request = {"Resources": [instance_id], "Tags": tag(a="1")}
        ACTIONS["ec2", "CreateTags"].handler(reads.context(session), request)
        driver.set_trace_callback(None)
        asked = [text for text in statements if text.startswith("SELECT")]
        plans = [driver.execute(f"EXPLAIN QUERY PLAN {text}").fetchall() for text in asked]
        return [row[3] for plan in plans for row in plan]

    steps = reads.store.write(work)
    assert any("sqlite_autoindex_instance_1 (id=?)" in step for step in steps), steps
    assert [step for step in steps if "owner" in step] == []
