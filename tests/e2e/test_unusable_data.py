"""A disk that is full, locked or read-only: said in a line at the start, by a 503 later on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.gateway import Gateway, clean_environment, is_alive, wait_until

UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


@contextmanager
def _no_room(*pids: int) -> Iterator[None]:
    """Let the processes' every write to a file fail, as on a full disk."""
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in filter(is_alive, pids):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("full") / "data", environ=quick) as running:
        yield running


def test_on_a_full_disk_changes_are_refused_and_reads_go_on(own: Gateway) -> None:
    ec2 = own.client()
    ec2.create_key_pair(KeyName="before", KeyType="ed25519")
    with _no_room(own.pids["api"]):
        for _ in range(3):
            with pytest.raises(ClientError) as caught:
                ec2.create_key_pair(KeyName="meanwhile", KeyType="ed25519")
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            assert caught.value.response["Error"]["Code"] == "Unavailable"
            names = [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]]
            assert names == ["before"]
    ec2.create_key_pair(KeyName="after", KeyType="ed25519")
    names = [one["KeyName"] for one in ec2.describe_key_pairs()["KeyPairs"]]
    assert names == ["before", "after"]


def test_what_dies_on_a_full_disk_comes_back_when_there_is_room(own: Gateway) -> None:
    before = own.pids["engine"]
    with _no_room(own.process.pid):
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: not is_alive(before), 5)
        with pytest.raises(AssertionError):  # what is started now has no room either
            wait_until(lambda: own.process.poll() is not None, 2)
    ready = own.data / "run" / "engine.ready"
    wait_until(lambda: own.pids["engine"] not in (before, None), 25)
    wait_until(lambda: ready.exists() and ready.read_text().strip() == str(own.pids["engine"]), 25)


def _run(data: Path, *command: str, before: Callable[[], None] | None = None) -> tuple[int, str]:
    """Run it without root's right to pass over rights; answer its status and last line."""
    program = [sys.executable, "-m", "ec2gw", *command, "--data", str(data)]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root may write everywhere, and there is no setpriv")
        program = [setpriv, "--bounding-set=-dac_override,-dac_read_search", *program]
    done = subprocess.run(
        program,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(),
        preexec_fn=before,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, (done.stderr.splitlines() or [""])[-1]


def _no_rights(data: Path) -> None:
    data.mkdir(mode=0o500)


def _a_file(data: Path) -> None:
    data.touch()


def _read_only(data: Path) -> None:
    data.mkdir()
    (data / "state.sqlite3").touch(mode=0o400)


def _damaged(data: Path) -> None:
    data.mkdir()
    (data / "state.sqlite3").write_bytes(b"\x00\xff" * 4096)


FOLDERS: dict[Callable[[Path], None], str] = {
    _no_rights: "{data}/run: Permission denied",
    _a_file: "{data}: File exists",
    _read_only: "its database is read-only",
    _damaged: "its database is none: put a backup in its place",
}


@pytest.mark.parametrize("make", FOLDERS, ids=lambda make: make.__name__)
def test_a_data_folder_that_cannot_be_used_is_said_in_a_line(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    command = ["account", "list"] if make is _damaged else ["serve", "--listen", "127.0.0.1:0"]
    data = tmp_path / "data"
    make(data)
    said = FOLDERS[make].format(data=data)
    line = f"ec2gw: the data folder {data} cannot be used: {said}"
    assert _run(data, *command) == (1, line)


def test_a_first_start_without_room_is_said_and_the_next_one_goes_well(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, resource.RLIM_INFINITY))

    status, line = _run(data, "account", "list", before=little_room)
    assert status == 1
    assert line.endswith("look at the disk, and whether it is full")
    assert _run(data, "account", "create", "someone")[0] == 0


def test_a_database_that_another_program_holds_is_said_in_a_line(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    holding = sqlite3.connect(data / "state.sqlite3", isolation_level=None)
    holding.execute("BEGIN EXCLUSIVE")
    try:
        status, line = _run(data, "serve", "--listen", "127.0.0.1:0")
    finally:
        holding.close()
    said = "its database is locked by another program"
    assert (status, line) == (1, f"ec2gw: the data folder {data} cannot be used: {said}")
