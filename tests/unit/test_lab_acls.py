"""Extended ACLs: what a port takes, and what passes it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.console import Console
from ec2gw.lab.world import World, filtering, model
from tests.unit.lab_host import Bench, fails

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
OWN, PEER = "10.0.0.5", "10.0.0.9"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def port(bench: Bench) -> Live:
    vm = bench.create("i-1")
    nic = bench.one("Get-VMNetworkAdapter", VM=vm)
    bench("Connect-VMNetworkAdapter", VMNetworkAdapter=nic, SwitchName="ec2gw")
    return nic


def add(bench: Bench, nic: Live, direction: str, action: str, weight: int, **more: object) -> None:
    bench(
        "Add-VMNetworkAdapterExtendedAcl",
        VMNetworkAdapter=nic,
        Direction=direction,
        Action=action,
        Weight=weight,
        **more,
    )


def closed(bench: Bench) -> Live:
    nic = port(bench)
    for direction in ("Inbound", "Outbound"):
        add(bench, nic, direction, "Deny", 1)
    return nic


def passes(bench: Bench, direction: str, protocol: int = TCP, **more: object) -> bool:
    given = {"local": OWN, "remote": PEER, **more}
    return bench.console.would_pass(bench.host, "i-1", direction, protocol, **given)  # type: ignore[arg-type]


def test_without_a_rule_everything_passes_and_without_a_switch_nothing(bench: Bench) -> None:
    nic = port(bench)
    assert passes(bench, "Inbound")
    assert passes(bench, "Outbound", UDP)
    bench("Disconnect-VMNetworkAdapter", VMNetworkAdapter=nic)
    assert not passes(bench, "Inbound")


def test_the_larger_weight_decides(bench: Bench) -> None:
    nic = closed(bench)
    assert not passes(bench, "Inbound")
    add(bench, nic, "Inbound", "Allow", 10, RemoteIPAddress="10.0.0.0/24")
    assert passes(bench, "Inbound")
    assert not passes(bench, "Inbound", remote="10.0.1.1")
    add(bench, nic, "Inbound", "Deny", 11, RemoteIPAddress=PEER)
    assert not passes(bench, "Inbound")
    assert passes(bench, "Inbound", remote="10.0.0.8")


def test_ports_and_protocols_are_told_apart(bench: Bench) -> None:
    nic = closed(bench)
    add(bench, nic, "Inbound", "Allow", 10, Protocol="TCP", LocalPort="80-90")
    assert passes(bench, "Inbound", local_port=80)
    assert passes(bench, "Inbound", local_port=90)
    assert not passes(bench, "Inbound", local_port=91)
    assert not passes(bench, "Inbound", UDP, local_port=80)
    add(bench, nic, "Inbound", "Allow", 11, Protocol="1")
    assert passes(bench, "Inbound", ICMP, icmp_type=8)
    assert passes(bench, "Inbound", ICMP, icmp_type=3), "types are not told apart"


def test_rules_of_one_version_of_ip_say_nothing_of_the_other(bench: Bench) -> None:
    nic = closed(bench)
    add(bench, nic, "Outbound", "Allow", 10, RemoteIPAddress="::/0")
    assert not passes(bench, "Outbound")
    assert passes(bench, "Outbound", local="fd00::5", remote="fd00::9")


def test_an_answer_passes_by_the_flow_of_a_stateful_rule_alone(bench: Bench) -> None:
    nic = closed(bench)
    add(bench, nic, "Inbound", "Allow", 10, Protocol="TCP", LocalPort="22")
    answer = {"local_port": 22, "remote_port": 50000, "is_reply": True}
    assert not passes(bench, "Outbound", **answer)
    add(bench, nic, "Inbound", "Allow", 11, Protocol="TCP", LocalPort="22", Stateful=True)
    assert passes(bench, "Outbound", **answer)
    assert not passes(bench, "Outbound", **{**answer, "local_port": 23})
    assert not passes(bench, "Outbound", **{**answer, "is_reply": False})


def test_a_stateless_rule_before_a_stateful_one_makes_no_flow(bench: Bench) -> None:
    nic = closed(bench)
    add(bench, nic, "Inbound", "Allow", 10, Protocol="TCP", Stateful=True)
    add(bench, nic, "Inbound", "Allow", 11)
    assert not passes(bench, "Outbound", is_reply=True)


@pytest.mark.parametrize(
    "given",
    [
        {"weight": 65536},
        {"weight": -1},
        {"RemoteIPAddress": "10.0.0.5/24"},
        {"RemoteIPAddress": "nowhere"},
        {"LocalIPAddress": OWN, "RemoteIPAddress": "fd00::/8"},
        {"RemoteIPAddress": "2001:0db8:1111:2222:3333:4444:5555:6600/120"},
        {"Protocol": "TCP", "LocalPort": "90-80"},
        {"Protocol": "TCP", "LocalPort": "80,90"},
        {"Protocol": "TCP", "LocalPort": "65536"},
        {"LocalPort": "80"},
        {"Protocol": "1", "LocalPort": "8"},
        {"Protocol": "SCTP"},
        {"Protocol": "256"},
        {"Stateful": True},
        {"Protocol": "1", "Stateful": True},
        {"Protocol": "TCP", "Stateful": True, "action": "Deny"},
        {"Protocol": "TCP", "Stateful": True, "IdleSessionTimeout": -1},
    ],
    ids=str,
)
def test_what_no_rule_can_say_is_refused(bench: Bench, given: dict[str, object]) -> None:
    nic = port(bench)
    asked = {"weight": 5, "action": "Allow", **given}
    with fails("InvalidParameter", "InvalidArgument"):
        add(bench, nic, "Inbound", **asked)  # type: ignore[arg-type]
    assert bench("Get-VMNetworkAdapterExtendedAcl", VMNetworkAdapter=nic) == []


def test_a_direction_has_a_weight_once(bench: Bench) -> None:
    nic = closed(bench)
    with fails("OperationFailed", hresult="0x80070050"):
        add(bench, nic, "Inbound", "Allow", 1)
    assert len(bench("Get-VMNetworkAdapterExtendedAcl", VMNetworkAdapter=nic)) == 2


def test_a_rule_reads_as_it_was_said(bench: Bench) -> None:
    nic = port(bench)
    add(
        bench, nic, "Inbound", "Allow", 7,
        Protocol="TCP", LocalPort="22", RemoteIPAddress="10.0.0.0/8", Stateful=True,
        IdleSessionTimeout=3600,
    )  # fmt: skip
    (rule,) = bench("Get-VMNetworkAdapterExtendedAcl", VMName="i-1")
    names = (
        *("LocalIPAddress", "RemoteIPAddress", "LocalPort", "RemotePort", "Protocol"),
        *("Weight", "Stateful", "IdleSessionTimeout"),
    )
    values = [rule.property(name) for name in names]
    assert values == ["ANY", "10.0.0.0/8", "22", "ANY", "TCP", 7, True, 3600]


def test_a_rule_goes_by_its_direction_and_weight_or_as_itself(bench: Bench) -> None:
    nic = closed(bench)
    bench("Remove-VMNetworkAdapterExtendedAcl", VMNetworkAdapter=nic, Direction="Inbound", Weight=1)
    assert passes(bench, "Inbound")
    assert not passes(bench, "Outbound")
    with fails("ObjectNotFound"):
        bench(
            "Remove-VMNetworkAdapterExtendedAcl",
            VMNetworkAdapter=nic,
            Direction="Inbound",
            Weight=1,
        )
    rest = bench("Get-VMNetworkAdapterExtendedAcl", VMNetworkAdapter=nic)
    bench("Remove-VMNetworkAdapterExtendedAcl", InputObject=rest)
    assert passes(bench, "Outbound")


def test_rules_outlive_restarts_of_everything(tmp_path: Path) -> None:
    first = Bench(tmp_path / "world.sqlite3")
    closed(first)
    first("Start-VM", Name="i-1")
    first.clock.advance(10)
    first.console.reboot_host(first.host)
    first.world.close()
    second = Bench(tmp_path / "world.sqlite3")
    assert not passes(second, "Inbound")
    second.console.forget_rules(second.host, "i-1")
    assert passes(second, "Inbound")
    second.world.close()


def test_rules_go_where_the_machine_goes(tmp_path: Path) -> None:
    world = World(tmp_path / "world.sqlite3")
    console = Console(world)
    made = console.add_foreign_vm("lab-a", "i-1")
    machine = LabMachine(world, "lab-a")
    nics = machine.invoke("Hyper-V\\Get-VMNetworkAdapter", {"VMName": "i-1"}).objects
    rule = {"Action": "Deny", "Direction": "Inbound", "Weight": 1}
    machine.invoke(
        "Hyper-V\\Add-VMNetworkAdapterExtendedAcl", {"VMNetworkAdapter": list(nics), **rule}
    )
    machine.invoke(
        "Hyper-V\\Connect-VMNetworkAdapter",
        {"VMNetworkAdapter": list(nics), "SwitchName": "ec2gw"},
    )
    console.move("lab-a", made, "lab-b")
    assert not console.would_pass("lab-b", "i-1", "Inbound", TCP, OWN, PEER)
    console.forget_rules("lab-b", "i-1")
    assert console.would_pass("lab-b", "i-1", "Inbound", TCP, OWN, PEER)
    world.close()


def test_guards_hold_whatever_the_rules_say(bench: Bench) -> None:
    nic = port(bench)
    bench("Set-VMNetworkAdapter", VMNetworkAdapter=nic, DhcpGuard="On", RouterGuard="On")
    assert not passes(bench, "Outbound", UDP, local_port=67, remote_port=68)
    assert passes(bench, "Outbound", UDP, local_port=68, remote_port=67)
    v6 = {"local": "fe80::1", "remote": "ff02::1"}
    assert not passes(bench, "Outbound", ICMPV6, icmp_type=134, **v6)
    assert passes(bench, "Outbound", ICMPV6, icmp_type=135, **v6)
    assert not passes(bench, "Outbound", mac="02AABBCCDDEE")
    bench("Set-VMNetworkAdapter", VMNetworkAdapter=nic, MacAddressSpoofing="On")
    assert passes(bench, "Outbound", mac="02AABBCCDDEE")


def test_the_console_answers_on_the_command_line(bench: Bench) -> None:
    closed(bench)
    command = [sys.executable, "-m", "ec2gw.lab.console", str(bench.path), "would-pass"]
    words = [bench.host, "i-1", "Inbound", "6", OWN, PEER, "22", "50000", "true"]
    said = subprocess.run(
        [*command, *words], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(said.stdout) is False


def test_many_rules_are_weighed_in_bounded_time() -> None:
    nic = model.Nic("1", "eni", switch="s", acls=[
        model.Acl("Inbound", "Allow", weight, remote_address=f"10.0.{weight % 250}.0/24")
        for weight in range(1, 2001)
    ])  # fmt: skip
    packet = filtering.Packet("Inbound", TCP, OWN, "10.0.7.1")
    found = filtering.deciding(nic.acls, packet)
    assert found is not None
    assert found.weight == 1757
