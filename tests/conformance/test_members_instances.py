"""Answers about instances hold every member that (nearly) every recorded answer of EC2 holds.

Source: recorded answers of the real EC2, see `tests/data/instance-members.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from state.store import Store
from tests.launches import Cloud
from translators.settings import Settings

RECORDED: Final = json.loads(
    (Path(__file__).parents[1] / "data" / "instance-members.json").read_text()
)["operations"]
CHANGES: Final = {
    "StartInstances": "StartingInstances",
    "StopInstances": "StoppingInstances",
    "TerminateInstances": "TerminatingInstances",
}
"""The three answer in one shape; only one was recorded often enough."""


NOT_HERE: Final = {
    ".IamInstanceProfile.": "a launch with an instance profile is refused",
    ".Association.": "there are no public addresses",
}
"""Members of structures that no instance here has, and why."""
INSTANCE: Final = [
    path for path in RECORDED["DescribeInstances"] if not any(part in path for part in NOT_HERE)
]


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def holders(answer: Mapping[str, Any], path: str) -> tuple[list[Any], str]:
    """Find the objects that a path's last member is to be in: all that the answer has."""
    *way, last = path.split(".")
    found: list[Any] = [answer]
    for step in way:
        name = step.removesuffix("[]")
        inner = [one[name] for one in found if name in one]
        found = [one for listed in inner for one in listed] if step.endswith("[]") else inner
    return found, last


def missing(answer: Mapping[str, Any], paths: list[str]) -> list[str]:
    lacking = []
    for path in paths:
        found, last = holders(answer, path)
        assert found, f"nothing to look at for {path}"
        lacking += [path for one in found if last not in one]
    return lacking


def tagged(cloud: Cloud, count: int = 1) -> list[str]:
    tags = [{"Key": "Name", "Value": "x"}]
    ids = cloud.run(count, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])
    cloud.found("launched", *ids)
    return ids


def test_a_running_instance_is_shown_whole(cloud: Cloud) -> None:
    tagged(cloud, 2)
    paths = [path for path in INSTANCE if ".StateReason." not in path]
    assert missing(cloud.call("DescribeInstances"), paths) == []


def test_a_stopped_instance_is_shown_whole(cloud: Cloud) -> None:
    ids = tagged(cloud)
    cloud.call("StopInstances", InstanceIds=ids)
    cloud.found("stopped", *ids)
    assert missing(cloud.call("DescribeInstances"), INSTANCE) == []


def test_a_launch_answers_what_describe_would(cloud: Cloud) -> None:
    tags = [{"Key": "Name", "Value": "x"}]
    answer = cloud.call(
        "RunInstances",
        ImageId=cloud.image_id,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )
    assert missing({"Reservations": [answer]}, INSTANCE) == []


def test_a_terminated_instance_keeps_all_but_what_it_lost(cloud: Cloud) -> None:
    ids = tagged(cloud)
    cloud.call("TerminateInstances", InstanceIds=ids)
    cloud.found("removed", *ids)
    lost = (
        "NetworkInterfaces[].",
        "BlockDeviceMappings[].",
        "SecurityGroups[].",
        "PrivateDnsNameOptions.",
    )
    paths = [path for path in INSTANCE if not any(one in path for one in lost)]
    assert missing(cloud.call("DescribeInstances"), paths) == []


@pytest.mark.parametrize("action", CHANGES)
def test_a_change_of_state_says_both_states(cloud: Cloud, action: str) -> None:
    ids = tagged(cloud)
    member = CHANGES[action]
    paths = [path.replace("StoppingInstances", member) for path in RECORDED["StopInstances"]]
    assert missing(cloud.call(action, InstanceIds=ids), paths) == []
