"""Regions and Availability Zones: what hosts and networks make of them.

A region exists where a host or a network is; "*" (the laboratory) stands for every region that
AWS knows. A zone is a region's name and one letter.

Source: design of zones in docs/architecture.md; AWS Regions and Zones User Guide, "AZ IDs".
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import Host, Network

ANY: Final = "*"
_DIRECTIONS: Final = {
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """An Availability Zone; `id` is the same place for every account, as AWS's zone ids are."""

    name: str
    letter: str
    id: str
    region: str


def zones(session: Session, region: str) -> list[Zone]:
    """The region's zones by name; none where nothing was configured."""
    places = sa.union(
        sa.select(Host.zone_letter).where(Host.region.in_([region, ANY]), Host.state != "removed"),
        sa.select(Network.zone_letter).where(Network.region.in_([region, ANY])),
    )
    return [
        Zone(f"{region}{letter}", letter, zone_id(region, letter), region)
        for letter in sorted(session.scalars(places))
    ]


def ids(session: Session, region: str) -> dict[str, str]:
    """The ids of the region's zones by their names."""
    return {zone.name: zone.id for zone in zones(session, region)}


def regions(session: Session) -> list[str]:
    """The regions that may be listed, by name."""
    configured = _configured(session)
    if ANY in configured:
        return sorted((configured - {ANY}) | _known(("aws",)))
    return sorted(configured)


def exists(session: Session, region: str) -> bool:
    """Tell whether requests may be for that region."""
    configured = _configured(session)
    if region in configured:
        return region != ANY
    return ANY in configured and region in _known(_PARTITIONS)


def zone_id(region: str, letter: str) -> str:
    """The zone's id as AWS writes it.

    >>> zone_id("us-east-1", "b"), zone_id("ap-northeast-2", "a")
    ('use1-az2', 'apne2-az1')
    """
    head, *rest = region.split("-")  # a region of one's own may be one word
    short = "".join(_DIRECTIONS.get(part, part if part.isdigit() else part[:1]) for part in rest)
    return f"{head}{short}-az{ord(letter) - ord('a') + 1}"


def partition(region: str) -> str:
    """AWS's partition, as in an ARN."""
    return next((name for head, name in _HEADS.items() if region.startswith(head)), "aws")


def domain(region: str) -> str:
    """The domain of the private names that EC2 gives to instances."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def long_name(region: str) -> str:
    """The region's name for people, "US East (N. Virginia)"; its own name if AWS knows none."""
    return _long_names().get(region, region)


_HEADS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
_PARTITIONS: Final = ("aws", "aws-cn", "aws-us-gov")


def _configured(session: Session) -> set[str]:
    return set(
        session.scalars(
            sa.union(
                sa.select(Host.region).where(Host.state != "removed"), sa.select(Network.region)
            )
        )
    )


@functools.cache
def _known(partitions: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        name
        for group in _endpoints()
        if group["partition"] in partitions
        for name in group["services"]["ec2"]["endpoints"]
        if name in group["regions"]
    )


@functools.cache
def _long_names() -> dict[str, str]:
    return {
        name: one["description"] for group in _endpoints() for name, one in group["regions"].items()
    }


def _endpoints() -> list[dict[str, Any]]:
    # Not by botocore's session: that takes twenty times the time, and 20 MiB for good.
    text = (importlib.resources.files("botocore") / "data" / "endpoints.json").read_bytes()
    partitions: list[dict[str, Any]] = json.loads(text)["partitions"]
    return partitions


def private_dns_name(
    region: str, instance_id: str, options: Mapping[str, Any], address: str
) -> str:
    """Name an instance as EC2's resolver would: by its address, or by its id where so chosen.

    `options` are the instance's, as its row has them.
    """
    if options.get("PrivateDnsNameOptions", {}).get("HostnameType") == "resource-name":
        return f"{instance_id}.{domain(region)}"
    return f"ip-{address.replace('.', '-')}.{domain(region)}"
