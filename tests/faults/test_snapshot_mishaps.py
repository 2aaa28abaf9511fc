"""What befalls a snapshot on its way: lost jobs, restarts, full disks, a change of mind.

Whatever happens, the copy is of one moment, and no checkpoint, child or half-made file is left.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig
from tests.faults.test_hosts import launched
from tests.faults.test_snapshots import (
    A,
    assert_no_checkpoint,
    fixed,
    host_files,
    reached,
    root,
    row,
)
from translators.registry import ACTIONS

SLOW, USUAL = 16, 400
"""MiB a second: the first copies a disk in some seconds of a test."""


@dataclasses.dataclass
class Copy:
    """A snapshot that is being copied, slowly, of a disk with one word on it."""

    gateway: Rig
    instance: str
    snapshot: str

    @property
    def console(self) -> Console:
        return Console(self.gateway.world)

    def quicken(self) -> None:
        """Let what begins from now on be as quick as usual."""
        self.console.set_disk_rate(A, USUAL)

    def assert_whole(self) -> None:
        """It is what was there before, and nothing is left of how it was made."""
        reached(self.gateway, self.snapshot, "ready")
        [file] = host_files(self.gateway, "snapshots").values()
        assert file["content"] == ["before"]
        assert host_files(self.gateway, "tmp") == {}
        assert_no_checkpoint(self.gateway)


@pytest.fixture
def copy(gateway: Rig) -> Copy:
    [one] = launched(gateway)
    console = Console(gateway.world)
    console.guest_writes(A, one, "before")
    console.set_disk_rate(A, SLOW)
    snapshot = gateway.ask("CreateSnapshot", VolumeId=root(gateway, one))["SnapshotId"]
    fixed(gateway, snapshot)
    console.guest_writes(A, one, "after")

    def copies() -> bool:
        found = row(gateway, snapshot)
        return found is not None and found.job is not None

    gateway.until(copies, "a job copies it")
    return Copy(gateway, one, snapshot)


def progress(copy: Copy) -> int:
    [shown] = copy.gateway.call("DescribeSnapshots", SnapshotIds=[copy.snapshot])["Snapshots"]
    assert shown["State"] in ("pending", "completed")
    return int(shown["Progress"].removesuffix("%"))


# -- hosts, jobs, disks


def test_its_progress_is_the_jobs(copy: Copy) -> None:
    seen: set[int] = set()

    def done() -> bool:
        seen.add(progress(copy))
        return 100 in seen

    copy.gateway.until(done, "it is whole")
    assert len(seen) > 3
    copy.assert_whole()


def test_a_job_that_the_host_forgot_is_begun_anew(copy: Copy) -> None:
    copy.quicken()
    copy.console.restart_service(A)
    copy.assert_whole()


def test_a_copy_outlives_the_restart_of_its_host(copy: Copy) -> None:
    copy.quicken()
    copy.console.reboot_host(A)
    copy.assert_whole()
    copy.gateway.wait("running", copy.instance)


def test_a_copy_goes_on_while_nobody_looks(copy: Copy) -> None:
    copy.gateway.stop()
    copy.quicken()
    copy.gateway.start()
    copy.assert_whole()


def test_a_copy_that_fails_is_repeated(copy: Copy) -> None:
    copy.quicken()
    copy.console.inject(A, "Agent\\Start-DiskCopy", "exception", 2)
    copy.console.restart_service(A)
    copy.assert_whole()


def test_a_copy_that_finds_no_room_ends_in_error_and_leaves_nothing(gateway: Rig) -> None:
    [one] = launched(gateway)
    console = Console(gateway.world)
    console.guest_writes(A, one, "before")
    with gateway.world.reading(A) as session:
        room = session.free_disk() // 2**30
    console.press_disk(A, room)
    image = gateway.ask("CreateImage", InstanceId=one, Name="full", NoReboot=True)["ImageId"]
    [snapshot] = [each.id for each in gateway.rows(models.Snapshot) if not each.everywhere]
    reached(gateway, snapshot, "error", 60)
    [shown] = gateway.call("DescribeSnapshots", SnapshotIds=[snapshot])["Snapshots"]
    assert shown["State"] == "error"
    assert "internal error" in shown["StateMessage"]
    [failed] = gateway.call("DescribeImages", ImageIds=[image])["Images"]
    assert failed["State"] == "failed"
    assert failed["StateReason"]["Code"] == "Server.InternalError"
    assert host_files(gateway, "snapshots") == {}
    assert host_files(gateway, "tmp") == {}
    assert_no_checkpoint(gateway)
    gateway.ask("DeregisterImage", ImageId=image)
    gateway.ask("DeleteSnapshot", SnapshotId=snapshot)
    gateway.until(lambda: row(gateway, snapshot) is None, "it is forgotten")


@pytest.mark.parametrize(
    ("cmdlet", "fault"),
    [
        ("Hyper-V\\Checkpoint-VM", "before"),
        ("Hyper-V\\Checkpoint-VM", "after"),
        ("Agent\\Start-DiskCopy", "after"),
        ("Agent\\Move-File", "before"),
        ("Agent\\Move-File", "after"),
        ("Hyper-V\\Remove-VMSnapshot", "before"),
        ("Hyper-V\\Remove-VMSnapshot", "after"),
    ],
)
def test_a_call_that_fails_once_changes_nothing_in_the_end(
    gateway: Rig, cmdlet: str, fault: str
) -> None:
    [one] = launched(gateway)
    console = Console(gateway.world)
    console.guest_writes(A, one, "before")
    console.inject(A, cmdlet, fault)
    snapshot = gateway.ask("CreateSnapshot", VolumeId=root(gateway, one))["SnapshotId"]
    Copy(gateway, one, snapshot).assert_whole()


def test_a_guest_without_vss_is_taken_as_if_the_power_went(gateway: Rig) -> None:
    [one] = launched(gateway)
    console = Console(gateway.world)
    console.set_guest(A, one, "vss", "false")
    console.guest_writes(A, one, "before")
    snapshot = gateway.ask("CreateSnapshot", VolumeId=root(gateway, one))["SnapshotId"]
    Copy(gateway, one, snapshot).assert_whole()


def test_an_administrators_checkpoint_stays(gateway: Rig) -> None:
    [one] = launched(gateway)
    console = Console(gateway.world)
    console.guest_writes(A, one, "before")
    console.add_checkpoint(A, one, "by hand")
    snapshot = gateway.ask("CreateSnapshot", VolumeId=root(gateway, one))["SnapshotId"]
    reached(gateway, snapshot, "ready")
    [file] = host_files(gateway, "snapshots").values()
    assert file["content"] == ["before"]
    assert [vm["checkpoints"] for vm in gateway.vms()] == [["by hand"]]


# -- owners


def test_a_snapshot_that_is_deleted_while_it_is_copied_leaves_nothing(copy: Copy) -> None:
    copy.quicken()
    copy.gateway.ask("DeleteSnapshot", SnapshotId=copy.snapshot)
    copy.gateway.until(lambda: row(copy.gateway, copy.snapshot) is None, "it is gone")
    assert host_files(copy.gateway, "snapshots") == {}
    assert host_files(copy.gateway, "tmp") == {}
    assert_no_checkpoint(copy.gateway)
    disk = copy.gateway.vms()[0]["disks"][0]
    assert copy.console.disk_content(A, disk).split()[-2:] == ["before", "after"]


def test_an_instance_is_removed_only_when_its_disk_is_copied(copy: Copy) -> None:
    copy.gateway.ask("TerminateInstances", InstanceIds=[copy.instance])
    copy.gateway.until(
        lambda: [vm["state"] for vm in copy.gateway.vms()] == ["Off"], "its power is cut"
    )
    found = row(copy.gateway, copy.snapshot)
    assert found is not None
    assert found.phase == "copying"
    copy.quicken()
    copy.gateway.wait("terminated", copy.instance)
    copy.assert_whole()
    assert copy.gateway.vms() == []
    assert copy.gateway.leftovers() == []


@pytest.mark.parametrize("verb", ["stop", "reboot", "stop and start"])
def test_an_instance_goes_on_while_its_disk_is_copied(copy: Copy, verb: str) -> None:
    def during() -> None:
        found = row(copy.gateway, copy.snapshot)
        assert found is not None
        assert found.phase == "copying"

    named = {"InstanceIds": [copy.instance]}
    if verb == "reboot":
        copy.gateway.ask("RebootInstances", **named)
        copy.gateway.wait("running", copy.instance)
    else:
        copy.gateway.ask("StopInstances", Force=True, **named)
        copy.gateway.wait("stopped", copy.instance)
    if verb == "stop and start":
        copy.gateway.ask("StartInstances", **named)
        copy.gateway.wait("running", copy.instance)
    during()
    copy.assert_whole()


def volume(gateway: Rig, **request: Any) -> str:
    asked = {"AvailabilityZone": "us-east-1a", "Size": 1, **request}
    made: str = gateway.ask("CreateVolume", **asked)["VolumeId"]
    return made


def state_of(gateway: Rig, volume_id: str) -> Callable[[], str]:
    def state() -> str:
        [found] = [one for one in gateway.rows(models.Volume) if one.id == volume_id]
        return str(found.phase)

    return state


def test_a_volume_is_attached_when_no_checkpoint_is_in_the_way(copy: Copy) -> None:
    made = volume(copy.gateway)
    phase = state_of(copy.gateway, made)
    copy.gateway.until(lambda: phase() == "available", "it is made")
    copy.gateway.ask("AttachVolume", VolumeId=made, InstanceId=copy.instance, Device="/dev/sdf")
    copy.gateway.until(lambda: phase() == "in-use", "it is attached")
    found = row(copy.gateway, copy.snapshot)
    assert found is not None
    assert found.phase == "ready"
    copy.assert_whole()


def test_a_free_volume_is_copied_before_it_is_attached(gateway: Rig) -> None:
    [one] = launched(gateway)
    made = volume(gateway)
    phase = state_of(gateway, made)
    gateway.until(lambda: phase() == "available", "it is made")
    Console(gateway.world).set_disk_rate(A, 1)
    answer = gateway.ask("CreateSnapshot", VolumeId=made)
    found = row(gateway, answer["SnapshotId"])
    assert found is not None
    assert (found.phase, found.point) == ("copying", None)
    gateway.ask("AttachVolume", VolumeId=made, InstanceId=one, Device="/dev/sdf")
    gateway.until(lambda: phase() == "in-use", "it is attached")
    reached(gateway, answer["SnapshotId"], "ready")
    assert list(host_files(gateway, "snapshots")) == [f"{answer['SnapshotId']}.vhdx"]


def test_the_disks_of_an_instance_are_of_one_moment(gateway: Rig) -> None:
    [one] = launched(gateway)
    made = volume(gateway)
    phase = state_of(gateway, made)
    gateway.until(lambda: phase() == "available", "it is made")
    gateway.ask("AttachVolume", VolumeId=made, InstanceId=one, Device="/dev/sdf")
    gateway.until(lambda: phase() == "in-use", "it is attached")
    console = Console(gateway.world)
    console.guest_writes(A, one, "root")
    console.guest_writes(A, one, "data", 5)
    tags = [{"ResourceType": "snapshot", "Tags": [{"Key": "set", "Value": "1"}]}]
    answer = gateway.ask(
        "CreateSnapshots", InstanceSpecification={"InstanceId": one}, TagSpecifications=tags
    )
    [first, second] = [each["SnapshotId"] for each in answer["Snapshots"]]
    for snapshot in (first, second):
        fixed(gateway, snapshot)
    checkpoints = {each.checkpoint for each in gateway.rows(models.Snapshot) if each.checkpoint}
    assert len(checkpoints) <= 1
    console.guest_writes(A, one, "later", 5)
    for snapshot in (first, second):
        reached(gateway, snapshot, "ready")
    files = {name: file["content"] for name, file in host_files(gateway, "snapshots").items()}
    assert files == {f"{first}.vhdx": ["root"], f"{second}.vhdx": ["data"]}
    assert_no_checkpoint(gateway)
    only = {"InstanceId": one, "ExcludeBootVolume": True}
    [data] = gateway.ask("CreateSnapshots", InstanceSpecification=only)["Snapshots"]
    assert data["VolumeId"] == made


def test_a_moment_that_cannot_be_fixed_in_time_is_withdrawn(copy: Copy) -> None:
    gateway = copy.gateway
    volume_id = root(gateway, copy.instance)
    second = gateway.ask("CreateSnapshot", VolumeId=volume_id)
    awaits = ACTIONS["ec2", "CreateSnapshot"].awaits
    assert awaits is not None

    def give_up(session: Any) -> object:
        return awaits.give_up(gateway.context(session), {"VolumeId": volume_id}, second)

    with gateway.store.read() as session:
        assert awaits.answer(gateway.context(session), {}, second) is None
    told = gateway.store.write(give_up)
    assert getattr(told, "code", None) == "ConcurrentSnapshotLimitExceeded"
    gateway.until(lambda: row(gateway, second["SnapshotId"]) is None, "it is withdrawn")
    copy.assert_whole()
