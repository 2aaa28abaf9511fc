"""What a request says of rules: read, checked, and brought into the form in which they are kept.

Changes nothing. Groups are looked for; whether a rule is there is for the action to say.

Source: EC2 API Reference, AuthorizeSecurityGroupIngress and -Egress, data types IpPermission and
SecurityGroupRuleRequest; EC2 User Guide, "Security group rules".
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from state import ids
from state.models import SecurityGroup
from translators import errors, listing
from translators.ec2.security_groups import group_errors
from translators.registry import Context

_NAMES: Final[Mapping[int, str]] = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_NUMBERS: Final = {name: name for name in _NAMES.values()} | {"-1": "-1"}
_WITH_PORTS: Final = ("tcp", "udp")
_WITH_TYPES: Final = ("icmp", "icmpv6")
_LAST_PORT: Final = 65535
_ALL: Final = -1
"""EC2's number for all types and codes of ICMP."""
_TEXT: Final = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_CIDR_IPV4: Final = re.compile(r"[0-9.]{7,15}/[0-9]{1,2}")
_CIDR_IPV6: Final = re.compile(r"[0-9a-fA-F:.]{2,45}/[0-9]{1,3}")
_OLD: Final = (
    "CidrIp",
    "FromPort",
    "IpProtocol",
    "SourceSecurityGroupName",
    "SourceSecurityGroupOwnerId",
    "ToPort",
)
"""Members of a request that stand for one permission, as they did before there were lists."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as its row has it; exactly one of the three peers is there."""

    protocol: str
    from_port: int | None
    to_port: int | None
    cidr_ipv4: str | None = None
    cidr_ipv6: str | None = None
    referenced_group_key: int | None = None
    description: str | None = dataclasses.field(default=None, compare=False)

    def columns(self) -> dict[str, Any]:
        """The columns of its row."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class _Named:
    """A group that a request refers to."""

    id: str | None
    name: str | None
    owner: str | None


_Peer = tuple[str, str] | _Named
"""A column and its CIDR, or a group."""


def kept(row: Any) -> Rule:
    """Read a rule from its row."""
    return Rule(**{name.name: getattr(row, name.name) for name in dataclasses.fields(Rule)})


def read(ctx: Context, group: Any, request: Mapping[str, Any]) -> list[Rule]:
    """Read the rules that a request lists, one for each protocol, range of ports, and peer.

    :raises Ec2Error: ``MissingParameter``, ``InvalidParameterValue``,
        ``InvalidParameterCombination``, ``InvalidPermission.Malformed``, ``InvalidGroup.NotFound``,
        ``InvalidGroupId.Malformed``, ``UnsupportedOperation``
    """
    asked = [
        (_range(permission), peer, description)
        for permission in _permissions(request)
        for peer, description in _peers(permission)
    ]
    found = _find(ctx, group, [peer for _, peer, _ in asked if isinstance(peer, _Named)])
    rules = [
        Rule(**ports, **_columns(peer, found), description=description)
        for ports, peer, description in asked
    ]
    if len(set(rules)) < len(rules):
        raise group_errors.permission_twice()
    return rules


def read_one(ctx: Context, group: Any, asked: Mapping[str, Any]) -> Rule:
    """Read what a rule is to be from now on.

    :raises Ec2Error: as `read`
    """
    if asked.get("PrefixListId"):
        raise errors.unsupported_operation("SecurityGroupRule.PrefixListId")
    peers: list[_Peer] = []
    if text := asked.get("CidrIpv4"):
        peers.append(("cidr_ipv4", cidr_ipv4(text)))
    if text := asked.get("CidrIpv6"):
        peers.append(("cidr_ipv6", cidr_ipv6(text)))
    if text := asked.get("ReferencedGroupId"):
        peers.append(_Named(text, None, None))
    if not peers:
        raise group_errors.peer_missing()
    if len(peers) > 1:
        raise group_errors.one_peer_alone()
    [peer] = peers
    found = _find(ctx, group, [peer] if isinstance(peer, _Named) else [])
    return Rule(
        **_range(asked), **_columns(peer, found), description=description(asked.get("Description"))
    )


def description(text: str | None) -> str | None:
    """Check a rule's description; none is the same as empty.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    check_text(text or "", "rule description")
    return text or None


