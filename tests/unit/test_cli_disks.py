"""What an operator is shown of images and snapshots: how far, where, and what holds them up."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ec2gw import cli, config, inventory
from state import ids, models
from tests.rows import NOW, host

Run = Callable[..., str]
BAR = "━"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    def invoke(*arguments: str) -> str:
        environ = {"EC2GW_DATA": str(data), "COLUMNS": "220"}
        done = CliRunner().invoke(cli.commands, arguments, env=environ)
        assert done.exit_code == 0, done.output
        return done.stdout

    return invoke


def write(data: Path, work: Callable[[Any], object]) -> None:
    resolved = config.load(None, {}, {"data": str(data)})
    config.make_folders(resolved)
    store, vault = inventory.open_state(resolved, migrate=True)
    try:
        inventory.prepare(store, vault)
        store.write(work)
    finally:
        store.close()


def half_made(session: Any) -> None:
    """An image of two disks, one copied by half and one whole, and why it does not get on."""
    account = session.query(models.Account).filter_by(name="default").one()
    owned = {"account_key": account.key, "region": "us-east-1"}
    on = host(session, "hv-1")
    made: list[models.Snapshot] = []
    for progress, state, phase in ((50, "pending", "copying"), (100, "completed", "ready")):
        row = models.Snapshot(
            id=ids.mint("snap"),
            state=state,
            phase=phase,
            phase_since=NOW,
            size_gib=8,
            progress=progress,
            started_at=NOW,
            volume_id=ids.mint("vol"),
            host_key=on,
            file_name=f"snapshots/{progress}.vhdx",
            **owned,
        )
        session.add(row)
        session.flush()
        made.append(row)
    session.add(models.SnapshotCopy(snapshot_key=made[1].key, host_key=on, ready=True))
    session.add(models.Work(kind="snapshot", key=made[0].key, trouble="copy: DiskFull"))
    image = models.Image(
        id=ids.mint("ami"),
        name="half",
        file_name="",
        state="pending",
        generation=2,
        size_gib=8,
        snapshot_id=made[0].id,
        snapshot_key=made[0].key,
        created_at=dt.datetime.now(dt.UTC),
        **owned,
    )
    session.add(image)
    session.flush()
    session.add(
        models.ImageDisk(
            image_key=image.key,
            device="/dev/sdf",
            snapshot_key=made[1].key,
            size_gib=8,
            volume_type="gp3",
            delete_on_termination=True,
        )
    )


def line(text: str, word: str) -> str:
    [found] = [one for one in text.splitlines() if word in one]
    return found


def test_what_is_on_its_way_has_a_bar_and_its_trouble(data: Path, run: Run) -> None:
    write(data, half_made)
    image = line(run("image", "list"), "half")
    assert BAR in image
    assert "copy: DiskFull" in image
    snapshots = run("snapshot", "list")
    copying = line(snapshots, "copying")
    assert BAR in copying
    assert "copy: DiskFull" in copying
    whole = line(snapshots, "completed")
    assert BAR not in whole
    assert "hv-1" in whole


def test_a_list_that_is_followed_ends_when_nothing_is_on_its_way(data: Path, run: Run) -> None:
    write(data, lambda session: host(session, "hv-1"))
    assert "id" in run("image", "list", "--follow")
    assert "phase" in run("snapshot", "list", "--follow")
