"""A data folder with a host in it, and a server outside: what imports are tried on."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw import config
from ec2gw.intake import scratch, tasks, work
from state import models
from state.store import Store
from tests import rows
from tests.unit.outside_disks import linux, made
from tests.unit.outside_server import Outside, serving
from translators import imports


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Scene:
    """A data folder with a host, and a server outside that serves disks."""

    def __init__(self, folder: Path, empty: Path, outside: Outside, **intake: Any) -> None:
        given = {"data": str(folder), "intake.prefixes": [f"{outside.url}/"], **intake}
        self.config = config.load(None, {}, given)
        self.outside = outside
        config.make_folders(self.config)
        shutil.copy(empty, self.config.database)
        config.save(self.config)
        self.store = Store(self.config.database)
        self.on = self.store.write(rows.ground)

    def asks(self, path: str, format_: str = "", **asked: str) -> models.ImportImageTask:
        return self.store.write(
            lambda session: imports.begin_image(
                session,
                account_key=self.on.account,
                region="us-east-1",
                url=self.outside.url + path,
                format=format_,
                asked=asked,
                description=None,
                now=now(),
            )
        )

    def row(self, task: imports.Task) -> Any:
        with self.store.read() as session:
            found = session.get_one(type(task), task.key)
            session.expunge(found)
            return found

    def works(self, report: work.Report | None = None) -> bool:
        """Take a task and carry it out, as the service's worker does."""
        task = tasks.take(self.store, self.config.data, "serve:1", now)
        if task is None:
            return False
        tasks.carry_out(self.store, self.config, task, report or (lambda *_: None))
        return True

    def transfers(self) -> list[models.Transfer]:
        with self.store.read() as session:
            found = list(session.scalars(sa.select(models.Transfer)))
            session.expunge_all()
            return found

    @property
    def shelf(self) -> list[Path]:
        return sorted((self.config.data / "depot").glob("*"))

    @property
    def scratch(self) -> list[Path]:
        return sorted((self.config.data / scratch.ROOM).glob("*"))


Make = Callable[..., Scene]


@pytest.fixture
def make(tmp_path: Path, empty_database: Path) -> Iterator[Make]:
    with serving() as outside:
        opened: list[Scene] = []

        def scene(**intake: Any) -> Scene:
            opened.append(Scene(tmp_path / "data", empty_database, outside, **intake))
            return opened[-1]

        yield scene
        for one in opened:
            one.store.close()


@pytest.fixture
def scene(make: Make) -> Scene:
    return make()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    file = tmp_path / "disk.raw"
    file.write_bytes(linux())
    return file


@pytest.fixture
def qcow2(raw: Path, tmp_path: Path) -> bytes:
    return made(raw, "qcow2", tmp_path / "disk.qcow2").read_bytes()
