"""What (nearly) every recorded answer of EC2 holds, ours hold too: callers rely on it.

Source: tests/data/aws-responses.json, counted over recorded answers of the real service.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from state.store import Store
from tests.launches import plain
from tests.reads import Reads
from translators.registry import ACTIONS
from translators.settings import Settings

DATA = json.loads((Path(__file__).parent.parent / "data" / "aws-responses.json").read_text())
ENOUGH_SINCE_2022, ENOUGH, NEARLY = 10, 12, 0.95

REVIEWED: dict[tuple[str, str], str] = {}
"""(operation, member) -> why ours need not hold it."""


def required(operation: str) -> list[str]:
    """The members that stand in nearly every answer, recent ones counting before all."""
    found = []
    for path, seen in DATA["operations"][operation].items():
        if seen.get("of_2022", 0) >= ENOUGH_SINCE_2022:
            holds = seen["share_2022"] >= NEARLY
        else:
            holds = seen["of"] >= ENOUGH and seen["share"] >= NEARLY
        if holds and (operation, path) not in REVIEWED:
            found.append(path)
    return found


def holders(answer: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    """The objects of the answer in which the last name of the path should stand."""
    if len(path) == 1:
        yield answer
        return
    name, is_list = path[0].removesuffix("[]"), path[0].endswith("[]")
    if name not in answer:
        return  # its own absence is another requirement's matter
    for one in answer[name] if is_list else [answer[name]]:
        yield from holders(one, path[1:])


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    """A cloud in which there is one of everything that can be listed, with a tag."""
    made = Reads(store, settings)
    made.call("ImportKeyPair", KeyName="key", PublicKeyMaterial=ED25519)
    instance_ids = made.run(2, KeyName="key")
    made.found("launched", instance_ids[0])
    tagged = [*instance_ids]
    for action, items, member in (
        ("DescribeVolumes", "Volumes", "VolumeId"),
        ("DescribeSubnets", "Subnets", "SubnetId"),
        ("DescribeVpcs", "Vpcs", "VpcId"),
        ("DescribeRouteTables", "RouteTables", "RouteTableId"),
        ("DescribeInternetGateways", "InternetGateways", "InternetGatewayId"),
        ("DescribeNetworkAcls", "NetworkAcls", "NetworkAclId"),
        ("DescribeDhcpOptions", "DhcpOptions", "DhcpOptionsId"),
        ("DescribeNetworkInterfaces", "NetworkInterfaces", "NetworkInterfaceId"),
        ("DescribeSecurityGroups", "SecurityGroups", "GroupId"),
        ("DescribeKeyPairs", "KeyPairs", "KeyPairId"),
    ):
        tagged += [one[member] for one in made.call(action)[items]]
    made.call("CreateTags", Resources=tagged, Tags=[{"Key": "Name", "Value": "one"}])
    return made


ED25519 = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPm9Y2o7sXyXHxoNyUMHZG+5xDGKDsxTeRGWyS8pTzUG"


@pytest.mark.parametrize("operation", sorted(DATA["operations"]))
def test_what_recorded_answers_hold_ours_hold(reads: Reads, operation: str) -> None:
    service, _, name = operation.partition(".")
    request = {
        "DescribeVpcAttribute": lambda: {
            "VpcId": reads.call("DescribeVpcs")["Vpcs"][0]["VpcId"],
            "Attribute": "enableDnsSupport",
        }
    }.get(name, dict)()
    with reads.store.read() as session:
        answer = plain(ACTIONS[service, name].handler(reads.context(session), request))
    missing: list[str] = []
    for path in required(operation):
        parts = path.split(".")
        missing += [path for one in holders(answer, parts) if parts[-1] not in one][:1]
    assert missing == []


def test_every_list_of_the_answers_was_looked_into(reads: Reads) -> None:
    for operation, members in DATA["operations"].items():
        service, _, name = operation.partition(".")
        lists = {path.partition("[]")[0] for path in members if "[]" in path}
        if service == "ec2" and lists:
            answer = reads.call(name)
            assert all(answer[one] for one in lists), operation


def test_no_exception_is_left_that_is_none() -> None:
    for operation, path in REVIEWED:
        assert path in DATA["operations"][operation], (operation, path)
