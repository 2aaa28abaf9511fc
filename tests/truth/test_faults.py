"""The same fault has the same code, status and words in the same action as on EC2.

What was seen on EC2 is done again here; what cannot be, or was not yet, is counted as unknown.

Source: tests/data/aws-errors.json: the actions that were seen to answer so.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.conformance.asked import EC2, Facts, World
from tests.truth import catalogue, faults_disks, faults_groups, faults_ids, faults_instances
from tests.truth.catalogue import DATA
from tests.truth.faults import Fault
from tests.truth.ledger import Ledger

FAULTS: Final = (
    *faults_ids.FAULTS,
    *faults_disks.FAULTS,
    *faults_instances.FAULTS,
    *faults_groups.FAULTS,
)


@pytest.fixture(scope="module")
def cloud(states: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A copy of the account with one of each thing."""
    made = World(states, tmp_path_factory.mktemp("faults") / "world")
    yield made
    made.close()


def named(fault: Fault) -> str:
    return f"{fault.action}-{fault.code}-{fault.words[:20]}"


def differs(fault: Fault, answer: tuple[str, int, str]) -> list[str]:
    """What of an answer is not as EC2's."""
    code, status, message = answer
    known = fault.message
    wrong = []
    if code != fault.code:
        wrong.append(f"{code} instead of {fault.code}")
    if status != known.get("status", DATA["errors"][fault.code]["status"]):
        wrong.append(f"{status}")
    pattern = re.sub(r"\\\{\w+\\\}|\d+(\\\.\d+)?", "(?s:.*)", re.escape(known["text"]))
    if not re.fullmatch(pattern + (".*" if known.get("cut") else ""), message):
        wrong.append(f"{message!r} instead of {known['text']!r}")
    return wrong


@pytest.mark.parametrize("fault", FAULTS, ids=named)
def test_a_fault_is_answered_as_ec2_answers_it(cloud: World, fault: Fault) -> None:
    request = cloud.filled(dict(fault.request))
    by = cloud.stranger if fault.by_stranger else cloud.default
    assert differs(fault, cloud.refusal(fault.action, by=by, **request)) == []


def test_each_was_seen_in_that_action(ledger: Ledger) -> None:
    for fault in FAULTS:
        actions = fault.message.get("operations", ["*"])
        assert any(fnmatch.fnmatch(fault.action, one) for one in actions), fault
    seen = set(sightings())
    again = {(fault.code, fault.message["text"], fault.action) for fault in FAULTS} & seen
    against = "wordings by action, as seen on EC2"
    ledger.note("faults", against, checked=len(again), unknown=len(seen - again))


def sightings() -> Iterator[tuple[str, str, str]]:
    """Code, wording and action of all that was seen of actions on offer."""
    for code, known in DATA["errors"].items():
        for message in known["messages"]:
            if message["real"] in ("recorded", "sdk text") and code in catalogue.CODES:
                for action in set(message.get("operations", ())) & set(EC2):
                    yield code, message["text"], action
