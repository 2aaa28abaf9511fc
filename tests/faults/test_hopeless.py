"""What a host refuses for good: it is tried for a while, told, and comes to rest."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ec2gw.lab.agent.host import Invoked
from ec2gw.lab.cmdlets import LabMachine, faults
from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig
from tests.faults.test_hosts import HOST, ZONE, launched, reason
from translators.ec2.instances import steps


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_TRIES", 3)


@pytest.mark.parametrize("lacks", ["template", "disk"])
def test_a_launch_that_can_never_succeed_ends(gateway: Rig, lacks: str) -> None:
    (image,) = gateway.rows(models.Image)
    if lacks == "template":
        gateway.update(models.Image, image.key, secure_boot_template="NoSuchTemplate")
    else:
        gateway.update(models.Snapshot, image.snapshot_key, file_name="images/no-such-image.vhdx")
    (one,) = gateway.launch(1, **ZONE)
    gateway.wait("terminated", one, seconds=30)
    assert reason(gateway, one) == "Server.InternalError"
    assert gateway.vms() == []
    assert gateway.leftovers() == []


def test_an_instance_whose_image_file_is_gone_stays_stopped_and_can_be_terminated(
    gateway: Rig,
) -> None:
    (one,) = launched(gateway)
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    Console(gateway.world).delete_file(HOST, "C:\\ec2gw\\images\\ec2gw-lab-linux.vhdx")
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.until(lambda: reason(gateway, one) == "Server.InternalError", "the start failed")
    assert gateway.instance(one).phase == "stopped"
    assert [row.trouble for row in gateway.rows(models.Work)] == [None]
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []


class ManagementService:
    """Hyper-V's management service of all hosts: while it is stopped, no cmdlet finds anything."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stopped = False
        self.stops_before: str | None = None
        self.trees_removed = 0
        invoke = LabMachine.invoke

        def invoked(machine: LabMachine, do: str, arguments: Mapping[str, object]) -> Invoked:
            if do == self.stops_before:
                self.stopped, self.stops_before = True, None
            if self.stopped and do.startswith("Hyper-V\\"):
                text = "The object was not found. Verify that the service is running."
                raise faults.not_found(do.partition("\\")[2], text)
            self.trees_removed += do == "Agent\\Remove-Tree"
            return invoke(machine, do, arguments)

        monkeypatch.setattr(LabMachine, "invoke", invoked)


def test_a_stopped_management_service_is_no_vm_that_is_missing(
    gateway: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = ManagementService(monkeypatch)
    service.stops_before = "Hyper-V\\Start-VM"
    (one,) = gateway.launch(1, **ZONE)
    gateway.until(lambda: bool(gateway.told()["troubles"]), "it does not get on")
    assert [vm["name"] for vm in gateway.vms()] == [one]
    assert service.trees_removed == 1  # before it was made
    service.stopped = False
    gateway.wait("running", one)
    assert service.trees_removed == 1
    service.stopped = True
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.until(lambda: bool(gateway.told()["troubles"]), "it does not get on again")
    assert gateway.instance(one).phase == "shutting-down"
    service.stopped = False
    gateway.wait("terminated", one)
    assert gateway.vms() == []
    assert gateway.leftovers() == []
