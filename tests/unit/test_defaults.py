"""What an account finds at its first request, and the reads of it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from state import ids, models
from state.store import Store
from tests.reads import Reads
from translators.errors import Ec2Error
from translators.settings import Settings


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def only(listed: list[Any]) -> dict[str, Any]:
    [one] = listed
    return dict(one)


def test_the_default_vpc_is_whole(reads: Reads) -> None:
    vpc = only(reads.call("DescribeVpcs")["Vpcs"])
    assert (vpc["IsDefault"], vpc["CidrBlock"], vpc["State"]) == (
        True,
        "172.31.0.0/16",
        "available",
    )
    options = only(reads.call("DescribeDhcpOptions")["DhcpOptions"])
    assert vpc["DhcpOptionsId"] == options["DhcpOptionsId"]
    assert {one["Key"]: one["Values"] for one in options["DhcpConfigurations"]} == {
        "domain-name": [{"Value": "ec2.internal"}],
        "domain-name-servers": [{"Value": "AmazonProvidedDNS"}],
    }
    gateway = only(reads.call("DescribeInternetGateways")["InternetGateways"])
    assert gateway["Attachments"] == [{"State": "available", "VpcId": vpc["VpcId"]}]
    table = only(reads.call("DescribeRouteTables")["RouteTables"])
    assert only(table["Associations"])["Main"] is True
    assert [(one["DestinationCidrBlock"], one["GatewayId"]) for one in table["Routes"]] == [
        ("172.31.0.0/16", "local"),
        ("0.0.0.0/0", gateway["InternetGatewayId"]),
    ]
    for found in (table, only(reads.call("DescribeNetworkAcls")["NetworkAcls"])):
        assert found["VpcId"] == vpc["VpcId"]


def test_the_default_group_lets_in_its_own_and_out_all(reads: Reads) -> None:
    group = only(reads.call("DescribeSecurityGroups", GroupNames=["default"])["SecurityGroups"])
    assert group["Description"] == "default VPC security group"
    pair = {"GroupId": group["GroupId"], "UserId": reads.account_id}
    empty: dict[str, list[Any]] = {"Ipv6Ranges": [], "PrefixListIds": []}
    assert group["IpPermissions"] == [
        {"IpProtocol": "-1", "IpRanges": [], "UserIdGroupPairs": [pair], **empty}
    ]
    assert group["IpPermissionsEgress"] == [
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "UserIdGroupPairs": [], **empty}
    ]


def test_the_default_acl_lets_all_pass_and_has_all_subnets(reads: Reads) -> None:
    acl = only(reads.call("DescribeNetworkAcls")["NetworkAcls"])
    entries = [(one["Egress"], one["RuleNumber"], one["RuleAction"]) for one in acl["Entries"]]
    assert sorted(entries) == [
        (False, 100, "allow"),
        (False, 32767, "deny"),
        (True, 100, "allow"),
        (True, 32767, "deny"),
    ]
    subnets = {one["SubnetId"] for one in reads.call("DescribeSubnets")["Subnets"]}
    assert {one["SubnetId"] for one in acl["Associations"]} == subnets


def test_there_is_a_default_subnet_in_each_zone(reads: Reads) -> None:
    subnets = reads.call("DescribeSubnets")["Subnets"]
    assert [
        (one["AvailabilityZone"], one["CidrBlock"], one["DefaultForAz"]) for one in subnets
    ] == [
        ("us-east-1a", "172.31.0.0/20", True),
        ("us-east-1b", "172.31.16.0/20", True),
        ("us-east-1c", "172.31.32.0/20", True),
    ]
    assert [one["AvailabilityZoneId"] for one in subnets] == ["use1-az1", "use1-az2", "use1-az3"]


@pytest.mark.parametrize(
    ("cidrs", "block"),
    [
        ([], "172.31.0.0/16"),
        (["172.31.0.0/20"], "172.31.0.0/16"),
        (["10.1.0.0/24"], "10.1.0.0/24"),
        (["10.1.0.0/24", "10.1.1.0/24"], "10.1.0.0/23"),
        (["10.1.0.0/24", "10.9.0.0/24"], "10.0.0.0/12"),
        (["172.31.0.0/20", "10.0.0.0/8"], "0.0.0.0/0"),
    ],
)
def test_the_block_is_the_smallest_that_holds_the_networks(
    reads: Reads, cidrs: list[str], block: str
) -> None:
    def work(session: Any) -> None:
        session.execute(sa.delete(models.NetworkInterface))
        session.execute(sa.update(models.Network).values(region="elsewhere"))
        for number, cidr in enumerate(cidrs):
            session.add(
                models.Network(
                    name=f"n{number}", region="dc-1", zone_letter="a", switch="s", cidr=cidr
                )
            )
        session.flush()
        reads.greet(session, reads.account_key, reads.account_id, "dc-1")

    reads.store.write(work)
    with reads.store.read() as session:
        made = session.scalars(sa.select(models.Vpc).where(models.Vpc.region == "dc-1")).one()
        of_zone = session.scalars(
            sa.select(models.Subnet.default_for_az).where(models.Subnet.vpc_key == made.key)
        ).all()
    assert made.cidr == block
    assert sorted(of_zone) == [False] * (len(cidrs) - 1) + [True] * bool(cidrs)


def test_free_addresses_leave_out_what_is_reserved_and_used(reads: Reads) -> None:
    def free() -> list[int]:
        return [one["AvailableIpAddressCount"] for one in reads.call("DescribeSubnets")["Subnets"]]

    # 4096 less the first four and the last; the router is the second of them.
    assert free() == [4091] * 3
    reads.update(
        models.Network,
        reads.networks["a"],
        dns=["172.31.0.53", "9.9.9.9"],
        reserved=["172.31.0.0-172.31.0.9", "172.31.15.250-172.31.16.10", "172.31.0.8"],
    )
    assert free() == [4091 - 6 - 1 - 5, 4091, 4091]
    before = free()
    reads.run(3, Placement={"AvailabilityZone": "us-east-1a"})
    assert free() == [before[0] - 3, 4091, 4091]
    reads.account_key, reads.account_id = reads.account("two")
    assert free() == [before[0] - 3, 4091, 4091]
    by_count = [{"Name": "available-ip-address-count", "Values": ["4091"]}]
    assert len(reads.call("DescribeSubnets", Filters=by_count)["Subnets"]) == 2


def test_filters_reach_through_rules_routes_and_entries(reads: Reads) -> None:
    [group] = reads.call("DescribeSecurityGroups")["SecurityGroups"]
    cases = [
        ("DescribeSecurityGroups", "egress.ip-permission.cidr", "0.0.0.0/*", 1),
        ("DescribeSecurityGroups", "ip-permission.cidr", "0.0.0.0/*", 0),
        ("DescribeSecurityGroups", "ip-permission.group-id", group["GroupId"], 1),
        ("DescribeSecurityGroups", "ip-permission.group-name", "default", 1),
        ("DescribeSecurityGroups", "ip-permission.user-id", reads.account_id, 1),
        ("DescribeSecurityGroups", "ip-permission.from-port", "*", 0),
        ("DescribeRouteTables", "association.main", "true", 1),
        ("DescribeRouteTables", "association.main", "false", 0),
        ("DescribeRouteTables", "route.gateway-id", "igw-*", 1),
        ("DescribeRouteTables", "route.origin", "CreateRoute", 1),
        ("DescribeRouteTables", "route.state", "blackhole", 0),
        ("DescribeNetworkAcls", "entry.rule-number", "100", 1),
        ("DescribeNetworkAcls", "entry.egress", "true", 1),
        ("DescribeNetworkAcls", "entry.protocol", "-1", 1),
        ("DescribeNetworkAcls", "entry.protocol", "tcp", 0),
        ("DescribeNetworkAcls", "entry.cidr", "10.*", 0),
        ("DescribeNetworkAcls", "association.subnet-id", "subnet-*", 1),
        ("DescribeDhcpOptions", "key", "domain-name", 1),
        ("DescribeDhcpOptions", "key", "ntp-servers", 0),
        ("DescribeDhcpOptions", "value", "Amazon*", 1),
        ("DescribeInternetGateways", "attachment.state", "available", 1),
        ("DescribeVpcs", "is-default", "true", 1),
        ("DescribeSubnets", "vpc-id", group["VpcId"], 3),
        ("DescribeSubnets", "availability-zone-id", "use1-az2", 1),
        ("DescribeSubnets", "subnet-arn", f"arn:aws:ec2:us-east-1:{reads.account_id}:subnet/*", 3),
    ]
    for action, name, value, count in cases:
        answer = reads.call(action, Filters=[{"Name": name, "Values": [value]}])
        [listed] = answer.values()
        assert len(listed) == count, (action, name)


def test_rules_of_the_same_ports_are_shown_as_one(reads: Reads) -> None:
    [row] = reads.rows(models.SecurityGroup)

    def rule(**columns: Any) -> models.SecurityGroupRule:
        return models.SecurityGroupRule(
            id=ids.mint("sgr"),
            account_key=reads.account_key,
            region="us-east-1",
            group_key=row.key,
            is_egress=False,
            protocol="tcp",
            **columns,
        )

    reads.store.write(
        lambda session: session.add_all(
            [
                rule(from_port=22, to_port=22, cidr_ipv4="10.0.0.0/8", description="in"),
                rule(from_port=22, to_port=22, cidr_ipv6="::/0"),
                rule(from_port=80, to_port=81, cidr_ipv4="0.0.0.0/0"),
            ]
        )
    )
    [group] = reads.call("DescribeSecurityGroups")["SecurityGroups"]
    shown = {one.get("FromPort"): one for one in group["IpPermissions"]}
    assert set(shown) == {None, 22, 80}
    assert shown[22]["IpRanges"] == [{"CidrIp": "10.0.0.0/8", "Description": "in"}]
    assert shown[22]["Ipv6Ranges"] == [{"CidrIpv6": "::/0"}]
    assert shown[80]["ToPort"] == 81


def test_groups_by_name_are_those_of_the_default_vpc(reads: Reads) -> None:
    [vpc] = reads.call("DescribeVpcs")["Vpcs"]
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSecurityGroups", GroupNames=["default", "web"])
    assert caught.value.code == "InvalidGroup.NotFound"
    assert caught.value.message == (
        f"The security group 'web' does not exist in default VPC '{vpc['VpcId']}'"
    )


def test_an_attribute_of_a_vpc_is_answered_alone(reads: Reads) -> None:
    [vpc] = reads.call("DescribeVpcs")["Vpcs"]
    for attribute, member, value in (
        ("enableDnsSupport", "EnableDnsSupport", True),
        ("enableDnsHostnames", "EnableDnsHostnames", True),
        ("enableNetworkAddressUsageMetrics", "EnableNetworkAddressUsageMetrics", False),
    ):
        answer = reads.call("DescribeVpcAttribute", VpcId=vpc["VpcId"], Attribute=attribute)
        assert answer == {"VpcId": vpc["VpcId"], member: {"Value": value}}
    with pytest.raises(Ec2Error, match="InvalidParameterValue"):
        reads.call("DescribeVpcAttribute", VpcId=vpc["VpcId"], Attribute="enableDns")
    with pytest.raises(Ec2Error, match="InvalidVpcID"):
        reads.call("DescribeVpcAttribute", VpcId="vpc-0", Attribute="enableDnsSupport")


def test_interfaces_and_volumes_show_their_instance(reads: Reads) -> None:
    [instance_id] = reads.run(1)
    reads.found("launched", instance_id)
    by_instance = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    [volume] = reads.call("DescribeVolumes", Filters=by_instance)["Volumes"]
    [attachment] = volume["Attachments"]
    assert (attachment["InstanceId"], attachment["VolumeId"]) == (instance_id, volume["VolumeId"])
    assert (volume["VolumeType"], volume["Iops"], volume["Throughput"]) == ("gp3", 3000, 125)
    [interface] = reads.call("DescribeNetworkInterfaces", Filters=by_instance)["NetworkInterfaces"]
    assert interface["Attachment"]["InstanceId"] == instance_id
    assert [one["GroupName"] for one in interface["Groups"]] == ["default"]
    [instance] = reads.seen(instance_id)
    [shown] = instance["NetworkInterfaces"]
    for member in ("MacAddress", "PrivateDnsName", "PrivateIpAddress", "SubnetId", "VpcId"):
        assert interface[member] == shown[member]
    by_group = [{"Name": "group-id", "Values": [interface["Groups"][0]["GroupId"]]}]
    found = reads.call("DescribeNetworkInterfaces", Filters=by_group)["NetworkInterfaces"]
    assert [one["NetworkInterfaceId"] for one in found] == [interface["NetworkInterfaceId"]]
    by_name = [{"Name": "private-dns-name", "Values": [interface["PrivateDnsName"]]}]
    assert reads.call("DescribeNetworkInterfaces", Filters=by_name)["NetworkInterfaces"] == found
