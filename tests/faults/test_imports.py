"""Disks from outside on their way to a host: launched once verified, else nothing is left."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.lab import porter
from state import models
from state.store import Store
from tests import disk_files
from tests.faults.test_transfers import Carriage
from translators import imports
from translators.ec2 import transfers as ours
from translators.settings import GIB

HOSTS = ("lab-a", "lab-b", "lab-c")


class Intake(Carriage):
    """A cloud with a depot, and what a gateway's intake does once a disk is converted."""

    def begin(self, kind: str = "image") -> imports.Task:
        told: dict[str, Any] = {
            "region": "us-east-1",
            "url": "https://images.example.org/disk.qcow2",
            "format": "QCOW2",
            "description": None,
            "now": self.now,
        }

        def work(session: Session) -> imports.Task:
            owner = session.scalars(sa.select(models.Account.key)).first()
            row: imports.Task
            if kind == "image":
                row = imports.begin_image(session, account_key=owner or 0, asked={}, **told)
            else:
                row = imports.begin_snapshot(session, account_key=owner or 0, **told)
            session.flush()
            session.expunge(row)
            return row

        return self.store.write(work)

    def hand_over(
        self, task: imports.Task, content: bytes, *, virtual_bytes: int = 16 * disk_files.MIB
    ) -> None:
        """Leave a disk to the depot and the engine; it is on no host yet."""
        file = self.data / "converted.vhdx"
        file.write_bytes(content)

        def work(session: Session) -> None:
            for host in session.scalars(sa.select(models.Host)):
                host.free_disk_bytes, host.surveyed_at = 2**42, self.now
                if host.key == self.target.key:
                    host.free_disk_bytes += GIB  # the roomiest
            imports.hand_over(
                session,
                task,
                length_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                virtual_bytes=virtual_bytes,
                generation=2,
                platform=None,
                boot_mode=None,
                place=lambda number: self.shelf.adopt(number, file),
                now=self.now,
            )

        self.store.write(work)

    def task(self, task: imports.Task) -> imports.Task:
        found: imports.Task = next(row for row in self.rows(type(task)) if row.key == task.key)
        return found

    def ends(self, task: imports.Task, phase: str, seconds: float = 60) -> imports.Task:
        self.until(lambda: self.task(task).phase == phase, f"the task is {phase}", seconds)
        return self.task(task)

    def made(self) -> models.Image:
        image: models.Image
        (image,) = [row for row in self.rows(models.Image) if row.id != self.image_id]
        return image

    def disk(self) -> models.Snapshot:
        snapshot: models.Snapshot
        (snapshot,) = [row for row in self.rows(models.Snapshot) if not row.everywhere]
        return snapshot

    def below(self, folder: str) -> set[tuple[str, str]]:
        """Host and name of every file below that folder of any host's root."""
        start = f"c:\\ec2gw\\{folder}\\"
        return {
            (host, path[len(start) :])
            for host in HOSTS
            for path in self.files(host)
            if path.lower().startswith(start)
        }

    def assert_nothing_is_left(self) -> None:
        assert self.below("snapshots") == set()
        for host in HOSTS:
            with self.world.reading(host) as session:
                assert session.machine.tasks == []
        assert self.rows(models.Transfer) == []
        assert self.rows(models.SnapshotCopy) == []


