"""A filter finds what shows its value and nothing else; found by comparing names, for every list.

A filter's name is the path of a member, written otherwise: `attachment.instance-id` is
`Attachments[].InstanceId`. Where a list's documentation follows that, and most of it does, nothing
needs to be said here.

Source: EC2 API Reference, "Filter"; EC2 User Guide, "Filtering resources" (wildcards, case).
"""

from __future__ import annotations

import datetime as dt
import fnmatch
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest

from tests.conformance.asked import World
from tests.conformance.test_filters_documented import documented, items, member_of
from translators.ec2.nothing.asking import Nothing
from translators.registry import ACTIONS

LISTS: Final = sorted(
    action for action in documented() if not isinstance(ACTIONS["ec2", action].handler, Nothing)
)
ALSO: Final = {
    ("DescribeImportImageTasks", "task-state"): "status",
    ("DescribeInstances", "instance-state-name"): "state.name",
    ("DescribeInstances", "instance-state-code"): "state.code",
    ("DescribeInstances", "availability-zone"): "placement.availability-zone",
    ("DescribeInstances", "instance.group-name"): "security-group.group-name",
    ("DescribeInstances", "instance.group-id"): "security-group.group-id",
    ("DescribeSubnets", "availability-zone-id"): "availability-zone-id",
    ("DescribeSubnets", "cidr"): "cidr-block",
    ("DescribeVolumes", "status"): "state",
    ("DescribeVpcs", "cidr"): "cidr-block",
    ("DescribeKeyPairs", "fingerprint"): "key-fingerprint",
}
"""Filters whose name is none of a member's path, and the member that they speak of."""
OTHERWISE: Final[dict[tuple[str, str], str]] = {}
"""Filters that have a member's name and find by something else, and why."""


def shown(item: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every member's path, as a filter would be called, with its value as text."""
    if isinstance(item, dict):
        for name, inner in item.items():
            word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
            yield from shown(inner, f"{path}.{word}" if path else word)
    elif isinstance(item, list):
        for inner in item:
            yield from shown(inner, path)
    elif isinstance(item, bool):
        yield path, str(item).lower()
    elif isinstance(item, str | int | float):
        yield path, str(item)
    elif not isinstance(item, dt.datetime | bytes):
        raise AssertionError(f"{path}: {item!r}")


def singular(path: str) -> str:
    """Without the plurals of lists, of which filters' names have none."""
    return re.sub(r"(?<=[a-rt-z])s(?=\.|$)", "", re.sub(r"-set\b", "", path))


def found_by_name(action: str, whole: list[Any]) -> dict[str, list[set[str]]]:
    """Filter -> of every item the values that it shows under that name."""
    asked = {name: singular(ALSO.get((action, name), name)) for name in documented()[action]}
    values = [{(singular(path), value) for path, value in shown(item)} for item in whole]
    names = {path for item in values for path, _ in item}
    return {
        name: [{value for path, value in item if path == wanted} for item in values]
        for name, wanted in asked.items()
        if wanted in names and (action, name) not in OTHERWISE
    }


def patterns(values: Sequence[str]) -> Iterator[tuple[str, Callable[[str], object]]]:
    """Yield ways to ask for values, the first above all, with what each should find."""
    for value in values[:2]:
        plain = re.sub(r"[\\*?]", lambda found: f"\\{found[0]}", value)
        yield plain, value.__eq__
    value = values[0]
    if len(value) > 3 and not re.search(r"[\\*?\[]", value):
        for pattern in (f"{value[:3]}*", f"*{value[3:-1]}?", f"{value}?"):
            yield pattern, re.compile(fnmatch.translate(pattern)).fullmatch
    if value not in ("true", "false") and value.swapcase() not in values:
        yield value.swapcase(), lambda told: False


LIKE_IDS: Final = {("DescribeSecurityGroupRules", "group-id"): "InvalidGroupId.Malformed"}
"""Filters whose values EC2 takes for ids: what is none is refused."""


@pytest.mark.parametrize("action", LISTS)
def test_a_filter_finds_what_shows_its_value_and_nothing_else(still: World, action: str) -> None:
    sample = still.sample(action)
    whole = items(still.call(action, **sample))
    for name, told in found_by_name(action, whole).items():
        values = sorted(set().union(*told) - {""})  # an empty one is no value to ask for
        for pattern, holds in patterns(values) if values else ():
            asked: dict[str, Any] = {member_of(action): [{"Name": name, "Values": [pattern]}]}
            pairs = zip(whole, told, strict=True)
            if pattern == values[0].swapcase() and (action, name) in LIKE_IDS:
                assert still.refusal(action, **sample, **asked)[0] == LIKE_IDS[action, name]
                continue
            wanted = [item for item, own in pairs if any(holds(one) for one in own)]
            found = items(still.call(action, **sample, **asked))
            assert found == wanted, f"{action}: {name} = {pattern}"


def test_most_filters_are_held_to_what_they_find(still: World) -> None:
    """Names that no member has are of what is not there, or have tests of their own."""
    held = {
        action: found_by_name(action, items(still.call(action, **still.sample(action))))
        for action in LISTS
    }
    assert sum(map(len, held.values())) > 100
    named = documented()  # the model names none for one of them
    assert [action for action in LISTS if named[action] and not held[action]] == []
