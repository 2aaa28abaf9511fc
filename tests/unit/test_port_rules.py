"""What passes an adapter's port: rules from openings, and tables on their way to other rules."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from translators.hyperv import acl, nic
from translators.hyperv.acl import Opening, Port, Rule, Weighed
from translators.hyperv.host import Answer

VM = "6b29fc40-ca47-1067-b31d-00dd010662da"
OWN = "172.31.0.5"
OWN_V6 = "2001:db8::5"
ANYWHERE = ("0.0.0.0/0",)


@dataclasses.dataclass(frozen=True)
class Packet:
    """A packet at the port of an adapter, as its guest sees it: local is the guest's side."""

    inbound: bool
    remote: str
    protocol: int = acl.TCP
    local: str = OWN
    remote_port: int = 40000
    local_port: int = 22

    def back(self) -> Packet:
        return dataclasses.replace(self, inbound=not self.inbound)


def passes(table: Sequence[Weighed], packet: Packet) -> bool:
    """Whether the first packet of a conversation passes, and the answer to it."""
    rule = decides(table, packet)
    if rule is None or rule.action == "Deny":
        return rule is None
    if rule.stateful:
        return True
    answered = decides(table, packet.back())
    return answered is None or answered.action == "Allow"


def lets_out(table: Sequence[Weighed], packet: Packet) -> bool:
    """Whether this packet alone passes."""
    rule = decides(table, packet)
    return rule is None or rule.action == "Allow"


def decides(table: Sequence[Weighed], packet: Packet) -> Rule | None:
    for one in sorted(table, key=lambda one: -one.weight):
        if matches(one.rule, packet):
            return one.rule
    return None


def matches(rule: Rule, packet: Packet) -> bool:
    numbers = {"TCP": acl.TCP, "UDP": acl.UDP}
    return (
        (rule.direction == "Inbound") is packet.inbound
        and (rule.protocol == acl.ANY or packet.protocol == numbers.get(rule.protocol))
        | (rule.protocol == str(packet.protocol))
        and within(packet.remote, rule.remote)
        and within(packet.local, rule.local)
        and among(packet.remote_port, rule.remote_port)
        and among(packet.local_port, rule.local_port)
    )


def within(address: str, network: str) -> bool:
    return network == acl.ANY or ipaddress.ip_address(address) in ipaddress.ip_network(network)


def among(port: int, ports: str) -> bool:
    first, _, last = ports.partition("-")
    return ports == acl.ANY or int(first) <= port <= int(last or first)


def table(port: Port) -> list[Weighed]:
    return list(acl.compare(acl.desired(port), ()).adds)


def opened(*openings: Opening, **more: Any) -> list[Weighed]:
    return table(Port((OWN,), openings=openings, **more))


SSH = Opening(inbound=True, protocol=acl.TCP, ports=(22, 22), peers=("10.0.0.0/8",))
ALL_OUT = Opening(inbound=False, protocol=None, ports=None, peers=ANYWHERE)


# -- what passes


def test_nothing_passes_a_port_with_no_openings() -> None:
    closed = opened()
    for remote, local in (("10.0.0.1", OWN), ("2001:db8::1", OWN_V6)):
        for inbound in (True, False):
            for protocol in (1, 6, 17, 47, 58):
                assert not lets_out(closed, Packet(inbound, remote, protocol, local))


def test_what_is_open_passes_with_its_answers() -> None:
    ssh = opened(SSH)
    assert passes(ssh, Packet(inbound=True, remote="10.1.2.3"))
    assert not passes(ssh, Packet(inbound=True, remote="11.1.2.3"))
    assert not passes(ssh, Packet(inbound=True, remote="10.1.2.3", local_port=23))
    assert not passes(ssh, Packet(inbound=True, remote="10.1.2.3", protocol=acl.UDP))
    # The answer passes as part of the flow, and nothing else that the guest might send.
    assert not lets_out(ssh, Packet(inbound=False, remote="10.1.2.3"))


def test_a_rule_for_everything_keeps_flows_of_tcp_and_udp() -> None:
    out = opened(ALL_OUT)
    for protocol in (acl.TCP, acl.UDP, 1):
        assert passes(out, Packet(inbound=False, remote="8.8.8.8", protocol=protocol)), protocol
    for protocol in (acl.TCP, acl.UDP, 47):
        assert not lets_out(out, Packet(inbound=True, remote="8.8.8.8", protocol=protocol))
    # No flow is kept of other protocols: it gets out, and what comes back needs a rule.
    assert lets_out(out, Packet(inbound=False, remote="8.8.8.8", protocol=47))


