"""Copies of the state: whole, marked, never over something else; and put back so that it starts."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ec2gw import cli
from ec2gw.cli.opening import Failed
from ec2gw.engine.lock import FileLock
from state import copies, schema
from state.store import Store
from tests.unit.test_schema import at, insert
from tests.unit.test_store import add_account, count

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path) -> Run:
    """Run a command on the data folder, which has an account from the first one on."""

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.commands, arguments, env={"EC2GW_DATA": str(data)})

    assert invoke("account", "create", "team-a").exit_code == 0
    return invoke


def failed(result: Result) -> str:
    assert isinstance(result.exception, Failed), (result.output, result.exception)
    return str(result.exception)


def value(path: Path, query: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()[0]


def names(run: Run) -> str:
    return run("account", "list").output


# -- the copy


def test_a_copy_is_whole_while_the_state_is_written(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite3"
    schema.prepare(path, tmp_path)
    store, stop = Store(path), threading.Event()
    numbers = iter(range(10**6))
    store.write(lambda session: add_account(session, next(numbers)))

    def write() -> None:
        while not stop.is_set():
            store.write(lambda session: add_account(session, next(numbers)))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        found = [copies.take(path, tmp_path / f"copy-{number}") for number in range(5)]
    finally:
        stop.set()
        writer.join(10)
    written = count(store)
    store.close()
    counts = [one.counts["accounts"] for one in found]
    assert 0 < counts[0] <= counts[-1] <= written
    for number, one in enumerate(found):
        assert copies.contents(tmp_path / f"copy-{number}").counts == one.counts


def test_a_copy_is_one_file_for_its_owner_alone(run: Run, data: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "copy"
    target.parent.mkdir()
    made = run("backup", str(target))
    assert made.exit_code == 0, made.output
    assert target.stat().st_mode & 0o777 == 0o600
    assert list(target.parent.iterdir()) == [target]
    assert "2 accounts" in made.output or "3 accounts" in made.output
    assert f"schema {schema.HEAD}" in made.output
    assert "without" in made.output  # the key is not in it


def test_a_copy_knows_that_its_hosts_went_on(run: Run, data: Path, tmp_path: Path) -> None:
    run("backup", str(tmp_path / "copy"))
    assert value(tmp_path / "copy", "SELECT recovering FROM deployment") == 1
    assert value(data / "state.sqlite3", "SELECT recovering FROM deployment") == 0


def test_nothing_is_written_over(run: Run, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    target.write_text("mine")
    assert failed(run("backup", str(target))) == f"{target} is there already; name a new file"
    assert target.read_text() == "mine"
    key = tmp_path / "key-copy"
    key.write_text("mine")
    told = failed(run("backup", str(tmp_path / "other"), "--key-to", str(key)))
    assert told == f"{key} is there already; name a new file"
    assert key.read_text() == "mine"


def test_a_copy_that_cannot_be_written_leaves_nothing(run: Run, tmp_path: Path) -> None:
    told = failed(run("backup", str(tmp_path / "nowhere" / "copy")))
    assert "nowhere" in told
    assert "No such file" in told


def test_without_a_state_there_is_nothing_to_copy(tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    made = CliRunner().invoke(
        cli.commands, ("backup", str(tmp_path / "copy"), "--data", str(nowhere))
    )
    assert failed(made) == f"there is no file {nowhere / 'state.sqlite3'}"
    assert not nowhere.exists()


def test_a_copy_before_a_migration_never_replaces_an_older_one(tmp_path: Path) -> None:
    first = copies.stamped(tmp_path, "before-2-from-1", ".sqlite3")
    first.touch()
    assert copies.stamped(tmp_path, "before-2-from-1", ".sqlite3") != first


# -- putting it back


@pytest.fixture
def copied(run: Run, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of state and key; since then there is another account."""
    pair = (tmp_path / "copy", tmp_path / "key-copy")
    assert run("backup", str(pair[0]), "--key-to", str(pair[1])).exit_code == 0
    assert run("account", "create", "team-b").exit_code == 0
    return pair


