"""Lists of rows: ids, order, pages that hold under writes, tokens that are good for one query."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from state import models
from state.store import Store
from tests.reads import Reads
from translators import listing
from translators.ec2.key_pairs.actions import KEY_PAIRS
from translators.errors import Ec2Error
from translators.registry import ACTIONS
from translators.settings import Settings


@pytest.fixture
def reads(store: Store, settings: Settings) -> Reads:
    return Reads(store, settings)


def keys(reads: Reads, count: int, *, first: int = 0) -> list[str]:
    """Make so many key pairs; answer their ids, oldest first."""

    def work(session: Any) -> list[str]:
        made = [
            models.KeyPair(
                id=f"key-{number:017x}",
                account_key=reads.account_key,
                region="us-east-1",
                name=f"k{number}",
                type="rsa",
                fingerprint=f"{number % 3}",
                public_key="ssh-rsa AAAA",
                created_at=reads.now,
            )
            for number in range(first, first + count)
        ]
        session.add_all(made)
        session.flush()
        return [one.id for one in made]

    return reads.store.write(work)


def volumes(reads: Reads, **request: Any) -> tuple[list[str], str | None]:
    answer = reads.call("DescribeVolumes", **request)
    return [one["VolumeId"] for one in answer["Volumes"]], answer.get("NextToken")


def every_page(reads: Reads, **request: Any) -> list[list[str]]:
    pages: list[list[str]] = []
    token: str | None = None
    while True:
        page, token = volumes(reads, **request, NextToken=token)
        pages.append(page)
        if token is None:
            return pages


def test_pages_hold_exactly_what_was_asked_for_and_each_row_once(reads: Reads) -> None:
    reads.run(13)
    whole, token = volumes(reads)
    assert token is None
    pages = every_page(reads, MaxResults=5)
    assert [len(page) for page in pages] == [5, 5, 3]
    assert [one for page in pages for one in page] == whole
    assert [len(page) for page in every_page(reads, MaxResults=13)] == [13]


def test_pages_hold_under_writes(reads: Reads) -> None:
    reads.run(12)
    before, _ = volumes(reads)
    first, token = volumes(reads, MaxResults=5)
    gone = [before[1], before[7]]
    reads.store.write(
        lambda session: session.execute(sa.delete(models.Volume).where(models.Volume.id.in_(gone)))
    )
    reads.run(2)
    rest: list[str] = []
    while token is not None:
        page, token = volumes(reads, MaxResults=5, NextToken=token)
        rest += page
    after, _ = volumes(reads)
    assert len(set(first + rest)) == len(first + rest)
    assert set(after) - set(first) == set(rest)
    assert rest[:2] == [before[5], before[6]]


def test_a_token_is_good_for_its_query_alone(reads: Reads) -> None:
    reads.run(8)
    _, token = volumes(reads, MaxResults=5)
    assert token is not None
    asked: dict[str, Any] = {"MaxResults": 5, "NextToken": token}
    assert len(volumes(reads, **asked)[0]) == 3
    assert len(volumes(reads, MaxResults=6, NextToken=token)[0]) == 3

    def refused(action: str = "DescribeVolumes", **request: Any) -> None:
        with pytest.raises(Ec2Error) as caught:
            reads.call(action, **request)
        assert caught.value.code == "InvalidNextToken"

    refused(**asked, Filters=[{"Name": "status", "Values": ["creating"]}])
    refused("DescribeNetworkInterfaces", **asked)
    refused("DescribeInstances", **asked)
    raw = bytearray(base64.urlsafe_b64decode(token))
    for position in range(len(raw)):
        raw[position] ^= 1
        refused(MaxResults=5, NextToken=base64.urlsafe_b64encode(raw).decode())
        raw[position] ^= 1
    for odd in ("x", "é", token[:-4], token + "====", "A" * 100_000):
        refused(MaxResults=5, NextToken=odd)
    reads.account_key, reads.account_id = reads.account("two")
    refused(**asked)


def test_a_token_outlives_settings_that_share_its_key(
    reads: Reads, store: Store, settings: Settings
) -> None:
    reads.run(6)
    _, token = volumes(reads, MaxResults=5)
    reads.settings = Settings(token_key=settings.token_key)
    assert len(volumes(reads, MaxResults=5, NextToken=token)[0]) == 1
    reads.settings = Settings()
    with pytest.raises(Ec2Error, match="InvalidNextToken"):
        volumes(reads, MaxResults=5, NextToken=token)


@pytest.mark.parametrize(
    ("action", "most", "code"),
    [
        ("DescribeVolumes", 4, "InvalidParameterValue"),
        ("DescribeVolumes", 0, "InvalidParameterValue"),
        ("DescribeVolumes", -1, "InvalidParameterValue"),
        ("DescribeVolumes", 5000, None),
        ("DescribeVpcs", 1000, None),
        ("DescribeVpcs", 1001, "InvalidParameterValue"),
        ("DescribeRouteTables", 101, "InvalidParameterValue"),
        ("DescribeTags", 4, "InvalidParameterValue"),
        ("DescribeInstanceTypes", 101, "InvalidParameterValue"),
    ],
)
def test_max_results_has_bounds(reads: Reads, action: str, most: int, code: str | None) -> None:
    if code is None:
        assert "NextToken" not in reads.call(action, MaxResults=most)
        return
    with pytest.raises(
        Ec2Error, match=r"for parameter maxResults is invalid\. Expecting"
    ) as caught:
        reads.call(action, MaxResults=most)
    assert caught.value.code == code


def test_ids_and_max_results_do_not_go_together(reads: Reads) -> None:
    reads.run(1)
    [one], _ = volumes(reads)
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeVolumes", VolumeIds=[one], MaxResults=5)
    assert caught.value.code == "InvalidParameterCombination"
    assert (
        caught.value.message
        == "The parameter volumeSet cannot be used with the parameter maxResults"
    )


def test_ids_are_looked_at_in_form_before_they_are_looked_up(reads: Reads) -> None:
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSubnets", SubnetIds=["subnet-" + "0" * 17, "subnet-xyz"])
    assert caught.value.code == "InvalidSubnetId.Malformed"
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSubnets", SubnetIds=[""])
    assert caught.value.code == "InvalidParameterValue"
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSubnets", SubnetIds=["subnet-" + "0" * 17, "subnet-" + "1" * 17])
    assert caught.value.code == "InvalidSubnetID.NotFound"
    assert caught.value.message == (
        f"The subnet IDs 'subnet-{'0' * 17}, subnet-{'1' * 17}' do not exist"
    )
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSubnets", SubnetIds=["subnet-" + "0" * 17])
    assert caught.value.message == f"The subnet ID 'subnet-{'0' * 17}' does not exist"
    with pytest.raises(Ec2Error) as caught:
        reads.call("DescribeSubnets", SubnetIds=["subnet-" + "0" * 17] * 1001)
    assert caught.value.code == "InvalidRequest"


def test_ids_named_twice_are_answered_once_and_filters_only_leave_out(reads: Reads) -> None:
    found = [one["SubnetId"] for one in reads.call("DescribeSubnets")["Subnets"]]
    assert len(found) == 3

    def answered(*ids: str, **request: Any) -> list[str]:
        listed = reads.call("DescribeSubnets", SubnetIds=list(ids), **request)["Subnets"]
        return [one["SubnetId"] for one in listed]

    assert answered(found[2], found[0], found[2]) == [found[0], found[2]]
    zone = [{"Name": "availability-zone", "Values": ["us-east-1c"]}]
    assert answered(found[0], found[2], Filters=zone) == [found[2]]
    assert answered(found[0], Filters=zone) == []


def test_nothing_of_another_account_or_region_is_seen(reads: Reads) -> None:
    mine = [one["VpcId"] for one in reads.call("DescribeVpcs")["Vpcs"]]
    reads.account_key, reads.account_id = reads.account("two")
    theirs = [one["VpcId"] for one in reads.call("DescribeVpcs")["Vpcs"]]
    assert len(mine) == len(theirs) == 1
    assert mine != theirs
    for request in (
        {"VpcIds": mine},
        {"VpcIds": mine, "Filters": [{"Name": "is-default", "Values": ["true"]}]},
    ):
        with pytest.raises(Ec2Error, match="does not exist"):
            reads.call("DescribeVpcs", **request)
    by_filter = [{"Name": "vpc-id", "Values": mine}]
    assert reads.call("DescribeVpcs", Filters=by_filter)["Vpcs"] == []
    assert reads.call("DescribeSubnets", Filters=by_filter)["Subnets"] == []


def test_tag_filters_find_by_key_and_value(reads: Reads) -> None:
    ids = keys(reads, 6)
    for number, one in enumerate(ids):
        tags = [{"Key": "number", "Value": str(number)}, {"Key": "Even"[number % 2 :], "Value": ""}]
        reads.call("CreateTags", Resources=[one], Tags=tags)

    def found(*filters: tuple[str, list[str]]) -> list[str]:
        asked = [{"Name": name, "Values": values} for name, values in filters]
        return [one["KeyName"] for one in reads.call("DescribeKeyPairs", Filters=asked)["KeyPairs"]]

    assert found(("tag:number", ["1", "4"])) == ["k1", "k4"]
    assert found(("tag:number", ["*"])) == [f"k{number}" for number in range(6)]
    assert found(("tag:Number", ["1"])) == []
    assert found(("tag-key", ["Even"])) == ["k0", "k2", "k4"]
    assert found(("tag-key", ["?ve*", "ven"])) == [f"k{number}" for number in range(6)]
    assert found(("tag:Even", [""])) == ["k0", "k2", "k4"]
    assert found(("tag:Even", [""]), ("fingerprint", ["2", "1"]), ("tag-key", ["number"])) == [
        "k2",
        "k4",
    ]
    assert found(("tag:number", ["1"]), ("tag:number", ["2"])) == []
    assert found(("tag:Even", [])) == []


@pytest.mark.parametrize(
    ("request_", "looked_up"),
    [
        ({"VolumeIds": ["vol-" + "1" * 17]}, "volume USING INDEX sqlite_autoindex_volume"),
        (
            {"Filters": [{"Name": "volume-id", "Values": ["vol-" + "1" * 17]}]},
            "volume USING INDEX sqlite_autoindex_volume",
        ),
        (
            {"Filters": [{"Name": "tag:Name", "Values": ["web"]}]},
            "volume USING INTEGER PRIMARY KEY",
        ),
        (
            {
                "Filters": [
                    {"Name": "attachment.instance-id", "Values": ["i-" + "1" * 17]},
                    {"Name": "status", "Values": ["in-use"]},
                    {"Name": "tag:Name", "Values": ["web"]},
                ]
            },
            "volume USING INTEGER PRIMARY KEY",
        ),
    ],
)
def test_what_finds_few_rows_walks_no_table(reads: Reads, request_: Any, looked_up: str) -> None:
    statements: list[str] = []
    with reads.store.read() as session:
        driver: Any = session.connection().connection.driver_connection
        driver.set_trace_callback(statements.append)
        with contextlib.suppress(Ec2Error):  # there is no such volume
            ACTIONS["ec2", "DescribeVolumes"].handler(reads.context(session), request_)
        driver.set_trace_callback(None)
        plan = driver.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    steps = [row[3] for row in plan]
    # What was asked for, a virtual table, is walked; no table of ours is.
    scans = [step for step in steps if step.startswith("SCAN") and "VIRTUAL" not in step]
    assert scans == []
    assert any(looked_up in step for step in steps), steps


def test_many_rows_are_loaded_a_batch_at_a_time(reads: Reads) -> None:
    keys(reads, 2500)
    loaded: list[int] = []

    def view(_ctx: object, wanted: Sequence[int]) -> dict[int, dict[str, object]]:
        loaded.append(len(wanted))
        return {key: {"Key": key} for key in wanted}

    resource = dataclasses.replace(KEY_PAIRS, view=view)
    with reads.store.read() as session:
        page = listing.describe(reads.context(session), resource, {})
        shown = page.views()
    assert loaded == [1000, 1000, 500]
    assert [one["Key"] for one in shown] == page.keys
