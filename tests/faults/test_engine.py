"""What befalls the engine itself: its state out of reach, another engine's traces, a host anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.engine import service
from ec2gw.lab.serve import Laboratory, Listen
from ec2gw.winrm import framing
from state import models, recovering
from tests.faults.rig import PACE, Rig
from tests.faults.test_hosts import HOST, ZONE, launched


class Outage:
    """The database refuses for a while, as on a full disk or behind a lock."""

    def __init__(self, gateway: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refused = 0
        self._on = threading.Event()
        for name in ("read", "write"):
            monkeypatch.setattr(gateway.store, name, self._unless(getattr(gateway.store, name)))

    def _unless(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any) -> Any:
            if self._on.is_set() and threading.current_thread() is not threading.main_thread():
                self.refused += 1
                raise sa.exc.OperationalError("", None, Exception("database is locked"))
            return real(*arguments)

        return guarded

    def begin(self) -> None:
        self._on.set()

    def end(self) -> None:
        self._on.clear()


def host(gateway: Rig) -> models.Host:
    (found,) = [row for row in gateway.rows(models.Host) if row.zone_letter == "a"]
    assert isinstance(found, models.Host)
    return found


def recovered(gateway: Rig) -> bool:
    with gateway.store.read() as session:
        return host(gateway).epoch > 0 and not recovering.is_on(session)


def note(gateway: Rig, line: str) -> None:
    """Add a line to the journal of the first host."""
    with gateway.world.changing(HOST) as session:
        session.append("C:\\ec2gw\\journal", f"{line} {framing.digest(line.encode())}\n".encode())


def test_no_thread_ends_while_the_state_is_out_of_reach(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_HOSTS_EVERY_SECONDS", 0.2)
    outage = Outage(gateway, monkeypatch)
    outage.begin()
    gateway.laboratory.faults[HOST].go_down()
    gateway.until(lambda: outage.refused > 12, "everybody was refused")
    outage.end()
    gateway.until(lambda: not host(gateway).reachable, "the host is out of reach")
    gateway.laboratory.faults[HOST].go_up()
    gateway.until(lambda: host(gateway).reachable, "the host is seen again")
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("running", one)


def test_a_host_that_knows_a_far_newer_epoch_is_driven_at_once(gateway: Rig) -> None:
    """The database is new, or from an older backup; the host's journal is not."""
    gateway.stop()
    note(gateway, "P - 900000000")
    gateway.start()
    gateway.until(lambda: recovered(gateway), "its hosts were looked at", seconds=20)
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("running", one, seconds=20)
    assert host(gateway).epoch > 900_000_000


def test_a_state_that_was_put_back_catches_up_with_its_hosts(gateway: Rig) -> None:
    (one,) = launched(gateway)
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    gateway.stop()
    gateway.update(models.Instance, gateway.instance(one).key, generation=0)
    gateway.start()
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one, seconds=20)


def test_a_launch_that_its_host_knows_to_be_over_is_not_made_again(gateway: Rig) -> None:
    gateway.stop()
    (one,) = gateway.launch(1, **ZONE)
    note(gateway, f"G {one} 3")  # as if it had been terminated after the state was copied
    gateway.start()
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.instance(one).state_reason_code == "Server.InternalError"


def test_two_copies_of_one_state_never_drive_with_the_same_epoch(
    gateway: Rig, tmp_path: Path
) -> None:
    """Each takes the host from the other, the one that came last has it."""
    before = host(gateway)
    gateway.stop()
    assert host(gateway).epoch == before.epoch
    epochs = set()
    for _ in range(3):
        gateway.update(models.Host, before.key, epoch=before.epoch)
        gateway.start()
        gateway.stop()
        epochs.add(host(gateway).epoch)
    assert len(epochs) == 3


def test_hosts_of_another_address_and_password_are_driven_there(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "_HOSTS_EVERY_SECONDS", 0.2)
    (one,) = launched(gateway)
    gateway.laboratory.stop()
    (gateway.laboratory.folder / "hosts.json").unlink()  # where it has its ports and password from
    gateway.laboratory = Laboratory(gateway.data, Listen("127.0.0.1", 0), pace=PACE)
    gateway.laboratory.start()
    gateway.world = gateway.laboratory.world
    gateway.meet_laboratory()
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one, seconds=20)
    assert gateway.vms() == []