def test_a_wide_rule_does_not_take_the_flow_from_a_narrow_one() -> None:
    """Where a stateless rule would match first, the answers would be lost."""
    both = opened(dataclasses.replace(ALL_OUT, inbound=True, peers=("10.0.0.0/8",)), SSH)
    assert passes(both, Packet(inbound=True, remote="10.1.2.3"))


def test_a_guest_speaks_under_its_own_addresses_alone() -> None:
    out = opened(ALL_OUT)
    assert not lets_out(out, Packet(inbound=False, remote="8.8.8.8", local="172.31.0.6"))
    assert not lets_out(out, Packet(inbound=False, remote="2001:db8::1", local=OWN_V6))
    router = table(Port(None, openings=(ALL_OUT,)))
    assert lets_out(router, Packet(inbound=False, remote="8.8.8.8", local="172.31.0.6"))


def test_ipv6_is_open_for_an_address_of_its_own() -> None:
    web = Opening(inbound=True, protocol=acl.TCP, ports=(80, 80), peers=("::/0", "0.0.0.0/0"))
    dual = table(Port((OWN, OWN_V6), openings=(web,)))
    asked = Packet(inbound=True, remote="2001:db8::1", local=OWN_V6, local_port=80)
    assert passes(dual, asked)
    assert not passes(dual, dataclasses.replace(asked, local="2001:db8::6"))
    assert not passes(opened(web), asked)


@pytest.mark.parametrize(
    "packet",
    [
        Packet(False, "255.255.255.255", acl.UDP, "0.0.0.0", remote_port=67, local_port=68),
        Packet(True, "172.31.0.1", acl.UDP, OWN, remote_port=67, local_port=68),
        Packet(False, acl.METADATA, acl.TCP, OWN, remote_port=80, local_port=50000),
        Packet(False, "ff02::1:ff00:5", 58, "fe80::5"),
        Packet(True, "fe80::1", 58, "fe80::5"),
        Packet(False, "172.31.0.2", acl.UDP, OWN, remote_port=53, local_port=50000),
    ],
    ids=["dhcp asks", "dhcp answers", "metadata", "neighbour", "router", "name server"],
)
def test_what_ec2_always_lets_through_passes_a_closed_port(packet: Packet) -> None:
    assert lets_out(opened(resolvers=("172.31.0.2",)), packet)


def test_a_guest_is_no_server_of_dhcp() -> None:
    offer = Packet(False, "172.31.0.9", acl.UDP, OWN, remote_port=68, local_port=67)
    assert not lets_out(opened(), offer)


def test_peers_are_joined_where_they_fill_a_range() -> None:
    members = tuple(f"172.31.0.{number}" for number in (4, 5, 6, 7, 9))
    peers = dataclasses.replace(SSH, peers=members)
    covered = dataclasses.replace(SSH, peers=("172.31.0.6/32", "172.31.0.9/32"))
    ours = {one.rule.remote for one in opened(peers, covered) if one.rule.local_port == "22"}
    assert ours == {"172.31.0.4/30", "172.31.0.9"}


def test_a_range_that_a_host_has_no_room_to_write_stays_closed() -> None:
    long = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff80/121"
    web = Opening(inbound=True, protocol=acl.TCP, ports=(80, 80), peers=(long,))
    assert table(Port((OWN_V6,), openings=(web,))) == table(Port((OWN_V6,)))


def test_weights_are_unique_in_a_direction_and_fit_a_host() -> None:
    many = [
        dataclasses.replace(SSH, ports=(port, port), peers=("10.0.0.0/9", "11.0.0.0/9"))
        for port in range(100, 600)
    ]
    used = [(one.rule.direction, one.weight) for one in opened(*many, ALL_OUT)]
    assert len(set(used)) == len(used) > 1000
    assert all(0 < weight < 2**16 for _, weight in used)


def test_the_fuller_direction_is_counted() -> None:
    least = acl.count(acl.desired(Port((OWN,))))
    assert acl.count(acl.desired(Port((OWN,), openings=(SSH,)))) in (least, least + 1)
    twice = dataclasses.replace(
        SSH, peers=tuple(f"10.{number}.0.0/16" for number in range(0, 40, 2))
    )
    assert acl.count(acl.desired(Port((OWN,), openings=(twice,)))) >= 20


