"""What may pass the port of a network adapter: extended ACLs as data, and how tables change.

The whole table of an adapter of ours is ours. Nothing passes but what a rule allows: denies that
match everything lie below all else, and are there before the adapter is connected. Allows are
bound to the adapter's own addresses, so that it can neither speak nor be spoken to under others.

Hyper-V takes the rule with the largest weight that matches. Of allows it does not matter which
one, but that stateful ones must come first: a packet that a stateless rule let through makes no
flow, so its answer would not pass. A weight is used once in a direction; a rule keeps the one that
it has, and what it says is compared without it.

Source: page of Add-VMNetworkAdapterExtendedAcl; Msvm_EthernetSwitchPortExtendedAclSettingData;
Windows Server, "Create Security Policies with Extended Port Access Control Lists".
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Direction = Literal["Inbound", "Outbound"]
Action = Literal["Allow", "Deny"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY: Final = "ANY"
TCP: Final = 6
UDP: Final = 17
ICMP: Final = {4: "1", 6: "58"}
"""IP version -> protocol; its types and codes cannot be told apart by a rule."""
_NAMES: Final[Mapping[int, str]] = {TCP: "TCP", UDP: "UDP"}
_BOTH: Final[tuple[Direction, Direction]] = ("Inbound", "Outbound")
METADATA: Final = "169.254.169.254"

DENIES: Final = range(1, 1_000)
STATELESS: Final = range(1_000, 25_000)
STATEFUL: Final = range(25_000, 65_000)
"""Bands of weights, from below."""
MOST_RULES: Final = 5_000
"""Of one direction of an adapter. Old and new ones must find a weight at the same time."""
_ADDRESS_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True, order=True)
class Rule:
    """What a rule says, as Hyper-V writes it, but for its weight."""

    direction: Direction
    action: Action
    remote: str = ANY
    local: str = ANY
    protocol: str = ANY
    remote_port: str = ANY
    local_port: str = ANY
    stateful: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Weighed:
    """A rule in an adapter's table."""

    rule: Rule
    weight: int


