"""Import tasks, as who works on one sees them: taken, reported on, handed over, given up.

A task is worked on by the service's one worker, or by the command that made it, in a folder of the
task's name that is locked meanwhile. What the service's worker left, its next one begins anew; what
a command left has failed: nobody else may read its file.

Source: docs/guests.md, "Import"; VM Import/Export User Guide.
"""

from __future__ import annotations

import datetime as dt
import errno
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.config import Config
from ec2gw.depot.shelf import Shelf
from ec2gw.engine import wake
from ec2gw.intake import allowed, scratch, work
from ec2gw.intake.refusals import Cancelled, Missing, NoRoom, Refused
from state import guests, models, recovering
from state.store import Store
from translators import imports
from translators.settings import GIB

COMMAND: Final = "command"
"""The worker's name of a task that `ec2gw image import` works on."""

_IN_GATEWAY: Final = ("queued", "fetching", "converting")
_PHASES: Final[dict[work.Stage, guests.ImportPhase]] = {
    "fetching": "fetching",
    "looking": "converting",
    "converting": "converting",
    "sealing": "converting",
}
_SAID: Final = {"fetching": "downloading/converting", "converting": "converting"}
_SPANS: Final[dict[work.Stage, tuple[int, int]]] = {
    "fetching": (0, 40),
    "looking": (40, 42),
    "converting": (42, 65),
    "sealing": (65, imports.FETCHED_PERCENT),
}
"""Of the whole, in percent; what is read where it lies begins with the second."""
_LOOK_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 5.0
_ABANDONED: Final = "ServerError: the command that worked on it ended before the disk was whole."
_INTERNAL: Final = "ServerError: an internal error has occurred during conversion."

_log = logging.getLogger("ec2gw.intake")
Now = Callable[[], dt.datetime]
K = TypeVar("K", models.ImportImageTask, models.ImportSnapshotTask)


class Reporter:
    """Writes down how far a task is, no more often than anybody looks. Thread-safe.

    :raises Cancelled: from `__call__`, when it is not wanted any more
    """

    def __init__(self, store: Store, task: imports.Task, now: Now) -> None:
        self._store, self._task, self._now = store, task, now
        self._guard = threading.Lock()
        self._looked = self._wrote = -_BEAT_SECONDS
        self._told: tuple[str, int] | None = None

    def __call__(self, stage: work.Stage, done: int, total: int | None) -> None:
        with self._guard:
            at = time.monotonic()
            begin, end = _SPANS[stage]
            part = min(1.0, done / total) if total else 0.0
            told = (_PHASES[stage], begin + int((end - begin) * part))
            fresh = self._told is None or told[0] != self._told[0]
            if not fresh and at - self._looked < _LOOK_SECONDS:
                return
            self._looked = at
            if fresh or told != self._told or at - self._wrote >= _BEAT_SECONDS:
                self._told, self._wrote = told, at
                self._write(_PHASES[stage], told[1])
                return
        with self._store.read() as session:
            if imports.is_cancelled(session, self._task):
                raise Cancelled

    def came(self, length: int) -> None:
        """Note the length of the file that is imported."""
        self._store.write(
            lambda session: imports.note(session, self._task, disk_bytes=length, now=self._now())
        )

    def _write(self, phase: guests.ImportPhase, progress: int) -> None:
        wanted = self._store.write(
            lambda session: imports.note(
                session,
                self._task,
                phase=phase,
                progress=progress,
                message=_SAID[phase],
                now=self._now(),
            )
        )
        if not wanted:
            raise Cancelled


def take(store: Store, data: Path, worker: str, now: Now) -> imports.Task | None:
    """Take the oldest task that nobody works on; the service's one worker calls this alone."""
    with store.read() as session:
        if recovering.is_on(session):
            return None
        found: list[imports.Task] = [
            *session.scalars(_waiting(models.ImportImageTask)),
            *session.scalars(_waiting(models.ImportSnapshotTask)),
        ]
        session.expunge_all()
    for task in sorted(found, key=lambda one: one.created_at):
        if task.worker == COMMAND:
            if not scratch.is_held(data, task.id):
                _log.warning("import-abandoned", extra={"task": task.id})
                fail(store, task, _ABANDONED, now)
                scratch.sweep(data)  # a killed command left what it had of the disk
        elif _claimed(store, task, worker, now):
            return task
    return None


