"""History: each revision makes what it always made, and rows of every release come through."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.script
import pytest

from state import migrations, schema

DIGESTS = {
    "0001": "a276488bc0ccf2f8",
    "0002": "0610b818162be884",
    "0003": "8edc5482794ba36b",
    "0004": "1832cdeb51b4d5f9",
    "0005": "f12eb6de3295e665",
}
"""What each revision's schema is. A line is added with its revision, and never changed after."""


REWRITTEN: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "work": ("0003", lambda row: {"kind": "instance", "key": row.pop("instance_key"), **row}),
}
"""Tables whose rows a revision writes anew, and how a row of before reads since then."""


def config(path: Path) -> alembic.config.Config:
    found = alembic.config.Config()
    found.set_main_option("script_location", str(Path(migrations.__file__).parent))
    found.attributes["path"] = path
    return found


def revisions() -> list[str]:
    """All revisions, the first one first."""
    walk = alembic.script.ScriptDirectory.from_config(config(Path())).walk_revisions()
    return [revision.revision for revision in walk][::-1]


def tables(connection: sqlite3.Connection) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    names = [name for (name,) in connection.execute(query)]
    return [name for name in names if not name.startswith(("sqlite_", "alembic"))]


def described(path: Path) -> str:
    """Tell the schema by what it means: how a library of some version spells it is no change."""
    with closing(sqlite3.connect(path)) as connection:
        columns = {
            table: [
                *connection.execute(f"PRAGMA table_info({table})"),
                *sorted(connection.execute(f"PRAGMA foreign_key_list({table})"), key=repr),
                *sorted(
                    (
                        index[2],
                        *(row[2] for row in connection.execute(f"PRAGMA index_info('{index[1]}')")),
                    )
                    for index in connection.execute(f"PRAGMA index_list({table})")
                ),
            ]
            for table in tables(connection)
        }
        triggers = sorted(
            sql
            for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type='trigger'")
        )
    return json.dumps([columns, triggers])


@pytest.mark.parametrize("revision", revisions())
def test_a_revision_makes_what_it_always_made(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "state.sqlite3"
    alembic.command.upgrade(config(path), revision)
    digest = hashlib.sha256(described(path).encode()).hexdigest()[:16]
    assert digest == DIGESTS.get(revision), "history was changed, or DIGESTS lacks its line"


class Filler:
    """Puts two rows into every table, each referring to rows that are there."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._done: set[str] = set()

    def fill(self) -> None:
        for table in tables(self._connection):
            self._table(table)
        self._connection.commit()

    def _table(self, table: str) -> None:
        if table in self._done:
            return
        self._done.add(table)
        elsewhere = {}
        for _, _, other, column, *_ in self._connection.execute(
            f"PRAGMA foreign_key_list({table})"
        ):
            elsewhere[column] = other
            self._table(other)
        for number in (1, 2):
            row = dict(self._columns(table, elsewhere, number))
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            self._connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values())
            )

    def _columns(
        self, table: str, elsewhere: dict[str, str], number: int
    ) -> Iterator[tuple[str, object]]:
        for _, name, kind, *_ in self._connection.execute(f"PRAGMA table_info({table})").fetchall():
            if name in elsewhere:
                yield name, number
            elif kind.startswith("VARCHAR"):
                yield name, f"{name}-{number}"
            elif kind in {"BIGINT", "INTEGER"}:
                yield name, number
            elif kind == "BOOLEAN":
                yield name, number % 2
            elif kind == "JSON":
                yield name, json.dumps([name, number])
            else:
                assert kind == "BLOB", f"{table}.{name} is of an unforeseen type, {kind}"
                yield name, bytes([number])


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        names = connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall()
        return {
            name: [dict(row) for row in connection.execute(f"SELECT * FROM {name} ORDER BY rowid")]
            for (name,) in names
            if not name.startswith(("sqlite_", "alembic"))
        }


@pytest.mark.parametrize("revision", revisions())
def test_rows_of_every_release_are_there_at_the_newest(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "state.sqlite3"
    alembic.command.upgrade(config(path), revision)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        Filler(connection).fill()
    before = rows(path)
    copy = schema.prepare(path, tmp_path / "backup")
    after = rows(path)
    for table, old in before.items():
        assert len(old) == 2
        since, rewrite = REWRITTEN.get(table, ("", dict))
        old = [rewrite(row) if revision < since else row for row in old]
        for was, now in zip(old, after[table], strict=True):
            assert was.pop("version", 0) <= now.pop("version", 0)
            assert {name: now[name] for name in was} == was, table
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if copy is None:
        assert revision == schema.HEAD
    else:
        assert {name: len(kept) for name, kept in rows(copy).items()} == dict.fromkeys(before, 2)