# -- how tables change


def test_a_rule_that_stays_keeps_its_weight() -> None:
    before = opened(SSH)
    other = dataclasses.replace(SSH, ports=(1, 1))
    change = acl.compare(acl.desired(Port((OWN,), openings=(other, SSH))), before)
    assert [one.rule.local_port for one in change.adds] == ["1"]
    assert change.removes == ()


def test_the_same_table_needs_no_change() -> None:
    port = Port((OWN,), openings=(SSH, ALL_OUT))
    assert not acl.compare(acl.desired(port), table(port))


def test_what_an_administrator_added_goes_and_what_was_deleted_comes_back() -> None:
    before = opened(SSH)
    denied = [one for one in before if one.rule.action == "Deny"]
    foreign = [
        Weighed(Rule("Inbound", "Allow"), 1_500),
        Weighed(Rule("Inbound", "Deny"), 64_999),
        Weighed(denied[0].rule, 60_000),
        Weighed(next(iter(before)).rule, 990),
    ]
    wanted = acl.desired(Port((OWN,), openings=(SSH,)))
    change = acl.compare(wanted, [*before, *foreign])
    assert set(change.removes) == set(foreign)
    assert change.adds == ()
    assert {one.rule for one in acl.compare(wanted, before[1:]).adds} == {before[0].rule}


def test_a_band_that_others_filled_is_told() -> None:
    others = [
        Weighed(Rule("Inbound", "Deny", local_port=str(weight)), weight) for weight in acl.DENIES
    ]
    with pytest.raises(acl.Full):
        acl.compare(acl.desired(Port((OWN,))), others)


def test_denies_come_first_and_go_last() -> None:
    change = acl.compare(acl.desired(Port((OWN,), openings=(SSH,))), ())
    actions = [one.rule.action for one in change.adds]
    assert actions == sorted(actions, reverse=True)
    away = [one.rule.action for one in acl.compare((), opened(SSH)).removes]
    assert away == sorted(away)


def test_a_new_adapter_has_its_denies_whatever_fits_one_plan() -> None:
    ports = tuple(dataclasses.replace(SSH, ports=(port, port)) for port in range(200))
    wanted = acl.desired(Port((OWN,), openings=ports))
    made = acl.first(wanted, 60)
    assert len(made) == 60
    assert {one.rule for one in made} >= acl.DENY | acl.BASE
    assert acl.compare(wanted, made).removes == ()


PEERS = ("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.7/32", "10.0.0.6/32")
openings = st.builds(
    Opening,
    inbound=st.booleans(),
    protocol=st.sampled_from([None, 1, acl.TCP, acl.UDP, 47]),
    ports=st.sampled_from([None, (22, 22), (20, 80), (23, 23)]),
    peers=st.lists(st.sampled_from(PEERS), min_size=1, max_size=3).map(tuple),
)
ports_of = st.builds(
    Port, st.sampled_from([(OWN,), None]), openings=st.lists(openings, max_size=4).map(tuple)
)
PACKETS = [
    Packet(inbound, remote, protocol, local, remote_port=port, local_port=port)
    for inbound in (True, False)
    for remote in ("10.0.0.7", "10.0.0.8", "10.200.0.1", "8.8.8.8")
    for protocol in (1, acl.TCP, acl.UDP, 47)
    for local in (OWN, "172.31.0.99")
    for port in ((22,) if protocol not in (acl.TCP, acl.UDP) else (22, 23, 81))
]


@settings(max_examples=60, deadline=None)
@example(
    before=Port((OWN,), openings=(SSH,)),
    after=Port((OWN,), openings=(dataclasses.replace(ALL_OUT, inbound=True),)),
    most=1,
)
@given(before=ports_of, after=ports_of, most=st.integers(1, 9))
def test_a_change_may_end_anywhere_and_what_both_want_holds(
    before: Port, after: Port, most: int
) -> None:
    """Between any two calls, and however few a plan may hold."""
    rows, wanted = table(before), acl.desired(after)
    both = [(packet, passes(rows, packet), passes(table(after), packet)) for packet in PACKETS]
    alone = [(one, lets_out(rows, one), lets_out(table(after), one)) for one in PACKETS]
    while change := acl.compare(wanted, rows):
        for now in steps(rows, change, most):
            denied = {one.rule for one in now if one.rule.action == "Deny"}
            assert denied == acl.DENY
            for packet, was, will in both:
                if was and will:
                    assert passes(now, packet), packet
            for packet, was, will in alone:
                if not was and not will:
                    assert not lets_out(now, packet), packet
            rows = now
    assert {one.rule for one in rows} == wanted


