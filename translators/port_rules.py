"""What the security groups of interfaces mean for their ports, and which ports are to be seen to.

Shared by families: groups change here, members there. Whatever changes what a port is to let
through raises `wanted` of its interface in the same transaction; the engine brings `applied` up to
it. That a rule is for a group's members is written out: each port has their addresses.

Source: EC2 User Guide, "Security group rules", "Security group connection tracking".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import (
    Instance,
    InterfaceGroup,
    InterfaceRules,
    Network,
    NetworkInterface,
    SecurityGroupRule,
)
from state.statements import Statement, listed
from translators.hyperv import acl

_PROTOCOLS: Final[Mapping[str, int | None]] = {
    "-1": None,
    "icmp": 1,
    "tcp": acl.TCP,
    "udp": acl.UDP,
    "icmpv6": 58,
}
_QUIET: Final = dt.timedelta(seconds=1)
_TOGETHER: Final = 50
"""Members that come and go at once are told to ports together: after a while in which none did, or
when so many have."""
_CHECKED_EVERY: Final = dt.timedelta(hours=1)
_CHECKED_TOGETHER: Final = 50
_ANY_ADDRESS: Final = "192.0.2.1"
"""Stands for the own address of a port whose rules are only counted."""
_MOST_PER_PEER: Final = 3
"""Rules of one direction that one rule of a group becomes for one peer."""

# Statements are made once: to make one costs several times what it costs to run it.

_Group: Final = InterfaceGroup
_Rule: Final = SecurityGroupRule
_GIVEN: Final = listed("groups", sa.BigInteger)
_MEMBERS: Final = sa.select(_Group.interface_key).where(_Group.group_key.in_(_GIVEN))
_REFERRING: Final = sa.select(_Group.interface_key).where(
    _Group.group_key.in_(sa.select(_Rule.group_key).where(_Rule.referenced_group_key.in_(_GIVEN)))
)
_LISTED: Final = listed("interfaces", sa.BigInteger)


def _raise(interfaces: Any) -> Statement:
    return Statement(
        sa.update(InterfaceRules)
        .where(InterfaceRules.interface_key.in_(interfaces))
        .values(
            wanted=InterfaceRules.wanted + 1,
            changed_at=sa.bindparam("now", type_=InterfaceRules.changed_at.type),
        )
    )


_RAISE_MEMBERS: Final = _raise(_MEMBERS)
_RAISE_REFERRING: Final = _raise(_REFERRING)
_RAISE_LISTED: Final = _raise(_LISTED)
_HOSTS: Final = Statement(
    sa.select(Instance.host_key)
    .distinct()
    .join(NetworkInterface, NetworkInterface.instance_key == Instance.key)
    .join(InterfaceRules, InterfaceRules.interface_key == NetworkInterface.key)
    .where(InterfaceRules.wanted > InterfaceRules.applied)
)
_OWN: Final = Statement(
    sa.select(
        NetworkInterface.private_ip,
        NetworkInterface.source_dest_check,
        Network.dns,
    )
    .join(Network, Network.key == NetworkInterface.network_key)
    .where(NetworkInterface.key == sa.bindparam("interface"))
)
_GROUPS_OF: Final = Statement(
    sa.select(_Group.group_key).where(_Group.interface_key == sa.bindparam("interface"))
)
_RULES: Final = Statement(
    sa.select(
        _Rule.is_egress,
        _Rule.protocol,
        _Rule.from_port,
        _Rule.to_port,
        _Rule.cidr_ipv4,
        _Rule.cidr_ipv6,
        _Rule.referenced_group_key,
    )
    .where(_Rule.group_key.in_(_GIVEN))
    .order_by(_Rule.key)
)
_ADDRESSES: Final = Statement(
    sa.select(_Group.group_key, NetworkInterface.private_ip)
    .join(NetworkInterface, NetworkInterface.key == _Group.interface_key)
    .where(_Group.group_key.in_(_GIVEN))
)
_DUE: Final = Statement(
    sa.select(InterfaceRules.interface_key, InterfaceRules.wanted, Instance.key)
    .join(NetworkInterface, NetworkInterface.key == InterfaceRules.interface_key)
    .join(Instance, Instance.key == NetworkInterface.instance_key)
    .where(
        InterfaceRules.wanted > InterfaceRules.applied,
        sa.or_(
            # A time that is still to come was told by a clock that has been set back.
            sa.not_(InterfaceRules.changed_at.between(sa.bindparam("since"), sa.bindparam("now"))),
            InterfaceRules.wanted - InterfaceRules.applied >= _TOGETHER,
        ),
        Instance.host_key == sa.bindparam("host"),
        Instance.vm_id.is_not(None),
        Instance.phase.not_in(("pending", "shutting-down", "terminated")),
    )
    .order_by(InterfaceRules.changed_at)
)


# -- what is to be seen to


def due(session: Session, host_key: int, now: dt.datetime) -> list[tuple[int, int, int]]:
    """List a host's ports that are to be seen to: interface, what it wants, and its instance."""
    return _DUE.run(session, {"host": host_key, "since": now - _QUIET, "now": now})


