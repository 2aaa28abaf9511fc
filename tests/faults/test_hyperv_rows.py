"""What Hyper-V, its guests and its disks do to a launch, a start, a stop, an end: each once.

Texts of errors are German throughout: nothing may hang on them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.engine import driver
from ec2gw.lab.console import Console
from state import models
from state.store import Store
from tests.faults.mishaps import GUEST, Mishaps
from tests.faults.rig import SETTINGS, Rig, rig
from tests.faults.test_hosts import HOST, ZONE, launched, reason
from translators.ec2.instances import steps

ROOT_DISK = "C:\\ec2gw\\instances\\{}\\root.vhdx"


@pytest.fixture
def mishaps(monkeypatch: pytest.MonkeyPatch) -> Mishaps:
    made = Mishaps(monkeypatch)
    made.german = True
    return made


@pytest.fixture
def gateway(store: Store, tmp_path: Path, mishaps: Mishaps) -> Iterator[Rig]:
    with rig(store, tmp_path) as made:
        made.start()
        yield made
    assert mishaps.twice() == []


def terminate(gateway: Rig, *instance_ids: str) -> None:
    gateway.ask("TerminateInstances", InstanceIds=list(instance_ids))
    gateway.wait("terminated", *instance_ids)
    assert gateway.vms() == []
    assert gateway.leftovers() == []


def stop(gateway: Rig, one: str) -> None:
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)


# -- making


def test_a_host_that_speaks_german_is_driven_as_any_other(gateway: Rig, mishaps: Mishaps) -> None:
    one, other = launched(gateway, 2)
    gateway.ask("RebootInstances", InstanceIds=[one])
    gateway.wait("running", one)
    gateway.ask("StopInstances", InstanceIds=[one])
    gateway.wait("stopped", one)
    assert mishaps.did["InitiateReboot", one] == mishaps.did["InitiateShutdown", one] == 1
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    Console(gateway.world).guest_shuts_down(HOST, other)
    gateway.wait("stopped", other)
    assert reason(gateway, other) == "Client.InstanceInitiatedShutdown"
    terminate(gateway, one, other)
    assert any("Von Hyper-V wurde kein virtueller Computer" in text for text in mishaps.told)


def test_a_start_without_memory_is_told_in_any_language(gateway: Rig) -> None:
    Console(gateway.world).press_memory(HOST, 512)
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("terminated", one)
    assert reason(gateway, one) == "Server.InsufficientInstanceCapacity"


# -- disks


def test_a_disk_that_a_backup_holds_for_a_moment_only_delays_the_start(
    gateway: Rig, mishaps: Mishaps
) -> None:
    (one,) = launched(gateway)
    stop(gateway, one)
    Console(gateway.world).lock_file(HOST, ROOT_DISK.format(one), 3)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    assert any("0x80070020" in text for text in mishaps.told)
    assert mishaps.did["Start-VM", one] == 2  # the launch's and this one


def test_a_disk_that_a_backup_holds_for_minutes_leaves_the_instance_stopped(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_TRIES", 3)
    (one,) = launched(gateway)
    stop(gateway, one)
    Console(gateway.world).lock_file(HOST, ROOT_DISK.format(one), 600)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.until(lambda: reason(gateway, one) == "Server.InternalError", "the start failed")
    assert gateway.instance(one).phase == "stopped"
    assert [vm["state"] for vm in gateway.vms()] == ["Off"]


def test_a_disk_that_is_still_held_at_the_end_is_removed_once_it_is_free(
    gateway: Rig, mishaps: Mishaps
) -> None:
    """By a backup, or by the merge of a checkpoint that goes on after its VM is gone."""
    (one,) = launched(gateway)
    stop(gateway, one)
    Console(gateway.world).lock_file(HOST, ROOT_DISK.format(one), 3)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.until(lambda: gateway.vms() == [], "the VM is gone")
    time.sleep(0.5)
    assert gateway.instance(one).phase == "shutting-down"
    gateway.wait("terminated", one)
    assert gateway.leftovers() == []
    assert mishaps.did["Remove-VM", one] == 1


def test_a_checkpoint_that_somebody_left_goes_with_the_instance(gateway: Rig) -> None:
    (one,) = launched(gateway)
    Console(gateway.world).add_checkpoint(HOST, one, "Veeam")
    assert any(path.endswith(".avhdx") for path in gateway.leftovers())
    stop(gateway, one)
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    terminate(gateway, one)


# -- guests


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        pytest.param("StopInstances", 4096, id="a stop's job never ends"),
        pytest.param("StopInstances", 32768, id="a stop's job failed"),
        pytest.param("RebootInstances", 32768, id="a reboot's job failed"),
    ],
)
def test_what_a_guest_only_promises_is_done_at_the_deadline(
    store: Store, tmp_path: Path, mishaps: Mishaps, action: str, answer: int
) -> None:
    hasty = dataclasses.replace(SETTINGS, stop_deadline_seconds=2, reboot_deadline_seconds=2)
    with rig(store, tmp_path, hasty) as gateway:
        gateway.start()
        (one,) = launched(gateway)
        mishaps.guest_answers = answer
        gateway.ask(action, InstanceIds=[one])
        gateway.wait("stopped" if action == "StopInstances" else "running", one)
        done = "Stop-VM" if action == "StopInstances" else "Restart-VM"
        assert mishaps.did[done, one] == 1
    assert mishaps.twice() == []


def test_a_guest_that_tells_no_address_runs_all_the_same(gateway: Rig) -> None:
    """Nothing waits for key-value pairs: the address is the one that was given."""
    (one,) = launched(gateway)
    (seen,) = gateway.seen(one)
    assert [row.addresses for row in gateway.rows(models.Look)] == [[]]
    assert seen["PrivateIpAddress"].startswith("172.31.")
    assert seen["State"]["Name"] == "running"


def test_a_stop_whose_session_was_killed_in_the_midst_ends_stopped(
    gateway: Rig, mishaps: Mishaps
) -> None:
    (one,) = launched(gateway)
    mishaps.during("Hyper-V\\Stop-VM", gateway.laboratory.faults[HOST].drop_shells)
    stop(gateway, one)
    assert mishaps.pending == 0
    assert mishaps.did["Stop-VM", one] == 1
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    mishaps.during(GUEST, gateway.laboratory.faults[HOST].drop_shells)
    gateway.ask("StopInstances", InstanceIds=[one])
    gateway.wait("stopped", one)
    assert mishaps.did["InitiateShutdown", one] == 1


# -- answers and clocks


def test_a_host_without_any_vm_is_seen_and_one_with_a_single_vm_too(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty answer, and a list of one."""
    monkeypatch.setattr(driver, "_FIGURES_SECONDS", 0.0)
    (one,) = launched(gateway)
    gateway.until(
        lambda: len([row for row in gateway.rows(models.Look) if row.vm_state == "Running"]) == 1,
        "the one is seen",
    )
    terminate(gateway, one)
    before = {row.key: row.surveyed_at for row in gateway.rows(models.Host)}
    gateway.until(
        lambda: all(
            row.reachable and row.surveyed_at != before[row.key]
            for row in gateway.rows(models.Host)
        ),
        "empty hosts are seen again",
    )


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_hosts_own_clock_does_not_decide_what_a_guests_end_means(
    gateway: Rig, mishaps: Mishaps, hours: int
) -> None:
    mishaps.host_clock_ahead_by = dt.timedelta(hours=hours)
    gateway.stop()
    gateway.start()
    gone, stays = launched(gateway, 2)
    gateway.update(models.Instance, gateway.instance(gone).key, shutdown_behavior="terminate")
    console = Console(gateway.world)
    console.guest_shuts_down(HOST, gone)
    gateway.wait("terminated", gone)
    console.turn_off(HOST, stays)
    gateway.wait("stopped", stays)
    assert reason(gateway, stays) == "Server.ScheduledStop"
    gateway.ask("StartInstances", InstanceIds=[stays])
    gateway.wait("running", stays)


def test_a_host_whose_clock_is_set_has_not_restarted(gateway: Rig, mishaps: Mishaps) -> None:
    (one,) = launched(gateway, InstanceInitiatedShutdownBehavior="terminate")
    mishaps.host_clock_ahead_by = dt.timedelta(hours=2)  # and no survey sees it run since then
    Console(gateway.world).guest_shuts_down(HOST, one)
    gateway.wait("terminated", one, seconds=20)
    assert mishaps.did["Start-VM", one] == 1
