"""Named places at which a test may cut a process, as `kill -9` would; inert otherwise.

A process that was started with EC2GW_STOP_POINTS=FOLDER follows the file `plan` there:
``{"run": 7, "process": "engine", "at": 17}``. In each run the processes (api, engine, lab) note the
places that they pass in `RUN.PROCESS`; the named one ends itself by SIGKILL at the 17th, once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path


class _Follower:
    """One process's way through the runs that a test plans."""

    def __init__(self, folder: Path, process: str) -> None:
        self._folder = folder
        self._process = process
        self._lock = threading.Lock()
        self._changed = -1
        self._run = 0
        self._at: int | None = None
        self._passed = 0

    def reach(self, place: str) -> None:
        with self._lock:
            self._refresh()
            if self._run == 0:
                return
            self._passed += 1
            with open(self._folder / f"{self._run}.{self._process}", "a", encoding="ascii") as file:
                file.write(f"{self._passed} {place}\n")
            if self._passed == self._at:
                (self._folder / f"{self._run}.cut").write_text(f"{self._process} {place}\n")
                os.kill(os.getpid(), signal.SIGKILL)

    def _refresh(self) -> None:
        try:
            changed = (self._folder / "plan").stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed == self._changed:
            return
        plan = json.loads((self._folder / "plan").read_text())
        self._changed = changed
        self._run, self._passed, self._at = plan["run"], 0, None
        cut = (self._folder / f"{self._run}.cut").exists()
        if plan["process"] == self._process and not cut:
            self._at = plan["at"]


_follower: _Follower | None = None


def arm(process: str) -> None:
    """Say which process this is; without the environment's word nothing happens ever."""
    global _follower
    folder = os.environ.get("EC2GW_STOP_POINTS")
    _follower = _Follower(Path(folder), process) if folder else None


def reach(place: str) -> None:
    """Pass a place: between two durable writes, before or after a message."""
    if _follower is not None:
        _follower.reach(place)
