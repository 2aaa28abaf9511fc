"""What recorded answers of EC2 say of a member, and how answers of ours are held against them.

Source: tests/data/aws-responses.json; the rule is in docs/truth.md, "Answers".
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

RECENT, ENOUGH = 10, 12
"""Objects looked at that make good evidence: of recordings since 2022, else of all."""
ALWAYS, NEARLY = 0.95, 0.85

Band = Literal["always", "nearly", "thin", "sometimes"]
"""How a member stands in the recordings: in (nearly) every object; in so many that it is to be
looked at why; in every one of the few that there are; or only when set, and in some states."""
BANDS: Final[tuple[Band, ...]] = ("always", "nearly", "thin")
"""Those in which ours has to hold it, or a reviewed exception says why not."""

KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "boolean": (bool,),
    "float": (float,),
    "integer": (int,),
    "list": (list,),
    "string": (str,),
    "string|timestamp": (str, dt.datetime),
    "structure": (dict,),
    "timestamp": (dt.datetime,),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the recordings say of one member."""

    of: int
    share: float
    of_2022: int
    share_2022: float
    kind: str
    item: str

    @property
    def band(self) -> Band:
        if self.of_2022 >= RECENT:
            share = self.share_2022
        elif self.of >= ENOUGH:
            share = self.share
        else:
            return "thin" if self.share == 1.0 else "sometimes"
        if share >= ALWAYS:
            return "always"
        return "nearly" if share >= NEARLY else "sometimes"


Table = Mapping[str, Mapping[str, Seen]]
"""Operation ("ec2.DescribeVolumes") -> path of a member -> what was seen of it."""


def recorded() -> dict[str, dict[str, Seen]]:
    """Read all operations of the recordings."""
    path = Path(__file__).parents[1] / "data" / "aws-responses.json"
    operations = json.loads(path.read_text())["operations"]
    return {
        name: {member: Seen(*seen) for member, seen in operation["members"].items()}
        for name, operation in operations.items()
    }


@dataclass(frozen=True, slots=True)
class Exempt:
    """A reviewed exception: ours need not hold the member, and why.

    A `path` that ends with a dot speaks of all members of that structure. `when` tells the state
    of an enclosing object in which it is so: a member's path there -> its value.
    """

    operation: str
    path: str
    why: str
    when: Mapping[str, object] = field(default_factory=dict, hash=False)

    def speaks_of(self, operation: str, path: str, trail: Sequence[Any]) -> bool:
        if operation != self.operation:
            return False
        if not (path.startswith(self.path) if self.path.endswith(".") else path == self.path):
            return False
        return all(any(_at(one, at) == value for one in trail) for at, value in self.when.items())


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


@dataclass(slots=True)
class Held:
    """What came of holding answers against the recordings."""

    lacking: list[str] = field(default_factory=list)
    """Paths of members that ours lacks, with the object's id where it has one."""
    unseen: list[str] = field(default_factory=list)
    """Paths of which no answer had an object to look into."""
    of_another_kind: list[str] = field(default_factory=list)
    members: dict[Band, int] = field(default_factory=dict)
    """How many members of each band were found in every object that should hold them."""
    excused: set[Exempt] = field(default_factory=set)


def hold(
    operation: str,
    answers: Sequence[Any],
    seen: Mapping[str, Seen],
    exempt: Sequence[Exempt] = (),
) -> Held:
    """Hold answers of one operation, as boto3 reads them, against what was recorded of it."""
    held = Held()
    mine = [one for one in exempt if one.operation == operation]
    for path, member in seen.items():
        name = path.split(".")[-1].removesuffix("[]")
        objects = [one for answer in answers for one in holders(answer, path)]
        lacks = [trail for trail in objects if name not in trail[-1]]
        for trail in objects:
            if name in trail[-1] and not _is_kind(trail[-1][name], member):
                kind = type(trail[-1][name]).__name__
                complaint = f"{path}: {kind} instead of {member.kind}"
                _excuse(held, mine, path, trail, held.of_another_kind, complaint)
        if member.band not in BANDS:
            continue
        if not objects:
            _excuse(held, mine, path, (), held.unseen, path)
            continue
        complaints = len(held.lacking)
        for trail in lacks:
            _excuse(held, mine, path, trail, held.lacking, f"{path} {_named(trail)}".rstrip())
        if len(held.lacking) == complaints:
            held.members[member.band] = held.members.get(member.band, 0) + 1
    return held


def _excuse(
    held: Held,
    exempt: Sequence[Exempt],
    path: str,
    trail: Sequence[Any],
    complaints: list[str],
    complaint: str,
) -> None:
    speaking = [one for one in exempt if one.speaks_of(one.operation, path, trail)]
    held.excused.update(speaking)
    if not speaking:
        complaints.append(complaint)


def holders(answer: Any, path: str) -> Iterator[tuple[Any, ...]]:
    """The objects in which the path's last member should stand, each with all around it."""
    *way, _ = path.split(".")
    trails: list[tuple[Any, ...]] = [(answer,)]
    for step in way:
        name = step.removesuffix("[]")
        inner = [(trail, trail[-1][name]) for trail in trails if name in trail[-1]]
        if step.endswith("[]"):
            trails = [(*trail, one) for trail, listed in inner for one in listed]
        else:
            trails = [(*trail, one) for trail, one in inner]
    yield from trails


def missing(answer: Any, paths: Iterable[str]) -> list[str]:
    """The paths whose member some object of the answer lacks; each has to have an object."""
    lacking = []
    for path in paths:
        objects = list(holders(answer, path))
        assert objects, f"nothing to look at for {path}"
        name = path.split(".")[-1].removesuffix("[]")
        lacking += [path for trail in objects if name not in trail[-1]]
    return lacking


def _is_kind(value: Any, member: Seen) -> bool:
    kinds = KINDS.get(member.kind)
    if kinds is None:
        return True
    if isinstance(value, bool) and bool not in kinds:
        return False
    if not isinstance(value, kinds):
        return False
    items = KINDS.get(member.item)
    return (
        not isinstance(value, list) or items is None or all(isinstance(one, items) for one in value)
    )


def _named(trail: Sequence[Any]) -> str:
    words = [
        str(one[name])
        for one in trail
        for name in one
        if name in ("State", "Status") and isinstance(one[name], str)
    ]
    words += [
        str(one["State"]["Name"])
        for one in trail
        if isinstance(one.get("State"), Mapping) and "Name" in one["State"]
    ]
    return f"({', '.join(words)})" if words else ""