def _waiting(kind: type[K]) -> sa.Select[K]:
    return sa.select(kind).where(kind.phase.in_(_IN_GATEWAY)).order_by(kind.key)


def _claimed(store: Store, task: imports.Task, worker: str, now: Now) -> bool:
    def work(session: Session) -> bool:
        row: imports.Task | None
        if isinstance(task, models.ImportImageTask):
            row = session.get(models.ImportImageTask, task.key)
        else:
            row = session.get(models.ImportSnapshotTask, task.key)
        if row is None or row.phase not in _IN_GATEWAY or row.worker != task.worker:
            return False
        row.worker, row.beat_at = worker, now()
        return True

    return store.write(work)


def carry_out(store: Store, resolved: Config, task: imports.Task, report: work.Report) -> None:
    """Do all that the gateway has to do about a task of an API call; it ends in its row."""
    now = _now
    reporter = Reporter(store, task, now)

    def both(stage: work.Stage, done: int, total: int | None) -> None:
        report(stage, done, total)
        reporter(stage, done, total)

    def run(folder: Path) -> None:
        rules = allowed.rules_of(resolved.intake.prefixes)
        both("fetching", 0, None)
        source = work.bring(task.url, rules, folder, limits(resolved), both)
        reporter.came(source.stat().st_size)
        made = work.make(source, folder, order(task), limits(resolved), both)
        hand_over(store, resolved, task, made, now)

    attempt(store, resolved, task, run)


def attempt(
    store: Store, resolved: Config, task: imports.Task, run: Callable[[Path], None]
) -> None:
    """Run the work in the task's folder; what goes wrong is told in the task's row.

    What is no fault of the disk's, and no end of it (a signal), comes out.
    """
    try:
        with scratch.held(resolved.data, task.id) as folder:
            run(folder)
    except Cancelled:
        _log.info("import-cancelled", extra={"task": task.id})
    except Exception as error:  # the task's boundary: the next one has nothing to do with it
        message = words(error)
        if message == _INTERNAL:
            _log.error("import-broke", exc_info=True, extra={"task": task.id})
        else:
            _log.warning("import-failed", extra={"task": task.id, "why": message})
        fail(store, task, message, _now)


def words(error: Exception) -> str:
    """Say what went wrong as EC2 does: whose error, then what."""
    if isinstance(error, NoRoom | Missing):
        return f"ServerError: {error}."
    if isinstance(error, Refused):
        return f"ClientError: {error}."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "ServerError: the gateway's disk is full: the disk does not fit there."
    return _INTERNAL


def fail(store: Store, task: imports.Task, message: str, now: Now) -> None:
    store.write(lambda session: imports.fail(session, task, message, now()))


def hand_over(
    store: Store, resolved: Config, task: imports.Task, made: work.Made, now: Now
) -> None:
    """Leave what was made to the depot and the engine."""
    shelf = Shelf(resolved.data / "depot", spare_bytes=0)
    scratch.give(made.file, resolved.data)

    def write(session: Session) -> None:
        imports.hand_over(
            session,
            task,
            length_bytes=made.length_bytes,
            sha256=made.sha256,
            virtual_bytes=made.virtual_bytes,
            generation=made.generation,
            platform=made.platform,
            boot_mode=made.boot_mode,
            place=lambda number: shelf.adopt(number, made.file),
            now=now(),
        )

    store.write(write)
    with store.read() as session:
        hosts = set(
            session.scalars(sa.select(models.Host.key).where(models.Host.state == "active"))
        )
    wake.ring(resolved.run / "engine.sock", hosts)
    _log.info(
        "import-handed-over",
        extra={
            "task": task.id,
            "bytes": made.length_bytes,
            "generation": made.generation,
            "platform": made.platform,
            "why": made.why or ("a guess" if made.guess else "as it was asked"),
        },
    )


def limits(resolved: Config) -> work.Limits:
    return work.Limits(resolved.intake.largest_gib * GIB, resolved.intake.spare_gib * GIB)


def order(task: imports.Task) -> work.Order:
    """:raises Refused: for what a request says that cannot be"""
    if isinstance(task, models.ImportImageTask):
        return work.order_of(task.asked, task.format)
    return work.Order(format=task.format or None, bootable=False)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
