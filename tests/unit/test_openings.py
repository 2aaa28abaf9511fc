"""What groups mean for ports, which ports a change concerns, and what an interface may change."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from state import models
from state.store import Store
from tests.launches import NOW
from tests.reads import Reads
from translators import port_rules
from translators.errors import Ec2Error
from translators.hyperv import acl
from translators.hyperv.acl import Opening
from translators.settings import Settings

ANYWHERE = ("0.0.0.0/0",)


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def group(cloud: Reads, name: str, *permissions: dict[str, Any]) -> str:
    made = cloud.call("CreateSecurityGroup", GroupName=name, Description=name)
    group_id: str = made["GroupId"]
    allow(cloud, group_id, *permissions)
    return group_id


def allow(cloud: Reads, group_id: str, *permissions: dict[str, Any]) -> None:
    if permissions:
        listed = list(permissions)
        cloud.call("AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=listed)


def tcp(port: int = 22) -> dict[str, Any]:
    ranges = [{"CidrIp": "0.0.0.0/0"}]
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}


def of_group(group_id: str) -> dict[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}


def launch(cloud: Reads, *group_ids: str) -> models.NetworkInterface:
    """Launch an instance that runs, has a VM, and whose port is as wanted; its interface."""
    [instance_id] = cloud.run(1, SecurityGroupIds=list(group_ids))
    cloud.found("launched", instance_id)
    row = cloud.instance(instance_id)
    cloud.update(models.Instance, row.key, vm_id=f"guid of {instance_id}")
    interface = cloud.rows(models.NetworkInterface)[-1]
    assert isinstance(interface, models.NetworkInterface)
    rest(cloud)
    return interface


def rest(cloud: Reads) -> None:
    """Let all ports be as they are wanted."""

    def work(session: Any) -> None:
        for row in session.query(models.InterfaceRules):
            row.applied = row.wanted

    cloud.store.write(work)


def due(cloud: Reads, after: dt.timedelta = dt.timedelta(seconds=2)) -> set[int]:
    """The interfaces whose ports are to be seen to on any host."""
    found: set[int] = set()
    with cloud.store.read() as session:
        for host_key in cloud.hosts.values():
            found |= {key for key, _, _ in port_rules.due(session, host_key, NOW + after)}
    return found


def openings(cloud: Reads, interface: models.NetworkInterface) -> set[Opening]:
    with cloud.store.read() as session:
        return set(port_rules.port(session, interface.key).openings)


# -- what is to be let through


def test_a_port_has_its_address_its_name_servers_and_what_its_groups_open(cloud: Reads) -> None:
    v6 = {"IpProtocol": "icmpv6", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}
    esp = {"IpProtocol": "50", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    interface = launch(cloud, group(cloud, "a", tcp(), v6), group(cloud, "b", esp))
    with cloud.store.read() as session:
        port = port_rules.port(session, interface.key)
    assert (port.addresses, port.resolvers) == ((interface.private_ip,), ("9.9.9.9",))
    assert set(port.openings) == {
        Opening(inbound=True, protocol=6, ports=(22, 22), peers=ANYWHERE),
        Opening(inbound=True, protocol=58, ports=None, peers=("::/0",)),
        Opening(inbound=True, protocol=50, ports=None, peers=("10.0.0.0/8",)),
        Opening(inbound=False, protocol=None, ports=None, peers=ANYWHERE),
    }


def test_a_group_as_peer_is_its_members(cloud: Reads) -> None:
    clients = group(cloud, "clients")
    server = launch(cloud, group(cloud, "servers", of_group(clients)))
    nobody = Opening(inbound=True, protocol=None, ports=None, peers=())
    assert nobody in openings(cloud, server)
    members = [launch(cloud, clients).private_ip for _ in range(2)]
    [inward] = [one for one in openings(cloud, server) if one.inbound]
    assert sorted(inward.peers) == sorted(members)


def test_who_does_not_check_addresses_may_use_any(cloud: Reads) -> None:
    interface = launch(cloud, group(cloud, "a"))
    off = {"Value": False}
    cloud.call(
        "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface.id, SourceDestCheck=off
    )
    with cloud.store.read() as session:
        assert port_rules.port(session, interface.key).addresses is None
    assert not cloud.rows(models.Instance)[0].source_dest_check
    assert due(cloud) == {interface.key}


# -- which ports a change concerns


def test_a_changed_rule_concerns_the_group_s_members_at_once(cloud: Reads) -> None:
    web, other = group(cloud, "web"), group(cloud, "other")
    member, _stranger = launch(cloud, web), launch(cloud, other)
    cloud.waken = set()
    allow(cloud, web, tcp())
    assert due(cloud, dt.timedelta(milliseconds=1)) == {member.key}
    assert cloud.waken == {cloud.rows(models.Instance)[0].host_key}


def test_what_no_port_lets_through_otherwise_concerns_none(cloud: Reads) -> None:
    web = group(cloud, "web", tcp())
    launch(cloud, web)
    described = tcp() | {"IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "new"}]}
    cloud.call("UpdateSecurityGroupRuleDescriptionsIngress", GroupId=web, IpPermissions=[described])
    [instance] = cloud.rows(models.Instance)
    cloud.call("ModifyInstanceAttribute", InstanceId=instance.id, Groups=[web])
    assert due(cloud) == set()


def test_who_comes_and_goes_concerns_those_whose_rules_speak_of_its_groups(cloud: Reads) -> None:
    clients, servers = group(cloud, "clients"), group(cloud, "servers")
    allow(cloud, servers, of_group(clients))
    server, client = launch(cloud, servers), launch(cloud, clients)
    [instance_id] = cloud.run(1, SecurityGroupIds=[clients])
    assert due(cloud) == set()
    cloud.found("launched", instance_id)
    # Others may follow: a second is waited for, or fifty of them.
    assert due(cloud, dt.timedelta(milliseconds=999)) == set()
    assert due(cloud) == {server.key}
    rest(cloud)
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    assert due(cloud) == {server.key}
    assert client.key not in due(cloud)


def test_so_many_members_at_once_are_not_waited_for(cloud: Reads) -> None:
    club = group(cloud, "club")
    allow(cloud, club, of_group(club))
    first = launch(cloud, club)
    [row] = [one for one in cloud.rows(models.InterfaceRules) if one.interface_key == first.key]

    def work(session: Any) -> None:
        for _ in range(50):
            port_rules.joined_or_left(session, [key], NOW)

    key = cloud.rows(models.SecurityGroup)[-1].key
    cloud.store.write(work)
    assert row.wanted == row.applied
    assert due(cloud, dt.timedelta(0)) == {first.key}


def test_another_group_concerns_the_interface_and_who_speaks_of_either(cloud: Reads) -> None:
    old, new = group(cloud, "old"), group(cloud, "new")
    of_old = launch(cloud, group(cloud, "of old", of_group(old)))
    of_new = launch(cloud, group(cloud, "of new", of_group(new)))
    _neither = launch(cloud, group(cloud, "neither"))
    interface = launch(cloud, old)
    cloud.call("ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface.id, Groups=[new])
    assert due(cloud) == {interface.key, of_old.key, of_new.key}


def test_ports_are_checked_again_after_an_hour_and_a_restart(cloud: Reads) -> None:
    interface = launch(cloud, group(cloud, "a"))
    host_key = cloud.rows(models.Instance)[0].host_key

    def recheck(after: dt.timedelta, *, restarted: bool) -> None:
        now = NOW + after
        cloud.store.write(
            lambda session: port_rules.recheck(session, host_key, restarted=restarted, now=now)
        )

    recheck(dt.timedelta(minutes=59), restarted=False)
    assert due(cloud) == set()
    recheck(dt.timedelta(minutes=61), restarted=False)
    assert due(cloud, dt.timedelta(hours=2)) == {interface.key}
    rest(cloud)
    recheck(dt.timedelta(minutes=62), restarted=True)
    assert due(cloud, dt.timedelta(hours=2)) == {interface.key}


def test_a_clock_that_was_set_back_holds_no_port_up(cloud: Reads) -> None:
    web = group(cloud, "web")
    interface = launch(cloud, web)
    allow(cloud, web, tcp())
    assert due(cloud, -dt.timedelta(days=1)) == {interface.key}


def test_what_a_port_has_no_room_for_is_refused(
    cloud: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, other = group(cloud, "web", tcp(1)), group(cloud, "other", tcp(2))
    interface = launch(cloud, web, other)
    with cloud.store.read() as session:
        wanted = acl.desired(port_rules.port(session, interface.key))
    inbound = sum(one.direction == "Inbound" for one in wanted)
    monkeypatch.setattr(acl, "MOST_RULES", inbound + 2)
    allow(cloud, web, tcp(3), tcp(4))
    with pytest.raises(Ec2Error) as caught:  # no room beside those of the other group
        allow(cloud, web, tcp(5))
    assert caught.value.code == "RulesPerSecurityGroupLimitExceeded"
    allow(cloud, group(cloud, "third"), tcp(5))
    permissions = [tcp(4)]
    cloud.call("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=permissions)


# -- what an interface may change


def test_an_interface_is_described(cloud: Reads) -> None:
    interface = launch(cloud, group(cloud, "a"))
    asked = {"NetworkInterfaceId": interface.id}
    cloud.call("ModifyNetworkInterfaceAttribute", **asked, Description={"Value": "front"})
    [shown] = cloud.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    assert shown["Description"] == "front"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "InvalidParameterCombination"),
        (
            {"Description": {"Value": "x"}, "SourceDestCheck": {"Value": True}},
            "InvalidParameterCombination",
        ),
        ({"Description": {"Value": "x" * 256}}, "InvalidParameterValue"),
        ({"Groups": ["sg-1"]}, "InvalidGroupId.Malformed"),
        ({"Groups": ["sg-01234567"]}, "InvalidGroup.NotFound"),
        (
            {"Groups": [f"sg-0123456{number}" for number in range(6)]},
            "SecurityGroupsPerInterfaceLimitExceeded",
        ),
        ({"AssociatePublicIpAddress": True}, "UnsupportedOperation"),
        ({"Attachment": {"DeleteOnTermination": False}}, "UnsupportedOperation"),
        ({"NetworkInterfaceId": "eni-01234567"}, "InvalidNetworkInterfaceID.NotFound"),
    ],
)
def test_what_an_interface_cannot_change(cloud: Reads, asked: dict[str, Any], code: str) -> None:
    interface = launch(cloud, group(cloud, "a"))
    request = {"NetworkInterfaceId": interface.id, **asked}
    if asked.keys() == {"NetworkInterfaceId"}:
        request["Description"] = {"Value": "x"}
    with pytest.raises(Ec2Error) as caught:
        cloud.call("ModifyNetworkInterfaceAttribute", **request)
    assert caught.value.code == code
    assert due(cloud) == set()


def test_an_interface_keeps_to_groups_of_its_vpc(cloud: Reads) -> None:
    interface = launch(cloud, group(cloud, "a"))
    elsewhere = group(cloud, "b")
    vpc = models.Vpc(
        id="vpc-0123456789abcdef0",
        cidr="10.0.0.0/16",
        dhcp_options_key=cloud.rows(models.DhcpOptions)[0].key,
        association_id="vpc-cidr-assoc-0",
        account_key=cloud.account_key,
        region="us-east-1",
    )

    def work(session: Any) -> None:
        session.add(vpc)
        session.flush()
        row = session.query(models.SecurityGroup).filter_by(id=elsewhere).one()
        row.vpc_key = vpc.key

    cloud.store.write(work)
    with pytest.raises(Ec2Error) as caught:
        cloud.call(
            "ModifyNetworkInterfaceAttribute", NetworkInterfaceId=interface.id, Groups=[elsewhere]
        )
    assert caught.value.code == "InvalidGroup.NotFound"
    assert "different networks" in caught.value.message