@dataclass(frozen=True, slots=True)
class Opening:
    """Something that is to be let through: a protocol (None: all), ports (None: all), and peers."""

    inbound: bool
    protocol: int | None
    ports: tuple[int, int] | None
    peers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Port:
    """An adapter's port: whose addresses it has (None: it may use any), and what is open.

    `resolvers` are the name servers of its network: a guest may always ask them.
    """

    addresses: tuple[str, ...] | None
    resolvers: tuple[str, ...] = ()
    openings: tuple[Opening, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What is missing in a table, and what is too much."""

    adds: tuple[Weighed, ...]
    removes: tuple[Weighed, ...]

    def __bool__(self) -> bool:
        return bool(self.adds or self.removes)


class Full(Exception):
    """There is no weight left for a rule that is missing."""


# -- what is wanted

DENY: Final = frozenset(
    Rule(direction, "Deny", remote)
    for direction in _BOTH
    # One of them is enough where ANY means both versions of IP; no host was asked.
    for remote in (ANY, "0.0.0.0/0", "::/0")
)
BASE: Final = frozenset(
    {
        # DHCP: before it has an address a guest speaks as 0.0.0.0 to everybody.
        Rule("Outbound", "Allow", protocol="UDP", local_port="68", remote_port="67"),
        Rule("Inbound", "Allow", protocol="UDP", local_port="68", remote_port="67"),
        # Neighbours and routers of IPv6 find each other on the link, never beyond.
        Rule("Inbound", "Allow", "fe80::/10", protocol=ICMP[6]),
        Rule("Outbound", "Allow", "fe80::/10", protocol=ICMP[6]),
        Rule("Outbound", "Allow", "ff02::/16", protocol=ICMP[6]),
    }
)


def desired(port: Port) -> frozenset[Rule]:
    """List the rules that let through what is open, and nothing else."""
    rules = set(DENY | BASE)
    rules.update(_stateful("Outbound", port, METADATA, TCP, "80"))
    for resolver in port.resolvers:
        for known in (TCP, UDP):
            rules.update(_stateful("Outbound", port, resolver, known, "53"))
    wanted: dict[tuple[bool, int | None, str], list[Network]] = {}
    for opening in port.openings:
        ports = _ports(opening.ports)
        networks = wanted.setdefault((opening.inbound, opening.protocol, ports), [])
        networks += (ipaddress.ip_network(peer) for peer in opening.peers)
    for (inbound, protocol, ports), networks in wanted.items():
        direction: Direction = "Inbound" if inbound else "Outbound"
        for network in _collapsed(networks):
            rules.update(_opened(direction, port, network, protocol, ports))
    return frozenset(rules)


def count(rules: Collection[Rule]) -> int:
    """How many rules the fuller direction has, to be held against `MOST_RULES`."""
    inbound = sum(rule.direction == "Inbound" for rule in rules)
    return max(inbound, len(rules) - inbound)


def _opened(
    direction: Direction, port: Port, network: Network, protocol: int | None, ports: str
) -> Iterator[Rule]:
    remote = written(network)
    if remote is None:
        return  # no host has room to write it: it stays closed
    icmp = ICMP[network.version]
    if str(protocol) in ICMP.values() and str(protocol) != icmp:
        return  # of the other version of IP
    for known in (TCP, UDP):
        if protocol in (known, None):
            yield from _stateful(direction, port, remote, known, ports)
    if protocol in (TCP, UDP):
        return
    name = ANY if protocol is None else str(protocol)
    yield from _stateless(direction, port, remote, name)
    if name in (ANY, icmp):
        # Of ICMP no flow is kept, and without the other way no answer would come.
        back: Direction = "Outbound" if direction == "Inbound" else "Inbound"
        yield from _stateless(back, port, remote, icmp)


def _stateful(
    direction: Direction, port: Port, remote: str, protocol: int, ports: str
) -> Iterator[Rule]:
    for local in _locals(port, remote):
        yield Rule(
            direction,
            "Allow",
            remote,
            local,
            _NAMES[protocol],
            remote_port=ports if direction == "Outbound" else ANY,
            local_port=ports if direction == "Inbound" else ANY,
            stateful=True,
        )


def _stateless(direction: Direction, port: Port, remote: str, protocol: str) -> Iterator[Rule]:
    for local in _locals(port, remote):
        yield Rule(direction, "Allow", remote, local, protocol)


def _locals(port: Port, remote: str) -> Sequence[str]:
    """The adapter's own addresses of the peer's version of IP."""
    if port.addresses is None:
        return (ANY,)
    is_v6 = ":" in remote
    return [address for address in port.addresses if (":" in address) is is_v6]


def _ports(ports: tuple[int, int] | None) -> str:
    if ports is None or ports == (0, 65535):
        return ANY
    first, last = ports
    return str(first) if first == last else f"{first}-{last}"


def _collapsed(networks: Iterable[Network]) -> Iterator[Network]:
    listed = list(networks)
    yield from ipaddress.collapse_addresses(
        [one for one in listed if isinstance(one, ipaddress.IPv4Network)]
    )
    yield from ipaddress.collapse_addresses(
        [one for one in listed if isinstance(one, ipaddress.IPv6Network)]
    )


def written(network: Network) -> str | None:
    """Write addresses as a rule has them; None when they are too long for one."""
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    text = str(network)
    return text if len(text) <= _ADDRESS_CHARACTERS else None


# -- how one becomes the other


def band(rule: Rule) -> range:
    """The weights that a rule may have."""
    if rule.action == "Deny":
        return DENIES
    return STATEFUL if rule.stateful else STATELESS


def compare(wanted: Collection[Rule], seen: Sequence[Weighed]) -> Change:
    """Find what is missing and what is too much.

    Rules that are wanted stay where they are, denies that are missing come first, and all that is
    too much goes after everything is there. So whatever the old and the new set both let through
    passes at every moment, and what neither does never passes.

    :raises Full: others have taken all weights of a band
    """
    kept: set[Rule] = set()
    taken: set[tuple[Direction, int]] = set()
    removes: list[Weighed] = []
    for one in sorted(seen, key=lambda one: one.weight):
        taken.add((one.rule.direction, one.weight))
        if one.rule in wanted and one.rule not in kept and one.weight in band(one.rule):
            kept.add(one.rule)
        else:
            removes.append(one)
    free = {
        (direction, weights): _free(direction, weights, taken)
        for direction in _BOTH
        for weights in (DENIES, STATELESS, STATEFUL)
    }
    adds: list[Weighed] = []
    for rule in sorted(set(wanted) - kept, key=lambda rule: (rule.action == "Allow", rule)):
        weight = next(free[rule.direction, band(rule)], None)
        if weight is None:
            raise Full(f"no weight is left for {rule}")
        adds.append(Weighed(rule, weight))
    # Allows that are too much go first: never is less denied than before.
    removes.sort(key=lambda one: (one.rule.action == "Deny", one))
    return Change(tuple(adds), tuple(removes))


def _free(
    direction: Direction, weights: range, taken: Collection[tuple[Direction, int]]
) -> Iterator[int]:
    return (weight for weight in weights if (direction, weight) not in taken)


def first(wanted: Collection[Rule], most: int) -> tuple[Weighed, ...]:
    """So many of the rules as a table that is still empty gets them.

    What all else rests on comes first; what is left out is found missing when it is compared.
    """
    rules = sorted(wanted, key=lambda rule: (rule not in DENY, rule not in BASE, rule))
    return compare(rules[:most], ()).adds
