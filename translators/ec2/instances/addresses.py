"""Free addresses of a subnet's network: unique on the layer 2, across accounts.

Addresses are given out in turn, from where the last launch ended, so that one that was just given
back rests as long as possible.

Source: VPC User Guide, "Subnet CIDR blocks": the first four addresses and the last are reserved.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from state.models import Host, Network, NetworkInterface
from state.statements import Statement, listed
from translators import errors
from translators.registry import Context

_RESERVED_FIRST: Final = 4
_LEAST_BATCH: Final = 8
_MOST_BATCH: Final = 4096

_USED: Final = Statement(
    sa.select(NetworkInterface.private_ip).where(
        NetworkInterface.network_key == sa.bindparam("network"),
        NetworkInterface.private_ip.in_(listed("addresses", sa.String)),
    )
)
_STRAYS: Final = Statement(
    sa.select(Host.strays).where(
        Host.state != "removed", sa.func.json_array_length(Host.strays) > 0
    )
)
_ADVANCE: Final = Statement(
    sa.update(Network)
    .where(Network.key == sa.bindparam("network"))
    .values(next_offset=sa.bindparam("next"))
)


@dataclass(frozen=True, slots=True)
class Pool:
    """The addresses of a subnet that may be given out, as ranges in order, ends included."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, address: int) -> bool:
        return any(first <= address <= last for first, last in self.ranges)

    def walk(self, start: int) -> Iterator[int]:
        """Yield each address once, from the given one on and round again."""
        for first, last in self.ranges:
            yield from range(max(first, start), last + 1)
        for first, last in self.ranges:
            yield from range(first, min(last + 1, start))


@functools.lru_cache(maxsize=1024)
def pool(subnet_cidr: str, taken: tuple[str, ...]) -> Pool:
    """Work out what is left of a subnet; `taken` holds addresses and ranges ("a-b").

    >>> pool("10.0.0.0/28", ("10.0.0.6-10.0.0.12",)).ranges
    ((167772164, 167772165), (167772173, 167772174))
    """
    subnet = ipaddress.IPv4Network(subnet_cidr)
    first = int(subnet.network_address)
    last = int(subnet.broadcast_address)
    holes = [(first, first + _RESERVED_FIRST - 1), (last, last)]
    for text in taken:
        low, _, high = text.partition("-")
        begin = int(ipaddress.IPv4Address(low.strip()))
        holes.append((begin, int(ipaddress.IPv4Address(high.strip())) if high else begin))
    ranges: list[tuple[int, int]] = []
    free = first
    for low_end, high_end in sorted(holes):
        if low_end > free:
            ranges.append((free, min(low_end - 1, last)))
        free = max(free, high_end + 1)
    return Pool(tuple((low, high) for low, high in ranges if low <= high and low <= last))


def of(subnet: Any) -> Pool:
    """Say what of a subnet may be given out; the row also holds its network's columns."""
    router = [subnet.router] if subnet.router else []
    return pool(subnet.cidr, (*router, *subnet.dns, *subnet.reserved))


def take(ctx: Context, subnet: Any, most: int) -> list[str]:
    """Find free addresses, at most so many, and note where the next search begins.

    The caller writes the interfaces that hold them in the same transaction.
    """
    usable = of(subnet)
    base = int(ipaddress.IPv4Network(subnet.network_cidr).network_address)
    walk = usable.walk(base + subnet.next_offset)
    found: list[str] = []
    batch_size = min(_MOST_BATCH, max(_LEAST_BATCH, 2 * most))
    while len(found) < most:
        batch = [str(ipaddress.IPv4Address(number)) for number in islice(walk, batch_size)]
        if not batch:
            break
        used = _used(ctx, subnet.network_key, batch)
        found += [address for address in batch if address not in used][: most - len(found)]
        batch_size = min(_MOST_BATCH, 4 * batch_size)
    if found:
        following = int(ipaddress.IPv4Address(found[-1])) + 1 - base
        _ADVANCE.run(ctx.session, {"network": subnet.network_key, "next": following})
    return found


def holder(subnets: Sequence[Any], text: str) -> Any:
    """Find the subnet that an address asked for lies in.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        sentence = f"invalid value for parameter address: {text}"
        raise errors.invalid_parameter_value_text(sentence) from None
    for subnet in subnets:
        if address in ipaddress.IPv4Network(subnet.cidr):
            return subnet
    sentence = f"Address {text} does not fall within the subnet's address range"
    raise errors.invalid_parameter_value_text(sentence)


def claim(ctx: Context, subnet: Any, text: str) -> str:
    """Check that an address of the subnet may be given out.

    :raises Ec2Error: ``InvalidParameterValue``, ``InvalidIPAddress.InUse``
    """
    if int(ipaddress.IPv4Address(text)) not in of(subnet):
        raise errors.address_reserved(text)
    if _used(ctx, subnet.network_key, [text]):
        raise errors.invalid_ip_address_in_use(text)
    return text


def _used(ctx: Context, network_key: int, addresses: Sequence[str]) -> set[str]:
    """Those that an interface has, or a VM of ours that no instance is known for."""
    asked = {"network": network_key, "addresses": addresses}
    held = {address for (address,) in _USED.run(ctx.session, asked)}
    for (strays,) in _STRAYS.run(ctx.session, {}):
        held.update(address for stray in strays for address in stray["addresses"])
    return held
