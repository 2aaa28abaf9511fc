"""DryRun, ClientToken, credentials, regions, page tokens: the same for every action."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from botocore import xform_name

from ec2gw.wire import model
from tests.e2e.bad_input.asked import ABSENT, LAUNCH, REGION, filled, refused
from tests.gateway import WINDOWS_IMAGE, Gateway
from translators import forms, registry

GIVEN: Mapping[str, Mapping[str, Any]] = {
    "CreateSnapshots": {"InstanceSpecification": {"InstanceId": "{instance}"}},
    "CreateTags": {"Resources": ["{instance}"], "Tags": [{"Key": "dry"}]},
    "DeleteKeyPair": {"KeyName": "taken"},
    "DeleteTags": {"Resources": ["{instance}"]},
    "ModifySecurityGroupRules": {
        "SecurityGroupRules": [
            {"SecurityGroupRuleId": f"sgr-{ABSENT}", "SecurityGroupRule": {"IpProtocol": "-1"}}
        ]
    },
    "RunInstances": {**LAUNCH, "ImageId": WINDOWS_IMAGE},
}
"""What an action is asked beyond what it requires, lest it would have failed anyway."""
registry.load_families()
CHANGING = sorted(
    name for (service, name), one in registry.ACTIONS.items() if one.changes and service == "ec2"
)


@pytest.mark.parametrize("action", CHANGING)
def test_a_dry_run_says_so_and_changes_nothing(
    ec2: Any, facts: dict[str, str], action: str
) -> None:
    operation = model.operation("ec2", action)
    assert operation is not None
    assert operation.input is not None
    members = {one.name: one.shape for one in operation.input.members}
    given = {name: _something(name, members[name], facts) for name in operation.required}
    given |= filled(GIVEN.get(action, {}), facts)
    before = _state(ec2)
    assert refused(getattr(ec2, xform_name(action)), **given, DryRun=True) == (
        "DryRunOperation",
        412,
        "Request would have succeeded, but DryRun flag is set.",
    )
    assert _state(ec2) == before


def _something(name: str, shape: model.Shape, facts: Mapping[str, str]) -> Any:
    if shape.item is not None:
        return [_something(name, shape.item.shape, facts)]
    if name in ("InstanceId", "InstanceIds"):
        return facts["instance"]
    if name in forms.FORMS:
        return f"{forms.FORMS[name].prefixes[0]}-{ABSENT}"  # what exists is not looked at
    return {
        "boolean": True,
        "integer": 1,
        "string": "dry",
        "blob": b"dry",
        "structure": {},
        "timestamp": dt.datetime(2040, 1, 1, tzinfo=dt.UTC),
    }[shape.kind]


def _state(ec2: Any) -> list[Any]:
    alive = {"pending": "alive", "running": "alive"}  # a launch may come to its end meanwhile
    instances = [
        (one["InstanceId"], alive.get(one["State"]["Name"], "gone"), one["LaunchTime"])
        for each in ec2.describe_instances()["Reservations"]
        for one in each["Instances"]
    ]
    return [instances, ec2.describe_key_pairs()["KeyPairs"], ec2.describe_tags()["Tags"]]


# -- ClientToken


def test_a_launch_that_is_asked_again_with_its_token_is_the_same_launch(ec2: Any) -> None:
    token = str(uuid.uuid4())
    asked = {**LAUNCH, "MaxCount": 2, "ClientToken": token}
    first = ec2.run_instances(**asked)
    again = ec2.run_instances(**asked)
    assert again["ReservationId"] == first["ReservationId"]
    ids = [one["InstanceId"] for one in first["Instances"]]
    assert [one["InstanceId"] for one in again["Instances"]] == ids
    found = ec2.describe_instances(Filters=[{"Name": "client-token", "Values": [token]}])
    assert [one["ReservationId"] for one in found["Reservations"]] == [first["ReservationId"]]
    assert len(found["Reservations"][0]["Instances"]) == 2
    mismatch = refused(ec2.run_instances, **{**asked, "InstanceType": "t3.micro"})
    assert mismatch == (
        "IdempotentParameterMismatch",
        400,
        "Arguments on this idempotent request are inconsistent with arguments used in previous "
        "request(s).",
    )
    ec2.terminate_instances(InstanceIds=ids)
    ec2.get_waiter("instance_terminated").wait(
        InstanceIds=ids, WaiterConfig={"Delay": 0.1, "MaxAttempts": 200}
    )
    code, status, _ = refused(ec2.run_instances, **asked)
    assert (code, status) == ("IdempotentInstanceTerminated", 400)


# -- who asks, and where


@pytest.mark.parametrize("wrong", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_a_wrong_key_and_a_wrong_secret_are_told_alike(gateway: Gateway, wrong: str) -> None:
    right = gateway.environment[wrong]
    gateway.environment[wrong] = right[:-4] + "XXXX"
    try:
        client = gateway.client(region=REGION)
    finally:
        gateway.environment[wrong] = right
    found = refused(client.describe_instances)
    client.close()
    assert found == (
        "AuthFailure",
        401,
        "AWS was not able to validate the provided access credentials",
    )


def test_a_region_that_is_not_there_is_refused(gateway: Gateway) -> None:
    client = gateway.client(region="moon-north-1")
    code, status, message = refused(client.describe_instances)
    client.close()
    assert (code, status) == ("AuthFailure", 401)
    assert "moon-north-1" in message


def test_a_page_token_is_good_for_its_own_question_alone(ec2: Any) -> None:
    first = ec2.describe_instance_types(MaxResults=5)
    other = {"Filters": [{"Name": "current-generation", "Values": ["true"]}]}
    code, status, _ = refused(
        ec2.describe_instance_types, **other, MaxResults=5, NextToken=first["NextToken"]
    )
    assert (code, status) == ("InvalidNextToken", 400)
