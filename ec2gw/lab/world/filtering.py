"""What passes the port of a network adapter: extended ACLs over one packet. Pure; no session.

Of the rules that match in a direction the one with the largest weight decides; where none matches,
the packet passes. An answer belongs to the flow that a stateful rule let through, and passes by it.
A rule knows addresses, protocol and ports; the types of ICMP it cannot tell apart.

Source: learn.microsoft.com, "Create Security Policies with Extended Port Access Control Lists";
Msvm_EthernetSwitchPortExtendedAclSettingData (lengths of its texts, width of its weight).
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.world import model

ANY = "ANY"
PROTOCOLS: Mapping[str, int] = {"TCP": 6, "UDP": 17}
ICMP, ICMPV6 = 1, 58
WEIGHTS = range(2**16)
LONGEST = {"address": 40, "port": 21, "protocol": 15}
"""Characters of the texts."""
DHCP_SERVER_PORTS = {4: 67, 6: 547}
ROUTER_ADVERTISEMENT = 134

_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


class BadRule(ValueError):
    """Not what an extended ACL can say."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet at a port, seen from its machine.

    Inbound it comes from `remote`, outbound it goes there. `is_reply`: it belongs to a flow that
    the other side of it began.
    """

    direction: str
    protocol: int
    local: str
    remote: str
    local_port: int = 0
    remote_port: int = 0
    icmp_type: int = 0
    is_reply: bool = False
    mac: str = ""
    """Under which address the machine sends; its own without."""

    def answered(self) -> Packet:
        """The packet of the other direction that this one answers."""
        direction = "Outbound" if self.direction == "Inbound" else "Inbound"
        return dataclasses.replace(self, direction=direction, is_reply=False)


def check(acl: model.Acl) -> None:
    """Hold a rule against what Hyper-V takes.

    :raises BadRule: saying what is wrong
    """
    texts = {
        "address": (acl.local_address, acl.remote_address),
        "port": (acl.local_port, acl.remote_port),
        "protocol": (acl.protocol,),
    }
    for kind, given in texts.items():
        for text in given:
            if len(text) > LONGEST[kind]:
                raise BadRule(f"a {kind} has at most {LONGEST[kind]} characters: {text}")
    if acl.weight not in WEIGHTS:
        raise BadRule(f"a weight lies below {WEIGHTS.stop}: {acl.weight}")
    versions = {
        network.version
        for text in (acl.local_address, acl.remote_address)
        if (network := _network(text)) is not None
    }
    if len(versions) > 1:
        raise BadRule("both addresses are of one version of IP")
    protocol = protocol_number(acl.protocol)
    ports = [_ports(text) for text in (acl.local_port, acl.remote_port)]
    if any(ports) and protocol not in PROTOCOLS.values():
        raise BadRule("ports go with TCP and UDP")
    if acl.stateful and (acl.action != "Allow" or protocol not in PROTOCOLS.values()):
        raise BadRule("only an allow of TCP or UDP is stateful")
    if acl.idle_seconds < 0:
        raise BadRule("a time does not lie below 0")


def protocol_number(text: str) -> int | None:
    """Read a protocol; None for any.

    :raises BadRule: for what is none
    """
    if text.upper() == ANY:
        return None
    known = PROTOCOLS.get(text.upper())
    if known is not None:
        return known
    if text.isascii() and text.isdecimal() and int(text) < 256:
        return int(text)
    raise BadRule(f"no protocol: {text}")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    if text.upper() == ANY:
        return None
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise BadRule(f"no address, and no network: {text}") from None


def _ports(text: str) -> range | None:
    if text.upper() == ANY:
        return None
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last < 2**16:
        raise BadRule(f"no port, and no range of ports: {text}")
    return range(first, last + 1)


def deciding(acls: Sequence[model.Acl], packet: Packet) -> model.Acl | None:
    """The rule that decides about a packet by itself; None when none matches."""
    matching = [one for one in acls if _matches(one, packet)]
    return max(matching, key=lambda one: one.weight, default=None)


def _matches(acl: model.Acl, packet: Packet) -> bool:
    protocol = protocol_number(acl.protocol)
    if acl.direction != packet.direction or protocol not in (None, packet.protocol):
        return False
    sides = (
        (acl.local_address, acl.local_port, packet.local, packet.local_port),
        (acl.remote_address, acl.remote_port, packet.remote, packet.remote_port),
    )
    for address, port, given_address, given_port in sides:
        network, ports = _network(address), _ports(port)
        if network is not None and ipaddress.ip_address(given_address) not in network:
            return False
        if ports is not None and given_port not in ports:
            return False
    return True


def passes(nic: model.Nic, packet: Packet) -> bool:
    """Whether a packet passes the port of an adapter, its guards included."""
    if nic.switch is None or _guarded(nic, packet):
        return False
    if packet.is_reply:
        first = deciding(nic.acls, packet.answered())
        if first is not None and first.action == "Allow" and first.stateful:
            return True
    rule = deciding(nic.acls, packet)
    return rule is None or rule.action == "Allow"


def _guarded(nic: model.Nic, packet: Packet) -> bool:
    if packet.direction == "Inbound":
        return False
    forged = packet.mac not in ("", nic.mac) and nic.mac_spoofing == "Off"
    version = ipaddress.ip_address(packet.local).version
    serves = packet.protocol == PROTOCOLS["UDP"] and packet.local_port == DHCP_SERVER_PORTS[version]
    routes = packet.protocol == ICMPV6 and packet.icmp_type == ROUTER_ADVERTISEMENT
    return forged or (serves and nic.dhcp_guard == "On") or (routes and nic.router_guard == "On")
