"""What (nearly) every recorded answer of EC2, STS and IAM holds, ours hold too, in every state.

Source: tests/data/aws-responses.json, counted over recorded answers of the real services.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.exceptions import ClientError

from state import lifecycle, storage
from tests.conformance.asked import Facts, World
from tests.truth import evidence
from tests.truth.evidence import Exempt, Held, Seen
from tests.truth.exceptions_answers import EXCEPTIONS
from tests.truth.ledger import Ledger
from translators.registry import ACTIONS

RECORDED: Final = evidence.recorded()
READS: Final = sorted(key for key, action in ACTIONS.items() if not action.changes)
CHANGES: Final = sorted(key for key, action in ACTIONS.items() if action.changes)
EC2: Final = botocore.session.get_session().get_service_model("ec2")
AGAINST: Final = "1317 recorded answers"

MORE: Final[Mapping[str, tuple[Mapping[str, Any], ...]]] = {
    "DescribeImages": ({"IncludeDeprecated": True}, {"Owners": ["self"]}),
    "DescribeInstanceStatus": ({"IncludeAllInstances": True},),
    "DescribeKeyPairs": ({"IncludePublicKey": True},),
    "DescribeSecurityGroupReferences": ({"GroupId": ["{web}"]},),
}
"""What else is asked of an action."""
REFUSED: Final = {
    ("DescribeFleetInstances", ""): "InvalidFleetId.NotFound",
    ("GetInstanceProfile", ""): "NoSuchEntity",
    ("DescribeImageAttribute", "blockDeviceMapping"): "AuthFailure",
}
"""Reads of one thing of which there is none, or that EC2 shows nobody: (action, attribute)."""

TAGGED: Final = {
    "CreateSnapshot": "snapshot",
    "CreateSnapshots": "snapshot",
    "RunInstances": "instance",
}
"""Changes whose answers show the tags that are given, and of what."""


def requests(cloud: World, service: str, name: str) -> Iterator[dict[str, Any]]:
    """All requests by which a read is asked: one an attribute, where it shows one at a time."""
    if service != "ec2":
        yield {"InstanceProfileName": "x"} if name == "GetInstanceProfile" else {}
        return
    sample = cloud.sample(name)
    members: Any = EC2.operation_model(name).input_shape
    if "Attribute" in members.members:
        yield from ({**sample, "Attribute": one} for one in members.members["Attribute"].enum)
        return
    yield sample
    yield from (cloud.filled({**sample, **more}) for more in MORE.get(name, ()))


def answers(cloud: World, service: str, name: str) -> list[dict[str, Any]]:
    """All answers of a read; what is refused is refused as reviewed."""
    told = []
    for request in requests(cloud, service, name):
        try:
            told.append(cloud.call(name, service=service, **request))
        except ClientError as error:
            if error.response["Error"]["Code"] != REFUSED.get((name, request.get("Attribute", ""))):
                raise
    return told


def as_recorded(name: str) -> dict[str, Seen]:
    """What is known of a change's answer; a launch was recorded once, its reservation often."""
    seen = dict(RECORDED.get(f"ec2.{name}", {}))
    if name == "RunInstances":
        for path, member in RECORDED["ec2.DescribeInstances"].items():
            if path.startswith("Reservations[]."):
                seen[path.removeprefix("Reservations[].")] = member
    return seen


def complaints(held: Held) -> list[str]:
    return [
        *(f"lacks {one}" for one in held.lacking),
        *(f"nothing to look into for {one}" for one in held.unseen),
        *(f"of another kind: {one}" for one in held.of_another_kind),
    ]


def note(ledger: Ledger, part: str, held: Sequence[Held], unknown: int) -> None:
    """Note the members that stand in every object, exceptions, and operations without evidence."""
    counts = {band: sum(one.members.get(band, 0) for one in held) for band in evidence.BANDS}
    excused = {exempt for one in held for exempt in one.excused}
    good = counts["always"] + counts["nearly"]
    ledger.note(part, AGAINST, checked=good, exceptions=len(excused))
    ledger.note(f"{part}, few seen", AGAINST, checked=counts["thin"])
    if unknown:
        operations = f"{part}, operations"
        ledger.note(operations, AGAINST, checked=len(held), unknown=unknown)


