"""Every filter that EC2 documents for an action on offer is known here, by botocore's own text.

Source: botocore, data/ec2/2016-11-15/service-2.json, documentation of each Filters member.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest

from state import models
from state.store import Store
from tests.reads import Reads
from translators.registry import ACTIONS
from translators.settings import Settings

_TEXT = re.compile(r"</?(?:ul|li|p)>|<code>(.*?)</code>")
_LEAST_DOCUMENTED = 3
FEW = {
    "DescribeEgressOnlyInternetGateways": ["tag", "tag-key"],
    "DescribeExportImageTasks": ["task-state"],
    "DescribeFleetInstances": ["instance-type"],
    "DescribeIamInstanceProfileAssociations": ["instance-id", "state"],
    "DescribeImportImageTasks": ["task-state"],
    "DescribeImportSnapshotTasks": [],
    "DescribeInstanceCreditSpecifications": ["instance-id"],
    "DescribeInstanceTypeOfferings": ["instance-type", "location"],
    "DescribePrefixLists": ["prefix-list-id", "prefix-list-name"],
}
"""Actions with so few that it was looked at whether their documentation is read rightly."""
IN_A_SENTENCE = {"DescribeExportImageTasks", "DescribeImportImageTasks"}
"""Actions whose one filter stands in no list."""


REQUIRED: dict[str, Callable[[Reads], dict[str, Any]]] = {
    "GetSecurityGroupsForVpc": lambda reads: {"VpcId": reads.rows(models.Vpc)[0].id},
}
"""What an action asks for besides."""


@functools.cache
def _model() -> Any:
    return botocore.session.get_session().get_service_model("ec2")


@functools.cache
def documented() -> dict[str, list[str]]:
    """Action -> the filters that its documentation lists, for the actions on offer."""
    found: dict[str, list[str]] = {}
    for service, name in sorted(ACTIONS):
        shape = _model().operation_model(name).input_shape if service == "ec2" else None
        member = shape.members.get(member_of(name)) if shape is not None else None
        if member is not None:
            prose = member.documentation
            found[name] = FEW[name] if name in IN_A_SENTENCE else _names(prose)
    return found


def member_of(action: str) -> str:
    """The request's member for filters: four old actions have it in the singular."""
    shape = _model().operation_model(action).input_shape
    return "Filter" if "Filter" in shape.members else "Filters"


def _names(documentation: str) -> list[str]:
    """The first code word of each item of the outer list; inner lists hold values."""
    names: list[str] = []
    depth, fresh = 0, False
    for match in _TEXT.finditer(documentation):
        word = match.group(0)
        if word == "<ul>":
            depth += 1
        elif word == "</ul>":
            depth -= 1
        elif word == "<li>":
            fresh = depth == 1
        elif word.startswith("<code>") and fresh:
            names.append(match.group(1).strip())
            fresh = False
    return names


def _asked(name: str) -> str:
    """The name as a client would send it: `tag` and `tag:&lt;key&gt;` stand for any key."""
    return "tag:Owner" if name in ("tag", "tag:&lt;key&gt;") else name


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    made = Reads(store, settings)
    made.run(2)
    return made


def test_the_documentation_is_read_as_it_is_written() -> None:
    assert documented()["DescribeTags"] == ["key", "resource-id", "resource-type", "tag", "value"]
    assert len(documented()) >= 16
    few = {name: one for name, one in documented().items() if len(one) < _LEAST_DOCUMENTED}
    assert few.items() <= FEW.items()
    assert len(documented()["DescribeInstances"]) > 100


@pytest.mark.parametrize("action", sorted(documented()))
def test_every_documented_filter_is_known_and_means_something(reads: Reads, action: str) -> None:
    required = REQUIRED[action](reads) if action in REQUIRED else {}
    whole = items(reads.call(action, **required))
    for name in documented()[action]:
        for values in (["*"], ["no such value"], ["a", "b?"], []):
            asked: Any = [{"Name": _asked(name), "Values": values}]
            found = items(reads.call(action, **required, **{member_of(action): asked}))
            assert all(one in whole for one in found), name
            if values in ([], ["no such value"]):
                assert found == [], name


def items(answer: dict[str, Any]) -> list[Any]:
    """The one list of the answer; of instances, without their reservations."""
    [listed] = [one for one in answer.values() if isinstance(one, list)]
    if "Reservations" in answer:
        return [one for reservation in listed for one in reservation["Instances"]]
    return list(listed)