def test_a_state_is_put_back_and_what_was_there_is_kept(
    run: Run, data: Path, copied: tuple[Path, Path]
) -> None:
    assert "team-b" in names(run)
    done = run("restore", str(copied[0]))
    assert done.exit_code == 0, done.output
    assert value(data / "state.sqlite3", "SELECT recovering FROM deployment") == 1
    assert "team-a" in names(run)
    assert "team-b" not in names(run)
    (kept,) = (data / "backup").glob("replaced-*.sqlite3")
    assert str(kept) in done.output
    assert value(kept, "SELECT count(*) FROM account WHERE name = 'team-b'") == 1
    assert (data / "state.sqlite3").stat().st_mode & 0o777 == 0o600


def test_a_fresh_data_folder_gets_state_and_key(
    run: Run, data: Path, copied: tuple[Path, Path]
) -> None:
    data.rename(data.with_name("lost"))
    assert failed(run("restore", str(copied[0]))) == (
        f"there is no key {data / 'key'}: name its copy with --key"
    )
    done = run("restore", str(copied[0]), "--key", str(copied[1]))
    assert done.exit_code == 0, done.output
    assert (data / "key").stat().st_mode & 0o777 == 0o600
    listed = run("env")
    assert "AWS_SECRET_ACCESS_KEY=" in listed.output, listed.exception


def test_a_database_without_its_key_is_not_given_a_new_one(run: Run, data: Path) -> None:
    (data / "key").unlink()
    assert "put it back from its copy" in failed(run("env"))
    assert not (data / "key").exists()


def test_another_state_s_key_is_refused_before_anything_changes(
    run: Run, data: Path, copied: tuple[Path, Path], tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(32))
    wrong.chmod(0o600)
    told = failed(run("restore", str(copied[0]), "--key", str(wrong)))
    assert told == f"{wrong} is not the key of {copied[0]}: it does not open its secrets"
    assert "team-b" in names(run)


@pytest.mark.parametrize("text", [b"", b"no database", b"SQLite format 3\x00" + bytes(4000)])
def test_what_is_no_state_is_refused(run: Run, tmp_path: Path, text: bytes) -> None:
    source = tmp_path / "something"
    source.write_bytes(text)
    assert str(source) in failed(run("restore", str(source)))
    assert "team-a" in names(run)


def test_a_copy_of_a_later_release_is_refused(run: Run, copied: tuple[Path, Path]) -> None:
    with closing(sqlite3.connect(copied[0])) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert "has schema 9999, this release knows" in failed(run("restore", str(copied[0])))
    assert "team-b" in names(run)


def test_nothing_is_put_under_a_running_service(
    run: Run, data: Path, copied: tuple[Path, Path]
) -> None:
    lock = FileLock(data / "run" / "serve.lock")
    try:
        assert failed(run("restore", str(copied[0]))) == (f"an ec2gw serves {data}: stop it first")
    finally:
        lock.release()


def test_what_the_replaced_state_had_in_its_log_does_not_get_into_the_new_one(
    run: Run, data: Path, copied: tuple[Path, Path]
) -> None:
    path = data / "state.sqlite3"
    killed = sqlite3.connect(path)
    killed.execute("PRAGMA journal_mode=WAL")
    killed.execute("UPDATE account SET name = 'changed' WHERE name = 'team-a'")
    killed.commit()
    log = Path(f"{path}-wal").read_bytes()
    killed.close()
    Path(f"{path}-wal").write_bytes(log)  # as a killed service leaves it
    assert run("restore", str(copied[0])).exit_code == 0
    assert "team-a" in names(run)
    assert "changed" not in names(run)


def test_a_copy_of_an_earlier_release_is_migrated_at_the_start(
    run: Run, data: Path, tmp_path: Path
) -> None:
    source = tmp_path / "old"
    at(source, "0001")
    with closing(sqlite3.connect(source)) as connection:
        insert(connection, "deployment", id="feedface", recovering=0, created_at=1)
        connection.commit()
    done = run("restore", str(source))
    assert done.exit_code == 0, done.output
    assert "deployment feedface, schema 0001" in done.output
    run("account", "list")
    query = "SELECT version_num || id || recovering FROM alembic_version, deployment"
    assert value(data / "state.sqlite3", query) == f"{schema.HEAD}feedface1"