def check_text(text: str, noun: str) -> None:
    """Refuse what no name or description of a group or a rule may hold.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if not _TEXT.fullmatch(text):
        raise group_errors.text_invalid(noun)


def words(rule: Rule, group_id: str | None) -> str:
    """Say what a rule is as EC2's errors do; `group_id` is that of the group it refers to."""
    said = [f"peer: {rule.cidr_ipv4 or rule.cidr_ipv6 or group_id}"]
    if rule.protocol == "-1":
        return ", ".join([*said, "ALL"])
    said.append(rule.protocol.upper())
    if rule.protocol in _WITH_PORTS:
        said += [f"from port: {rule.from_port}", f"to port: {rule.to_port}"]
    elif rule.protocol in _WITH_TYPES:
        types = (("type", rule.from_port), ("code", rule.to_port))
        said += [f"{word}: {'ALL' if number == _ALL else number}" for word, number in types]
    return ", ".join(said)


# -- permissions


def _permissions(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed: list[Mapping[str, Any]] = list(request.get("IpPermissions") or ())
    given = [name for name in _OLD if request.get(name) is not None]
    if listed and given:
        raise errors.invalid_parameter_combination("ipPermissions", _wired(given[0]))
    if not listed and not given:
        raise errors.missing_parameter("ipPermissions")
    return listed or _old(request, given)


def _old(request: Mapping[str, Any], given: Sequence[str]) -> list[Mapping[str, Any]]:
    """The permissions that members of the request itself stand for."""
    name = request.get("SourceSecurityGroupName")
    if name is None:
        if "SourceSecurityGroupOwnerId" in given:
            raise errors.missing_parameter("sourceSecurityGroupName")
        ranges = [{"CidrIp": request["CidrIp"]}] if "CidrIp" in given else []
        ports = {member: request.get(member) for member in ("IpProtocol", "FromPort", "ToPort")}
        return [{**ports, "IpRanges": ranges}]
    if others := [one for one in given if not one.startswith("Source")]:
        raise errors.invalid_parameter_combination("sourceSecurityGroupName", _wired(others[0]))
    owner = request.get("SourceSecurityGroupOwnerId")
    peer = {"UserIdGroupPairs": [{"GroupName": name, "UserId": owner}]}
    # From a group alone everything is let in, told one by one as it always was.
    return [
        {"IpProtocol": "tcp", "FromPort": 0, "ToPort": _LAST_PORT, **peer},
        {"IpProtocol": "udp", "FromPort": 0, "ToPort": _LAST_PORT, **peer},
        {"IpProtocol": "icmp", "FromPort": _ALL, "ToPort": _ALL, **peer},
    ]


def _wired(member: str) -> str:
    return member[0].lower() + member[1:]


def _peers(permission: Mapping[str, Any]) -> Iterator[tuple[_Peer, str | None]]:
    if permission.get("PrefixListIds"):
        raise errors.unsupported_operation("IpPermissions.PrefixListIds")
    empty = True
    for item in permission.get("IpRanges") or ():
        empty = False
        peer = ("cidr_ipv4", cidr_ipv4(item.get("CidrIp")))
        yield peer, description(item.get("Description"))
    for item in permission.get("Ipv6Ranges") or ():
        empty = False
        peer = ("cidr_ipv6", cidr_ipv6(item.get("CidrIpv6")))
        yield peer, description(item.get("Description"))
    for item in permission.get("UserIdGroupPairs") or ():
        empty = False
        if item.get("VpcPeeringConnectionId"):
            raise errors.unsupported_operation("IpPermissions.Groups.VpcPeeringConnectionId")
        named = _Named(item.get("GroupId"), item.get("GroupName"), item.get("UserId"))
        if named.id is None and named.name is None:
            raise errors.missing_parameter("groupId")
        yield named, description(item.get("Description"))
    if empty:
        raise errors.missing_parameter("cidrIp")


# -- protocols and ports


def _range(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read protocol and ports; for ICMP type and code stand in their place."""
    name = protocol(asked.get("IpProtocol"))
    first, last = asked.get("FromPort"), asked.get("ToPort")
    if name in _WITH_PORTS:
        if first is None or last is None:
            raise group_errors.ports_missing()
        for port in (first, last):
            if not 0 <= port <= _LAST_PORT:
                raise group_errors.port_out_of_range(port)
        if first > last:
            raise group_errors.ports_reversed(first, last)
    elif name in _WITH_TYPES:
        if name == "icmpv6" and first is None and last is None:
            first = last = _ALL
        if first is None or last is None:
            raise group_errors.type_missing()
        for word, number in (("type", first), ("code", last)):
            if not _ALL <= number <= 255:
                raise group_errors.type_out_of_range(word, number)
        if first == _ALL and last != _ALL:
            raise group_errors.type_out_of_range("type", first)
    else:
        first = last = None  # EC2 lets all ports through, whatever is said of them
    return {"protocol": name, "from_port": first, "to_port": last}


def protocol(text: str | None) -> str:
    """Check a protocol, and name it the one way it is named.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if not text:
        raise group_errors.protocol_missing()
    known = _NUMBERS.get(text.lower())
    if known is not None:
        return known
    if not (text.isascii() and text.isdecimal() and len(text) <= 3 and int(text) <= 255):
        raise group_errors.unknown_protocol(text)
    return _NAMES.get(int(text), str(int(text)))


# -- peers


def cidr_ipv4(text: str | None) -> str:
    """Check a range of IPv4 addresses; what lies behind its prefix is cut off, as EC2 does.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if text and _CIDR_IPV4.fullmatch(text):
        try:
            return str(ipaddress.IPv4Network(text, strict=False))
        except ValueError:
            pass
    raise group_errors.cidr_malformed(text or "")


def cidr_ipv6(text: str | None) -> str:
    """Check a range of IPv6 addresses, and write it the one way it is written.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if text and _CIDR_IPV6.fullmatch(text):
        try:
            return str(ipaddress.IPv6Network(text, strict=False))
        except ValueError:
            pass
    raise group_errors.cidr_malformed(text or "")


def _columns(peer: _Peer, found: Mapping[_Named, int]) -> dict[str, Any]:
    if isinstance(peer, _Named):
        return {"referenced_group_key": found[peer]}
    column, cidr = peer
    return {column: cidr}


def _find(ctx: Context, group: Any, named: Sequence[_Named]) -> dict[_Named, int]:
    """Find the groups that are referred to; a name is looked for in the group's own VPC."""
    if not named:
        return {}
    for one in named:
        if one.id is not None and not ids.is_well_formed("sg", one.id):
            raise errors.invalid_group_id_malformed(one.id)
        if one.owner not in (None, "", ctx.account_id):
            raise errors.invalid_group_not_found([one.id or one.name or ""])
    rows = ctx.session.execute(
        sa.select(SecurityGroup.key, SecurityGroup.id, SecurityGroup.name, SecurityGroup.vpc_key)
        .where(listing.owned(ctx, SecurityGroup))
        .where(
            sa.or_(
                SecurityGroup.id.in_({one.id for one in named if one.id is not None}),
                SecurityGroup.name.in_({one.name for one in named if one.id is None}),
            )
        )
    ).all()
    by_id = {row.id: row for row in rows}
    by_name = {row.name: row for row in rows if row.vpc_key == group.vpc_key}
    found: dict[_Named, int] = {}
    for one in named:
        row = by_id.get(one.id) if one.id is not None else by_name.get(one.name)
        if row is None and one.id is not None:
            raise errors.invalid_group_not_found([one.id])
        if row is None:
            raise errors.invalid_group_name_not_found(one.name or "", group.vpc_id)
        if row.vpc_key != group.vpc_key:
            raise errors.different_networks()
        found[one] = row.key
    return found
