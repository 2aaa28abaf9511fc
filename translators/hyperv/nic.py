"""A network adapter of ours on its host: its guards and its port's rules, looked at and changed.

Source: pages of Set-VMNetworkAdapter, Get-, Add- and Remove-VMNetworkAdapterExtendedAcl;
Msvm_EthernetSwitchPortExtendedAclSettingData for how what is not said reads.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from translators.hyperv import acl
from translators.hyperv.acl import ANY, Rule, Weighed
from translators.hyperv.host import Answer, Argument, Call, Flat, Plan, Ref

MOST_CHANGES: Final = 60
"""Of one plan: each takes a host up to half a second, and a plan has two minutes."""
_IDLE_SECONDS: Final[Mapping[str, int]] = {"TCP": 3600, "UDP": 180}
"""How long a flow is remembered that nobody uses. Hyper-V's own 255 s would end quiet sessions."""
_TAKE: Final[Mapping[str, str]] = {
    "direction": "Direction:text",
    "action": "Action:text",
    "local": "LocalIPAddress:text",
    "remote": "RemoteIPAddress:text",
    "local_port": "LocalPort:text",
    "remote_port": "RemotePort:text",
    "protocol": "Protocol:text",
    "weight": "Weight:int",
    "stateful": "Stateful:bool",
}
_GUARDS: Final[Mapping[str, str]] = {
    "MacAddressSpoofing": "Off",
    "DhcpGuard": "On",
    "RouterGuard": "On",
}
"""Settings of every adapter of ours."""
_NIC: Final = Ref("nic", at=0)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at an adapter's port found."""

    guarded: bool
    rules: tuple[Weighed, ...]


def look(vm_id: str, adapter: str) -> Plan:
    """See the settings and rules of an adapter, by the VM's GUID and the adapter's name."""
    guards = {name.lower(): f"{name}:text" for name in _GUARDS}
    vm, nic = _fetch(vm_id, adapter)
    calls = (
        vm,
        Call(nic.cmdlet, nic.parameters, keep="nic", take=guards),
        Call(
            "Hyper-V\\Get-VMNetworkAdapterExtendedAcl",
            {"VMNetworkAdapter": _NIC},
            keep="rules",
            take=_TAKE,
        ),
    )
    return Plan("look-port", calls)


def seen(answer: Answer) -> Sight:
    """Read what `look` brought back."""
    [nic, *_] = answer.results["nic"]
    guarded = all(nic[name.lower()] == value for name, value in _GUARDS.items())
    return Sight(guarded, tuple(_read(row) for row in answer.results["rules"]))


def change(
    vm_id: str, adapter: str, sight: Sight, change: acl.Change, most: int = MOST_CHANGES
) -> Plan:
    """Carry out a part of the change, as large as one plan may be; look and compare again then."""
    adds = change.adds[:most]
    # Nothing goes before everything is there.
    room = most - len(adds) if len(adds) == len(change.adds) else 0
    calls = [*_fetch(vm_id, adapter)]
    if not sight.guarded:
        calls.append(guard(_NIC))
    calls += (add(_NIC, one) for one in adds)
    calls += (_remove(_NIC, one) for one in change.removes[:room])
    return Plan("port-rules", tuple(calls), changes=True)


def guard(adapter: Ref) -> Call:
    """Have the switch hold the adapter to its own MAC address, and keep it from being a server."""
    return Call("Hyper-V\\Set-VMNetworkAdapter", {"VMNetworkAdapter": adapter, **_GUARDS})


def add(adapter: Ref, one: Weighed) -> Call:
    """Add a rule to an adapter; a direction has a weight once."""
    rule = one.rule
    said: dict[str, Argument] = {
        "VMNetworkAdapter": adapter,
        "Action": rule.action,
        "Direction": rule.direction,
        "Weight": one.weight,
    }
    chosen = {
        "LocalIPAddress": rule.local,
        "RemoteIPAddress": rule.remote,
        "LocalPort": rule.local_port,
        "RemotePort": rule.remote_port,
        "Protocol": rule.protocol,
    }
    said |= {name: value for name, value in chosen.items() if value != ANY}
    if rule.stateful:
        said |= {"Stateful": True, "IdleSessionTimeout": _IDLE_SECONDS[rule.protocol]}
    return Call("Hyper-V\\Add-VMNetworkAdapterExtendedAcl", said)


def _remove(adapter: Ref, one: Weighed) -> Call:
    return Call(
        "Hyper-V\\Remove-VMNetworkAdapterExtendedAcl",
        {"VMNetworkAdapter": adapter, "Direction": one.rule.direction, "Weight": one.weight},
    )


def _fetch(vm_id: str, adapter: str) -> tuple[Call, Call]:
    return (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMNetworkAdapter", {"VM": Ref("vm"), "Name": adapter}, keep="nic"),
    )


# -- how hosts write rules


def _read(row: Mapping[str, Flat]) -> Weighed:
    weight = row["weight"]
    rule = Rule(
        direction="Inbound" if row["direction"] == "Inbound" else "Outbound",
        action="Allow" if row["action"] == "Allow" else "Deny",
        remote=_address(row["remote"]),
        local=_address(row["local"]),
        protocol=_protocol(row["protocol"]),
        remote_port=_read_ports(row["remote_port"]),
        local_port=_read_ports(row["local_port"]),
        stateful=row["stateful"] is True,
    )
    return Weighed(rule, weight if isinstance(weight, int) else 0)


def _word(value: Flat) -> str:
    text = str(value or "").strip().upper()
    return ANY if text in ("", "*", ANY) else text


def _address(value: Flat) -> str:
    text = _word(value)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text  # ANY, or what none of our rules says
    return acl.written(network) or text


def _protocol(value: Flat) -> str:
    text = _word(value)
    names = {"6": "TCP", "17": "UDP", "ICMP": "1", "ICMPV4": "1", "ICMPV6": "58"}
    return names.get(text, text)


def _read_ports(value: Flat) -> str:
    text = _word(value)
    first, dash, last = text.partition("-")
    if dash and first == last:
        return first
    return ANY if text == "0-65535" else text
