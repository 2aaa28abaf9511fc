"""Every action on offer, walked: what all of EC2's actions have in common, all of ours have.

Source: EC2 API Reference, "Common query parameters", "Ensuring idempotency", "Error codes for the
Amazon EC2 API"; the members of each action in botocore's model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest
from botocore import xform_name

from ec2gw.wire import model
from tests.conformance.asked import EC2, PREFIXES, World
from tests.truth.catalogue import CODES
from translators.ec2.nothing.asking import Nothing
from translators.registry import ACTIONS


def members(action: str) -> Mapping[str, model.Shape]:
    operation = model.operation("ec2", action)
    assert operation is not None
    assert operation.input is not None
    return {one.name: one.shape for one in operation.input.members}


def having(*names: str) -> list[str]:
    """The actions that have one of these members."""
    return [action for action in EC2 if any(name in members(action) for name in names)]


def refusal(world: World, action: str, **request: Any) -> str:
    """Answer the code with which a request is refused; it has to be one of AWS's."""
    code, status, message = world.refusal(action, **request)
    assert code in CODES, f"{action}: {code}"
    assert 400 <= status < 500, f"{action}: {status} {message}"
    return code


@pytest.mark.parametrize("action", [name for name in EC2 if ACTIONS["ec2", name].changes])
def test_a_right_change_is_carried_out(world: World, action: str) -> None:
    before = world.content()
    answer = world.call(action, **world.sample(action))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert world.content() != before


@pytest.mark.parametrize("action", [name for name in EC2 if not ACTIONS["ec2", name].changes])
def test_a_right_question_is_answered_and_changes_nothing(still: World, action: str) -> None:
    before = still.content()
    if action == "DescribeFleetInstances":
        assert refusal(still, action, **still.sample(action)) == "InvalidFleetId.NotFound"
    else:
        answer = still.call(action, **still.sample(action))
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert still.content() == before


def test_a_dry_run_says_that_it_is_one_and_changes_nothing(still: World) -> None:
    before = still.content()
    dry = having("DryRun")
    assert len(dry) > 50
    for action in dry:
        code, status, message = still.refusal(action, **still.sample(action), DryRun=True)
        assert (code, status) == ("DryRunOperation", 412), action
        assert message == "Request would have succeeded, but DryRun flag is set."
    assert still.content() == before


def test_what_an_action_requires_is_missed(still: World) -> None:
    walked = 0
    for action in EC2:
        operation = model.operation("ec2", action)
        assert operation is not None
        for name in operation.required:
            if (action, name) == ("CopySnapshot", "SourceRegion"):
                continue  # boto3 cannot leave it out: it signs a URL there
            asked = {key: value for key, value in still.sample(action).items() if key != name}
            assert refusal(still, action, **asked) == "MissingParameter", (action, name)
            walked += 1
    assert walked > 20


# -- filters


def test_an_unknown_filter_is_refused_by_every_list(still: World) -> None:
    for action in having("Filters", "Filter"):
        member = "Filter" if "Filter" in members(action) else "Filters"
        for wrong in ("colour", "", "Tag:Name", "tags:Name"):
            asked = {member: [{"Name": wrong, "Values": ["x"]}]}
            code, _, message = still.refusal(action, **still.sample(action), **asked)
            if action == "DescribeFleetInstances":
                continue  # the fleet it requires is looked for before
            assert code == "InvalidParameterValue", action
            assert message == f"The filter '{wrong or 'null'}' is invalid"


def test_so_many_values_are_refused_by_every_list(still: World) -> None:
    for action in having("Filters", "Filter"):
        if action == "DescribeFleetInstances":
            continue
        member = "Filter" if "Filter" in members(action) else "Filters"
        row = ACTIONS["ec2", action].handler
        name = row.filter_names.split()[0] if isinstance(row, Nothing) else "tag:x"
        asked = {member: [{"Name": name, "Values": [str(number) for number in range(201)]}]}
        assert refusal(still, action, **still.sample(action), **asked) == "InvalidParameterValue"


# -- ids

