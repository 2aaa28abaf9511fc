"""Every error that the service can answer with is EC2's: its code, its status, its wording.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

import collections
import tomllib
from collections.abc import Collection, Mapping
from typing import Any, Final

from tests.truth import catalogue, source
from tests.truth.catalogue import DATA, Entry
from tests.truth.ledger import Ledger

AGAINST: Final = (
    f"{sum(len(one['messages']) for one in DATA['errors'].values())} wordings seen on EC2"
)
REVIEWED: Final = tomllib.loads((source.ROOT / "tests" / "truth" / "unseen.toml").read_text())
UNSEEN: Final = {text for group in REVIEWED["group"] for text in group["errors"]}
OF_HTTP: Final[Mapping[int, str]] = {
    404: "nothing is at the path",
    405: "neither GET nor POST",
    413: "larger than a request may be",
}
"""Statuses of HTTP's own that EC2's list has not, and when."""


def test_no_error_is_made_where_it_is_raised() -> None:
    assert source.strays() == []


def test_every_error_is_found() -> None:
    entries = catalogue.entries()
    assert len({entry.code for entry in entries}) > 100
    named = {entry.where for entry in entries}
    for place in (
        "translators.errors:invalid_action",
        "translators.ec2.instances.instance_errors:user_data_too_long",
        "translators.volume_types:_throughput",
        "ec2gw.auth.sigv4:_from_query",
        "ec2gw.wire.form:split",
        "DescribeVpnGateways.VpnGatewayIds",
    ):
        assert place in named


def wrong_codes(entries: Collection[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.code not in catalogue.CODES]


def wrong_statuses(entries: Collection[Entry], data: Mapping[str, Any] = DATA) -> list[Entry]:
    """Those whose status is not the one that EC2 was seen to answer such an error with."""
    return [
        entry
        for entry in entries
        if entry.status not in catalogue.sighting(entry, data).statuses
        and not (entry.code == "InvalidRequest" and entry.status in OF_HTTP)
    ]


def unseen(entries: Collection[Entry], data: Mapping[str, Any] = DATA) -> set[str]:
    """The wordings that nobody has seen on EC2, or only the form of."""
    return {
        f"{entry.code}: {entry.of_one}"
        for entry in entries
        if catalogue.sighting(entry, data).seen in ("unseen", "form", "emulator")
    }


def test_every_code_is_one_of_aws_s() -> None:
    assert wrong_codes(catalogue.entries()) == []


def test_every_status_is_the_one_that_aws_answers() -> None:
    assert wrong_statuses(catalogue.entries()) == []


def test_every_wording_was_seen_or_is_reviewed(ledger: Ledger) -> None:
    entries = catalogue.entries()
    not_seen = unseen(entries)
    assert sorted(not_seen - UNSEEN) == [], "AWS's wording is due, or a line in unseen.toml"
    assert sorted(UNSEEN - not_seen) == [], "take them out of unseen.toml, and lower its number"
    assert len(UNSEEN) == REVIEWED["most"], "the list only shrinks, and its number with it"
    assert all(group["why"] for group in REVIEWED["group"])
    wordings = {(entry.code, entry.of_one) for entry in entries}
    seen = len(wordings) - len(not_seen)
    ledger.note("errors, wordings", AGAINST, checked=seen, unknown=len(not_seen))
    codes = {entry.code for entry in entries}
    ledger.note(
        "errors, codes and statuses", f"{len(catalogue.CODES)} codes of AWS", checked=len(codes)
    )


def test_who_saw_a_wording_is_told() -> None:
    seen = collections.Counter(catalogue.sighting(one).seen for one in catalogue.entries())
    assert seen["recorded"] > 20
    assert seen["sdk text"] > 80
