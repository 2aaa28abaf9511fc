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
    gateway.until(lambda: row(gateway, snapshot).fixed_at is not None, "the point is fixed")
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