NO_IDS: Final = {
    "AssociatedSubnetIds": "refused whatever it is",
    "AvailabilityZoneId": "zones have names of another form",
    "DestinationAvailabilityZoneId": "refused whatever it is",
    "MetricCategoryIds": "refused whatever it is",
    "KernelId": "refused whatever it is",
    "KmsKeyId": "refused whatever it is",
    "OwnerIds": "accounts",
    "RamdiskId": "refused whatever it is",
    "RestorableByUserIds": "accounts",
    "SourceSecurityGroupOwnerId": "an account",
    "UserIds": "accounts",
    "ZoneIds": "zones have names of another form",
}
"""Members whose name ends so although they name no resource."""
OTHER_PREFIXES: Final = {"DescribeImportSnapshotTasks": "import-snap"}
"""Actions whose ids have another prefix than their member's name says."""
SUCCEEDS: Final = {("DeleteKeyPair", "KeyPairId"): "to delete what is not there is no error"}
NOT_THERE: Final = re.compile(r"Invalid\w+\.NotFound|InvalidConversionTaskId")
"""The codes for what is not there; imports have an older one."""
ALIKE: Final = {
    "KeyPairIds": "EC2 tells no malformed ids of key pairs apart",
    "VpcId": "EC2 says of either that there is no such VPC",
    "VpcIds": "EC2 says of either that there is no such VPC",
}
"""Members for which what is no id and what is not there have the same code."""


def named() -> list[tuple[str, str, str]]:
    """Action, member and prefix of all members that name resources."""
    found: list[tuple[str, str, str]] = []
    for action in EC2:
        if isinstance(ACTIONS["ec2", action].handler, Nothing):
            continue  # a table with a test of its own
        for member in members(action):
            stem = re.fullmatch(r"(\w+?)Ids?", member)
            if stem is not None and member not in NO_IDS:
                prefix = OTHER_PREFIXES.get(action, PREFIXES[stem[1]])
                found.append((action, member, prefix))
    return found


def test_ids_are_found_in_the_model() -> None:
    assert len(named()) > 30
    assert ("DescribeDhcpOptions", "DhcpOptionsIds", "dopt") in named()


@pytest.mark.parametrize(("action", "member", "prefix"), named())
def test_what_is_no_id_is_told_from_what_is_not_there(
    still: World, action: str, member: str, prefix: str
) -> None:
    def asked(text: str) -> dict[str, Any]:
        is_list = members(action)[member].item is not None
        sample = still.sample(action)
        if action == "DeleteKeyPair":
            del sample["KeyName"]
        return {**sample, member: [text] if is_list else text}

    unknown = f"{prefix}-0123456789abcdef0"
    if (action, member) in SUCCEEDS:
        assert still.call(action, **asked(unknown))["Return"] is True
        return
    not_found = refusal(still, action, **asked(unknown))
    assert NOT_THERE.fullmatch(not_found)
    codes = {
        refusal(still, action, **asked(text))
        for text in ("x", f"{prefix}-", f"{prefix}-0", f"{prefix}-0123456789ABCDEF0", "i-\u00e9")
    }
    if member in ALIKE:
        assert codes == {not_found}
    else:
        assert codes <= {"InvalidParameterValue", malformed(not_found)}


def malformed(not_found: str) -> str:
    """The code for what is no id, beside the one for what is not there: EC2's spelling varies."""
    return {
        "InvalidConversionTaskId": "InvalidConversionTaskId.Malformed",
        "InvalidGroup.NotFound": "InvalidGroupId.Malformed",
        "InvalidDhcpOptionID.NotFound": "InvalidDhcpOptionsId.Malformed",
        "InvalidAMIID.NotFound": "InvalidAMIID.Malformed",
        "InvalidInstanceID.NotFound": "InvalidInstanceID.Malformed",
        "InvalidSnapshot.NotFound": "InvalidSnapshotID.Malformed",
        "InvalidVolume.NotFound": "InvalidVolumeID.Malformed",
    }.get(not_found, not_found.replace("ID.NotFound", "Id.Malformed"))


@pytest.mark.parametrize(("action", "member", "prefix"), named())
def test_what_is_somebody_else_s_is_not_there(
    still: World, action: str, member: str, prefix: str
) -> None:
    is_list = members(action)[member].item is not None
    theirs = still.facts.ids[prefix]
    asked = {**still.sample(action), member: [theirs] if is_list else theirs}
    if action == "DeleteKeyPair":
        del asked["KeyName"]
    before = still.content()
    if (action, member) in SUCCEEDS:
        still.call(action, by=still.stranger, **asked)
    else:
        code = refusal(still, action, by=still.stranger, **asked)
        assert code == "AuthFailure" or NOT_THERE.fullmatch(code), code
    assert still.content() == before


# -- requests that come again