def changed(session: Session, group_keys: Collection[int], now: dt.datetime) -> set[int]:
    """Have the ports of these groups' members seen to at once; answer the hosts with work."""
    _RAISE_MEMBERS.run(session, {"groups": list(group_keys), "now": now - _QUIET})
    return _hosts(session)


def joined_or_left(session: Session, group_keys: Collection[int], now: dt.datetime) -> None:
    """Have the ports seen to whose rules speak of these groups: who is in them has changed."""
    _RAISE_REFERRING.run(session, {"groups": list(group_keys), "now": now})


def moved(session: Session, interface_keys: Iterable[int], now: dt.datetime) -> set[int]:
    """Have these very ports seen to at once; answer the hosts with work."""
    _RAISE_LISTED.run(session, {"interfaces": list(interface_keys), "now": now - _QUIET})
    return _hosts(session)


def _hosts(session: Session) -> set[int]:
    return {host_key for (host_key,) in _HOSTS.run(session, {})}


def groups_of(session: Session, interface_key: int) -> list[int]:
    """The groups that an interface is in."""
    return [key for (key,) in _GROUPS_OF.run(session, {"interface": interface_key})]


def put_in(
    session: Session, interface_key: int, group_keys: Collection[int], now: dt.datetime
) -> set[int]:
    """Let an interface be in these groups and no others; answer the hosts with work."""
    before = set(groups_of(session, interface_key))
    after = set(group_keys)
    if before == after:
        return set()
    session.execute(
        sa.delete(InterfaceGroup).where(
            InterfaceGroup.interface_key == interface_key,
            InterfaceGroup.group_key.in_(before - after),
        )
    )
    rows = [{"interface_key": interface_key, "group_key": key} for key in sorted(after - before)]
    if rows:
        session.execute(sa.insert(InterfaceGroup), rows)
    joined_or_left(session, before ^ after, now)
    return moved(session, [interface_key], now)


def recheck(session: Session, host_key: int, *, restarted: bool, now: dt.datetime) -> None:
    """Have ports of a host looked at again: all after its restart, else those not seen for long.

    Settings of ports were seen to vanish, and administrators delete rules.
    """
    here = (
        sa.select(InterfaceRules.interface_key)
        .join(NetworkInterface, NetworkInterface.key == InterfaceRules.interface_key)
        .join(Instance, Instance.key == NetworkInterface.instance_key)
        .where(Instance.host_key == host_key, InterfaceRules.wanted == InterfaceRules.applied)
    )
    if not restarted:
        seen_before = InterfaceRules.changed_at < now - _CHECKED_EVERY
        here = here.where(seen_before).limit(_CHECKED_TOGETHER)
    if keys := list(session.scalars(here)):
        moved(session, keys, now)


# -- what they are to let through


def port(session: Session, interface_key: int) -> acl.Port:
    """What the port of an interface is to let through by now."""
    [own] = _OWN.named(session, {"interface": interface_key})
    # Who does not check source and destination may speak for others: a router, a NAT instance.
    addresses = (own.private_ip,) if own.source_dest_check else None
    return acl.Port(
        addresses, tuple(own.dns), _openings(session, groups_of(session, interface_key))
    )


def _openings(session: Session, group_keys: Collection[int]) -> tuple[acl.Opening, ...]:
    rules = _RULES.named(session, {"groups": list(group_keys)})
    referred = {rule.referenced_group_key for rule in rules} - {None}
    members: dict[int, list[str]] = {key: [] for key in referred}
    for group_key, address in _ADDRESSES.run(session, {"groups": list(referred)}):
        members[group_key].append(address)
    return tuple(_opening(rule, members) for rule in rules)


def _opening(rule: Any, members: Mapping[int, list[str]]) -> acl.Opening:
    protocol = _PROTOCOLS[rule.protocol] if rule.protocol in _PROTOCOLS else int(rule.protocol)
    ports = None
    if protocol in (acl.TCP, acl.UDP):
        ports = (rule.from_port, rule.to_port)
    cidr = rule.cidr_ipv4 or rule.cidr_ipv6
    peers = (cidr,) if cidr is not None else tuple(members[rule.referenced_group_key])
    return acl.Opening(not rule.is_egress, protocol, ports, peers)


def fits(session: Session, group_key: int) -> bool:
    """Tell whether every port with this group has room for what its groups want by now."""
    together: dict[int, set[int]] = {}
    mine = sa.select(InterfaceGroup.interface_key).where(InterfaceGroup.group_key == group_key)
    for interface_key, key in session.execute(
        sa.select(InterfaceGroup.interface_key, InterfaceGroup.group_key).where(
            InterfaceGroup.interface_key.in_(mine)
        )
    ):
        together.setdefault(interface_key, set()).add(key)
    sets = {frozenset(keys) for keys in together.values()} | {frozenset([group_key])}
    return all(_fits(session, keys) for keys in sets)


def _fits(session: Session, group_keys: frozenset[int]) -> bool:
    openings = _openings(session, group_keys)
    least = len(acl.BASE | acl.DENY) + 1
    if least + _MOST_PER_PEER * sum(len(one.peers) for one in openings) <= acl.MOST_RULES:
        return True
    return acl.count(acl.desired(acl.Port((_ANY_ADDRESS,), (), openings))) <= acl.MOST_RULES
