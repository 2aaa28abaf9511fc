"""The world's durable file: records as JSON rows, contents of small files as chunks.

Every change is on the disk before `Store.change` returns (write-ahead log, synchronous), so it
outlives a `kill -9` of whoever wrote it. Several processes may have the same file open.

Source: sqlite.org/wal.html, sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ec2gw.lab.world import model, paths
from state import stop_points

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS machines (host TEXT PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS vms (
  host TEXT NOT NULL, id TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (host, id));
CREATE TABLE IF NOT EXISTS files (
  host TEXT NOT NULL, key TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY (host, key));
CREATE TABLE IF NOT EXISTS chunks (
  host TEXT NOT NULL, key TEXT NOT NULL, offset INTEGER NOT NULL, bytes BLOB NOT NULL,
  PRIMARY KEY (host, key, offset)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  host TEXT NOT NULL, at REAL NOT NULL, number INTEGER NOT NULL, vm_id TEXT NOT NULL,
  vm_name TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_of_host ON events (host, at);
INSERT OR IGNORE INTO meta VALUES ('changes', 0);
"""
BUSY_SECONDS = 30.0


class Store:
    """One connection and a copy of the records in memory. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)
        self.hosts: dict[str, model.Host] = {}
        self._changes = -1
        self._wrote = False

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def reading(self) -> Iterator[bool]:
        """See one state of the world: that of now, or of the change that this thread is making.

        Gives whether it is the latter.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield True
                return
            self._connection.execute("BEGIN")
            try:
                self._refresh()
                yield False
            finally:
                self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Change the world as one; an error inside undoes all of it."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            self._wrote = False
            try:
                self._refresh()
                yield
                if self._wrote:
                    self._connection.execute("UPDATE meta SET value = value + 1")
                    self._changes += 1
                    stop_points.reach("lab before write")
                self._connection.execute("COMMIT")
                if self._wrote:
                    stop_points.reach("lab after write")
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._changes = -1  # the copy in memory may hold what was undone
                raise

    def _refresh(self) -> None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'changes'").fetchone()
        if row[0] == self._changes:
            return
        self.hosts = {}
        for name, record in self._connection.execute("SELECT host, record FROM machines"):
            self.hosts[name] = model.Host(model.decode(model.Machine, json.loads(record)))
        for name, vm_id, record in self._connection.execute("SELECT host, id, record FROM vms"):
            self.hosts[name].vms[vm_id] = model.decode(model.Vm, json.loads(record))
        for name, key, record in self._connection.execute("SELECT host, key, record FROM files"):
            self.hosts[name].files[key] = model.decode(model.File, json.loads(record))
        self._changes = row[0]

    def put_machine(self, machine: model.Machine) -> None:
        self._write("REPLACE INTO machines VALUES (?, ?)", machine.name, _text(machine))
        if machine.name in self.hosts:
            self.hosts[machine.name].machine = machine
        else:
            self.hosts[machine.name] = model.Host(machine)

    def put_vm(self, host: str, vm: model.Vm) -> None:
        self._write("REPLACE INTO vms VALUES (?, ?, ?)", host, vm.id, _text(vm))
        self.hosts[host].vms[vm.id] = vm

    def drop_vm(self, host: str, vm_id: str) -> None:
        self._write("DELETE FROM vms WHERE host = ? AND id = ?", host, vm_id)
        del self.hosts[host].vms[vm_id]

    def put_file(self, host: str, file: model.File) -> None:
        key = paths.key(file.path)
        self._write("REPLACE INTO files VALUES (?, ?, ?)", host, key, _text(file))
        self.hosts[host].files[key] = file

    def drop_file(self, host: str, path: str) -> None:
        key = paths.key(path)
        self._write("DELETE FROM files WHERE host = ? AND key = ?", host, key)
        self._write("DELETE FROM chunks WHERE host = ? AND key = ?", host, key)
        del self.hosts[host].files[key]

    def chunk(self, host: str, path: str, offset: int, data: bytes) -> None:
        key = paths.key(path)
        self._write("REPLACE INTO chunks VALUES (?, ?, ?, ?)", host, key, offset, data)

    def last_chunk(self, host: str, path: str) -> tuple[int, bytes] | None:
        sql = (
            "SELECT offset, bytes FROM chunks WHERE host = ? AND key = ?"
            " ORDER BY offset DESC LIMIT 1"
        )
        row = self._connection.execute(sql, (host, paths.key(path))).fetchone()
        return None if row is None else (int(row[0]), bytes(row[1]))

    def move_chunks(self, host: str, path: str, target: str) -> None:
        old, new = paths.key(path), paths.key(target)
        self._write("DELETE FROM chunks WHERE host = ? AND key = ?", host, new)
        self._write("UPDATE chunks SET key = ? WHERE host = ? AND key = ?", new, host, old)

    def drop_chunks(self, host: str, path: str) -> None:
        self._write("DELETE FROM chunks WHERE host = ? AND key = ?", host, paths.key(path))

    def chunks(self, host: str, path: str) -> Iterator[tuple[int, bytes]]:
        """The pieces of a file in order; what no piece covers is zero."""
        sql = "SELECT offset, bytes FROM chunks WHERE host = ? AND key = ? ORDER BY offset"
        yield from self._connection.execute(sql, (host, paths.key(path)))

    def log(self, host: str, at: float, number: int, vm: model.Vm) -> None:
        sql = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
        self._write(sql, host, at, number, vm.id, vm.name)

    def unlog(self, host: str, vm_id: str, after: float) -> None:
        """Take back what was to happen to a machine and will not."""
        self._write(
            "DELETE FROM events WHERE host = ? AND vm_id = ? AND at > ?", host, vm_id, after
        )

    def events(self, host: str, until: float) -> Iterator[tuple[float, int, str, str]]:
        """Time, number, machine's id and name of what has happened, newest first."""
        sql = (
            "SELECT at, number, vm_id, vm_name FROM events"
            " WHERE host = ? AND at <= ? ORDER BY at DESC"
        )
        yield from self._connection.execute(sql, (host, until))

    def _write(self, sql: str, *values: object) -> None:
        self._connection.execute(sql, values)
        self._wrote = True


def _text(record: object) -> str:
    # A record is written at each change of it: copying it first, as `asdict` does, takes longest.
    return json.dumps(record, default=vars, separators=(",", ":"))
