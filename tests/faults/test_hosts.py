"""What hosts, guests and administrators do besides us, and what becomes of instances then."""

from __future__ import annotations

import sqlalchemy as sa

from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig

HOST = "lab-a"
ZONE = {"Placement": {"AvailabilityZone": "us-east-1a"}}


def launched(gateway: Rig, count: int = 1, **request: object) -> list[str]:
    """Instances that run on the first host, with their guests up."""
    ids = gateway.launch(count, **ZONE, **request)
    gateway.wait("running", *ids)
    gateway.until(
        lambda: all(str(vm["heartbeat"]).startswith("Ok") for vm in gateway.vms()), "guests are up"
    )
    gateway.until(
        lambda: (
            len([one for one in gateway.rows(models.Look) if one.vm_state == "Running"]) >= count
        ),
        "a survey saw them run",
    )
    return ids


def reason(gateway: Rig, instance_id: str) -> str | None:
    return gateway.instance(instance_id).state_reason_code


def test_while_a_host_is_down_reads_go_on_and_changes_wait(gateway: Rig) -> None:
    (one,) = launched(gateway)
    gateway.laboratory.faults[HOST].go_down()
    gateway.ask("StopInstances", InstanceIds=[one])
    gateway.until(
        lambda: any(row.trouble and not row.reachable for row in gateway.rows(models.Host)),
        "the host is seen to be out of reach",
    )
    (seen,) = gateway.seen(one)
    assert seen["State"]["Name"] == "stopping"
    (other,) = gateway.launch(1, Placement={"AvailabilityZone": "us-east-1b"})
    gateway.wait("running", other)
    gateway.laboratory.faults[HOST].go_up()
    gateway.wait("stopped", one)
    assert {vm["name"]: vm["state"] for vm in gateway.vms()} == {one: "Off", other: "Running"}


def test_a_terminate_asked_while_the_host_is_down_happens_when_it_is_back(gateway: Rig) -> None:
    (one,) = launched(gateway)
    gateway.laboratory.faults[HOST].go_down()
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.until(lambda: not _host(gateway).reachable, "the host is out of reach")
    assert gateway.instance(one).phase == "shutting-down"
    assert len(gateway.vms()) == 1
    gateway.laboratory.faults[HOST].go_up()
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []


def test_what_ran_before_a_hosts_restart_runs_again(gateway: Rig) -> None:
    ran, stopped, ending = launched(gateway, 3)
    gateway.ask("StopInstances", InstanceIds=[stopped], Force=True)
    gateway.wait("stopped", stopped)
    gateway.stop()
    gateway.ask("TerminateInstances", InstanceIds=[ending])
    Console(gateway.world).reboot_host(HOST)
    gateway.start()
    gateway.wait("terminated", ending)
    gateway.until(
        lambda: (
            {vm["name"]: vm["state"] for vm in gateway.vms()} == {ran: "Running", stopped: "Off"}
        ),
        "what ran runs again, what was stopped does not",
    )
    gateway.wait("running", ran)
    assert gateway.instance(stopped).phase == "stopped"


def test_a_guests_own_shutdown_stops_its_instance(gateway: Rig) -> None:
    (one,) = launched(gateway)
    Console(gateway.world).guest_shuts_down(HOST, one)
    gateway.wait("stopped", one)
    assert reason(gateway, one) == "Client.InstanceInitiatedShutdown"


def test_a_guests_own_shutdown_terminates_where_its_owner_wants_that(gateway: Rig) -> None:
    (one,) = launched(gateway, InstanceInitiatedShutdownBehavior="terminate")
    Console(gateway.world).guest_shuts_down(HOST, one)
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []


def test_an_administrators_stop_is_shown_and_never_terminates(gateway: Rig) -> None:
    (one,) = launched(gateway, InstanceInitiatedShutdownBehavior="terminate")
    Console(gateway.world).turn_off(HOST, one)
    gateway.wait("stopped", one)
    assert reason(gateway, one) == "Server.ScheduledStop"
    Console(gateway.world).start(HOST, one)
    gateway.wait("running", one)


def test_a_rename_and_edited_notes_change_nothing(gateway: Rig) -> None:
    (one,) = launched(gateway)
    console = Console(gateway.world)
    console.rename(HOST, one, "somebody's name")
    console.edit_notes(HOST, "somebody's name", "somebody's notes")
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.vms() == []


def test_a_vm_that_an_administrator_removed_ends_its_instance(gateway: Rig) -> None:
    (one,) = launched(gateway)
    console = Console(gateway.world)
    console.turn_off(HOST, one)
    console.remove(HOST, one)
    gateway.wait("terminated", one)
    assert reason(gateway, one) == "Server.InternalError"


def test_foreign_vms_with_our_names_stay_untouched(gateway: Rig) -> None:
    gateway.stop()
    (one,) = gateway.launch(1, **ZONE)
    console = Console(gateway.world)
    foreign = console.add_foreign_vm(HOST, one)
    gateway.start()
    gateway.wait("running", one)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    (left,) = gateway.vms()
    assert (left["id"], left["name"], left["notes"]) == (foreign, one, "")
    gateway.until(lambda: _host(gateway).foreign_vms == 1, "it counts as foreign")


def test_no_memory_at_start_is_told_as_ec2_tells_it(gateway: Rig) -> None:
    (stopped,) = launched(gateway)
    gateway.ask("StopInstances", InstanceIds=[stopped], Force=True)
    gateway.wait("stopped", stopped)
    Console(gateway.world).press_memory(HOST, 512)
    (one,) = gateway.launch(1, **ZONE)
    gateway.ask("StartInstances", InstanceIds=[stopped])
    gateway.wait("terminated", one)
    gateway.wait("stopped", stopped)
    assert reason(gateway, one) == "Server.InsufficientInstanceCapacity"
    assert reason(gateway, stopped) == "Server.InsufficientInstanceCapacity"
    assert [vm["name"] for vm in gateway.vms()] == [stopped]


def test_a_deaf_guest_is_cut_off_after_the_deadline(gateway: Rig) -> None:
    (one,) = launched(gateway)
    Console(gateway.world).set_guest(HOST, one, "shutdown", "ignores")
    gateway.ask("StopInstances", InstanceIds=[one])
    gateway.wait("stopped", one, seconds=gateway.settings.stop_deadline_seconds + 30)


def _host(gateway: Rig) -> models.Host:
    with gateway.store.read() as session:
        return session.scalars(sa.select(models.Host).where(models.Host.zone_letter == "a")).one()
