"""Migrations: they end at the models, copy before they change, refuse what is newer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from state import models, schema, triggers


def shape(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
    return {(kind, name) for kind, name in rows if not name.startswith(("sqlite_", "alembic"))}


def columns(path: Path) -> dict[str, set[tuple[str, str, int]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: {
                (row[1], row[2], row[3])
                for row in connection.execute(f"PRAGMA table_info({table})")
            }
            for table in models.Base.metadata.tables
        }


def test_the_migrations_end_at_the_models(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated", tmp_path / "made"
    assert schema.prepare(migrated, tmp_path / "backup") is None
    engine = sa.create_engine(f"sqlite:///{made}")
    with engine.begin() as connection:
        models.Base.metadata.create_all(connection)
        for statement in triggers.statements():
            connection.exec_driver_sql(statement)
    engine.dispose()
    assert shape(migrated) == shape(made)
    assert columns(migrated) == columns(made)


def test_head_is_the_newest_revision(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    schema.prepare(path, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            (schema.HEAD,)
        ]


def test_a_newer_schema_is_refused_and_untouched(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    schema.prepare(path, tmp_path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(schema.Newer, match="9999"):
        schema.prepare(path, tmp_path / "backup")
    assert path.read_bytes() == before


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    schema.prepare(path, tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
