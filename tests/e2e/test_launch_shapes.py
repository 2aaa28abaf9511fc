"""What a launch makes on a host, part by part, for both generations and with a VLAN."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.console import Console
from state import models
from state.store import Store
from tests.faults.rig import Rig, rig
from translators.hyperv import vm


@pytest.fixture
def cloud(store: Store, tmp_path: Path) -> Iterator[Rig]:
    with rig(store, tmp_path) as made:
        made.start()
        yield made


def machine(cloud: Rig, instance_id: str) -> Any:
    """The laboratory's own record of the VM."""
    with cloud.world.reading("lab-a") as session:
        (found,) = [one for one in session.vms() if one.name == instance_id]
    return found


def launch(cloud: Rig, **request: Any) -> str:
    (one,) = cloud.launch(1, Placement={"AvailabilityZone": "us-east-1a"}, **request)
    cloud.wait("running", one)
    return one


def test_a_generation_2_vm_boots_securely_from_its_differencing_disk(cloud: Rig) -> None:
    for image in cloud.rows(models.Image):
        cloud.update(
            models.Image, image.key, secure_boot_template="MicrosoftUEFICertificateAuthority"
        )
    one = launch(cloud)
    made = machine(cloud, one)
    assert (made.generation, made.processors, made.memory_startup) == (2, 2, 2**30)
    assert not made.dynamic_memory
    assert made.secure_boot
    assert made.secure_boot_template == "MicrosoftUEFICertificateAuthority"
    (disk,) = made.disks
    assert (disk.controller_type, disk.number, disk.location) == ("SCSI", 0, 0)
    root = cloud.world.snapshot()["lab-a"]["files"][disk.path]
    assert root["parent"].lower() == "c:\\ec2gw\\images\\ec2gw-lab-linux.vhdx"
    assert vm.owner(made.notes) == ("feedfacefeedface", one)
    assert (made.start_action, made.stop_action) == ("StartIfRunning", "ShutDown")
    assert made.checkpoint_type == "Disabled"


def test_its_adapter_is_guarded_and_carries_the_interfaces_address(cloud: Rig) -> None:
    for network in cloud.rows(models.Network):
        cloud.update(models.Network, network.key, vlan=42)
    one = launch(cloud)
    (interface,) = cloud.rows(models.NetworkInterface)
    (nic,) = next(vm for vm in cloud.vms() if vm["name"] == one)["nics"]
    assert nic == {
        "name": interface.id,
        "mac": interface.mac.replace(":", "").upper(),
        "switch": "ec2gw",
        "vlan": 42,
        "mac_spoofing": "Off",
        "dhcp_guard": "On",
        "router_guard": "On",
    }


def test_a_generation_1_vm_boots_from_ide(cloud: Rig) -> None:
    Console(cloud.world).add_image("lab-a", "old.vhdx", generation=1)
    image_id = cloud.image(file_name="old.vhdx", generation=1, size_gib=8)
    one = launch(cloud, ImageId=image_id)
    made = machine(cloud, one)
    (disk,) = made.disks
    assert made.generation == 1
    assert (disk.controller_type, disk.number, disk.location) == ("IDE", 0, 0)


def test_a_larger_root_disk_is_made_larger(cloud: Rig) -> None:
    one = launch(
        cloud, BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}]
    )
    (disk,) = machine(cloud, one).disks
    assert cloud.world.snapshot()["lab-a"]["files"][disk.path]["virtual_size"] == 20 * 2**30


def test_an_image_that_is_not_on_the_host_fails_the_launch_and_leaves_nothing(cloud: Rig) -> None:
    image_id = cloud.image(file_name="missing.vhdx", size_gib=8)
    (one,) = cloud.launch(1, ImageId=image_id, Placement={"AvailabilityZone": "us-east-1a"})
    cloud.wait("terminated", one, seconds=90)
    assert cloud.instance(one).state_reason_code == "Server.InternalError"
    assert cloud.vms() == []
    assert cloud.leftovers() == []
