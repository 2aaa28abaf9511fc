"""Root volumes that are taken out of stopped instances, looked into elsewhere, and put back."""

from __future__ import annotations

import pytest

from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig
from tests.faults.test_volumes import HOST, attach, gone, rest, row, running

ROOT = "/dev/sda1"


def stopped(gateway: Rig, instance_id: str) -> str:
    """Stop an instance and take its root volume out; answer that volume's id."""
    gateway.ask("StopInstances", InstanceIds=[instance_id], Force=True)
    gateway.wait("stopped", instance_id)
    key = gateway.instance(instance_id).key
    [root] = [one for one in gateway.rows(models.Volume) if one.instance_key == key]
    gateway.ask("DetachVolume", VolumeId=root.id)
    rest(gateway, root.id, "available")
    return str(root.id)


def disks(gateway: Rig, instance_id: str) -> list[str]:
    [vm] = [one for one in gateway.vms() if one["name"] == instance_id]
    return list(vm["disks"])


def boots(gateway: Rig, instance_id: str) -> bool:
    [vm] = [one for one in gateway.vms() if one["name"] == instance_id]
    return str(vm["heartbeat"]).startswith("Ok")


@pytest.mark.parametrize("generation", [1, 2])
def test_a_root_disk_is_mended_elsewhere_and_boots_again(gateway: Rig, generation: int) -> None:
    for image in gateway.rows(models.Image):
        gateway.update(models.Image, image.key, generation=generation)
    ill, doctor = running(gateway), running(gateway)
    root = stopped(gateway, ill)
    assert disks(gateway, ill) == []
    path = f"C:\\ec2gw\\instances\\{ill}\\root.vhdx"
    attach(gateway, root, doctor, "/dev/sdf")
    rest(gateway, root, "in-use")
    assert path in disks(gateway, doctor)
    Console(gateway.world).guest_writes(HOST, doctor, "mended", location=5)
    gateway.ask("DetachVolume", VolumeId=root)
    rest(gateway, root, "available")
    attach(gateway, root, ill, ROOT)
    rest(gateway, root, "in-use")
    gateway.ask("StartInstances", InstanceIds=[ill])
    gateway.wait("running", ill)
    if generation == 2:  # the laboratory's guest knows no other firmware
        gateway.until(lambda: boots(gateway, ill), "its guest is up")
    assert "mended" in Console(gateway.world).disk_content(HOST, path)
    with gateway.world.reading(HOST) as session:
        [vm] = [one for one in session.vms() if one.name == ill]
    kind = "IDE" if generation == 1 else "SCSI"
    assert [(one.controller_type, one.location) for one in vm.disks] == [(kind, 0)]


def test_an_instance_may_be_given_another_root_disk(gateway: Rig) -> None:
    one = running(gateway)
    before = stopped(gateway, one)
    [image] = gateway.rows(models.Snapshot)
    made = gateway.ask("CreateVolume", AvailabilityZone="us-east-1a", SnapshotId=image.id)
    fresh = made["VolumeId"]
    rest(gateway, fresh, "available")
    attach(gateway, fresh, one, ROOT)
    rest(gateway, fresh, "in-use")
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    gateway.until(lambda: boots(gateway, one), "its guest is up")
    assert disks(gateway, one) == [f"C:\\ec2gw\\volumes\\{fresh}.vhdx"]
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    # The first one lies in the folder of an instance that is no more, and is whole.
    found = row(gateway, before)
    assert found is not None
    assert found.phase == "available"
    assert f"C:\\ec2gw\\instances\\{one}\\root.vhdx" in gateway.leftovers()
    for left in (before, fresh):
        gateway.ask("DeleteVolume", VolumeId=left)
        gone(gateway, left)
    assert gateway.leftovers() == []


def test_a_root_disk_that_works_elsewhere_outlives_its_instance(gateway: Rig) -> None:
    ill, doctor = running(gateway), running(gateway)
    root = stopped(gateway, ill)
    attach(gateway, root, doctor, "/dev/sdf")
    rest(gateway, root, "in-use")
    gateway.ask("TerminateInstances", InstanceIds=[ill])
    gateway.wait("terminated", ill)
    assert f"C:\\ec2gw\\instances\\{ill}\\root.vhdx" in disks(gateway, doctor)
    gateway.ask("RebootInstances", InstanceIds=[doctor])
    gateway.wait("running", doctor)
    assert f"C:\\ec2gw\\instances\\{ill}\\root.vhdx" in gateway.leftovers()


def test_lost_messages_take_no_root_disk(gateway: Rig) -> None:
    one = running(gateway)
    faults = gateway.laboratory.faults[HOST]
    faults.lose(0.2, seed=3)
    root = stopped(gateway, one)
    attach(gateway, root, one, ROOT)
    rest(gateway, root, "in-use")
    gateway.ask("StartInstances", InstanceIds=[one])
    gateway.wait("running", one)
    gateway.until(lambda: boots(gateway, one), "its guest is up")
    assert faults.lost > 0
