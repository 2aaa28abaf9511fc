"""What holds our answers and errors against EC2's turns red when one of them is spoilt.

Each thing that the checks are to notice is done to them: a member dropped, another kind of value, a
status, a code, a word of an error, the order of checks.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from ec2gw import pipeline
from tests.conformance.asked import World
from tests.truth import catalogue, evidence, test_answers, test_errors, test_faults
from tests.truth.catalogue import DATA, Entry
from tests.truth.exceptions_answers import EXCEPTIONS
from tests.truth.ledger import Ledger
from translators import errors
from translators.errors import Ec2Error

AGAINST: Final = "spoilt on purpose"
ELSE: Final[dict[type, object]] = {bool: "true", str: 7, int: "7", list: {}, dict: [], float: "7"}
"""A value of another kind."""


@pytest.fixture(scope="module")
def told(everything: World) -> dict[str, list[dict[str, Any]]]:
    """The answers of all reads with evidence."""
    return {
        f"{service}.{name}": test_answers.answers(everything, service, name)
        for service, name in test_answers.READS
        if f"{service}.{name}" in test_answers.RECORDED
    }


def whole(told: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, str, list[Any]]]:
    """Operation, path, and the objects that have to hold that member, and do."""
    for operation, answers in told.items():
        for path, seen in test_answers.RECORDED[operation].items():
            exempt = [one for one in EXCEPTIONS if one.speaks_of(operation, path, ())]
            if seen.band in evidence.BANDS and not exempt:
                name = path.split(".")[-1]
                trails = [one for answer in answers for one in evidence.holders(answer, path)]
                objects = [trail[-1] for trail in trails if name in trail[-1]]
                if objects and not any(
                    one.operation == operation and one.path == path for one in EXCEPTIONS
                ):
                    yield operation, path, objects


def complaints(operation: str, path: str, answers: list[Any]) -> list[str]:
    seen = {path: test_answers.RECORDED[operation][path]}
    return test_answers.complaints(evidence.hold(operation, answers, seen, EXCEPTIONS))


def test_a_member_that_is_dropped_is_missed(
    told: dict[str, list[dict[str, Any]]], ledger: Ledger
) -> None:
    dropped = 0
    for operation, path, objects in whole(told):
        name = path.split(".")[-1]
        for one in (objects[0], objects[-1]):
            kept = one.pop(name)
            found = complaints(operation, path, told[operation])
            one[name] = kept
            assert found, f"{operation} without {path}"
        assert complaints(operation, path, told[operation]) == []
        dropped += 1
    assert dropped > 300
    ledger.note("trials: members dropped", AGAINST, checked=dropped)


def test_a_value_of_another_kind_is_noticed(
    told: dict[str, list[dict[str, Any]]], ledger: Ledger
) -> None:
    changed = 0
    for operation, path, objects in whole(told):
        name = path.split(".")[-1]
        kept = objects[0][name]
        objects[0][name] = ELSE.get(type(kept), 7)
        found = complaints(operation, path, told[operation])
        objects[0][name] = kept
        assert found, f"{operation} with another {path}"
        changed += 1
    ledger.note("trials: kinds changed", AGAINST, checked=changed)


def test_an_exception_that_is_not_needed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    more = evidence.Exempt("ec2.DescribeVolumes", "Volumes[].VolumeId", "for no reason")
    monkeypatch.setattr(test_answers, "EXCEPTIONS", (more,))
    assert test_answers.unneeded([], [("ec2", "DescribeVolumes")]) == [more]


# -- errors


def seen() -> list[Entry]:
    """The errors whose wording was seen on EC2."""
    known = ("recorded", "sdk text", "documentation")
    return [one for one in catalogue.entries() if catalogue.sighting(one).seen in known]


def test_another_status_is_noticed() -> None:
    for entry in catalogue.entries():
        assert test_errors.wrong_statuses([dataclasses.replace(entry, status=418)]), entry


def test_another_code_is_noticed() -> None:
    for entry in catalogue.entries():
        assert test_errors.wrong_codes([dataclasses.replace(entry, code=f"{entry.code}X")]), entry


def spoilt(text: str) -> Iterator[str]:
    """The text with one of its words another one, for each of its words."""
    for word in re.finditer(r"\{[^}]*\}|[A-Za-z][a-z]+", text):
        if not word[0].startswith("{"):
            yield f"{text[: word.start()]}{word[0]}ish{text[word.end() :]}"


def test_another_word_is_noticed(ledger: Ledger) -> None:
    noticed = 0
    missed: set[str] = set()
    for entry in seen():
        for text in spoilt(entry.text):
            other = dataclasses.replace(entry, text=text)
            if test_errors.unseen([other]) - test_errors.UNSEEN:
                noticed += 1
            else:
                missed.add(entry.code)
    assert missed == set(VARIES)
    assert noticed > 900
    ledger.note("trials: words of errors", AGAINST, checked=noticed)


VARIES: Final = {
    "IdempotentInstanceTerminated": "the sighting breaks off before its end",
    "InvalidAMIAttributeItemValue": "has a parameter's name in it",
    "MissingParameter": "has a parameter's name in it",
}
"""Errors in whose sentence a word may be another."""


@pytest.mark.parametrize(
    "other",
    [
        Ec2Error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 400),
        Ec2Error("DryRunOperations", "Request would have succeeded, but DryRun flag is set.", 412),
        Ec2Error("DryRunOperation", "Request would succeed, but DryRun flag is set.", 412),
    ],
    ids=["status", "code", "word"],
)
def test_a_spoilt_function_is_noticed(monkeypatch: pytest.MonkeyPatch, other: Ec2Error) -> None:
    def spoilt_error() -> Ec2Error:
        return other

    monkeypatch.setattr(errors, "dry_run_operation", spoilt_error)
    entries = catalogue.entries.__wrapped__()
    assert (
        test_errors.wrong_codes(entries)
        or test_errors.wrong_statuses(entries)
        or test_errors.unseen(entries) - test_errors.UNSEEN
    )


def test_a_fault_that_is_answered_otherwise_is_noticed() -> None:
    for fault in test_faults.FAULTS:
        known = fault.message
        status = known.get("status", DATA["errors"][fault.code]["status"])
        text = known["text"]
        assert test_faults.differs(fault, (fault.code, status, text)) == []
        assert test_faults.differs(fault, (f"{fault.code}X", status, text))
        assert test_faults.differs(fault, (fault.code, 418, text))
        assert test_faults.differs(fault, (fault.code, status, next(spoilt(text))))


def test_another_order_of_checks_is_noticed(still: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"InstanceIds": ["i-x"], "DryRun": True}
    assert still.refusal("StopInstances", **asked)[0] == "InvalidInstanceID.Malformed"
    without = tuple(one for one in pipeline.STAGES if one[0] != "check ids")
    assert len(without) == len(pipeline.STAGES) - 1
    monkeypatch.setattr(pipeline, "STAGES", without)
    assert still.refusal("StopInstances", **asked)[0] == "DryRunOperation"
