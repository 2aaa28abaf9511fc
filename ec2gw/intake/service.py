"""The worker: takes one import after the other, for as long as it is not told to stop.

Source: docs/guests.md, "Import".
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from pathlib import Path
from typing import Final

from ec2gw import config, logs
from ec2gw.engine.lock import FileLock, Taken
from ec2gw.intake import qemu, scratch, tasks, work
from ec2gw.intake.refusals import Cancelled, Missing
from state import stop_points
from state.store import Store

LOCK: Final = "intake.lock"
_POLL_SECONDS: Final = 1.0

_log = logging.getLogger("ec2gw.intake")


class Stopped(BaseException):
    """The service ends; the task is begun anew by its next worker."""


def run(data: Path, stopping: threading.Event) -> None:
    resolved = config.resolved(data)
    logs.begin("intake", resolved.log_level)
    stop_points.arm("intake")
    lock = _alone(resolved.run / LOCK, stopping)
    if lock is None:
        return
    store = Store(resolved.database)
    try:
        for name in scratch.sweep(data):
            _log.info("import-swept", extra={"task": name})
        _tell()
        while not stopping.is_set():
            try:
                if not _one(store, resolved, stopping):
                    stopping.wait(_POLL_SECONDS)
            except Stopped:
                return
            except Exception as error:  # the loop's boundary: the database may be full or locked
                _log.error("intake-failed", extra={"error": f"{type(error).__name__}: {error}"})
                _log.debug("intake-failed", exc_info=True)
                stopping.wait(_POLL_SECONDS)
    finally:
        store.close()
        lock.release()


def _alone(path: Path, stopping: threading.Event) -> FileLock | None:
    """Wait until the worker before this one has ended."""
    while not stopping.is_set():
        try:
            return FileLock(path)
        except Taken:
            stopping.wait(_POLL_SECONDS)
    return None


def _one(store: Store, resolved: config.Config, stopping: threading.Event) -> bool:
    """Work on one task; False: there is none."""
    task = tasks.take(store, resolved.data, f"serve:{os.getpid()}", _now)
    if task is None:
        return False
    _log.info("import-begins", extra={"task": task.id})

    def report(stage: work.Stage, done: int, total: int | None) -> None:
        if stopping.is_set():
            raise Stopped

    try:
        tasks.carry_out(store, resolved, task, report)
    except Cancelled:
        _log.info("import-cancelled", extra={"task": task.id})
    return True


def _tell() -> None:
    """Say once what holds qemu-img, and what does not."""
    try:
        program = str(qemu.program())
    except Missing as error:
        _log.error("intake-lacks-qemu-img", extra={"why": str(error)})
        return
    isolation = qemu.isolation()
    fields = {name: isolation.get(name, False) for name in ("network", "files")}
    told = _log.info if all(fields.values()) else _log.warning
    told("intake-sandbox", extra={"program": program, **fields})


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
