"""Every list that comes in pages: whole, in order, once, whatever is written in between.

Source: botocore, data/ec2/2016-11-15/paginators-1.json; EC2 API Reference, "Pagination".
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

import botocore.session
import pytest
import sqlalchemy as sa
from botocore import xform_name

from tests.conformance.asked import EC2, World
from tests.truth.catalogue import CODES
from tests.unit.test_nothing import known
from translators import listing
from translators.ec2.nothing.asking import Nothing
from translators.registry import ACTIONS

_SESSION: Final = botocore.session.get_session()
_LOADER: Final[Any] = _SESSION.get_component("data_loader")
_MODEL: Final[Any] = _SESSION.get_service_model("ec2")
PAGINATORS: Final[Mapping[str, Any]] = {
    service: _LOADER.load_service_model(service, "paginators-1")["pagination"]
    for service in ("ec2", "iam")
}
PAGED: Final = [action for action in EC2 if action in PAGINATORS["ec2"]]
EMPTY: Final = {"DescribeStaleSecurityGroups": "speaks of peered VPCs, of which there are none"}
FULL: Final = [
    action
    for action in PAGED
    if not isinstance(ACTIONS["ec2", action].handler, Nothing) and action not in EMPTY
]
"""Those of which there is something."""
NAMES: Final = {
    "DescribeInstanceTypes": ("InstanceType",),
    "DescribeInstanceTypeOfferings": ("InstanceType", "Location"),
    "DescribeTags": ("ResourceId", "Key"),
}
"""What tells the items of a list apart, where they have no id."""


FILTERS: Final = {
    "DescribeInstanceTypes": "instance-type",
    "DescribeInstanceTypeOfferings": "instance-type",
    "DescribeTags": "key",
}
"""A filter of each list that is none of rows."""
OTHER_BOUNDS: Final = {
    "DescribeHosts": (5, 500),
    "DescribeImages": (1, 1000),
    "DescribeSpotPriceHistory": (1, 1000),
    "DescribeVolumesModifications": (5, 500),
}
"""Of MaxResults, where botocore's model tells none and they are not what most lists have."""


def resources() -> Iterator[listing.Resource]:
    for name, module in list(sys.modules.items()):
        if name.startswith("translators.ec2"):
            yield from (one for one in vars(module).values() if isinstance(one, listing.Resource))


RESOURCES: Final = {one.action: one for one in resources()}


def bounds(action: str) -> tuple[int, int]:
    """The bounds of MaxResults that botocore's model tells, else those that most lists have."""
    if action in OTHER_BOUNDS:
        return OTHER_BOUNDS[action]
    told = _MODEL.operation_model(action).input_shape.members["MaxResults"].metadata
    return told.get("min", 5), told.get("max", 1000)


def items(action: str, answer: Mapping[str, Any]) -> list[str]:
    """The names of what a page lists."""
    listed = answer[PAGINATORS["ec2"][action]["result_key"]]
    if action == "DescribeInstances":
        listed = [one for reservation in listed for one in reservation["Instances"]]
    members = NAMES.get(action) or (RESOURCES[action].id_member.removesuffix("s"),)
    return [" ".join(one[member] for member in members) for one in listed]


def page(world: World, action: str, token: str | None = None, **request: Any) -> dict[str, Any]:
    if token is not None:
        request["NextToken"] = token
    return world.call(action, **world.sample(action), **request)


def vanish(world: World, action: str, name: str) -> None:
    """Take away what was listed: its owner changes."""
    if action == "DescribeTags":
        resource_id, key = name.split()
        world.call("DeleteTags", Resources=[resource_id], Tags=[{"Key": key}])
    if action not in RESOURCES:
        return
    columns = RESOURCES[action].columns
    table = RESOURCES[action].model.__table__
    world.store.write(
        lambda session: session.execute(
            sa.update(table).where(columns.id == name).values(account_key=1)  # type: ignore[arg-type]
        )
    )


def test_paginators_are_found_in_the_model() -> None:
    assert len(FULL) > 14
    assert len(PAGED) > len(FULL)


def test_botocore_turns_the_pages_of_every_list(still: World) -> None:
    for service, name in sorted(ACTIONS):
        if name not in PAGINATORS.get(service, {}):
            continue
        told = PAGINATORS[service][name]
        size = bounds(name)[0] if service == "ec2" else 1
        sample = still.sample(name) if service == "ec2" else {}
        with still.client(service) as client:
            pages = client.get_paginator(xform_name(name)).paginate(
                **sample, PaginationConfig={"PageSize": size}
            )
            found = [one for answer in pages for one in answer[told["result_key"]]]
        whole = still.call(name, service=service, **sample)[told["result_key"]]
        if name == "DescribeInstances":  # a launch may go on on the next page
            found, whole = (
                [one for reservation in listed for one in reservation["Instances"]]
                for listed in (found, whole)
            )
        assert found == whole, name


