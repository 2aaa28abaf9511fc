"""ReportInstanceStatus: what users say of their instances is kept, bounded, and no more."""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ec2gw import cli, config, inventory
from ec2gw.cli.opening import Failed
from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.instances import intents, reports
from translators.errors import Ec2Error
from translators.settings import Settings

REPORT = {"Status": "impaired", "ReasonCodes": ["unresponsive"]}


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def running(cloud: Cloud, count: int = 1) -> list[str]:
    ids = cloud.run(count)
    cloud.found("launched", *ids)
    return ids


def refused(cloud: Cloud, instance_ids: list[str], **request: Any) -> Ec2Error:
    with pytest.raises(Ec2Error) as caught:
        cloud.call("ReportInstanceStatus", Instances=instance_ids, **{**REPORT, **request})
    assert cloud.rows(models.StatusReport) == []
    return caught.value


def test_a_report_is_kept_for_each_instance(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    ids = running(cloud, 2)
    caplog.set_level(logging.INFO)
    answer = cloud.call(
        "ReportInstanceStatus",
        Instances=ids,
        Status="impaired",
        ReasonCodes=["unresponsive", "other", "unresponsive"],
        Description="hangs after login",
        StartTime=NOW - dt.timedelta(hours=1),
        EndTime=NOW,
    )
    assert answer == {}
    kept = cloud.rows(models.StatusReport)
    assert [one.instance_key for one in kept] == [cloud.instance(one).key for one in ids]
    for one in kept:
        assert (one.status, one.reasons) == ("impaired", ["unresponsive", "other"])
        assert (one.description, one.reported_at) == ("hangs after login", NOW)
        assert (one.starts_at, one.ends_at) == (NOW - dt.timedelta(hours=1), NOW)
    [line] = [one for one in caplog.records if one.message == "status-reported"]
    assert vars(line)["instance"] == ",".join(ids)
    assert "hangs" not in str(vars(line))


def test_what_is_reported_does_not_change_what_is_described(cloud: Cloud) -> None:
    ids = running(cloud)
    before = cloud.call("DescribeInstanceStatus")
    cloud.call("ReportInstanceStatus", Instances=ids, **REPORT)
    assert cloud.call("DescribeInstanceStatus") == before


def test_the_newest_reports_of_an_instance_are_kept(cloud: Cloud) -> None:
    busy, quiet = running(cloud, 2)
    cloud.call("ReportInstanceStatus", Instances=[quiet], **REPORT)
    for number in range(reports.KEPT + 5):
        cloud.call(
            "ReportInstanceStatus", Instances=[busy], Description=f"report {number}", **REPORT
        )
    kept = cloud.rows(models.StatusReport)
    assert [one.description for one in kept] == [
        None,
        *(f"report {number}" for number in range(5, reports.KEPT + 5)),
    ]


def test_only_of_running_instances_is_anything_reported(cloud: Cloud) -> None:
    ids = running(cloud)
    cloud.call("RebootInstances", InstanceIds=ids)
    cloud.call("ReportInstanceStatus", Instances=ids, **REPORT)
    [pending] = cloud.run()
    with pytest.raises(Ec2Error) as caught:
        cloud.call("ReportInstanceStatus", Instances=[*ids, pending], **REPORT)
    assert caught.value.code == "IncorrectInstanceState"
    assert pending in caught.value.message
    assert len(cloud.rows(models.StatusReport)) == 1


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            {"Status": "fine"},
            "Value (fine) for parameter status is invalid. Expecting one of: ok, impaired.",
        ),
        (
            {"ReasonCodes": ["other", "haunted"]},
            "Value (haunted) for parameter reasonCode is invalid. "
            f"Expecting one of: {', '.join(reports.REASONS)}.",
        ),
        (
            {"StartTime": NOW, "EndTime": NOW - dt.timedelta(seconds=1)},
            "The end time must not be before the start time",
        ),
        ({"Description": "x" * 1025}, "The description is limited to 1024 characters"),
    ],
)
def test_what_is_no_report_is_refused(cloud: Cloud, request_: dict[str, Any], message: str) -> None:
    error = refused(cloud, running(cloud), **request_)
    assert (error.code, error.message) == ("InvalidParameterValue", message)


@pytest.mark.parametrize(
    ("instance_id", "code"),
    [
        ("i-0123456789abcdef0", "InvalidInstanceID.NotFound"),
        ("i-xyz", "InvalidInstanceID.Malformed"),
    ],
)
def test_an_instance_that_is_not_there_is_refused(
    cloud: Cloud, instance_id: str, code: str
) -> None:
    assert refused(cloud, [*running(cloud), instance_id]).code == code


def test_at_most_a_hundred_instances_are_reported_of(cloud: Cloud) -> None:
    assert refused(cloud, running(cloud) * 101).code == "InvalidRequest"


def test_reports_go_with_their_instance(cloud: Cloud, store: Store) -> None:
    ids = running(cloud)
    cloud.call("ReportInstanceStatus", Instances=ids, **REPORT)
    cloud.call("TerminateInstances", InstanceIds=ids)
    cloud.found("removed", *ids)
    assert len(cloud.rows(models.StatusReport)) == 1
    assert store.write(lambda session: intents.forget(session, NOW + dt.timedelta(1))) == 1
    assert cloud.rows(models.StatusReport) == []


# -- what the operator sees


@pytest.fixture
def gateway(tmp_path: Path, settings: Settings) -> Iterator[Cloud]:
    """A cloud in a data folder, beside which commands are run."""
    resolved = config.load(None, {}, {"data": str(tmp_path / "data")})
    config.make_folders(resolved)
    store, vault = inventory.open_state(resolved, migrate=True)
    inventory.prepare(store, vault)
    yield Cloud(store, settings)
    store.close()


def listed(cloud: Cloud, *arguments: str) -> str:
    environ = {"EC2GW_DATA": str(cloud.store.path.parent), "COLUMNS": "250"}
    done = CliRunner().invoke(cli.commands, ("report", "list", *arguments), env=environ)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_the_operator_reads_reports_with_where_the_instance_is(gateway: Cloud) -> None:
    first, second = running(gateway, 2)
    gateway.call("ReportInstanceStatus", Instances=[first], **REPORT)
    gateway.call(
        "ReportInstanceStatus",
        Instances=[second],
        Status="ok",
        ReasonCodes=["performance-network", "other"],
        Description="well [bold]again[/bold]\x1b[2J\n",
        StartTime=NOW,
    )
    shown = listed(gateway)
    lines = [line for line in shown.splitlines() if "i-" in line]
    assert [first in lines[0], second in lines[1]] == [True, True]
    assert [" impaired " in lines[0], " ok " in lines[1]] == [True, True]
    assert "performance-network, other" in lines[1]
    assert re.search(r"host-[abc] ", lines[0])
    assert "2026-01-02T03:04:05+00:00" in lines[0]
    assert "well [bold]again[/bold] [2J" in lines[1]
    assert "\x1b" not in shown
    assert first not in listed(gateway, "--last", "1")
    assert second not in listed(gateway, "--instance", first)


def test_what_is_no_instance_has_no_reports(gateway: Cloud) -> None:
    with pytest.raises(Failed, match="'i-1' is no instance's id"):
        listed(gateway, "--instance", "i-1")
    assert "i-" not in listed(gateway)
