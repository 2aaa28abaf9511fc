"""What is looked at first: the signature, the form, then the permission, then what exists.

A dry run asks for the permission alone: it comes after the form and before existence.

Source: tests/data/aws-errors.json, note on InvalidSnapshotID.Malformed; EC2 API Reference, DryRun.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import botocore.session

from state import ids
from tests.conformance.asked import EC2, World
from tests.truth import catalogue
from tests.truth.ledger import Ledger
from translators import forms
from translators.ec2.nothing.asking import Nothing
from translators.registry import ACTIONS

MODEL: Final = botocore.session.get_session().get_service_model("ec2")
AGAINST: Final = "EC2's order of checks"
NAMES_NOTHING: Final = {
    "AssociatedSubnetIds": "refused whatever it is",
    "AttachmentId": "looked for among the interface's own",
    "AvailabilityZoneId": "zones have names of another form",
    "CapacityReservationId": "refused whatever it is",
    "DestinationAvailabilityZoneId": "refused whatever it is",
    "HostId": "refused whatever it is",
    "KernelId": "refused whatever it is",
    "KeyPairId": "EC2 tells no malformed ids of key pairs apart",
    "KeyPairIds": "EC2 tells no malformed ids of key pairs apart",
    "KmsKeyId": "refused whatever it is",
    "LaunchTemplateId": "refused whatever it is",
    "MetricCategoryIds": "refused whatever it is",
    "OwnerIds": "accounts",
    "PrefixListId": "refused whatever it is",
    "RamdiskId": "refused whatever it is",
    "RestorableByUserIds": "accounts",
    "SecondarySubnetId": "refused whatever it is",
    "SourceSecurityGroupOwnerId": "an account",
    "UserId": "an account",
    "UserIds": "accounts",
    "VpcPeeringConnectionId": "refused whatever it is",
    "ZoneIds": "zones have names of another form",
}
"""Members whose names end so although their form is not that of an id of ours, and why."""
ELSEWHERE: Final = {
    "Placement.GroupId": "refused whatever it is",
    "IpPermissions[].UserIdGroupPairs[].VpcId": "the pair's group tells its VPC",
}
"""The same where only the place tells it."""


class Named(NamedTuple):
    """A member of a request that names a thing."""

    action: str
    path: str

    @property
    def member(self) -> str:
        return self.path.split(".")[-1].removesuffix("[]")

    def request(self, text: str) -> dict[str, Any]:
        """The request's part in which the member has that text."""
        value: Any = text
        for step in reversed(self.path.split(".")):
            name = step.removesuffix("[]")
            value = {name: [value] if step.endswith("[]") else value}
        assert isinstance(value, dict)
        return value


def named() -> Iterator[Named]:
    """All members of requests that name things, by botocore's model, however deep they are."""
    for action in EC2:
        if not isinstance(ACTIONS["ec2", action].handler, Nothing):
            for path in _paths(MODEL.operation_model(action).input_shape, "", frozenset()):
                if re.search(r"(Ids?|Groups)$", path.removesuffix("[]")):
                    yield Named(action, path)


def _members(action: str) -> Any:
    shape: Any = MODEL.operation_model(action).input_shape
    return shape.members


def _paths(shape: Any, path: str, around: frozenset[str]) -> Iterator[str]:
    if shape.type_name == "structure" and shape.name not in around:
        for name, inner in shape.members.items():
            yield from _paths(inner, f"{path}.{name}".lstrip("."), around | {shape.name})
    elif shape.type_name == "list":
        yield from _paths(shape.member, f"{path}[]", around)
    elif shape.type_name == "string":
        yield path


def checked() -> list[Named]:
    """Those whose form is looked at."""
    return [one for one in named() if one.path not in ELSEWHERE and one.member in forms.FORMS]


def test_every_member_that_names_a_thing_is_looked_at_or_reviewed() -> None:
    unknown = {one.member for one in named()} - set(forms.FORMS) - set(NAMES_NOTHING)
    # These are names, of groups and of accounts.
    assert unknown == {"SecurityGroups", "UserGroups"}
    assert len(checked()) > 80


def test_reviews_are_of_what_there_is() -> None:
    found = list(named())
    assert set(NAMES_NOTHING) <= {one.member for one in found}
    assert set(ELSEWHERE) <= {one.path for one in found}


def test_a_malformed_id_is_refused_before_a_dry_run_succeeds(still: World, ledger: Ledger) -> None:
    before = still.content()
    for one in checked():
        form = forms.FORMS[one.member]
        for text in ("x", f"{form.prefixes[0]}-x", f"{form.prefixes[0]}-0123456789ABCDEF0"):
            request = {**still.sample(one.action), **one.request(text), "DryRun": True}
            code, status, message = still.refusal(one.action, **request)
            assert code in catalogue.CODES, one
            assert (code, status) != ("DryRunOperation", 412), one
            assert text in message, one
    assert still.content() == before
    ledger.note("order: form before permission", AGAINST, checked=len(checked()))


def test_a_dry_run_succeeds_before_anything_is_looked_for(still: World, ledger: Ledger) -> None:
    for one in checked():
        unknown = f"{forms.FORMS[one.member].prefixes[0]}-0123456789abcdef0"
        request = {**still.sample(one.action), **one.request(unknown), "DryRun": True}
        assert still.refusal(one.action, **request)[0] == "DryRunOperation", one
    ledger.note("order: permission before existence", AGAINST, checked=len(checked()))


def test_what_is_not_there_is_not_found_though_the_rest_is_malformed(still: World) -> None:
    for one in checked():
        if not one.path.endswith("[]") or "." in one.path:
            continue
        prefix = forms.FORMS[one.member].prefixes[0]
        given = [ids.mint(prefix), f"{prefix}-x"]
        request = {**still.sample(one.action), one.member: given}
        code, _, message = still.refusal(one.action, **request)
        assert given[1] in message, one
        assert given[0] not in message, (one, code)


def test_what_there_is_none_of_has_its_form_looked_at_too(still: World, ledger: Ledger) -> None:
    walked = 0
    for action in EC2:
        row = ACTIONS["ec2", action].handler
        if not isinstance(row, Nothing):
            continue
        for one in row.named:
            if not one.prefix:
                continue
            given: Any = "x" if one.member == "FleetId" else ["x"]
            request = {**still.sample(action), one.member: given}
            if "DryRun" in _members(action):
                request["DryRun"] = True
            code, _, message = still.refusal(action, **request)
            assert code != "DryRunOperation", (action, one.member)
            assert "x" in message
            walked += 1
    ledger.note("order: form before permission", AGAINST, checked=walked)


def test_who_is_not_known_learns_nothing_of_the_form(still: World) -> None:
    wrong = dataclasses.replace(still.stranger, secret="another")
    for action, request in (("DescribeInstances", {"InstanceIds": ["x"]}), ("AttachVolume", {})):
        code, status, _ = still.refusal(action, by=wrong, **request)
        assert (code, status) == ("AuthFailure", 401)


def test_a_member_that_is_missing_is_missed_before_the_rest_is_looked_at(still: World) -> None:
    code, _, message = still.refusal("AttachVolume", VolumeId="x", InstanceId="x", DryRun=True)
    assert (code, message) == (
        "MissingParameter",
        "The request must contain the parameter device",
    )
