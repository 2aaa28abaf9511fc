"""The intake's process: killed, told to end, cancelled, idle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from tests.gateway import clean_environment, is_alive, wait_until
from tests.unit.import_scene import Scene, make, now, qcow2, raw, scene
from tests.unit.outside_disks import needs_qemu_img
from translators import imports

__all__ = ["make", "qcow2", "raw", "scene"]  # fixtures
pytestmark = needs_qemu_img


class Worker:
    """The intake as `serve` starts it."""

    def __init__(self, scene: Scene, *options: str) -> None:
        self.log = scene.config.data / "intake.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, *options, "-m", "ec2gw.intake"),
                    *("--data", str(scene.config.data)),
                ],
                env={**clean_environment(), "EC2GW_PARENT": str(os.getpid())},
                stderr=log,
            )

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


def test_a_worker_that_is_killed_in_the_middle_is_followed_by_one_that_begins_anew(
    scene: Scene, qcow2: bytes
) -> None:
    scene.outside.drips("/disk", qcow2[:1000], 0.2, len(qcow2))
    task = scene.asks("/disk")
    first = Worker(scene)
    try:
        wait_until(lambda: scene.row(task).phase == "fetching", 20)
        wait_until(lambda: scene.outside.asked != [], 10)
        assert scene.scratch != []
        first.end(signal.SIGKILL)
        assert scene.row(task).phase == "fetching"
        scene.outside.gives("/disk", qcow2)
        second = Worker(scene)
        try:
            wait_until(lambda: scene.row(task).phase == "sending", 30)
        finally:
            assert second.end(signal.SIGTERM) == 0
    finally:
        first.process.kill()
        first.process.wait(5)
    assert len(scene.transfers()) == len(scene.shelf) == 1
    assert scene.scratch == []


def test_a_worker_that_is_told_to_end_does_so_and_leaves_the_task_to_the_next(
    scene: Scene, qcow2: bytes
) -> None:
    scene.outside.drips("/disk", b"x", 30, len(qcow2))
    task = scene.asks("/disk")
    worker = Worker(scene)
    wait_until(lambda: scene.outside.asked != [], 20)
    assert worker.end(signal.SIGTERM) == 0
    assert scene.row(task).phase == "fetching"
    assert scene.scratch == []
    assert "event=import-failed" not in worker.log.read_text()


def test_a_cancelled_fetch_ends_in_the_process_too(scene: Scene, qcow2: bytes) -> None:
    scene.outside.drips("/disk", b"x", 30, len(qcow2))
    task = scene.asks("/disk")
    worker = Worker(scene)
    try:
        wait_until(lambda: scene.outside.asked != [], 20)
        scene.store.write(lambda session: imports.cancel(session, task, now()))
        wait_until(lambda: scene.scratch == [], 10)
        assert is_alive(worker.process.pid)
    finally:
        assert worker.end(signal.SIGTERM) == 0


def test_while_nobody_imports_anything_the_process_loads_nothing(scene: Scene) -> None:
    worker = Worker(scene, "-X", "importtime")
    wait_until(lambda: "sqlite3" in worker.log.read_text(), 20)
    threading.Event().wait(0.3)
    assert worker.end(signal.SIGTERM) == 0
    assert "sqlalchemy" not in worker.log.read_text()
