"""What passes the ports of instances, asked of their hosts: groups hold from the beginning."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.lab.agent.host import Invoked
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.console import Console
from ec2gw.lab.world import model
from state import models
from state.store import Store
from tests.faults.rig import Rig, rig
from translators import errors
from translators.hyperv import acl, nic

HOST = "lab-a"
ZONE = {"Placement": {"AvailabilityZone": "us-east-1a"}}
TCP, UDP, ICMP = 6, 17, 1
OUTSIDE = "203.0.113.7"


@pytest.fixture
def gaps() -> list[str]:
    """After which calls on hosts a connected port lacked its denies."""
    return []


@pytest.fixture
def gateway(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gaps: list[str]
) -> Iterator[Rig]:
    """A started rig, on whose hosts nothing is ever open."""
    invoke = LabMachine.invoke

    with rig(store, tmp_path) as made:

        def watching(machine: LabMachine, do: str, arguments: Mapping[str, object]) -> Invoked:
            try:
                return invoke(machine, do, arguments)
            finally:
                gaps.extend(f"{one} after {do}" for one in open_ports(made))

        monkeypatch.setattr(LabMachine, "invoke", watching)
        made.start()
        yield made
    assert gaps == []


def open_ports(gateway: Rig) -> list[str]:
    """Machines with an adapter that is connected and lets through what no rule speaks of."""
    found = []
    for host in ("lab-a", "lab-b", "lab-c"):
        with gateway.world.reading(host) as session:
            for machine in session.vms():
                for adapter in machine.nics:
                    denied = {
                        (one.direction, one.remote_address)
                        for one in adapter.acls
                        if one.action == "Deny" and one.weight in acl.DENIES
                    }
                    wanted = {(one.direction, one.remote) for one in acl.DENY}
                    if adapter.switch is not None and not wanted <= denied:
                        found.append(machine.name)
    return found


def group(gateway: Rig, name: str, *permissions: dict[str, Any]) -> str:
    """Make a group that lets these in, and nothing out."""
    made = gateway.ask("CreateSecurityGroup", GroupName=name, Description=name)
    group_id: str = made["GroupId"]
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    gateway.ask("RevokeSecurityGroupEgress", GroupId=group_id, IpPermissions=[everything])
    if permissions:
        gateway.ask(
            "AuthorizeSecurityGroupIngress", GroupId=group_id, IpPermissions=list(permissions)
        )
    return group_id


def tcp(port: int, cidr: str = "0.0.0.0/0") -> dict[str, Any]:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": cidr}]}


def of_group(group_id: str) -> dict[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id}]}


def launch(gateway: Rig, *group_ids: str, count: int = 1) -> list[str]:
    launched = gateway.launch(count, SecurityGroupIds=list(group_ids), **ZONE)
    gateway.wait("running", *launched)
    return launched


def address(gateway: Rig, instance_id: str) -> str:
    [instance] = gateway.seen(instance_id)
    own: str = instance["PrivateIpAddress"]
    return own


def lets(
    gateway: Rig,
    instance_id: str,
    way: str = "Inbound",
    port: int = 22,
    *,
    protocol: int = TCP,
    remote: str = OUTSIDE,
    local: str | None = None,
    is_reply: bool = False,
    mac: str = "",
) -> bool:
    """Whether a packet passes; the port is the one that is asked for."""
    asked, free = (port, 50000) if (way == "Inbound") is not is_reply else (50000, port)
    return Console(gateway.world).would_pass(
        HOST,
        instance_id,
        way,
        protocol,
        local or address(gateway, instance_id),
        remote,
        asked if protocol != ICMP else 0,
        free if protocol != ICMP else 0,
        is_reply,
        mac=mac,
    )


def settled(gateway: Rig) -> None:
    """Wait until every port has what is wanted of it."""

    def holds() -> bool:
        rows = gateway.rows(models.InterfaceRules)
        return all(row.wanted == row.applied for row in rows)

    gateway.until(holds, "all ports are as wanted")


# -- from the first moment on


def test_an_instance_is_behind_its_groups(gateway: Rig) -> None:
    [one] = launch(gateway, group(gateway, "web", tcp(443), tcp(22, "10.0.0.0/8")))
    assert lets(gateway, one, port=443)
    assert lets(gateway, one, "Outbound", 443, is_reply=True)
    assert lets(gateway, one, port=22, remote="10.1.2.3")
    assert not lets(gateway, one, port=22)
    assert not lets(gateway, one, port=443, protocol=UDP)
    for protocol in (TCP, UDP, ICMP):
        assert not lets(gateway, one, "Outbound", 443, protocol=protocol)


def test_the_rules_are_there_before_the_adapter_is_connected(gateway: Rig) -> None:
    """None of them is left for later, so none is missed by what a guest does first."""
    web = group(gateway, "web", tcp(443))
    gateway.stop()
    [one] = gateway.launch(1, SecurityGroupIds=[web], **ZONE)
    with gateway.store.read() as session:
        interface = session.scalars(sa.select(models.InterfaceRules)).one()
    assert (interface.wanted, interface.applied) == (1, 0)
    gateway.start()
    gateway.wait("running", one)
    settled(gateway)
    with gateway.store.read() as session:
        done = session.scalars(
            sa.select(models.Work.purpose).where(models.Work.kind == "interface")
        ).all()
    assert done == []  # it was looked at, and there was nothing to do


def test_what_is_in_no_group_s_power_passes(gateway: Rig) -> None:
    [one] = launch(gateway, group(gateway, "closed"))
    console, own = Console(gateway.world), address(gateway, one)
    assert console.would_pass(HOST, one, "Outbound", UDP, "0.0.0.0", "255.255.255.255", 68, 67)
    assert console.would_pass(HOST, one, "Inbound", UDP, own, "172.31.0.1", 68, 67)
    assert lets(gateway, one, "Outbound", 80, remote="169.254.169.254")
    assert lets(gateway, one, "Outbound", 53, remote="9.9.9.9", protocol=UDP)
    assert not lets(gateway, one, "Outbound", 53, remote="8.8.8.8", protocol=UDP)
    assert console.would_pass(HOST, one, "Outbound", 58, "fe80::5", "ff02::2", icmp_type=133)


def test_an_instance_speaks_under_its_own_address_alone(gateway: Rig) -> None:
    every = group(gateway, "every")
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    gateway.ask("AuthorizeSecurityGroupEgress", GroupId=every, IpPermissions=[everything])
    [one] = launch(gateway, every)
    assert lets(gateway, one, "Outbound", 443)
    assert lets(gateway, one, "Outbound", protocol=ICMP)
    assert lets(gateway, one, "Inbound", protocol=ICMP, is_reply=True)
    assert not lets(gateway, one, "Outbound", 443, local="172.31.0.99")
    assert not lets(gateway, one, "Outbound", 443, mac="021122334455")
    # A router says so first.
    off = {"Value": False}
    gateway.ask("ModifyInstanceAttribute", InstanceId=one, SourceDestCheck=off)
    settled(gateway)
    assert lets(gateway, one, "Outbound", 443, local="172.31.0.99")
    assert not lets(gateway, one, "Outbound", 443, mac="021122334455")


# -- while it runs


def test_a_changed_rule_reaches_all_members_and_nobody_else(gateway: Rig) -> None:
    web, other = group(gateway, "web", tcp(443)), group(gateway, "other", tcp(443))
    first, second = launch(gateway, web, count=2)
    [third] = launch(gateway, other)
    settled(gateway)
    gateway.ask("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(80)])
    gateway.ask("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(443)])
    settled(gateway)
    for one in (first, second):
        assert (lets(gateway, one, port=80), lets(gateway, one, port=443)) == (True, False)
    assert (lets(gateway, third, port=80), lets(gateway, third, port=443)) == (False, True)


def test_a_modified_rule_says_something_else_on_the_hosts_too(gateway: Rig) -> None:
    web = group(gateway, "web", tcp(443))
    [one] = launch(gateway, web)
    mine = [{"Name": "group-id", "Values": [web]}]
    [rule] = gateway.ask("DescribeSecurityGroupRules", Filters=mine)["SecurityGroupRules"]
    said = {"IpProtocol": "udp", "FromPort": 53, "ToPort": 53, "CidrIpv4": "0.0.0.0/0"}
    asked = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": said}
    gateway.ask("ModifySecurityGroupRules", GroupId=web, SecurityGroupRules=[asked])
    settled(gateway)
    assert lets(gateway, one, port=53, protocol=UDP)
    assert not lets(gateway, one, port=443)


def test_an_instance_changes_its_groups(gateway: Rig) -> None:
    web, admins = group(gateway, "web", tcp(443)), group(gateway, "admins", tcp(22))
    [one] = launch(gateway, web)
    gateway.ask("ModifyInstanceAttribute", InstanceId=one, Groups=[web, admins])
    settled(gateway)
    assert lets(gateway, one, port=443)
    assert lets(gateway, one, port=22)
    [interface] = gateway.seen(one)[0]["NetworkInterfaces"]
    gateway.ask(
        "ModifyNetworkInterfaceAttribute",
        NetworkInterfaceId=interface["NetworkInterfaceId"],
        Groups=[admins],
    )
    settled(gateway)
    assert not lets(gateway, one, port=443)
    assert lets(gateway, one, port=22)


def test_members_of_a_group_come_and_go_for_those_whose_rules_speak_of_it(gateway: Rig) -> None:
    clients = group(gateway, "clients")
    [server] = launch(gateway, group(gateway, "servers", of_group(clients)))
    settled(gateway)
    [client] = launch(gateway, clients)
    settled(gateway)
    own = address(gateway, client)
    assert lets(gateway, server, remote=own)
    assert not lets(gateway, server, remote=OUTSIDE)
    gateway.ask("TerminateInstances", InstanceIds=[client])
    gateway.wait("terminated", client)
    settled(gateway)
    assert not lets(gateway, server, remote=own)
    assert len(gateway.rows(models.InterfaceRules)) == 1


def test_members_of_one_group_speak_with_each_other(gateway: Rig) -> None:
    club = group(gateway, "club")
    gateway.ask("AuthorizeSecurityGroupIngress", GroupId=club, IpPermissions=[of_group(club)])
    first, second = launch(gateway, club, count=2)
    [outsider] = launch(gateway, group(gateway, "other"))
    settled(gateway)
    assert lets(gateway, first, remote=address(gateway, second))
    assert lets(gateway, second, remote=address(gateway, first))
    assert not lets(gateway, first, remote=address(gateway, outsider))


# -- whatever happens on the hosts


def test_what_an_administrator_did_to_a_port_is_undone_within_the_hour(
    gateway: Rig, gaps: list[str]
) -> None:
    first, second, third = launch(gateway, group(gateway, "web", tcp(443)), count=3)
    settled(gateway)
    gateway.stop()
    Console(gateway.world).forget_rules(HOST, first)
    with gateway.world.changing(HOST) as session:
        for machine in session.vms():
            if machine.name == second:
                machine.nics[0].acls.append(anything())
            if machine.name == third:
                machine.nics[0].mac_spoofing = "On"
            session.put_vm(machine)
    assert lets(gateway, first, port=22)
    assert lets(gateway, second, port=22)
    assert lets(gateway, third, "Inbound", 443)
    age(gateway, dt.timedelta(hours=1))
    gateway.start()
    gateway.until(
        lambda: (
            not any(lets(gateway, one, port=22) for one in (first, second))
            and spoofing(gateway) == {"Off"}
        ),
        "the ports are as they were",
    )
    settled(gateway)
    assert all(lets(gateway, one, port=443) for one in (first, second, third))
    gaps.clear()  # they were not ours


def anything() -> model.Acl:
    return model.Acl("Inbound", "Allow", 60_000)


def spoofing(gateway: Rig) -> set[str]:
    with gateway.world.reading(HOST) as session:
        return {adapter.mac_spoofing for machine in session.vms() for adapter in machine.nics}


def age(gateway: Rig, by: dt.timedelta) -> None:
    """Let it be so long ago that any port was looked at, and any host surveyed."""
    rules, host = models.InterfaceRules, models.Host

    def work(session: Any) -> None:
        for row in session.scalars(sa.select(rules)):
            row.changed_at -= by
        for row in session.scalars(sa.select(host)):
            row.surveyed_at -= by

    gateway.store.write(work)


def test_ports_are_looked_at_after_a_restart_of_their_host(gateway: Rig, gaps: list[str]) -> None:
    [one] = launch(gateway, group(gateway, "web", tcp(443)))
    settled(gateway)
    console = Console(gateway.world)
    console.forget_rules(HOST, one)
    console.reboot_host(HOST)
    gateway.until(lambda: not lets(gateway, one, port=22), "its rules are back")
    gateway.wait("running", one)
    settled(gateway)
    gaps.clear()


def test_an_instance_that_moved_is_looked_at_where_it_is(gateway: Rig, gaps: list[str]) -> None:
    [one] = launch(gateway, group(gateway, "web", tcp(443)))
    settled(gateway)
    before = gateway.rows(models.InterfaceRules)[0].wanted
    Console(gateway.world).move(HOST, one, "lab-b")
    gateway.until(
        lambda: gateway.rows(models.InterfaceRules)[0].wanted > before, "its port is to be seen to"
    )
    settled(gateway)


def test_an_adapter_that_is_gone_is_told_and_keeps_nobody_busy(gateway: Rig) -> None:
    web = group(gateway, "web", tcp(443))
    [one] = launch(gateway, web)
    settled(gateway)
    with gateway.world.changing(HOST) as session:
        [machine] = session.vms()
        machine.nics = []
        session.put_vm(machine)
    gateway.ask("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(80)])
    gateway.until(lambda: bool(gateway.told()["troubles"]), "the operator is told")
    assert gateway.told()["troubles"] == ["its adapter is not there"]
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.rows(models.Work) == []


# -- in parts, and interrupted


MANY = [tcp(443, f"10.{number}.0.0/16") for number in range(0, 120, 2)]


def test_more_rules_than_one_plan_holds_are_made_in_parts(gateway: Rig) -> None:
    assert len(MANY) + len(acl.BASE | acl.DENY) > nic.MOST_CHANGES
    [one] = launch(gateway, group(gateway, "many", *MANY))
    settled(gateway)
    last = len(MANY) - 1
    assert lets(gateway, one, port=443, remote=f"10.{2 * last}.0.1")
    assert lets(gateway, one, port=443, remote="10.0.0.1")
    assert not lets(gateway, one, port=443, remote="10.1.0.1")


def test_a_change_goes_on_after_the_engine_stopped_in_the_middle(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the old and the new rules both let through passes at every moment."""
    web = group(gateway, "web", tcp(22), *MANY[:30])
    [one] = launch(gateway, web)
    settled(gateway)
    monkeypatch.setattr(nic.change, "__defaults__", (7,))
    kept: list[bool] = []
    invoke = LabMachine.invoke

    def watching(machine: LabMachine, do: str, arguments: Mapping[str, object]) -> Invoked:
        try:
            return invoke(machine, do, arguments)
        finally:
            kept.append(
                lets(gateway, one, port=22)
                and lets(gateway, one, "Outbound", 22, is_reply=True)
                and not lets(gateway, one, port=21)
            )

    monkeypatch.setattr(LabMachine, "invoke", watching)
    gateway.ask("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=MANY[:30])
    gateway.ask("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=MANY[30:])
    gateway.until(lambda: len(kept) > 40, "it is under way")
    gateway.stop()
    gateway.start()
    settled(gateway)
    assert all(kept)
    assert lets(gateway, one, port=443, remote="10.118.0.1")
    assert not lets(gateway, one, port=443, remote="10.0.0.1")


def test_lost_answers_leave_no_port_half_changed(gateway: Rig) -> None:
    web = group(gateway, "web", tcp(443))
    [one] = launch(gateway, web)
    settled(gateway)
    for faults in gateway.laboratory.faults.values():
        for nth in range(2, 20, 3):
            faults.plan("after", "Receive", nth=nth)
    for port in range(1, 5):
        gateway.ask("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(port)])
    gateway.ask("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(443)])
    settled(gateway)
    assert [port for port in (1, 2, 3, 4, 443) if lets(gateway, one, port=port)] == [1, 2, 3, 4]


def test_a_group_whose_rules_no_port_has_room_for_is_refused(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acl, "MOST_RULES", 20)
    web = group(gateway, "web", tcp(443))
    [one] = launch(gateway, web)
    with pytest.raises(errors.Ec2Error) as caught:
        gateway.ask("AuthorizeSecurityGroupIngress", GroupId=web, IpPermissions=MANY)
    assert caught.value.code == "RulesPerSecurityGroupLimitExceeded"
    assert lets(gateway, one, port=443)
    gateway.ask("RevokeSecurityGroupIngress", GroupId=web, IpPermissions=[tcp(443)])
