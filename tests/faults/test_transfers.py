"""Disks on their way between hosts: whole on arrival, whatever is restarted or taken away."""

from __future__ import annotations

import dataclasses
import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.depot import certificate, door
from ec2gw.depot.shelf import Shelf
from ec2gw.lab import porter
from ec2gw.lab.serve import Laboratory, Listen
from ec2gw.lab.world import paths, world
from state import models
from state.store import Store
from tests.faults import rig
from translators import transfers
from translators.ec2 import transfers as ours
from translators.settings import Depot

KEY = b"d" * 32
PATH = "snapshots/snap-0123456789abcdef0.vhdx"
THERE = "C:\\ec2gw\\snapshots\\snap-0123456789abcdef0.vhdx"


class Carriage(rig.Rig):
    """A cloud with a depot; two of its hosts send each other a disk."""

    def __init__(self, store: Store, data: Path) -> None:
        self.shelf = Shelf(data / "depot", spare_bytes=0)
        self.shown = certificate.ensured(data / "depot")
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        depot = Depot(f"https://127.0.0.1:{port}", self.shown.digest, KEY)
        super().__init__(store, data, dataclasses.replace(rig.SETTINGS, depot=depot))
        self.source, self.target = self._hosts("a", "b")
        self.open_depot()

    def _hosts(self, *letters: str) -> list[models.Host]:
        found = {host.zone_letter: host for host in self.rows(models.Host)}
        return [found[letter] for letter in letters]

    def open_depot(self, key: bytes = KEY) -> None:
        depot = door.Depot(self.store, self.shelf, key, lambda: dt.datetime.now(dt.UTC))
        self.depot = door.Server(self._listening.dup(), depot, certificate.context(self.shown))
        served = {"poll_interval": 0.01}
        threading.Thread(target=self.depot.serve_forever, kwargs=served, daemon=True).start()

    def close_depot(self) -> None:
        self.depot.shutdown()
        self.depot.server_close()

    def close(self) -> None:
        super().close()
        self.close_depot()
        self._listening.close()

    def put_disk(self, grain: int = 0) -> None:
        """Have a finished disk lie on the source; `grain` bytes of words make it longer to send."""
        disk = world.image(THERE, "linux", 8 * 2**30, 2**22, 0.0)
        assert disk.vhd is not None
        disk.vhd.data = [f"{number:08}" for number in range(grain // 12)]
        with self.world.changing("lab-a") as session:
            session.make_folders(paths.parent(THERE))
            session.put_file(disk)

    def image_on_the_source_alone(self, session: Session) -> None:
        image = session.scalars(sa.select(models.Image)).one()
        snapshot = session.get_one(models.Snapshot, image.snapshot_key)
        snapshot.everywhere, snapshot.file_name = False, PATH
        copy = {"snapshot_key": snapshot.key, "host_key": self.source.key, "ready": True}
        session.add(models.SnapshotCopy(**copy))

    def ask_for(self) -> int:
        def work(session: Session) -> int:
            row = transfers.ask(session, PATH, self.source.key, self.target.key, self.now)
            return row.key

        return self.store.write(work)

    def row(self, key: int) -> models.Transfer:
        found: models.Transfer = next(row for row in self.rows(models.Transfer) if row.key == key)
        return found

    def comes_to(self, key: int, phase: str, seconds: float = 60) -> None:
        self.until(lambda: self.row(key).phase == phase, f"the transfer is {phase}", seconds)

    def files(self, host: str) -> dict[str, Any]:
        found: dict[str, Any] = self.world.snapshot()[host]["files"]
        return found

    def assert_arrived(self) -> None:
        with self.world.reading("lab-a") as session:
            sent = session.file(THERE)
        with self.world.reading("lab-b") as session:
            assert session.file(THERE) == sent
            assert session.machine.tasks == []
        with self.world.reading("lab-a") as session:
            assert session.machine.tasks == []
        assert not [path for path in self.files("lab-b") if path.endswith(".part")]


@pytest.fixture
def carriage(store: Store, tmp_path: Path) -> Iterator[Carriage]:
    made = Carriage(store, tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_disk_arrives_whole_and_nothing_of_its_way_is_left(carriage: Carriage) -> None:
    carriage.put_disk()
    carriage.start()
    carriage.comes_to(carriage.ask_for(), "done")
    carriage.assert_arrived()


def test_asking_twice_carries_once(carriage: Carriage) -> None:
    carriage.put_disk()
    first = carriage.ask_for()
    assert carriage.ask_for() == first
    carriage.start()
    carriage.comes_to(first, "done")
    assert carriage.ask_for() == first
    assert carriage.row(first).phase == "done"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small, on a line so slow, that there is time to break in."""
    ask = porter._ask

    def slowly(*arguments: Any, **named: Any) -> Any:
        time.sleep(0.03)
        return ask(*arguments, **named)

    monkeypatch.setattr(porter, "_ask", slowly)
    monkeypatch.setattr(porter, "PIECE_BYTES", 4096)


def test_restarts_of_everything_cost_no_byte_twice_and_lose_none(
    carriage: Carriage, slow: None
) -> None:
    carriage.put_disk(grain=400_000)
    carriage.start()
    key = carriage.ask_for()
    carriage.until(lambda: carriage.row(key).done_bytes > 20_000, "some of it was sent")
    carriage.stop()
    carriage.close_depot()
    carriage.open_depot()
    carriage.start()
    carriage.comes_to(key, "receiving")
    carriage.until(lambda: carriage.row(key).done_bytes > 20_000, "some of it was fetched")
    carriage.laboratory.stop()  # its WinRM, and with it whoever carries
    carriage.laboratory = Laboratory(carriage.data, Listen("127.0.0.1", 0), pace=rig.PACE)
    carriage.laboratory.start()
    carriage.world = carriage.laboratory.world
    carriage.meet_laboratory()
    carriage.comes_to(key, "done")
    carriage.assert_arrived()


def test_a_disk_that_is_not_there_is_told_and_asked_for_anew_later(carriage: Carriage) -> None:
    carriage.start()
    key = carriage.ask_for()
    carriage.comes_to(key, "failed")
    assert "is not on its host" in str(carriage.row(key).trouble)
    carriage.put_disk()
    assert carriage.ask_for() == key
    carriage.comes_to(key, "done")
    carriage.assert_arrived()


def test_another_certificate_is_shown_no_token(
    carriage: Carriage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "_TRIES", 2)
    depot = carriage.settings.depot
    assert depot is not None
    wrong = dataclasses.replace(depot, certificate="0" * 64)
    carriage.settings = dataclasses.replace(carriage.settings, depot=wrong)
    carriage.put_disk()
    carriage.start()
    key = carriage.ask_for()
    carriage.comes_to(key, "failed")
    assert "another certificate" in str(carriage.row(key).trouble)
    assert carriage.shelf.numbers() == set()


def test_a_task_that_was_taken_away_is_begun_again(
    carriage: Carriage, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    carriage.put_disk(grain=400_000)
    carriage.start()
    key = carriage.ask_for()
    carriage.until(lambda: carriage.row(key).done_bytes > 20_000, "some of it was sent")
    with carriage.world.changing("lab-a") as session:
        session.machine.tasks = []
        session.put_machine()
    carriage.comes_to(key, "done")
    carriage.assert_arrived()


def test_the_orders_of_both_hosts_hold_different_tokens(carriage: Carriage) -> None:
    key = carriage.ask_for()
    sending = transfers.token(KEY, carriage.row(key))
    carriage.update(models.Transfer, key, phase="receiving")
    assert transfers.token(KEY, carriage.row(key)) != sending


def test_a_launch_where_its_image_is_not_has_it_sent_for(carriage: Carriage) -> None:
    carriage.put_disk()
    carriage.store.write(carriage.image_on_the_source_alone)
    carriage.start()
    there = {"Placement": {"AvailabilityZone": "us-east-1b"}}
    one, other = carriage.launch(2, **there)
    carriage.wait("running", one, other)
    carriage.assert_arrived()
    carriage.assert_exactly([one, other])
    copies = {row.host_key: row.ready for row in carriage.rows(models.SnapshotCopy)}
    assert copies == {carriage.source.key: True, carriage.target.key: True}
    (again,) = carriage.launch(1, **there)
    carriage.wait("running", again)
    assert len(carriage.rows(models.Transfer)) == 1


def test_a_launch_whose_image_never_comes_ends(carriage: Carriage) -> None:
    carriage.store.write(carriage.image_on_the_source_alone)
    carriage.start()
    (one,) = carriage.launch(1, Placement={"AvailabilityZone": "us-east-1b"})
    carriage.wait("terminated", one)
    assert carriage.instance(one).state_reason_code == "Server.InternalError"
    assert carriage.vms() == []


def test_a_volume_of_a_snapshot_that_lies_elsewhere_has_it_sent_for(carriage: Carriage) -> None:
    carriage.put_disk()
    carriage.store.write(carriage.image_on_the_source_alone)
    (snapshot,) = carriage.rows(models.Snapshot)
    carriage.start()
    made = carriage.ask(
        "CreateVolume", AvailabilityZone="us-east-1b", SnapshotId=snapshot.id, Size=9
    )
    carriage.until(
        lambda: (
            {one.id: one.phase for one in carriage.rows(models.Volume)}
            == {made["VolumeId"]: "available"}
        ),
        "the volume is available",
    )
    carriage.assert_arrived()
    (disk,) = [path for path in carriage.files("lab-b") if "\\volumes\\vol-" in path]
    assert carriage.files("lab-b")[disk]["parent"] == THERE
