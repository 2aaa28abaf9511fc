"""What a host is told of whose consoles it reads: all of it, when it changed, and again."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.engine import consoles
from state import models, recovering
from state.store import Store
from tests import rows
from translators.ec2.instances.console import watched
from translators.hyperv import host as port
from translators.hyperv.host import Answer


class Host:
    """A host that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[port.Plan] = []
        self.fails: port.HostError | None = None

    def run(
        self, plan: port.Plan, *, fence: port.Fence | None = None, deadline_seconds: float = 30
    ) -> Answer:
        assert not plan.changes
        if self.fails is not None:
            raise self.fails
        self.told.append(plan)
        return Answer({}, len(plan.calls))

    def heard(self) -> list[tuple[str, Any]]:
        """The calls since the last time, by their cmdlets' names and what names they hold."""
        calls = [call for plan in self.told for call in plan.calls]
        self.told = []
        return [
            (call.cmdlet.removeprefix("Agent\\"), call.parameters.get("Names")) for call in calls
        ]


@pytest.fixture
def place(store: Store) -> rows.Ground:
    return store.write(rows.ground)


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def told(store: Store, place: rows.Ground, host: Host) -> consoles.Consoles:
    return consoles.Consoles(store, host, place.host, "host-1", threading.Event())


def instance(store: Store, place: rows.Ground, phase: Any) -> str:
    def work(session: Any) -> str:
        return str(rows.instance(session, place, phase).id)

    return store.write(work)


def catch_up(told: consoles.Consoles) -> bool:
    """Do what a driver does at each look; tells whether anything was to be told."""
    behind = told.is_behind()
    if behind:
        told.tell()
    return behind


def test_those_that_run_or_may_soon_are_read_and_of_stopped_ones_logs_stay(
    store: Store, place: rows.Ground
) -> None:
    by_phase = {
        phase: instance(store, place, phase)
        for phase in ("pending", "starting", "running", "rebooting", "stopping", "shutting-down")
    }
    stopped = instance(store, place, "stopped")
    instance(store, place, "terminated")
    with store.read() as session:
        found = watched.watched(session, place.host)
    assert found.names == set(by_phase.values())
    assert found.others == {stopped}
    assert found.reader is None


def test_a_host_is_told_at_the_start_and_when_something_changed(
    store: Store, place: rows.Ground, host: Host, told: consoles.Consoles
) -> None:
    assert catch_up(told)
    assert host.heard() == [("Watch-Console", [])]
    assert not catch_up(told)
    name = instance(store, place, "pending")
    assert catch_up(told)
    assert host.heard() == [("Watch-Console", [name])]
    store.write(lambda session: session.execute(sa.update(models.Instance).values(phase="running")))
    assert not catch_up(told), "it is read already"


def test_what_could_not_be_told_is_told_later(
    host: Host, told: consoles.Consoles, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.fails = port.Unreachable("no")
    assert catch_up(told)
    host.fails = None
    assert not catch_up(told), "not at once"
    monkeypatch.setattr(time, "monotonic", _in(consoles._LATER_SECONDS + 1))
    assert catch_up(told)
    assert host.heard() == [("Watch-Console", [])]
    monkeypatch.setattr(time, "monotonic", _in(consoles._AGAIN_SECONDS + 10))
    assert catch_up(told), "and now and then, whatever became of it"


def _in(seconds: float) -> Any:
    later = time.monotonic() + seconds
    return lambda: later


def test_nothing_is_told_while_the_state_is_compared_with_its_hosts(
    store: Store, host: Host, told: consoles.Consoles
) -> None:
    store.write(lambda session: recovering.begin(session))
    catch_up(told)
    assert host.heard() == []


def test_the_task_is_put_there_and_taken_away_as_its_operator_wants(
    store: Store, place: rows.Ground, host: Host, told: consoles.Consoles
) -> None:
    catch_up(told)
    assert [name for name, _ in host.heard()] == ["Watch-Console"], "nobody asked for the task"

    def turn(value: str) -> None:
        options = sa.update(models.Host).values(options={watched.OPTION: value})
        store.write(lambda session: session.execute(options))

    turn(watched.RESIDENT)
    assert catch_up(told)
    names = [name for name, _ in host.heard()]
    assert names[-2:] == ["Start-ConsoleReader", "Watch-Console"]
    assert names[:3] == ["New-Folder", "Write-FileChunk", "Complete-File"]
    turn(watched.OFF)
    assert catch_up(told)
    assert [name for name, _ in host.heard()] == ["Stop-ConsoleReader", "Watch-Console"]
