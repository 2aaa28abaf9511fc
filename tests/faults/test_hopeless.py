"""What a host refuses for good: it is tried for a while, told, and comes to rest."""

from __future__ import annotations

import pytest

from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig
from tests.faults.test_hosts import HOST, ZONE, launched, reason
from translators.ec2.instances import steps


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "_TRIES", 3)


@pytest.mark.parametrize(
    ("column", "value"),
    [("secure_boot_template", "NoSuchTemplate"), ("file_name", "no-such-image.vhdx")],
)
def test_a_launch_that_can_never_succeed_ends(gateway: Rig, column: str, value: str) -> None:
    (image,) = gateway.rows(models.Image)
    gateway.update(models.Image, image.key, **{column: value})
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
