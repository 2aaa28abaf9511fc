"""Volumes on the way to rest while messages, processes and hosts fail around them.

What is held against is the laboratory's world: where each disk's file is, and in which drives.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.console import Console
from state import models, storage
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig

HOST = "lab-a"
ZONE = {"AvailabilityZone": "us-east-1a"}
GIB = 2**30
_ADD = "Hyper-V\\Add-VMHardDiskDrive"


def running(gateway: Rig, **request: Any) -> str:
    [instance_id] = gateway.launch(1, Placement=ZONE, **request)
    gateway.wait("running", instance_id)
    return instance_id


def row(gateway: Rig, volume_id: str) -> models.Volume | None:
    return next((one for one in gateway.rows(models.Volume) if one.id == volume_id), None)


def rest(gateway: Rig, volume_id: str, phase: storage.VolumePhase) -> None:
    def holds() -> bool:
        found = row(gateway, volume_id)
        return found is not None and found.phase == phase

    gateway.until(holds, f"{volume_id} {phase}")


def gone(gateway: Rig, volume_id: str) -> None:
    gateway.until(lambda: row(gateway, volume_id) is None, f"{volume_id} is gone")


def made(gateway: Rig, size_gib: int = 5, **request: Any) -> str:
    asked = {**ZONE, "Size": size_gib, **request}
    volume_id: str = gateway.ask("CreateVolume", **asked)["VolumeId"]
    rest(gateway, volume_id, "available")
    return volume_id


def attach(gateway: Rig, volume_id: str, instance_id: str, device: str = "/dev/sdf") -> None:
    gateway.ask("AttachVolume", VolumeId=volume_id, InstanceId=instance_id, Device=device)


def files(gateway: Rig, host: str | None = None) -> set[str]:
    """The disks below the hosts' volumes folders."""
    return {
        path.rpartition("\\")[2].removesuffix(".vhdx")
        for name, one in gateway.world.snapshot().items()
        for path in one["files"]
        if path.lower().startswith("c:\\ec2gw\\volumes\\") and host in (None, name)
    }


def drives(gateway: Rig, host: str = HOST) -> dict[int, str]:
    """Location on SCSI -> what is in it, of the one VM there is."""
    with gateway.world.reading(host) as session:
        [vm] = session.vms()
    return {
        disk.location: (disk.path or "").rpartition("\\")[2].removesuffix(".vhdx")
        for disk in vm.disks
    }


def test_a_volume_lives_its_life_and_leaves_nothing(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    assert files(gateway, HOST) == {one}
    attach(gateway, one, instance_id)
    rest(gateway, one, "in-use")
    assert drives(gateway) == {0: "root", 5: one}
    gateway.ask("ModifyVolume", VolumeId=one, Size=9, VolumeType="gp3")
    gateway.until(lambda: modified(gateway) == ["completed"], "it was modified")
    with gateway.world.reading(HOST) as session:
        [vm] = session.vms()
        grown = session.file(f"C:\\ec2gw\\volumes\\{one}.vhdx")
    assert grown is not None
    assert grown.vhd is not None
    assert (grown.vhd.size, vm.disks[1].maximum_iops) == (9 * GIB, 16_000)
    gateway.ask("DetachVolume", VolumeId=one)
    rest(gateway, one, "available")
    assert drives(gateway) == {0: "root"}
    gateway.ask("DeleteVolume", VolumeId=one)
    gone(gateway, one)
    assert files(gateway) == set()


def modified(gateway: Rig) -> list[str]:
    return [one.state for one in gateway.rows(models.VolumeModification)]


def test_an_instance_is_launched_with_its_disks_and_they_end_or_outlive_it(gateway: Rig) -> None:
    instance_id = running(
        gateway,
        BlockDeviceMappings=[
            {"DeviceName": "/dev/sda1", "Ebs": {"DeleteOnTermination": False}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 3}},
            {"DeviceName": "/dev/sdg", "Ebs": {"VolumeSize": 4, "DeleteOnTermination": False}},
        ],
    )
    by_device = {one.device: one.id for one in gateway.rows(models.Volume)}
    ends, stays = by_device["/dev/sdf"], by_device["/dev/sdg"]
    assert drives(gateway) == {0: "root", 5: ends, 6: stays}
    gateway.ask("TerminateInstances", InstanceIds=[instance_id])
    gateway.wait("terminated", instance_id)
    gone(gateway, ends)
    assert files(gateway) == {stays}
    assert [path.rpartition("\\")[2] for path in gateway.leftovers()] != []
    for left in (by_device["/dev/sda1"], stays):
        gateway.ask("DeleteVolume", VolumeId=left)
        gone(gateway, left)
    assert files(gateway) == set()
    assert gateway.leftovers() == []


def test_lost_messages_leave_every_disk_where_it_was_wanted(gateway: Rig) -> None:
    instance_id = running(gateway)
    faults = gateway.laboratory.faults[HOST]
    faults.lose(0.2, seed=11)
    one, two = made(gateway), made(gateway)
    for volume_id, device in ((one, "/dev/sdf"), (two, "/dev/sdg")):
        attach(gateway, volume_id, instance_id, device)
    for volume_id in (one, two):
        rest(gateway, volume_id, "in-use")
    gateway.ask("DetachVolume", VolumeId=one)
    gateway.ask("ModifyVolume", VolumeId=two, Size=8)
    rest(gateway, one, "available")
    gateway.until(lambda: modified(gateway) == ["completed"], "it was modified")
    assert drives(gateway) == {0: "root", 6: two}
    gateway.ask("DeleteVolume", VolumeId=one)
    gone(gateway, one)
    assert files(gateway) == {two}
    assert faults.lost > 0


