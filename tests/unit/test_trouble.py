"""What is the matter with a data folder is said in a line; what is no such trouble is left."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from state import trouble


def _locked(data: Path) -> None:
    path = data / "state.sqlite3"
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")


def _full(data: Path) -> None:
    with closing(sqlite3.connect(data / "state.sqlite3")) as database:
        database.execute("PRAGMA max_page_count = 1")
        database.execute("CREATE TABLE one (x)")


def _read_only(data: Path) -> None:
    path = data / "state.sqlite3"
    path.touch()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        database.execute("CREATE TABLE one (x)")


def _no_database(data: Path) -> None:
    path = data / "state.sqlite3"
    path.write_bytes(b"x" * 4096)
    engine = sa.create_engine(f"sqlite:///{path}")  # in SQLAlchemy's clothes
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM sqlite_master")
    finally:
        engine.dispose()


def _a_folder(data: Path) -> None:
    (data / "state.sqlite3").mkdir()
    sqlite3.connect(data / "state.sqlite3")


def _no_folder(data: Path) -> None:
    (data / "run").touch()
    (data / "run" / "config.json").write_text("")


def _above_it(data: Path) -> None:
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(data.parent))


def _no_space(data: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


TROUBLES: dict[Callable[[Path], None], str] = {
    _locked: "its database is locked by another program",
    _full: "its database does not fit: the disk is full",
    _read_only: "its database is read-only",
    _no_database: "its database is none: put a backup in its place",
    _a_folder: "its database cannot be opened: look at the folder's rights",
    _no_folder: "{data}/run/config.json: Not a directory",
    _above_it: "{data.parent}: File exists",
    _no_space: "No space left on device",
}


@pytest.mark.parametrize("happen", TROUBLES, ids=lambda happen: happen.__name__)
def test_a_trouble_of_the_data_folder_is_one_line(
    happen: Callable[[Path], None], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(trouble.Unusable) as caught, trouble.in_words(data):
        happen(data)
    said = TROUBLES[happen].format(data=data)
    assert str(caught.value) == f"the data folder {data} cannot be used: {said}"


OTHERS = [
    ValueError("x"),
    sqlite3.IntegrityError("x"),
    FileNotFoundError(errno.ENOENT, "No such file or directory", "/etc/none"),
    ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
]


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_what_is_no_trouble_of_it_comes_out_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, trouble.in_words(tmp_path):
        raise error
    assert caught.value is error
