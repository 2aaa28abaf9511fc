"""Migrations: they end at the models, copy before they change, refuse what is newer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa

from state import migrations, models, schema, triggers


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


def test_a_revision_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW alembic_version AS SELECT version_num FROM elsewhere")
    before = path.read_bytes()
    with pytest.raises(sqlite3.OperationalError):
        schema.prepare(path, tmp_path)
    assert path.read_bytes() == before


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


def at(path: Path, revision: str) -> None:
    """Make a database as a release of that revision left it."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["path"] = path
    alembic.command.upgrade(config, revision)


def insert(connection: sqlite3.Connection, table: str, **columns: object) -> None:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(columns.values()))


def test_a_first_release_s_images_and_accounts_are_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    at(path, "0001")
    with closing(sqlite3.connect(path)) as connection:
        for key, name in enumerate(("default", "operator", "other"), 1):
            number = f"{key:012}"
            insert(connection, "account", id=number, name=name, made_by_request=0, created_at=key)
        insert(
            connection,
            "image",
            **{"id": "ami-1", "account_key": 2, "region": "*", "version": 7, "name": "linux"},
            **{"file_name": "linux.vhdx", "public": 1, "state": "available", "generation": 2},
            **{"architecture": "x86_64", "root_device_name": "/dev/sda1", "size_gib": 8},
            **{"snapshot_id": "snap-1", "created_at": 5},
        )
        connection.commit()
    copy = schema.prepare(path, tmp_path / "backup")
    assert copy is not None
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [
            ("0001",)
        ]
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT name, version, ena_support, volume_type, delete_on_termination FROM image"
        assert connection.execute(query).fetchall() == [("linux", 9, 1, "gp3", 1)]
        trusted = connection.execute("SELECT name FROM account WHERE image_store").fetchall()
        assert trusted == [("default",)]
        connection.execute("UPDATE image SET description = 'new'")
        assert connection.execute("SELECT version FROM image").fetchall() == [(10,)]
    assert schema.prepare(path, tmp_path / "backup") is None


def test_images_from_before_revision_5_go_on_showing_a_boot_mode(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    at(path, "0004")
    with closing(sqlite3.connect(path)) as connection:
        for generation in (1, 2):
            insert(
                connection,
                "image",
                **{"id": f"ami-{generation}", "account_key": 2, "region": "*", "version": 1},
                **{"name": "linux", "file_name": "linux.vhdx", "public": 1, "state": "available"},
                **{"generation": generation, "architecture": "x86_64", "size_gib": 8},
                **{"root_device_name": "/dev/sda1", "snapshot_id": "snap-1", "created_at": 5},
            )
        connection.commit()
    schema.prepare(path, tmp_path / "backup")
    with closing(sqlite3.connect(path)) as connection:
        modes = connection.execute("SELECT boot_mode FROM image ORDER BY key")
        assert modes.fetchall() == [("legacy-bios",), ("uefi",)]


def test_a_guest_that_was_heard_before_revision_5_is_known_to_answer(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    at(path, "0004")
    with closing(sqlite3.connect(path)) as connection:
        for key, heartbeat in enumerate(("OkApplicationsUnknown", "NoContact", None), 1):
            insert(
                connection,
                "look",
                **{"instance_key": key, "heartbeat": heartbeat, "addresses": "[]"},
                **{"changed_at": 100 + key},
            )
        connection.commit()
    schema.prepare(path, tmp_path / "backup")
    with closing(sqlite3.connect(path)) as connection:
        answered = connection.execute("SELECT answered_at FROM look ORDER BY instance_key")
        assert answered.fetchall() == [(101,), (None,), (None,)]
