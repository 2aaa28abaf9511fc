"""A wall clock that is set while the gateway runs, back or forth."""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.engine import service
from ec2gw.lab.console import Console
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig
from tests.faults.test_hosts import HOST, launched

PATIENT = dataclasses.replace(SETTINGS, stop_deadline_seconds=2)


class Clock:
    """The clock on the gateway's wall; hosts have their own."""

    def __init__(self) -> None:
        self.ahead_by = dt.timedelta(0)

    def __call__(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.ahead_by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(service, "now", made)
    monkeypatch.setattr(Rig, "now", property(lambda rig: made(), lambda rig, value: None))
    return made


@pytest.fixture
def gateway(store: Store, tmp_path: Path, clock: Clock) -> Iterator[Rig]:
    with rig(store, tmp_path, PATIENT) as made:
        made.start()
        yield made


def test_surveys_go_on_telling_what_guests_do(gateway: Rig, clock: Clock) -> None:
    (one,) = launched(gateway)
    clock.ahead_by = -dt.timedelta(hours=3)
    Console(gateway.world).guest_shuts_down(HOST, one)
    gateway.wait("stopped", one, seconds=10)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one, seconds=10)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_deaf_guest_is_given_its_time_and_no_more(gateway: Rig, clock: Clock, hours: int) -> None:
    (one,) = launched(gateway)
    Console(gateway.world).set_guest(HOST, one, "shutdown", "ignores")
    gateway.ask("StopInstances", InstanceIds=[one])
    asked = time.monotonic()
    time.sleep(0.5)
    clock.ahead_by = dt.timedelta(hours=hours)
    gateway.wait("stopped", one, seconds=10)
    assert time.monotonic() - asked >= 1.9