def steps(rows: list[Weighed], change: acl.Change, most: int) -> Iterable[list[Weighed]]:
    """The tables that the calls of one plan lead through."""
    plan = nic.change(VM, "eni-1", nic.Sight(guarded=True, rules=tuple(rows)), change, most)
    for call in plan.calls[2:]:
        said = call.parameters
        place = (said["Direction"], said["Weight"])
        if "\\Remove-" in call.cmdlet:
            rows = [row for row in rows if (row.rule.direction, row.weight) != place]
        else:
            assert place not in {(row.rule.direction, row.weight) for row in rows}
            rows = [*rows, listed(said)]
        yield rows


def listed(said: Mapping[str, Any]) -> Weighed:
    """The rule as a host lists it that was told so."""
    names = ("LocalIPAddress", "RemoteIPAddress", "LocalPort", "RemotePort", "Protocol")
    local, remote, local_port, remote_port, protocol = (said.get(name, "ANY") for name in names)
    return sight(
        direction=said["Direction"],
        action=said["Action"],
        local=local,
        remote=remote,
        local_port=local_port,
        remote_port=remote_port,
        protocol=protocol,
        weight=said["Weight"],
        stateful=said.get("Stateful", False),
    ).rules[0]


def sight(*, spoofing: str = "Off", **row: Any) -> nic.Sight:
    guards: dict[str, Any] = {
        "macaddressspoofing": spoofing,
        "dhcpguard": "On",
        "routerguard": "On",
    }
    return nic.seen(Answer({"nic": [guards], "rules": [row] if row else []}, done=3))


# -- on a host


def test_a_plan_holds_no_more_than_a_host_does_in_time() -> None:
    many = tuple(dataclasses.replace(SSH, ports=(port, port)) for port in range(100))
    change = acl.compare(acl.desired(Port((OWN,), openings=many)), opened(SSH))
    guarded = nic.Sight(guarded=True, rules=())
    plan = nic.change(VM, "eni-1", guarded, change)
    words = [call.cmdlet.partition("\\")[2].partition("-")[0] for call in plan.calls]
    assert words == ["Get", "Get", *["Add"] * nic.MOST_CHANGES]


def test_what_is_too_much_goes_in_the_plan_that_adds_the_last() -> None:
    change = acl.compare(acl.desired(Port((OWN,))), opened(SSH))
    loose = nic.Sight(guarded=False, rules=())
    plan = nic.change(VM, "eni-1", loose, change)
    words = [call.cmdlet.partition("\\")[2].partition("-")[0] for call in plan.calls]
    assert words == ["Get", "Get", "Set", "Remove"]


@pytest.mark.parametrize(
    ("read", "means"),
    [
        ({"protocol": "6", "remote": "10.0.0.0/8"}, {"protocol": "TCP", "remote": "10.0.0.0/8"}),
        ({"protocol": "icmpv6", "remote": "FE80::/10"}, {"protocol": "58", "remote": "fe80::/10"}),
        ({"remote": "10.0.0.7/32", "local": "*"}, {"remote": "10.0.0.7"}),
        ({"local_port": "22-22", "remote_port": "0-65535"}, {"local_port": "22"}),
        ({"local_port": "", "remote_port": None, "protocol": "any"}, {}),
    ],
)
def test_what_hosts_write_differently_is_read_the_same(
    read: dict[str, Any], means: dict[str, Any]
) -> None:
    row = dict.fromkeys(("local", "remote", "local_port", "remote_port", "protocol"), "ANY")
    row |= {"direction": "Inbound", "action": "Allow", **read}
    found = sight(**row, weight=7, stateful=False)
    assert found == nic.Sight(True, (Weighed(Rule("Inbound", "Allow", **means), 7),))


def test_an_adapter_without_its_guards_is_seen() -> None:
    assert sight().guarded
    assert not sight(spoofing="On").guarded