def test_half_an_attachment_is_found_cleared_and_made_whole(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    Console(gateway.world).inject(HOST, _ADD, "half")
    attach(gateway, one, instance_id)
    rest(gateway, one, "in-use")
    assert drives(gateway) == {0: "root", 5: one}


def test_an_attachment_that_never_succeeds_leaves_the_volume_free(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    Console(gateway.world).delete_file(HOST, f"C:\\ec2gw\\volumes\\{one}.vhdx")
    attach(gateway, one, instance_id)
    gateway.until(lambda: bool(gateway.told()["troubles"]), "the operator is told")
    gateway.ask("DetachVolume", VolumeId=one)
    rest(gateway, one, "available")
    assert drives(gateway) == {0: "root"}


def test_a_host_that_restarts_in_between_attaches_in_the_end(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    gateway.stop()
    attach(gateway, one, instance_id)
    Console(gateway.world).reboot_host(HOST)
    gateway.start()
    rest(gateway, one, "in-use")
    gateway.wait("running", instance_id)
    gateway.until(lambda: drives(gateway) == {0: "root", 5: one}, "the disk is in its place")


def test_an_instance_that_is_terminated_while_a_volume_is_attached_gives_it_back(
    gateway: Rig,
) -> None:
    instance_id, one = running(gateway), made(gateway)
    gateway.laboratory.faults[HOST].go_down()
    attach(gateway, one, instance_id)
    gateway.ask("TerminateInstances", InstanceIds=[instance_id])
    gateway.laboratory.faults[HOST].go_up()
    gateway.wait("terminated", instance_id)
    rest(gateway, one, "available")
    found = row(gateway, one)
    assert found is not None
    assert (found.instance_key, found.device) == (None, None)
    assert files(gateway) == {one}
    assert gateway.vms() == []


def test_a_volume_is_detached_while_its_instance_stops(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    attach(gateway, one, instance_id)
    rest(gateway, one, "in-use")
    gateway.ask("StopInstances", InstanceIds=[instance_id])
    gateway.ask("DetachVolume", VolumeId=one, Force=True)
    rest(gateway, one, "available")
    gateway.wait("stopped", instance_id)
    assert drives(gateway) == {0: "root"}


def test_a_stopped_instance_takes_a_volume_and_starts_with_it(gateway: Rig) -> None:
    instance_id, one = running(gateway), made(gateway)
    gateway.ask("StopInstances", InstanceIds=[instance_id], Force=True)
    gateway.wait("stopped", instance_id)
    attach(gateway, one, instance_id)
    rest(gateway, one, "in-use")
    gateway.ask("StartInstances", InstanceIds=[instance_id])
    gateway.wait("running", instance_id)
    assert drives(gateway) == {0: "root", 5: one}


def test_a_locked_file_is_removed_once_it_is_let_go_of(gateway: Rig) -> None:
    one = made(gateway)
    Console(gateway.world).lock_file(HOST, f"C:\\ec2gw\\volumes\\{one}.vhdx", 1.0)
    gateway.ask("DeleteVolume", VolumeId=one)
    gone(gateway, one)
    assert files(gateway) == set()


@pytest.fixture
def two_hosts(store: Store, tmp_path: Path) -> Iterator[Rig]:
    """A rig whose zone a has two hosts: the second one is where new volumes go."""
    with rig(store, tmp_path, SETTINGS) as made:
        made.update(models.Host, made.hosts["b"], zone_letter="a")
        made.start()
        made.update(models.Host, made.hosts["b"], state="draining")
        yield made


def test_a_blank_volume_follows_to_the_host_of_the_instance(two_hosts: Rig) -> None:
    gateway = two_hosts
    instance_id = running(gateway)
    assert gateway.instance(instance_id).host_key == gateway.hosts["a"]
    gateway.update(models.Host, gateway.hosts["b"], state="active")
    gateway.update(models.Host, gateway.hosts["a"], state="draining")
    one = made(gateway)
    assert files(gateway, "lab-b") == {one}
    attach(gateway, one, instance_id)
    rest(gateway, one, "in-use")
    assert files(gateway, "lab-b") == set()
    assert drives(gateway) == {0: "root", 5: one}


def test_a_volume_that_is_detached_on_its_way_is_whole_where_it_ends(two_hosts: Rig) -> None:
    gateway = two_hosts
    instance_id = running(gateway)
    gateway.update(models.Host, gateway.hosts["b"], state="active")
    gateway.update(models.Host, gateway.hosts["a"], state="draining")
    one = made(gateway)
    gateway.laboratory.faults["lab-b"].go_down()
    attach(gateway, one, instance_id)
    gateway.ask("DetachVolume", VolumeId=one)
    gateway.laboratory.faults["lab-b"].go_up()
    rest(gateway, one, "available")
    assert files(gateway) == {one}
    assert drives(gateway) == {0: "root"}
