"""A disk from outside, from its handing over to its end, cut at every place, each process in turn.

After each cut the process is started again until all is quiet: the import is completed, its file
whole on the one host that fetched it, and nothing of the way is left; then all of it is removed.
What is no disk is never available, wherever anything dies.

EC2GW_STOP_EVERY=N cuts at every 5N-th place only, unless N is 1: each takes seconds.
EC2GW_STOP_FROM=M begins M places later.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from botocore.exceptions import ClientError
from sqlalchemy.orm import Session

from ec2gw.depot import certificate, places
from ec2gw.depot.shelf import Shelf
from state import models
from state.store import Store
from tests import disk_files, figures
from tests.stop_points.test_cuts import EVERY, FROM, answered
from tests.stop_points.test_snapshot_cuts import below, snapshots
from tests.stop_points.trio import Trio
from translators import imports

STRIDE = EVERY if EVERY == 1 else 5 * EVERY
BASES = {"engine": 1_300_000, "lab": 1_400_000}
DISK = disk_files.vhdx()
NO_DISK = disk_files.vhdx()[:-1000]


class WithDepot(Trio):
    """Three processes, the engine with a depot on a socket that outlives it."""

    def __init__(self, folder: Path) -> None:
        self._depot = socket.create_server(("127.0.0.1", 0))
        super().__init__(folder)

    def _start(self, name: str) -> None:
        if name != "engine":
            super()._start(name)
            return
        folder = self.data / "depot"
        folder.mkdir(mode=0o700, exist_ok=True)
        shown = certificate.ensured(folder)
        port = self._depot.getsockname()[1]
        places.tell(self.data / "run", f"https://127.0.0.1:{port}", shown.digest)
        self._processes[name] = self._nursery.start(
            name,
            ["--data", str(self.data), "--depot", "{0}"],
            self._environment,
            self._log.fileno(),
            self._depot.fileno(),
        )

    def close(self) -> None:
        super().close()
        self._depot.close()


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithDepot]:
    made = WithDepot(tmp_path_factory.mktemp("trio"))
    yield made
    made.close()


def handed_over(trio: Trio, content: bytes) -> str:
    """Do what the intake does once a disk is converted; answer the task's id."""
    file = trio.data / "converted.vhdx"
    file.write_bytes(content)
    shelf = Shelf(trio.data / "depot", spare_bytes=0)
    now = dt.datetime.now(dt.UTC)

    def work(session: Session) -> str:
        task = imports.begin_image(
            session,
            account_key=session.scalars(
                sa.select(models.Account.key).where(models.Account.name == "default")
            ).one(),
            region="us-east-1",
            url="file:///disk",
            format="VHDX",
            asked={},
            description=None,
            now=now,
        )
        imports.hand_over(
            session,
            task,
            length_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            virtual_bytes=16 * disk_files.MIB,
            generation=2,
            platform=None,
            boot_mode=None,
            place=lambda number: shelf.adopt(number, file),
            now=now,
        )
        assert task.phase == "sending", task.message
        return task.id

    with closing(Store(trio.database)) as store:
        return store.write(work)


def shown(trio: Trio, task_id: str) -> dict[str, Any]:
    [found] = answered(trio, lambda: trio.ec2.describe_import_image_tasks(ImportTaskIds=[task_id]))[
        "ImportImageTasks"
    ]
    return dict(found)


def ended(trio: Trio, task_id: str) -> dict[str, Any]:
    trio.until(lambda: shown(trio, task_id)["Status"] != "active", "the import has ended", 120)
    return shown(trio, task_id)


def quiet(trio: Trio) -> bool:
    """No task of a transfer, no part of a file, no row of its way."""
    with closing(Store(trio.database)) as store, store.read() as session:
        left = list(session.scalars(sa.select(models.Transfer.key)))
    hosts = trio.world.snapshot()
    for host in hosts:
        with trio.world.reading(host) as seen:
            left += [1 for _ in seen.machine.tasks]
    return not left and not [name for name in below(trio, "snapshots") if name.endswith(".part")]


def removed(trio: Trio, image_id: str) -> None:
    """Take the image with its disk away; what was carried out unheard is refused."""
    try:
        answered(
            trio,
            lambda: trio.ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True),
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidAMIID.Unavailable":
            raise
    trio.until(lambda: not below(trio, "snapshots"), "its file is gone", 60)
    trio.until(lambda: snapshots(trio) == [], "its snapshot is gone", 60)


def live(trio: Trio) -> None:
    """One run: a disk, and then what is none."""
    task = ended(trio, handed_over(trio, DISK))
    assert task["Status"] == "completed", task
    [image] = answered(trio, lambda: trio.ec2.describe_images(ImageIds=[task["ImageId"]]))["Images"]
    assert image["State"] == "available"
    trio.until(lambda: quiet(trio), "nothing of its way is left")
    [(name, file)] = below(trio, "snapshots").items()
    [snapshot] = snapshots(trio)
    assert (name, snapshot["State"]) == (f"{snapshot['SnapshotId']}.vhdx", "completed")
    assert file["size"] == len(DISK)
    removed(trio, task["ImageId"])

    task = ended(trio, handed_over(trio, NO_DISK))
    assert task["Status"] == "deleted", task
    assert "Disk validation failed" in task["StatusMessage"]
    trio.until(lambda: quiet(trio) and not below(trio, "snapshots"), "nothing of it is left")
    named = {"Filters": [{"Name": "name", "Values": [task["ImportTaskId"]]}]}
    [image] = answered(trio, lambda: trio.ec2.describe_images(**named))["Images"]
    assert image["State"] == "failed"
    removed(trio, image["ImageId"])


@pytest.mark.stop_points
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(
    "process", [pytest.param(one, marks=pytest.mark.xdist_group(one)) for one in BASES]
)
def test_no_cut_loses_a_disk_from_outside_or_lets_another_pass(
    trio: WithDepot, process: str
) -> None:
    base = BASES[process]
    trio.plan(base, "none", 0)
    live(trio)
    cuts, whole = 0, 0
    for run in itertools.count(base + 1):
        trio.plan(run, process, 1 + FROM + STRIDE * (cuts + whole))
        live(trio)
        if trio.cut(run) is not None:
            cuts += 1
            continue
        whole += 1
        if whole == 2:
            break
    assert cuts > 0
    assert trio.deaths >= cuts
    figures.tell(f"{process}: cut at {cuts} places, every import completed or refused")
