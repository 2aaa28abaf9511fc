"""What is asked of the servers: the requests of every case, and how many of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import processes, seeding
from benchmarks.client import Unexpected
from benchmarks.measure import Case
from benchmarks.sides import Side

Ids = Mapping[str, Sequence[str]]
"""The instances there are, by side."""

_SETTLE_SECONDS: Final = 120.0
_IN_TURN: Final = 50
"""So many different instances are asked for."""
_MIX: Final = [*["one"] * 7, "filter", "tag", "tag"]
"""What is asked in turn where all is asked at once."""
BRIEF: Final = "brief"
"""The name of instances that are terminated after the burst that launched them."""
CONNECTIONS: Final = 32
_ALIVE: Final = ("pending", "running", "stopping", "stopped")


@dataclass(frozen=True, slots=True)
class Counts:
    """Requests of a burst: of the gateway, then of who it is compared with."""

    one: tuple[int, int]
    filter: tuple[int, int]
    tag: tuple[int, int]
    page: tuple[int, int] = (0, 0)
    launch: tuple[int, int] = (0, 0)
    launches: tuple[int, int] = (0, 0)
    many: tuple[int, int] = (0, 0)
    stop: tuple[int, int] = (0, 0)
    mixed: tuple[int, int] = (0, 0)
    rush: tuple[int, int] = (0, 0)

    def of(self, side: Side, counts: tuple[int, int]) -> int:
        return counts[side.name != "ec2gw"]


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


def many(counts: Counts, database: Path) -> Case:
    """Make the case of a launch of as many as fill a request."""
    name = f"RunInstances of {seeding.PER_LAUNCH}"

    def requests(side: Side) -> list[bytes]:
        return [_launch_of(side, seeding.PER_LAUNCH, BRIEF)]

    return Case(name, requests, counts.many, after=lambda side: clear(side, database))


def stop(counts: Counts, database: Path) -> Case:
    """Make the case of instances that run and are stopped, one after the other."""

    def requests(side: Side) -> list[bytes]:
        body = side.connection.fetch(_launch_of(side, max(counts.stop), BRIEF))
        if side.name == "ec2gw":
            settle(database)
        names = seeding.instance_ids(body)
        return [side.signer.request("StopInstances", {"InstanceId.1": name}) for name in names]

    return Case("StopInstances", requests, counts.stop, after=lambda side: clear(side, database))


def mixed(ids: Ids, counts: Counts) -> Case:
    """Make the case of many who ask and change at once; no change may be lost."""
    sent: dict[str, tuple[str, int]] = {}

    def requests(side: Side) -> list[bytes]:
        known, value = ids[side.name], str(time.monotonic_ns())
        kinds = [_MIX[at % len(_MIX)] for at in range(counts.of(side, counts.mixed))]
        sent[side.name] = value, kinds.count("tag")
        # Each kind takes the instances in turn, so that no tag is written twice.
        names = {kind: itertools.cycle(known) for kind in _MIX}
        return [_kind(side, kind, next(names[kind]), value) for kind in kinds]

    def after(side: Side) -> None:
        value, count = sent[side.name]
        asked = {"Filter.1.Name": "value", "Filter.1.Value.1": value}
        found = side.fetch("DescribeTags", asked).count(value.encode())
        if found != count:
            raise Unexpected(f"{side.name}: {found} of {count} tags are there")

    name = f"mixed, {CONNECTIONS} connections"
    return Case(name, requests, counts.mixed, after=after, connections=CONNECTIONS)


def rush(counts: Counts, database: Path) -> Case:
    """Make the case of many who launch at once."""
    return Case(
        f"RunInstances of one, {CONNECTIONS} connections",
        lambda side: [_launch_of(side, 1, BRIEF)],
        counts.rush,
        after=lambda side: clear(side, database),
        connections=CONNECTIONS,
    )


def clear(side: Side, database: Path) -> None:
    """Terminate what was launched for a burst, and wait until it is gone."""
    asked: dict[str, str | int] = {
        "Filter.1.Name": "tag:Name",
        "Filter.1.Value.1": BRIEF,
        "Filter.2.Name": "instance-state-name",
        **{f"Filter.2.Value.{at}": state for at, state in enumerate(_ALIVE, 1)},
    }
    names = seeding.instance_ids(side.fetch("DescribeInstances", asked))
    if names:
        listed = {f"InstanceId.{at}": name for at, name in enumerate(names, 1)}
        side.fetch("TerminateInstances", listed)
    if side.name == "ec2gw":
        settle(database)


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
    return [_launch_of(side, 1, "benchmark")]


def _launch_of(side: Side, count: int, name: str) -> bytes:
    parameters = {"ImageId": side.image_id, **seeding.launch(count, name)}
    return side.signer.request("RunInstances", parameters)


def _kind(side: Side, kind: str, name: str, value: str) -> bytes:
    if kind == "filter":
        return _filtered(side)[0]
    if kind == "one":
        return side.signer.request("DescribeInstances", {"InstanceId.1": name})
    tag: dict[str, str | int] = {"Tag.1.Key": "mixed", "Tag.1.Value": value}
    return side.signer.request("CreateTags", {"ResourceId.1": name, **tag})
