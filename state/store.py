"""The one way to the database: snapshots to read, one writer with group commit.

Source: SQLite "Write-Ahead Logging", "Isolation", "Response To Errors Within A Transaction";
docs/performance.md says what it costs.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.orm import Session

from state import stop_points

T = TypeVar("T")
_log = logging.getLogger("state.store")

_BATCH: Final = 64
"""At most so many changes share one commit: bounds how long the first of them waits."""
_BUSY_SECONDS: Final = 30
_READERS: Final = 16


class Closed(Exception):
    """The store is closing; nothing of the change was kept."""


class _Job:
    __slots__ = ("future", "work")

    def __init__(self, work: Callable[[Session], Any]) -> None:
        self.work = work
        self.future: Future[Any] = Future()


class Store:
    """A database file, its readers and its writer. Thread-safe; not to be shared over a fork."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = _engine(path, writes=True)
        self._readers = _Readers(_engine(path, writes=False))
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._admission = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()
        self._sweeper = threading.Thread(target=self._sweep, name="store-sweeper", daemon=True)
        self._sweeper.start()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a snapshot: every statement in it sees the same state; writing fails."""
        reader = self._readers.take()
        try:
            yield reader.begin()
        finally:
            self._readers.give_back(reader)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run the change on the writer, return what it returned once it is durable.

        The change may share its commit with others, but not its fate: an exception undoes this
        one alone and comes out here. It must do no I/O and wait for nothing.

        :raises Closed: when the store closes before the change was begun
        """
        job = _Job(work)
        with self._admission:
            if self._closing.is_set():
                raise Closed
            self._jobs.put(job)
        return cast(T, job.future.result())

    def close(self) -> None:
        """Finish what was begun, refuse the rest, close the file."""
        with self._admission:
            if self._closing.is_set():
                return
            self._closing.set()
            self._jobs.put(None)
        self._thread.join()
        self._sweeper.join()
        self._readers.close()
        self._writer.dispose()

    # -- the writer's thread

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            batch, last = [first], False
            while len(batch) < _BATCH:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                    break
                batch.append(job)
            self._commit(batch)
            if last:
                return

    def _commit(self, batch: list[_Job]) -> None:
        kept: list[tuple[_Job, object]] = []
        failed: list[tuple[_Job, BaseException]] = []
        alone = len(batch) == 1  # a savepoint would cost it as much as some of its statements
        try:
            with self._writer.connect() as connection, connection.begin() as transaction:
                for job in batch:
                    try:
                        kept.append((job, _apply(connection, job.work, savepoint=not alone)))
                    except Exception as error:  # the change's own failure: its caller's to handle
                        if alone:
                            if transaction.is_active:  # its session may have done it already
                                transaction.rollback()
                        elif not _in_transaction(connection):
                            raise _given_up() from error
                        failed.append((job, error))
                if kept and not _in_transaction(connection):
                    raise _given_up()
                stop_points.reach("store:before-commit")
        except Exception as error:  # the commit itself: nobody's change was kept
            _log.error("commit-failed changes=%d error=%s", len(batch), type(error).__name__)
            for job in batch:
                job.future.set_exception(error)
            return
        stop_points.reach("store:after-commit")
        for job, result in kept:
            job.future.set_result(result)
        for job, reason in failed:
            job.future.set_exception(reason)

    def _sweep(self) -> None:
        """Checkpoint in the background: within a request it is the slowest hundredth."""
        with closing(sqlite3.connect(self.path, check_same_thread=False)) as connection:
            while not self._closing.wait(1):
                try:
                    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                except sqlite3.OperationalError as error:
                    _log.warning("checkpoint-failed error=%s", error.sqlite_errorname)


def _in_transaction(connection: sa.Connection) -> bool:
    """Tell whether what was done so far still stands.

    On a full disk, and on other errors below it, SQLite may give up the whole transaction and not
    the failed statement alone; the driver's COMMIT then does nothing, and says nothing.
    """
    raw: Any = connection.connection.driver_connection
    return bool(raw.in_transaction)


def _given_up() -> sa.exc.OperationalError:
    cause = sqlite3.OperationalError("the transaction was given up")
    return sa.exc.OperationalError("COMMIT", None, cause)


def _apply(connection: sa.Connection, work: Callable[[Session], T], *, savepoint: bool) -> T:
    mode: Literal["create_savepoint", "rollback_only"]
    mode = "create_savepoint" if savepoint else "rollback_only"
    with Session(connection, join_transaction_mode=mode, expire_on_commit=False) as session:
        result = work(session)
        session.commit()
        return result


class _Reader:
    """A connection with its session, used by one snapshot after the other.

    SQLAlchemy sees one transaction that lasts as long as the connection; the snapshots are begun
    and ended beneath it. What a session does to begin and to end costs more than most queries.
    """

    __slots__ = ("_connection", "_raw", "session")

    def __init__(self, engine: sa.Engine) -> None:
        self._connection = engine.connect()
        self._raw: Any = self._connection.connection.driver_connection
        self.session = Session(self._connection)
        self.session.connection()

    def begin(self) -> Session:
        self._raw.execute("BEGIN")
        return self.session

    def end(self) -> bool:
        """End the snapshot; answer whether the reader is as good as new."""
        session = self.session
        clean = session.is_active
        if list(session):  # objects were loaded, or added in vain
            clean = clean and not (session.new or session.dirty or session.deleted)
            session.expunge_all()
        if self._raw.in_transaction:
            self._raw.execute("ROLLBACK")
        return clean

    def close(self) -> None:
        self.session.close()
        self._connection.close()


class _Readers:
    """Readers to be taken and given back. The last one is taken first: it knows most pages."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._free = threading.Condition(threading.Lock())
        self._idle: list[_Reader] = []
        self._busy = 0
        self._closed = False

    def take(self) -> _Reader:
        with self._free:
            if self._busy >= _READERS and not self._free.wait_for(self._has_place, _BUSY_SECONDS):
                raise sa.exc.TimeoutError(f"all {_READERS} readers were busy")
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        try:
            return _Reader(self._engine)
        except BaseException:
            self._leave()
            raise

    def give_back(self, reader: _Reader) -> None:
        kept = False
        try:
            kept = reader.end() and not self._closed
        finally:
            if not kept:
                reader.close()
            self._leave(reader if kept else None)

    def close(self) -> None:
        """Close those that are here; one that is in use is closed when it is given back."""
        with self._free:
            self._closed = True
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()
        self._engine.dispose()

    def _has_place(self) -> bool:
        return self._busy < _READERS

    def _leave(self, reader: _Reader | None = None) -> None:
        with self._free:
            self._busy -= 1
            if reader is not None and not self._closed:
                self._idle.append(reader)
                reader = None
            self._free.notify()
        if reader is not None:
            reader.close()


def _engine(path: Path, *, writes: bool) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False},
        pool_size=1 if writes else _READERS,
        max_overflow=0,
        hide_parameters=True,  # errors are logged; user data and secrets are not
    )

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver begins nothing by itself; `begin` below does
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA secure_delete=ON")  # user data goes from the file with its row
        cursor.execute("PRAGMA wal_autocheckpoint=20000")  # the sweeper does it long before
        if not writes:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    if writes:

        @event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            # A change takes the write lock first: read-then-write fails at once under load.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
