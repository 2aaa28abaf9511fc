"""Copies of the database file: taken while it is in use, told what they hold, put back whole.

A copy is marked: whoever starts on it first looks at all hosts, since they have gone on meanwhile.
The key that opens the secrets in it is no part of it.

Source: SQLite "Online Backup API", "Write-Ahead Logging" (a -wal file belongs to its database).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_COUNTED: Final = {
    "accounts": ("account", ""),
    "hosts": ("host", "WHERE state <> 'removed'"),
    "images": ("image", "WHERE state <> 'deregistered'"),
    "instances": ("instance", "WHERE phase <> 'terminated'"),
    "volumes": ("volume", ""),
    "snapshots": ("snapshot", ""),
    "key pairs": ("key_pair", ""),
}
"""What an operator is told of a copy: the word, its table, which rows."""
_BESIDE: Final = ("-wal", "-shm", "-journal")
_BUSY_SECONDS: Final = 30


class Unfit(Exception):
    """The file is no state of ours, or damaged; one line says which."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a state file holds."""

    revision: str
    deployment: str | None
    counts: Mapping[str, int]
    size_bytes: int

    def __str__(self) -> str:
        counts = ", ".join(f"{number} {word}" for word, number in self.counts.items())
        whose = self.deployment or "none yet"
        size = f"{self.size_bytes / 2**20:.1f} MiB"
        return f"deployment {whose}, schema {self.revision}: {counts}; {size}"


def take(source: Path, target: Path) -> Contents:
    """Copy a database that may be in use; the target appears whole or not at all.

    :raises FileExistsError: the target is there
    :raises Unfit: the source is no state
    """
    if target.exists():
        raise FileExistsError(target)
    with _fresh(target) as fresh:
        with closing(_opened(source)) as original, closing(sqlite3.connect(fresh)) as copy:
            try:
                original.backup(copy)
                _mark(copy)
            except sqlite3.DatabaseError as error:
                raise _unfit(source, error) from error
        found = contents(fresh)
        _publish(fresh, target)
    return found


def contents(path: Path) -> Contents:
    """Look into a state file and check that it is whole.

    :raises FileNotFoundError:
    :raises Unfit:
    """
    with closing(_opened(path)) as connection:
        try:
            if connection.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise Unfit(f"{path} is damaged")
            names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if not {"alembic_version", "deployment"} <= names:
                raise Unfit(f"{path} is no state of ec2gw")
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            deployment = connection.execute("SELECT id FROM deployment").fetchone()
            counts = {
                word: connection.execute(f"SELECT count(*) FROM {table} {where}").fetchone()[0]
                for word, (table, where) in _COUNTED.items()
                if table in names
            }
        except sqlite3.DatabaseError as error:
            raise _unfit(path, error) from error
    if row is None:
        raise Unfit(f"{path} is no state of ec2gw")
    deployed = deployment[0] if deployment else None
    return Contents(row[0], deployed, counts, path.stat().st_size)


def sealed(path: Path) -> list[tuple[str, str, bytes]]:
    """List (kind, name, sealed secret) of what the key of this state opens."""
    with closing(_opened(path)) as connection:
        keys = connection.execute("SELECT id, secret FROM access_key").fetchall()
        hosts = connection.execute("SELECT name, secret FROM host WHERE secret IS NOT NULL")
        return [
            *(("access-key", name, secret) for name, secret in keys),
            *(("host", name, secret) for name, secret in hosts.fetchall()),
        ]


def put(source: Path, database: Path, aside: Path) -> Path | None:
    """Put a copy in the database's place; answers where the one that was there is now.

    Nobody may have it open. Whenever this is cut short, the one or the other is in place.

    :raises Unfit: the source is no state
    """
    contents(source)
    with _fresh(database) as fresh:
        with closing(_opened(source)) as original, closing(sqlite3.connect(fresh)) as copy:
            original.backup(copy)
            _mark(copy)
        _sync(fresh)
        kept = None
        if database.exists():
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = stamped(aside, "replaced", ".sqlite3")
            # A -wal that outlived its database would be read into the new one. It goes first, with
            # its name: the two are a database again wherever they lie beside each other.
            for ending in _BESIDE:
                with contextlib.suppress(FileNotFoundError):
                    os.rename(f"{database}{ending}", f"{kept}{ending}")
            os.link(database, kept)
        os.replace(fresh, database)
        _sync(database.parent)
    return kept


def put_file(source: Path, target: Path) -> None:
    """Copy a small file, such as the key, for its owner alone; whole or not at all.

    :raises FileExistsError:
    """
    with _fresh(target) as fresh:
        fresh.write_bytes(source.read_bytes())
        _publish(fresh, target)


def stamped(folder: Path, word: str, ending: str) -> Path:
    """A name in the folder that nothing has yet; it says when."""
    now = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{word}-{now}{more}{ending}" for more in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(folder / name for name in names if not (folder / name).exists())


def _mark(copy: sqlite3.Connection) -> None:
    """One plain file, whose state is behind its hosts from now on."""
    copy.execute("PRAGMA journal_mode=DELETE")
    copy.execute("UPDATE deployment SET recovering = 1")
    columns = {row[1] for row in copy.execute("PRAGMA table_info(deployment)")}
    if "confirmed" in columns:  # the start that is next remembers what was being driven here
        copy.execute("UPDATE deployment SET confirmed = 1")
    copy.commit()


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    # Not read-only: what a killed service left in its -wal belongs to it.
    where = f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(where, uri=True, timeout=_BUSY_SECONDS)


def _unfit(path: Path, error: sqlite3.DatabaseError) -> Exception:
    if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}:
        return Unfit(f"{path} is no state of ec2gw")
    if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_CORRUPT:
        return Unfit(f"{path} is damaged")
    return error


@contextlib.contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """An empty file beside the target, for its owner alone, that is gone in the end."""
    fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield fresh
    finally:
        for ending in ("", *_BESIDE):
            Path(f"{fresh}{ending}").unlink(missing_ok=True)


def _publish(fresh: Path, target: Path) -> None:
    """Give a finished file its name, unless something has it already."""
    _sync(fresh)
    try:
        os.link(fresh, target)
    except FileExistsError:
        raise FileExistsError(target) from None
    except OSError:  # a filesystem without links, such as a stick's
        if target.exists():
            raise FileExistsError(target) from None
        os.replace(fresh, target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