@pytest.mark.parametrize("action", having("ClientToken"))
def test_a_token_makes_a_request_once(world: World, action: str) -> None:
    sample = {**world.sample(action), "ClientToken": "token"}
    first = world.call(action, **sample)
    kept = world.content()
    again = world.call(action, **sample)
    for answer in (first, again):
        del answer["ResponseMetadata"]
    assert again == first
    assert world.content() == kept
    other = {**sample, **other_parameters(action)}
    assert refusal(world, action, **other) == "IdempotentParameterMismatch"
    assert world.call(action, **{**other, "ClientToken": "another"}) != first
    too_long = {**sample, "ClientToken": "t" * 65}
    assert refusal(world, action, **too_long) == "InvalidParameterValue"


def other_parameters(action: str) -> dict[str, Any]:
    """What makes another request of an action's sample."""
    given: dict[str, Any] = {
        "TagSpecifications": [{"ResourceType": kinds(action)[0], "Tags": [{"Key": "k"}]}]
    }
    others: dict[str, dict[str, Any]] = {
        "RunInstances": {"MaxCount": 2},
        "CopyImage": {"Name": "another"},
    }
    return others.get(action, given)


# -- tags at creation

KINDS: Final[Mapping[str, list[str]]] = {
    "AuthorizeSecurityGroupEgress": ["security-group-rule"],
    "AuthorizeSecurityGroupIngress": ["security-group-rule"],
    "CopyImage": ["image", "snapshot"],
    "CopySnapshot": ["snapshot"],
    "CreateImage": ["image", "snapshot"],
    "CreateSnapshots": ["snapshot"],
    "ImportImage": ["import-image-task"],
    "ImportKeyPair": ["key-pair"],
    "ImportSnapshot": ["import-snapshot-task"],
    "RegisterImage": ["image"],
    "RunInstances": ["instance", "network-interface", "volume"],
}


def kinds(action: str) -> list[str]:
    """The types of what an action makes: those of the table, else what its name says."""
    return KINDS.get(action, [xform_name(action.removeprefix("Create")).replace("_", "-")])


@pytest.mark.parametrize("action", having("TagSpecifications"))
def test_what_is_made_has_its_tags_at_once(world: World, action: str) -> None:
    for kind in kinds(action):
        sample = world.sample(action)
        if "Name" in sample or "KeyName" in sample:
            sample["Name" if "Name" in sample else "KeyName"] = f"tagged {kind}"
        tags = [{"Key": "made", "Value": f"by {action}"}, {"Key": "empty", "Value": ""}]
        specified = [{"ResourceType": kind, "Tags": tags}]
        world.call(action, **sample, TagSpecifications=specified)
        asked = [{"Name": "value", "Values": [f"by {action}"]}]
        found = world.call("DescribeTags", Filters=asked)["Tags"]
        assert {one["ResourceType"] for one in found} == set(
            kinds(action)[: kinds(action).index(kind) + 1]
        )
        for one in found:
            assert PREFIXED[one["ResourceType"]] == one["ResourceId"].rpartition("-")[0]


PREFIXED: Final = {
    "image": "ami",
    "import-image-task": "import-ami",
    "import-snapshot-task": "import-snap",
    "instance": "i",
    "key-pair": "key",
    "network-interface": "eni",
    "security-group": "sg",
    "security-group-rule": "sgr",
    "snapshot": "snap",
    "volume": "vol",
}
"""Type in a tag -> prefix of the ids."""


@pytest.mark.parametrize("action", having("TagSpecifications"))
def test_wrong_tags_make_nothing(still: World, action: str) -> None:
    kind = kinds(action)[0]
    many = [{"Key": str(number), "Value": "x"} for number in range(51)]
    wrong: tuple[tuple[str, list[dict[str, str]], str], ...] = (
        ("flying-carpet", [{"Key": "a", "Value": "b"}], "InvalidParameterValue"),
        (kind, [], "InvalidParameterValue"),
        (kind, many, "TagLimitExceeded"),
        (kind, [{"Key": "", "Value": "x"}], "InvalidTagKey.Malformed"),
        (kind, [{"Key": "aws:x", "Value": "x"}], "InvalidParameterValue"),
        (kind, [{"Key": "k" * 129, "Value": "x"}], "InvalidParameterValue"),
        (kind, [{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        (kind, [{"Key": "k"}, {"Key": "k"}], "InvalidParameterValue"),
    )
    before = still.content()
    for resource_type, tags, code in wrong:
        specified = [{"ResourceType": resource_type, "Tags": tags}]
        asked = {**still.sample(action), "TagSpecifications": specified}
        assert refusal(still, action, **asked) == code, (resource_type, tags[:1])
    assert still.content() == before
