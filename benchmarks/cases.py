"""What is asked of the servers: the requests of every case, and how many of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import processes, seeding
from benchmarks.measure import Case
from benchmarks.sides import Side

Ids = Mapping[str, Sequence[str]]
"""The instances there are, by side."""

_SETTLE_SECONDS: Final = 120.0
_IN_TURN: Final = 50
"""So many different instances are asked for."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of a burst: of the gateway, then of who it is compared with."""

    one: tuple[int, int]
    filter: tuple[int, int]
    tag: tuple[int, int]
    page: tuple[int, int] = (0, 0)
    launch: tuple[int, int] = (0, 0)
    launches: tuple[int, int] = (0, 0)


def one(ids: Ids, counts: Counts) -> Case:
    return Case("describe one", lambda side: _described(side, ids[side.name]), counts.one)


def page(size: int, counts: Counts) -> Case:
    return Case(f"page of {size}", _page, counts.page)


def page_after_change(size: int, ids: Ids, counts: Counts) -> Case:
    """Make the case in which every page comes after a change to one of its instances."""
    tag: dict[str, str | int] = {"Tag.1.Key": "changed"}

    def change(side: Side, number: int) -> None:
        names = ids[side.name]
        parameters = {"ResourceId.1": names[number % len(names)], "Tag.1.Value": number, **tag}
        side.fetch("CreateTags", parameters)

    return Case(f"page of {size} after a change", _page, counts.page, before=change)


def filtered(counts: Counts) -> Case:
    return Case(f"filter by tag and state, {seeding.MARKED} found", _filtered, counts.filter)


def tag(ids: Ids, counts: Counts) -> Case:
    return Case("CreateTags", lambda side: _tagged(side, ids[side.name]), counts.tag)


def launch(counts: Counts, database: Path) -> Case:
    """Make the case of a launch by itself: the engine is through with the one before."""

    def before(side: Side, number: int) -> None:
        if side.name == "ec2gw":  # moto's are done when it answers
            settle(database)

    return Case("RunInstances of one", _launch, counts.launch, before=before)


def launches(counts: Counts, database: Path) -> Case:
    """Make the case of launches that follow each other, while the engine is at work on them."""

    def after(side: Side) -> None:
        if side.name == "ec2gw":
            settle(database)

    name = f"RunInstances of one, {counts.launches[0]} in a row"
    return Case(name, _launch, counts.launches, after=after)


def settle(database: Path) -> None:
    """Wait until the engine has brought every instance where it is wanted."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while seeding.unsettled(database):
        if time.monotonic() > deadline:
            raise processes.Failed("launches do not settle")
        time.sleep(0.02)


def _described(side: Side, known: Sequence[str]) -> list[bytes]:
    names = known[:: max(1, len(known) // _IN_TURN)][:_IN_TURN]
    return [side.signer.request("DescribeInstances", {"InstanceId.1": name}) for name in names]


def _page(side: Side) -> list[bytes]:
    return [side.signer.request("DescribeInstances")]


def _filtered(side: Side) -> list[bytes]:
    parameters: dict[str, str | int] = {
        "Filter.1.Name": f"tag:{seeding.MARK}",
        "Filter.1.Value.1": "yes",
        "Filter.2.Name": "instance-state-name",
        "Filter.2.Value.1": "running",
    }
    return [side.signer.request("DescribeInstances", parameters)]


def _tagged(side: Side, known: Sequence[str]) -> list[bytes]:
    # Values differ from burst to burst: a tag that stays as it is would be no change.
    value = time.monotonic_ns()
    return [
        side.signer.request(
            "CreateTags", {"ResourceId.1": name, "Tag.1.Key": "changed", "Tag.1.Value": value}
        )
        for name in known[:_IN_TURN]
    ]


def _launch(side: Side) -> list[bytes]:
    parameters = {"ImageId": side.image_id, **seeding.launch()}
    return [side.signer.request("RunInstances", parameters)]