def test_every_read_holds_what_recorded_answers_hold(everything: World, ledger: Ledger) -> None:
    found: list[str] = []
    held: list[Held] = []
    for service, name in READS:
        told = answers(everything, service, name)
        seen = RECORDED.get(f"{service}.{name}")
        if seen is not None:
            one = evidence.hold(f"{service}.{name}", told, seen, EXCEPTIONS)
            found += [f"{name} {complaint}" for complaint in complaints(one)]
            held.append(one)
    assert not found, "\n".join(found)
    assert unneeded(held, READS) == []
    note(ledger, "reads", held, len(READS) - len(held))


def test_every_change_answers_what_recorded_answers_hold(
    prepared: Facts, tmp_path: Path, ledger: Ledger
) -> None:
    found: list[str] = []
    held: list[Held] = []
    for _, name in CHANGES:
        seen = as_recorded(name)
        if not seen:
            continue
        world = World(prepared, tmp_path / name)
        request = world.sample(name)
        if name in TAGGED:
            tags = [{"Key": "Name", "Value": "x"}]
            request["TagSpecifications"] = [{"ResourceType": TAGGED[name], "Tags": tags}]
        one = evidence.hold(f"ec2.{name}", [world.call(name, **request)], seen, EXCEPTIONS)
        world.close()
        found += [f"{name} {complaint}" for complaint in complaints(one)]
        held.append(one)
    assert not found, "\n".join(found)
    assert unneeded(held, CHANGES) == []
    note(ledger, "changes", held, len(CHANGES) - len(held))


def unneeded(held: Sequence[Held], walked: Sequence[tuple[str, str]]) -> list[Exempt]:
    """The exceptions for these operations that none of them needs."""
    used = {exempt for one in held for exempt in one.excused}
    names = {f"{service}.{name}" for service, name in walked}
    return [one for one in EXCEPTIONS if one.operation in names and one not in used]


def test_every_exception_is_of_an_offered_operation() -> None:
    offered = {f"{service}.{name}" for service, name in ACTIONS}
    assert {one.operation for one in EXCEPTIONS} <= offered
    assert all(one.why for one in EXCEPTIONS)


# -- the states themselves

LOST: Final = ("PrivateIpAddress", "SourceDestCheck", "SubnetId", "VpcId")
EMPTIED: Final = ("BlockDeviceMappings", "NetworkInterfaces", "SecurityGroups")
"""What an instance has in every state but the last, and what is left of lists then."""


def test_an_instance_has_its_place_until_it_is_terminated(everything: World) -> None:
    listed = everything.call("DescribeInstances")["Reservations"]
    instances = [one for reservation in listed for one in reservation["Instances"]]
    for one in instances:
        if one["State"]["Name"] == "terminated":
            assert not [name for name in LOST if name in one]
            assert all(one[name] == [] for name in EMPTIED)
        else:
            assert all(name in one for name in LOST), one["State"]
            assert all(one[name] for name in EMPTIED), one["State"]


def states(listed: Iterable[Mapping[str, Any]]) -> set[str]:
    return {
        one["State"]["Name"] if isinstance(one["State"], dict) else one["State"] for one in listed
    }


def test_the_account_has_one_of_each_thing_in_each_state(everything: World) -> None:
    reservations = everything.call("DescribeInstances")["Reservations"]
    instances = [one for reservation in reservations for one in reservation["Instances"]]
    assert states(instances) == {name for _, name in lifecycle.STATES.values()}
    volumes = everything.call("DescribeVolumes")["Volumes"]
    assert states(volumes) == set(storage.VOLUME_STATES.values())
    attached = states(one for volume in volumes for one in volume["Attachments"])
    assert attached == set(storage.ATTACHMENT_STATES.values())
    snapshots = everything.call("DescribeSnapshots", OwnerIds=["self"])["Snapshots"]
    assert states(snapshots) == {"pending", "completed", "error"}
    images = everything.call("DescribeImages", Owners=["self"])["Images"]
    assert states(images) == {"pending", "available", "failed"}
    interfaces = everything.call("DescribeNetworkInterfaces")["NetworkInterfaces"]
    assert {one["Status"] for one in interfaces} == {"available", "in-use"}
    changed = everything.call("DescribeVolumesModifications")["VolumesModifications"]
    assert {one["ModificationState"] for one in changed} == {"modifying", "completed", "failed"}
