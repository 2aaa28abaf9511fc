"""VMs that move between hosts, have copies there, or are gone: where an instance is, and whether.

Hosts a and b are one zone here, and launches go to a.
"""

from __future__ import annotations

import copy
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.engine import driver
from ec2gw.lab.console import Console
from state import models
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig
from tests.faults.test_hosts import launched

A, B = "lab-a", "lab-b"
SLOW = dataclasses.replace(SETTINGS, survey_shortest_seconds=1.5, stop_deadline_seconds=60)


@pytest.fixture
def zone(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A zone of two hosts; what was seen of one is old by the time that the other is looked at."""
    monkeypatch.setattr(driver, "_FIGURES_SECONDS", 0.0)
    with rig(store, tmp_path, SLOW) as made:
        made.update(models.Host, made.hosts["b"], zone_letter="a", state="draining")
        made.start()
        yield made


def carry(gateway: Rig, name: str) -> None:
    """Move a VM from the first host to the second, as an administrator or a cluster does."""
    with gateway.world.changing(A) as session:
        (found,) = [one for one in session.vms() if one.name == name]
        taken = copy.deepcopy(found)
        files = [one for one in session.host.files.values() if f"\\{name}" in one.path]
        for file in files:
            session.drop_file(file.path)
        session.drop_vm(found)
    with gateway.world.changing(B) as session:
        for file in files:
            session.put_file(copy.deepcopy(file))
        session.put_vm(taken)


def host_of(gateway: Rig, name: str) -> str:
    letters = {key: letter for letter, key in gateway.hosts.items()}
    return letters[gateway.instance(name).host_key]


def just_seen(gateway: Rig) -> None:
    """Wait until a survey of the second host has ended this moment."""

    def seen() -> object:
        return {row.key: row.surveyed_at for row in gateway.rows(models.Host)}[gateway.hosts["b"]]

    before = seen()
    gateway.until(lambda: seen() != before, "the second host is seen again")


def test_a_vm_that_moves_while_it_stops_is_followed(zone: Rig) -> None:
    (one,) = launched(zone)
    Console(zone.world).set_guest(A, one, "shutdown", "ignores")
    zone.ask("StopInstances", InstanceIds=[one])
    time.sleep(0.5)
    just_seen(zone)
    carry(zone, one)
    zone.until(lambda: host_of(zone, one) == "b", "it is followed")
    assert zone.instance(one).phase == "stopping"
    zone.ask("StopInstances", InstanceIds=[one], Force=True)
    zone.wait("stopped", one)
    assert [vm["state"] for vm in zone.vms()] == ["Off"]


def test_a_vm_that_moved_before_its_end_leaves_nothing_anywhere(zone: Rig) -> None:
    (one,) = launched(zone)
    just_seen(zone)
    carry(zone, one)
    zone.ask("TerminateInstances", InstanceIds=[one])
    zone.wait("terminated", one)
    assert zone.vms() == []
    assert zone.leftovers() == []


def test_a_vm_that_an_administrator_removed_leaves_no_disk_once_terminated(gateway: Rig) -> None:
    (one,) = launched(gateway)
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    gateway.stop()
    Console(gateway.world).remove(A, one)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    assert gateway.leftovers() != []
    gateway.start()
    gateway.wait("terminated", one)
    assert gateway.leftovers() == []