@pytest.fixture
def intake(store: Store, tmp_path: Path) -> Iterator[Intake]:
    made = Intake(store, tmp_path)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line so slow that there is time to break in."""
    ask = porter._ask

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.03)
        return ask(*arguments, **named)

    monkeypatch.setattr(porter, "_ask", slowly)
    monkeypatch.setattr(porter, "PIECE_BYTES", 64 * 1024)


def test_a_disk_from_outside_is_verified_and_launched(intake: Intake) -> None:
    intake.start()
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    assert intake.made().state == "pending"
    ended = intake.ends(task, "completed")
    assert (ended.progress, ended.message, ended.ended_at is not None) == (100, None, True)
    image, disk = intake.made(), intake.disk()
    assert (image.state, image.size_gib, image.generation) == ("available", 1, 2)
    assert (image.root_device_name, image.architecture) == ("/dev/sda1", "x86_64")
    assert (disk.state, disk.phase, disk.progress) == ("completed", "ready", 100)
    assert intake.below("snapshots") == {("lab-b", f"{disk.id}.vhdx")}
    with intake.world.reading("lab-b") as session:
        file = session.file(f"C:\\ec2gw\\snapshots\\{disk.id}.vhdx")
        assert file is not None
        assert file.vhd is not None
        assert file.vhd.size == GIB  # rounded up, as volumes of it are
    copies = {row.host_key: row.ready for row in intake.rows(models.SnapshotCopy)}
    assert copies == {intake.target.key: True}
    assert intake.rows(models.Transfer) == []
    there = {"Placement": {"AvailabilityZone": "us-east-1b"}, "ImageId": image.id}
    (instance,) = intake.launch(1, **there)
    intake.wait("running", instance)
    (vm,) = intake.vms()
    assert vm["name"] == instance


def test_a_disk_from_outside_goes_on_to_where_it_is_launched(intake: Intake) -> None:
    intake.start()
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    intake.ends(task, "completed")
    there = {"Placement": {"AvailabilityZone": "us-east-1a"}, "ImageId": intake.made().id}
    (instance,) = intake.launch(1, **there)
    intake.wait("running", instance)
    assert {host for host, _ in intake.below("snapshots")} == {"lab-a", "lab-b"}


def test_a_snapshot_from_outside_is_completed(intake: Intake) -> None:
    intake.start()
    task = intake.begin("snapshot")
    intake.hand_over(task, disk_files.vhdx())
    intake.ends(task, "completed")
    disk = intake.disk()
    volume = intake.ask("CreateVolume", AvailabilityZone="us-east-1b", SnapshotId=disk.id)
    intake.until(
        lambda: [one.phase for one in intake.rows(models.Volume)] == ["available"],
        f"{volume['VolumeId']} is available",
    )
    assert len(intake.rows(models.Image)) == 1


NO_DISKS = {
    "no disk at all": (os.urandom(200_000), "no virtual disk"),
    "cut off": (disk_files.vhdx()[:-1000], "no virtual disk"),
    "a part of another": (disk_files.vhdx(flags=2), "part of another disk"),
    "larger than told": (disk_files.vhdx(size=3 * GIB), "not as large"),
}


@pytest.mark.parametrize("what", NO_DISKS)
@pytest.mark.parametrize("kind", ["image", "snapshot"])
def test_what_is_no_whole_disk_never_becomes_available(
    intake: Intake, what: str, kind: str
) -> None:
    content, why = NO_DISKS[what]
    intake.start()
    task = intake.begin(kind)
    intake.hand_over(task, content)
    ended = intake.ends(task, "failed")
    assert ended.message is not None
    assert ended.message.startswith("ClientError: Disk validation failed [")
    assert why in ended.message
    intake.until(lambda: intake.disk().phase == "error", "what was made of it is removed")
    assert (intake.disk().state, intake.disk().message) == ("error", ended.message)
    if kind == "image":
        assert (intake.made().state, intake.made().message) == ("failed", ended.message)
    intake.assert_nothing_is_left()


def test_a_disk_that_the_depot_lost_fails_and_is_asked_of_nobody(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_TRIES", 2)
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    (transfer,) = intake.rows(models.Transfer)
    intake.shelf.drop(transfer.key)
    intake.start()
    ended = intake.ends(task, "failed")
    assert ended.message == "ServerError: the disk could not be brought to a host."
    intake.until(lambda: intake.disk().phase == "error", "it ended in error")
    intake.assert_nothing_is_left()
    assert intake.made().state == "failed"


def test_what_is_cancelled_on_its_way_leaves_nothing(intake: Intake, slow: None) -> None:
    intake.start()
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    (transfer,) = intake.rows(models.Transfer)
    intake.until(lambda: intake.row(transfer.key).done_bytes > 8000, "some of it was fetched")
    intake.ask("CancelImportTask", ImportTaskId=task.id)
    intake.until(lambda: intake.rows(models.Transfer) == [], "the transfer is ended")
    intake.until(
        lambda: all(row.everywhere for row in intake.rows(models.Snapshot)), "its row is gone"
    )
    assert intake.task(task).phase == "cancelled"
    intake.assert_nothing_is_left()


def test_restarts_of_engine_and_depot_in_the_middle_lose_nothing(
    intake: Intake, slow: None
) -> None:
    intake.start()
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    (transfer,) = intake.rows(models.Transfer)
    intake.until(lambda: intake.row(transfer.key).done_bytes > 8000, "some of it was fetched")
    intake.stop()
    intake.close_depot()
    intake.open_depot()
    intake.start()
    intake.ends(task, "completed", seconds=120)


def test_a_disk_shows_how_far_it_is_on_its_way(intake: Intake, slow: None) -> None:
    intake.start()
    task = intake.begin()
    intake.hand_over(task, disk_files.vhdx())
    intake.until(lambda: 0 < intake.disk().progress < 100, "some of it is there")
    assert intake.disk().state == "pending"
    shown = intake.ask("DescribeImportImageTasks", ImportTaskIds=[task.id])["ImportImageTasks"]
    assert imports.FETCHED_PERCENT <= int(shown[0]["Progress"]) <= imports.VERIFYING_PERCENT
    intake.ends(task, "completed")
    assert intake.disk().progress == 100
