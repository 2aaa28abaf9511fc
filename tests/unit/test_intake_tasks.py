"""Import tasks worked off: to a file on the depot's shelf, or to a sentence that says why not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from ec2gw.intake import scratch, tasks
from state import models, recovering
from tests.unit.import_scene import Make, Scene, make, now, qcow2, raw, scene
from tests.unit.outside_disks import MIB, made, needs_qemu_img, qemu_img
from translators import imports

__all__ = ["make", "qcow2", "raw", "scene"]  # fixtures
pytestmark = needs_qemu_img


def test_a_disk_is_fetched_converted_and_left_on_the_depots_shelf(
    scene: Scene, raw: Path, qcow2: bytes
) -> None:
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk")
    heard: list[str] = []
    assert scene.works(lambda stage, done, total: heard.append(stage))
    row = scene.row(task)
    assert (row.phase, row.message, row.disk_bytes) == ("sending", None, len(qcow2))
    (transfer,), (file,) = scene.transfers(), scene.shelf
    assert transfer.phase == "receiving"
    assert file.name == f"{transfer.key}.disk"
    assert transfer.length_bytes == file.stat().st_size
    assert transfer.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert file.stat().st_mode & 0o077 == 0
    qemu_img("compare", "-q", "-f", "raw", "-F", "vhdx", raw, file)
    with scene.store.read() as session:
        image = session.get_one(models.Image, row.image_key)
        assert (image.state, image.generation, image.platform) == ("pending", 2, None)
        assert image.boot_mode == "uefi"
    assert scene.scratch == []
    assert list(dict.fromkeys(heard)) == ["fetching", "looking", "converting", "sealing"]
    assert not scene.works()


def test_what_was_asked_stands_over_what_the_disk_looks_like(scene: Scene, qcow2: bytes) -> None:
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk", Platform="Windows", BootMode="legacy-bios")
    scene.works()
    with scene.store.read() as session:
        image = session.get_one(models.Image, scene.row(task).image_key)
        assert (image.generation, image.platform) == (1, "windows")
        assert image.boot_mode == "legacy-bios"


def test_a_disk_of_data_needs_no_partitions(scene: Scene) -> None:
    scene.outside.gives("/data", b"\xa5" * MIB)
    task = scene.store.write(
        lambda session: imports.begin_snapshot(
            session,
            account_key=scene.on.account,
            region="us-east-1",
            url=scene.outside.url + "/data",
            format="RAW",
            description=None,
            now=now(),
        )
    )
    scene.works()
    assert scene.row(task).phase == "sending"


def test_the_oldest_is_taken_first(scene: Scene) -> None:
    first, second = scene.asks("/a"), scene.asks("/b")
    scene.works()
    assert (scene.row(first).phase, scene.row(second).phase) == ("failed", "queued")
    scene.works()
    assert scene.row(second).phase == "failed"


def _backed(tmp_path: Path, raw: Path) -> bytes:
    over = tmp_path / "over"
    qemu_img("create", "-f", "qcow2", "-b", raw, "-F", "raw", over)
    return over.read_bytes()


def _claim(tmp_path: Path, raw: Path) -> bytes:
    claim = tmp_path / "claim"
    qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", claim, "500T")
    return claim.read_bytes()


def _names_files(tmp_path: Path, raw: Path) -> bytes:
    file = made(raw, "vmdk", tmp_path / "flat.vmdk", "subformat=monolithicFlat")
    return file.read_bytes().replace(b"flat-flat.vmdk", b"/etc/passwd")


def _truncated(tmp_path: Path, raw: Path) -> bytes:
    return raw.read_bytes()[: 8 * MIB]


def _no_uefi(tmp_path: Path, raw: Path) -> bytes:
    return raw.read_bytes()


@pytest.mark.parametrize(
    ("content", "asked", "said"),
    [
        (_backed, {}, "backing file"),
        (_claim, {}, "has 512000 GiB; the largest that is taken has 2048"),
        (_names_files, {}, "names other files"),
        (_truncated, {}, "truncated"),
        (lambda folder, raw: b"", {}, "empty"),
        (lambda folder, raw: b"\x17" * 5000, {}, "no disk"),
        (lambda folder, raw: b"\0" * 510 + b"\x55\xaa" + b"\0" * MIB, {}, "no partitions"),
        (_no_uefi, {"BootMode": "moon"}, "boot modes are"),
    ],
)
def test_what_is_refused_is_said_in_a_sentence_and_leaves_nothing(
    scene: Scene,
    tmp_path: Path,
    raw: Path,
    content: Callable[[Path, Path], bytes],
    asked: dict[str, str],
    said: str,
) -> None:
    scene.outside.gives("/disk", content(tmp_path, raw))
    task = scene.asks("/disk", **asked)
    scene.works()
    row = scene.row(task)
    assert row.phase == "failed"
    assert row.message.startswith("ClientError: ")
    assert said in row.message
    assert "\n" not in row.message
    assert str(tmp_path) not in row.message
    assert (scene.shelf, scene.scratch, scene.transfers()) == ([], [], [])


def test_a_place_that_is_not_configured_is_not_gone_to(scene: Scene, make: Make) -> None:
    task = scene.asks("/disk")

    def elsewhere(session: Session) -> None:
        row = session.get_one(models.ImportImageTask, task.key)
        row.url = row.url.replace("127.0.0.1", "127.0.0.2")

    scene.store.write(elsewhere)
    scene.works()
    assert "may come from" in scene.row(task).message
    assert scene.outside.asked == []


def test_without_room_nothing_is_begun(make: Make, qcow2: bytes) -> None:
    scene = make(**{"intake.spare_gib": 2**32})
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk")
    scene.works()
    row = scene.row(task)
    assert row.message == ("ServerError: the gateway's disk is full: the disk does not fit there.")
    assert scene.scratch == []


def test_without_qemu_img_the_owner_is_told(
    scene: Scene, qcow2: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk")
    scene.works()
    assert scene.row(task).message.startswith("ServerError: qemu-img is not on the PATH")


def test_a_fault_of_ours_is_not_called_the_disks(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, qcow2: bytes
) -> None:
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("/a/path of ours")

    scene.works(broken)
    row = scene.row(task)
    assert (row.phase, "ours" in row.message) == ("failed", False)
    assert row.message.startswith("ServerError: ")


@pytest.mark.parametrize("stage", ["fetching", "looking", "converting", "sealing"])
def test_a_task_that_is_cancelled_ends_wherever_it_is(
    scene: Scene, qcow2: bytes, stage: str
) -> None:
    scene.outside.gives("/disk", qcow2)
    task = scene.asks("/disk")

    def report(now_at: str, done: int, total: int | None) -> None:
        if now_at == stage and scene.row(task).phase != "cancelled":
            scene.store.write(lambda session: imports.cancel(session, task, now()))

    scene.works(report)
    assert scene.row(task).phase == "cancelled"
    assert (scene.shelf, scene.scratch, scene.transfers()) == ([], [], [])


def test_in_a_recovery_nothing_is_taken(scene: Scene) -> None:
    scene.asks("/disk")
    scene.store.write(recovering.begin)
    assert not scene.works()
    scene.store.write(recovering.end)
    assert scene.works()


def test_what_a_command_left_has_failed_and_what_it_works_on_has_not(scene: Scene) -> None:
    task = scene.asks("/disk")

    def by_command(session: Session) -> None:
        session.get_one(models.ImportImageTask, task.key).worker = tasks.COMMAND

    scene.store.write(by_command)
    room = scene.config.data / scratch.ROOM
    with scratch.held(scene.config.data, task.id):
        assert not scene.works()
        assert scene.row(task).phase == "queued"
    left = room / task.id
    left.mkdir()
    (left / "made.vhdx").write_bytes(b"x")
    assert not scene.works()
    row = scene.row(task)
    assert (row.phase, "the command" in row.message) == ("failed", True)
    assert list(room.iterdir()) == []


def test_a_folder_is_one_workers_and_what_is_left_of_others_is_swept(tmp_path: Path) -> None:
    left = tmp_path / scratch.ROOM / "import-ami-left"
    with scratch.held(tmp_path, "import-ami-1") as folder:
        (folder / "fetched").write_bytes(b"x")
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent.stat().st_mode & 0o777 == 0o700
        left.mkdir()
        (left / "made.vhdx").write_bytes(b"x")
        assert scratch.sweep(tmp_path) == ["import-ami-left"]
        assert scratch.is_held(tmp_path, "import-ami-1")
        with pytest.raises(scratch.Busy), scratch.held(tmp_path, "import-ami-1"):
            pass
        assert folder.exists()
    assert list((tmp_path / scratch.ROOM).iterdir()) == []