@pytest.mark.parametrize("action", FULL)
def test_all_is_listed_once_whatever_is_written_meanwhile(world: World, action: str) -> None:
    size = bounds(action)[0]
    whole = items(action, page(world, action))
    assert len(whole) > size
    answer = page(world, action, MaxResults=size)
    found = items(action, answer)
    assert found == whole[:size]
    world.write_between()
    vanish(world, action, found[-1])
    while "NextToken" in answer:
        answer = page(world, action, answer["NextToken"], MaxResults=size)
        listed = items(action, answer)
        assert 0 < len(listed) <= size
        found += listed
    assert len(set(found)) == len(found)
    assert [name for name in found if name in whole] == whole


@pytest.mark.parametrize("action", FULL)
def test_a_token_is_good_for_its_own_question_alone(still: World, action: str) -> None:
    least, most = bounds(action)
    name = FILTERS.get(action) or next(iter(RESOURCES[action].filters))
    filtered = [{"Name": name, "Values": ["*"]}]
    token = page(still, action, MaxResults=least)["NextToken"]
    page(still, action, token, MaxResults=min(least + 1, most))  # the size may change
    other = "DescribeVpcs" if action != "DescribeVpcs" else "DescribeSubnets"
    sealed = base64.urlsafe_b64decode(token)
    changed = base64.urlsafe_b64encode(sealed[:-1] + bytes([sealed[-1] ^ 1])).decode()
    position = base64.urlsafe_b64encode(json.dumps(0).encode()).decode()
    asked: tuple[tuple[str, dict[str, Any]], ...] = (
        (action, {"NextToken": changed}),
        (action, {"NextToken": token[:-4]}),
        (action, {"NextToken": position}),
        (action, {"NextToken": "no token"}),
        (action, {"NextToken": "\u00e9"}),
        (action, {"NextToken": token, "by": still.stranger}),
        (action, {"NextToken": token, "region": "eu-west-1"}),
        (action, {"NextToken": token, "Filters": filtered}),
        (other, {"NextToken": token}),
    )
    for asked_action, request in asked:
        sample = {**still.sample(asked_action), **request}
        code, status, _ = still.refusal(asked_action, **sample, MaxResults=5)
        assert (code, status) == ("InvalidNextToken", 400), request


@pytest.mark.parametrize("action", PAGED)
def test_pages_have_the_sizes_that_the_model_tells(still: World, action: str) -> None:
    least, most = bounds(action)
    sample = still.sample(action)
    still.call(action, **sample, MaxResults=least)
    answer = still.call(action, **sample, MaxResults=most)
    assert "NextToken" not in answer  # there are fewer of all
    for size in (-1, 0, least - 1):
        refused_size(still, action, size)
    if is_cut(action):
        assert still.call(action, **sample, MaxResults=most + 1)["ResponseMetadata"]
    else:
        refused_size(still, action, most + 1)


def refused_size(world: World, action: str, size: int) -> None:
    code, _, message = world.refusal(action, **world.sample(action), MaxResults=size)
    assert code == "InvalidParameterValue", action
    assert f"Value ( {size} ) for parameter maxResults is invalid" in message


def is_cut(action: str) -> bool:
    """Tell whether a MaxResults that is too large is lowered."""
    row = ACTIONS["ec2", action].handler
    if isinstance(row, Nothing):
        return row.cut_max_results
    return action in RESOURCES and RESOURCES[action].cut_max_results


def _input(action: str) -> Mapping[str, Any]:
    members: Mapping[str, Any] = _MODEL.operation_model(action).input_shape.members
    return members


@pytest.mark.parametrize("action", PAGED)
def test_what_is_named_comes_in_one_page(still: World, action: str) -> None:
    row = ACTIONS["ec2", action].handler
    given: dict[str, str] = {}
    if isinstance(row, Nothing):
        given = {one.member: known(one) for one in row.named}
    elif action in RESOURCES and RESOURCES[action].id_member in _input(action):
        given = {RESOURCES[action].id_member: still.facts.ids[RESOURCES[action].prefix]}
    for member, text in given.items():
        asked = {**still.sample(action), member: [text], "MaxResults": bounds(action)[0]}
        code, _, message = still.refusal(action, **asked)
        assert code in CODES
        assert code == "InvalidParameterCombination", action
        assert "maxResults" in message
