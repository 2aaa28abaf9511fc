"""What is not there is asked for as on EC2: an empty list, and an id that is not found."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from state.secrets import Vault
from state.store import Store
from tests.in_process import InProcess
from translators.ec2.nothing.asking import Named, Nothing
from translators.ec2.nothing.table import TABLE
from translators.settings import Settings

DATA = json.loads((Path(__file__).parents[1] / "data" / "aws-errors.json").read_text())
IDS = {
    "FleetId": "fleet-01234567-0123-0123-0123-0123456789ab",
    "FleetIds": "fleet-01234567-0123-0123-0123-0123456789ab",
    "GroupNames": "group",
    "LaunchTemplateNames": "template",
    "PublicIps": "203.0.113.1",
    "ReservedInstancesIds": "01234567-0123-0123-0123-0123456789ab",
    "SpotInstanceRequestIds": "sir-0abcxyz9",
}
"""What is well-formed, where that is not a prefix and digits."""


@pytest.fixture
def gateway(store: Store, vault: Vault, settings: Settings) -> InProcess:
    return InProcess.fresh(store, vault, settings)


def rows(without: Collection[str] = ()) -> list[Nothing]:
    return [row for row in TABLE if row.name not in without]


def known(one: Named) -> str:
    return IDS.get(one.member, f"{one.prefix}-0123456789abcdef0")


def test_lists_are_empty_and_have_no_next_page(gateway: InProcess) -> None:
    for row in rows(without=["DescribeFleetInstances"]):
        name = "tag:Owner" if "tag-key" in row.filter_names else row.filter_names.split()[0]
        asked: dict[str, Any] = {row.filters_member: [{"Name": name, "Values": ["me"]}]}
        answer = gateway.call(row.name, **asked)
        del answer["ResponseMetadata"]
        assert answer == {row.list_member or row.name.removeprefix("Describe"): []}, row.name


def test_what_is_named_is_not_found(gateway: InProcess) -> None:
    for row in TABLE:
        for one in row.named:
            text = known(one)
            given = text if one.member == "FleetId" else [text]
            code, status, message = gateway.refusal(row.name, **{one.member: given})
            assert (code, status) == (one.not_found, 400), row.name
            if code in DATA["errors"] and code not in DATA["missing"]:
                heads = [one["text"].partition("{")[0] for one in DATA["errors"][code]["messages"]]
                assert any(message.startswith(head) for head in heads), message


def test_what_is_no_id_is_told_apart(gateway: InProcess) -> None:
    for row in TABLE:
        for one in row.named:
            if not one.prefix:
                continue
            given = "x" if one.member == "FleetId" else [known(one), "x"]
            code, _, message = gateway.refusal(row.name, **{one.member: given})
            assert code == (one.malformed or "InvalidParameterValue"), row.name
            assert "x" in message.split("'") + message.split('"') or "(x)" in message


def test_several_are_told_of_at_once(gateway: InProcess) -> None:
    ids = [f"vgw-{number:017x}" for number in (1, 2)]
    code, _, message = gateway.refusal("DescribeVpnGateways", VpnGatewayIds=ids)
    assert (code, message) == (
        "InvalidVpnGatewayID.NotFound",
        f"The vpnGateway IDs '{ids[0]}, {ids[1]}' do not exist",
    )
    code, _, _ = gateway.refusal("DescribeVpnGateways", VpnGatewayIds=["vgw-x"] * 1001)
    assert code == "InvalidRequest"
