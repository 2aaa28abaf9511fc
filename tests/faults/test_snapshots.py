"""Snapshots on hosts: one moment, copied whole, nothing left behind, whatever happens meanwhile."""

from __future__ import annotations

from typing import Any

from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig

A = "lab-a"


def launched(gateway: Rig) -> str:
    (one,) = gateway.launch(1)
    gateway.wait("running", one)
    return one


def root(gateway: Rig, instance: str) -> str:
    [shown] = gateway.seen(instance)
    [mapping] = shown["BlockDeviceMappings"]
    volume: str = mapping["Ebs"]["VolumeId"]
    return volume


def row(gateway: Rig, snapshot: str) -> models.Snapshot | None:
    found = [one for one in gateway.rows(models.Snapshot) if one.id == snapshot]
    return found[0] if found else None


def reached(gateway: Rig, snapshot: str, phase: str, seconds: float = 30) -> None:
    def holds() -> bool:
        found = row(gateway, snapshot)
        return found is not None and found.phase == phase

    gateway.until(holds, f"{snapshot} is {phase}", seconds)


def fixed(gateway: Rig, snapshot: str) -> None:
    def holds() -> bool:
        found = row(gateway, snapshot)
        return found is not None and found.fixed_at is not None

    gateway.until(holds, f"the moment of {snapshot} is fixed")


def host_files(gateway: Rig, folder: str) -> dict[str, Any]:
    below = f"c:\\ec2gw\\{folder}\\"
    return {
        path[len(below) :]: file
        for host in gateway.world.snapshot().values()
        for path, file in host["files"].items()
        if path.lower().startswith(below)
    }


def assert_no_checkpoint(gateway: Rig) -> None:
    assert [name for vm in gateway.vms() for name in vm["checkpoints"]] == []
    assert not [path for path in gateway.leftovers() if path.endswith(".avhdx")]
    assert [path for vm in gateway.vms() for path in vm["disks"] if path.endswith(".avhdx")] == []


def test_a_snapshot_holds_what_was_written_before_it_and_nothing_of_after(gateway: Rig) -> None:
    one = launched(gateway)
    Console(gateway.world).guest_writes(A, one, "before")
    answer = gateway.ask("CreateSnapshot", VolumeId=root(gateway, one), Description="first")
    assert answer["State"] == "pending"
    snapshot = answer["SnapshotId"]
    fixed(gateway, snapshot)
    Console(gateway.world).guest_writes(A, one, "after")
    reached(gateway, snapshot, "ready")
    [shown] = gateway.call("DescribeSnapshots", SnapshotIds=[snapshot])["Snapshots"]
    assert (shown["State"], shown["Progress"]) == ("completed", "100%")
    [(name, file)] = host_files(gateway, "snapshots").items()
    assert name == f"{snapshot}.vhdx"
    assert (file["content"], file["read_only"], file["parent"]) == (["before"], True, None)
    assert host_files(gateway, "tmp") == {}
    assert_no_checkpoint(gateway)
    [vm] = gateway.vms()
    [disk] = vm["disks"]
    assert Console(gateway.world).disk_content(A, disk).split()[-2:] == ["before", "after"]


def made(gateway: Rig, instance: str, **request: Any) -> str:
    asked = {"Name": "made", **request}
    image: str = gateway.ask("CreateImage", InstanceId=instance, **asked)["ImageId"]
    return image


def imaged(gateway: Rig, image: str, state: str = "available", seconds: float = 30) -> Any:
    def shown() -> Any:
        return gateway.call("DescribeImages", ImageIds=[image])["Images"][0]

    gateway.until(lambda: shown()["State"] == state, f"{image} is {state}", seconds)
    return shown()


def snapshot_of(image: Any) -> str:
    snapshot: str = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    return snapshot


def test_an_image_is_made_of_a_running_instance_and_launches(gateway: Rig) -> None:
    one = launched(gateway)
    Console(gateway.world).guest_writes(A, one, "golden")
    image = imaged(gateway, made(gateway, one, NoReboot=True))
    assert gateway.instance(one).phase == "running"
    assert gateway.instance(one).generation == 1
    assert image["SourceInstanceId"] == one
    reached(gateway, snapshot_of(image), "ready")
    assert_no_checkpoint(gateway)
    (two,) = gateway.launch(1, ImageId=image["ImageId"])
    gateway.wait("running", two)
    [disk] = [vm["disks"][0] for vm in gateway.vms() if vm["name"] == two]
    assert "golden" in Console(gateway.world).disk_content(A, disk)


def test_an_image_of_a_running_instance_is_made_while_it_is_down(gateway: Rig) -> None:
    one = launched(gateway)
    image = made(gateway, one)
    assert gateway.instance(one).phase == "rebooting"
    [shown] = gateway.seen(one)
    assert shown["State"]["Name"] == "running"
    gateway.wait("running", one)
    snapshot = snapshot_of(imaged(gateway, image))
    reached(gateway, snapshot, "ready")
    assert_no_checkpoint(gateway)
    with gateway.world.reading(A) as session:
        assert [event.number for event in session.events()] == [18504]  # asked to shut down, once
    gateway.assert_exactly([one])


def test_an_image_of_a_stopped_instance_leaves_it_stopped(gateway: Rig) -> None:
    one = launched(gateway)
    gateway.ask("StopInstances", InstanceIds=[one], Force=True)
    gateway.wait("stopped", one)
    image = imaged(gateway, made(gateway, one))
    reached(gateway, snapshot_of(image), "ready")
    assert gateway.instance(one).phase == "stopped"
    assert_no_checkpoint(gateway)


def test_the_file_goes_with_the_last_child(gateway: Rig) -> None:
    one = launched(gateway)
    image = imaged(gateway, made(gateway, one, NoReboot=True))
    snapshot = snapshot_of(image)
    (two,) = gateway.launch(1, ImageId=image["ImageId"])
    gateway.wait("running", two)
    gateway.ask("DeregisterImage", ImageId=image["ImageId"])
    reached(gateway, snapshot, "ready")
    gateway.ask("DeleteSnapshot", SnapshotId=snapshot)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)
    assert list(host_files(gateway, "snapshots")) == [f"{snapshot}.vhdx"]
    gateway.ask("TerminateInstances", InstanceIds=[two])
    gateway.wait("terminated", two)
    gateway.until(lambda: row(gateway, snapshot) is None, "the snapshot is gone")
    assert host_files(gateway, "snapshots") == {}
    assert gateway.leftovers() == []


def test_a_volume_on_refs_of_server_2025_is_cloned_without_a_job(gateway: Rig) -> None:
    console = Console(gateway.world)
    for host in gateway.world.hosts:
        console.set_file_system(host, "ReFS", build=26100)
        console.set_disk_rate(host, 0)  # a job would never end
    made = gateway.ask("CreateVolume", AvailabilityZone="us-east-1a", Size=5)["VolumeId"]
    gateway.until(
        lambda: (
            [one.phase for one in gateway.rows(models.Volume) if one.id == made] == ["available"]
        ),
        "the volume is there",
    )
    snapshot = gateway.ask("CreateSnapshot", VolumeId=made)["SnapshotId"]
    reached(gateway, snapshot, "ready")
    (clone,) = host_files(gateway, "snapshots").values()
    assert (clone["parent"], clone["read_only"]) == (None, True)
    assert host_files(gateway, "tmp") == {}
