"""Brings a database file to this release's schema: new, copied and migrated, or refused.

Source: Alembic, "Using migrations programmatically".
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from state import copies

if TYPE_CHECKING:  # imported at run time only where there is something to migrate
    from alembic.config import Config

HEAD: Final = "0005"
"""The revision that `state.models` stands for; a test holds it against the migrations."""


class Newer(Exception):
    """The database was made by a later release; nothing was touched."""

    def __init__(self, path: Path, revision: str) -> None:
        super().__init__(
            f"{path} has schema {revision}, this release knows {HEAD}: start the newer release,"
            " or restore a backup that this one can read (ec2gw restore)"
        )
        self.revision = revision


def prepare(path: Path, backup_folder: Path) -> Path | None:
    """Create or migrate the database; returns where the copy made before migrating is.

    :raises Newer: for a schema of a later release
    :raises copies.Unfit: for a damaged one, before anything is changed
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    revision = _revision(path)
    if revision == HEAD:
        return None
    if revision is not None and not is_known(revision):
        raise Newer(path, revision)
    copy = None
    if revision is not None:
        backup_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        copy = copies.stamped(backup_folder, f"before-{HEAD}-from-{revision}", ".sqlite3")
        copies.take(path, copy)
    _upgrade(path)
    return copy


def is_known(revision: str) -> bool:
    """Tell whether this release can start on a state of that revision."""
    return revision in _known()


def _revision(path: Path) -> str | None:
    """The schema's revision, without Alembic: the usual start has nothing to migrate."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        return None
    with closing(sqlite3.connect(path)) as connection:
        # Asked for by name: any error, such as a lock, has to come out and not to mean "new".
        table = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
        if connection.execute(table).fetchone() is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _config(path: Path) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["path"] = path
    return config


def _known() -> set[str]:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config(Path()))
    return {revision.revision for revision in script.walk_revisions()}


def _upgrade(path: Path) -> None:
    from alembic import command

    command.upgrade(_config(path), "head")
