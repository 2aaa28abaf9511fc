"""`ec2gw host drain` and `undrain`: a host that takes nothing new, and what is said of it."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from ec2gw import cli, config, inventory
from ec2gw.cli import drain
from ec2gw.cli.opening import Failed
from state import models
from state.store import Store
from tests.launches import NOW, Cloud
from translators.ec2.volumes import create
from translators.errors import Ec2Error
from translators.guests import maintenance
from translators.settings import Settings

ROOMS = (create,)
"""Imported for the actions that they register."""
Run = Callable[..., Result]
ADDED = (
    *("host", "add", "hv1", "--url", "https://hv1.example:5986/wsman", "--zone", "eu-central-1a"),
    *("--transport", "ntlm", "--username", "svc"),
)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        environ = {"EC2GW_DATA": str(data), "EC2GW_HOST_SECRET": "secret"}
        return CliRunner().invoke(cli.commands, arguments, env=environ)

    added = invoke(*ADDED)
    assert added.exit_code == 0, added.output
    return invoke


@pytest.fixture
def eastern(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a machine two hours ahead of UTC."""
    monkeypatch.setenv("TZ", "EET-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def cloud(store: Store, settings: Settings) -> Cloud:
    return Cloud(store, settings)


def drained(
    cloud: Cloud,
    at: str | None = None,
    until: str | None = None,
    reason: str | None = None,
) -> int:
    """Drain host a; answer how many instances are told."""

    def work(session: Any) -> int:
        host = session.get_one(models.Host, cloud.hosts["a"])
        drain.begin(session, host, drain.wanted(at, until, None, reason), cloud.now)
        return drain.told(session, host)

    return cloud.store.write(work)


def failed(result: Result) -> str:
    assert isinstance(result.exception, Failed), result.output
    return str(result.exception)


def rows(data: Path) -> tuple[str, list[models.HostEvent]]:
    """The host's state and its events."""
    store, _ = inventory.open_state(config.load(None, {}, {"data": str(data)}), migrate=False)
    try:
        with store.read() as session:
            [state] = session.scalars(sa.select(models.Host.state))
            return state, list(session.scalars(sa.select(models.HostEvent)))
    finally:
        store.close()


def test_a_drained_host_says_so_until_it_is_undrained(run: Run, data: Path) -> None:
    drained = run("host", "drain", "hv1", "--reason", "new memory", "--code", "instance-stop")
    assert drained.exit_code == 0, drained.output
    assert re.fullmatch(
        r"hv1 takes nothing new; its 0 instances are told of instance-stop"
        r" from [-0-9]{10}T[:0-9]{8}Z: new memory\n",
        drained.output,
    )
    listed = run("host", "list").output
    assert "draining" in listed
    assert "hv1: instance-stop from" in listed
    undrained = run("host", "undrain", "hv1")
    assert undrained.output == "hv1 takes instances again; its maintenance is completed\n"
    listed = run("host", "list").output
    assert "draining" not in listed
    assert "instance-stop" not in listed
    state, [event] = rows(data)
    assert (state, event.cancelled) == ("active", False)
    assert event.ended_at is not None
    assert failed(run("host", "undrain", "hv1")) == "hv1 is not drained"


def test_what_had_not_begun_is_canceled(run: Run, data: Path) -> None:
    assert run("host", "drain", "hv1", "--at", "2126-01-31T22:00Z").exit_code == 0
    undrained = run("host", "undrain", "hv1")
    assert undrained.output == "hv1 takes instances again; its maintenance is canceled\n"
    _, [event] = rows(data)
    assert event.cancelled


def test_saying_it_again_changes_what_is_named_and_keeps_the_rest(run: Run, data: Path) -> None:
    begin, end = "2126-01-31T22:00Z", "2126-02-01T02:00:00+01:00"
    assert run("host", "drain", "hv1", "--at", begin, "--until", end).exit_code == 0
    _, [before] = rows(data)
    assert before.description == maintenance.DESCRIPTIONS["system-maintenance"]
    assert run("host", "drain", "hv1", "--code", "system-reboot").exit_code == 0
    _, [event] = rows(data)
    assert (event.key, event.code) == (before.key, "system-reboot")
    assert event.description == maintenance.DESCRIPTIONS["system-reboot"]
    assert event.not_before == dt.datetime(2126, 1, 31, 22, tzinfo=dt.UTC)
    assert event.not_after == dt.datetime(2126, 2, 1, 1, tzinfo=dt.UTC)
    assert run("host", "drain", "hv1", "--reason", "BIOS").exit_code == 0
    assert run("host", "drain", "hv1", "--code", "system-maintenance").exit_code == 0
    _, [event] = rows(data)
    assert event.description == "BIOS"


@pytest.mark.usefixtures("eastern")
@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2126-01-31T22:00", "2126-01-31T20:00:00Z"),
        ("2126-01-31 22:00:30", "2126-01-31T20:00:30Z"),
        ("2126-01-31", "2126-01-30T22:00:00Z"),
        ("2126-01-31T22:00Z", "2126-01-31T22:00:00Z"),
        ("2126-01-31T22:00-05:00", "2126-02-01T03:00:00Z"),
    ],
)
def test_a_time_without_a_zone_is_this_machine_s(typed: str, meant: str) -> None:
    assert drain.wanted(typed, None, None, None).begin == dt.datetime.fromisoformat(meant)


WRONG = {
    "--at 'tomorrow' is no time: as in 2026-01-31T22:00": {"at": "tomorrow"},
    "--until '2126-02-30' is no time": {"until": "2126-02-30"},
    "--at '0001-01-01' is no time": {"at": "0001-01-01"},
    "--at '' is no time": {"at": ""},
    "--at 2026-01-02T03:03:59Z is over: it is 2026-01-02T03:04:05Z now": {
        "at": "2026-01-02T03:03:59Z"
    },
    "--until 2020-01-01T00:00:00Z is over": {"until": "2020-01-01T00:00Z"},
    "would end at 2126-01-01T00:00:00Z, before it begins at 2126-01-02T00:00:00Z": {
        "at": "2126-01-02T00:00Z",
        "until": "2126-01-01T00:00Z",
    },
    "--reason: one line of 1 to 255": {"reason": " "},
    "--reason: one line": {"reason": "a\nb"},
    "--reason: one": {"reason": "x" * 256},
}


@pytest.mark.usefixtures("eastern")
@pytest.mark.parametrize(("said", "typed"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_planned_is_refused(cloud: Cloud, said: str, typed: dict[str, str]) -> None:
    with pytest.raises(Failed) as caught:
        drained(cloud, **typed)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cloud.rows(models.HostEvent) == []
    assert {host.state for host in cloud.rows(models.Host)} == {"active"}


def test_one_line_says_what_is_wrong(run: Run, data: Path) -> None:
    assert failed(run("host", "drain", "hv1", "--at", "soon")).startswith("--at 'soon' is no time")
    assert rows(data) == ("active", [])


@pytest.mark.parametrize("verb", ["drain", "undrain"])
def test_a_host_that_is_not_there_is_refused(run: Run, verb: str) -> None:
    assert failed(run("host", verb, "hv2")) == "there is no host called hv2"


def test_the_laboratory_s_hosts_are_its_own(run: Run, data: Path) -> None:
    store, _ = inventory.open_state(config.load(None, {}, {"data": str(data)}), migrate=False)
    store.write(lambda session: session.execute(sa.update(models.Host).values(laboratory=True)))
    store.close()
    assert failed(run("host", "drain", "hv1")) == "hv1 is the laboratory's"


def test_a_removed_host_s_maintenance_is_over(run: Run, data: Path) -> None:
    assert run("host", "drain", "hv1").exit_code == 0
    assert run("host", "remove", "hv1").exit_code == 0
    state, [event] = rows(data)
    assert state == "removed"
    assert event.ended_at is not None
    assert run(*ADDED).exit_code == 0
    assert run("host", "undrain", "hv1").exception is not None


# -- what it means for accounts


IN_A: Final[Any] = {"Placement": {"AvailabilityZone": "us-east-1a"}}


def test_nothing_new_goes_there(cloud: Cloud) -> None:
    drained(cloud)
    for request in (
        lambda: cloud.run(**IN_A),
        lambda: cloud.call("CreateVolume", AvailabilityZone="us-east-1a", Size=1),
    ):
        with pytest.raises(Ec2Error) as caught:
            request()
        assert caught.value.code.startswith("Insufficient")
    [instance_id] = cloud.run()
    assert cloud.instance(instance_id).host_key != cloud.hosts["a"]


def test_what_is_there_stays_can_start_again_and_tells_of_it(cloud: Cloud) -> None:
    ids = cloud.run(2, **IN_A)
    cloud.found("launched", *ids)
    cloud.call("StopInstances", InstanceIds=ids[:1])
    cloud.found("stopped", ids[0])
    assert drained(cloud) == 2
    shown = cloud.call("DescribeInstanceStatus", IncludeAllInstances=True)["InstanceStatuses"]
    assert [one["InstanceState"]["Name"] for one in shown] == ["stopped", "running"]
    for one in shown:
        [event] = one["Events"]
        assert (event["Code"], event["NotBefore"]) == ("system-maintenance", NOW)
    cloud.call("StartInstances", InstanceIds=ids[:1])
    cloud.found("started", ids[0])
    assert cloud.instance(ids[0]).host_key == cloud.hosts["a"]


def test_instances_are_told_how_it_ended(cloud: Cloud) -> None:
    [instance_id] = cloud.run(**IN_A)
    cloud.found("launched", instance_id)
    drained(cloud)
    cloud.now += HOUR
    cloud.store.write(
        lambda session: (
            drain.end(session, session.get_one(models.Host, cloud.hosts["a"]), cloud.now) and None
        )
    )
    [shown] = cloud.call("DescribeInstanceStatus")["InstanceStatuses"]
    [event] = shown["Events"]
    assert event["Description"] == "[Completed] The instance is scheduled for system maintenance"
    cloud.run(**IN_A)
