"""The store: snapshots, the one writer, and what an exception undoes."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.store import Closed, Store

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)


def add_account(session: Session, number: int) -> int:
    account = models.Account(id=f"{number:012d}", name=f"name-{number}", created_at=NOW)
    session.add(account)
    session.flush()
    return account.key


def count(store: Store) -> int:
    with store.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(models.Account)) or 0


def test_a_change_is_durable_when_it_returns(store: Store) -> None:
    key = store.write(lambda session: add_account(session, 1))
    other = sqlite3.connect(store.path)
    assert other.execute("SELECT key FROM account").fetchall() == [(key,)]
    other.close()


def test_what_is_deleted_is_gone_from_the_file_whatever_sqlite_was_built_with(store: Store) -> None:
    secret = "told-to-one-instance-alone"

    def add(session: Session) -> None:
        session.add(models.Account(id=f"{1:012d}", name=secret, created_at=NOW))

    def remove(session: Session) -> None:
        session.execute(sa.delete(models.Account).where(models.Account.name == secret))

    def in_the_file() -> bool:
        with contextlib.closing(sqlite3.connect(store.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return secret.encode() in store.path.read_bytes()

    store.write(add)
    assert in_the_file()
    store.write(remove)
    assert not in_the_file()


def test_an_exception_undoes_its_own_change_and_no_other(store: Store) -> None:
    started = threading.Barrier(9)

    def change(number: int) -> str:
        def work(session: Session) -> int:
            key = add_account(session, number)
            if number % 2:
                raise LookupError("odd")
            return key

        started.wait(5)
        try:
            store.write(work)
        except LookupError:
            return "undone"
        return "kept"

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(change, number) for number in range(8)]
        started.wait(5)
        outcomes = [future.result(10) for future in futures]
    assert outcomes == ["kept", "undone"] * 4
    assert count(store) == 4


def test_a_change_that_overlooks_a_full_disk_is_not_answered(store: Store) -> None:
    def work(session: Session) -> str:
        connection = session.connection()
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        row = {"id": "1" * 12, "name": "x" * 500_000, "created_at": NOW}
        with contextlib.suppress(sa.exc.OperationalError):
            connection.execute(sa.insert(models.Account), row)
        return "done"

    with pytest.raises(sa.exc.OperationalError, match="given up"):
        store.write(work)
    assert count(store) == 0


def test_what_the_database_refuses_a_change_is_told_as_it_is(store: Store) -> None:
    store.write(lambda session: add_account(session, 1))
    with pytest.raises(sa.exc.IntegrityError):
        store.write(lambda session: add_account(session, 1))
    store.write(lambda session: add_account(session, 2))
    assert count(store) == 2


def test_a_snapshot_does_not_see_what_is_written_meanwhile(store: Store) -> None:
    with store.read() as session:
        query = sa.select(sa.func.count()).select_from(models.Account)
        assert session.scalar(query) == 0
        store.write(lambda writing: add_account(writing, 1))
        assert session.scalar(query) == 0
    assert count(store) == 1


def test_writing_on_a_snapshot_fails(store: Store) -> None:
    with (
        store.read() as session,
        pytest.raises(sa.exc.OperationalError, match="readonly database"),
    ):
        add_account(session, 1)


def test_two_stores_on_one_file_lose_nothing(store: Store) -> None:
    other = Store(store.path)
    with ThreadPoolExecutor(8) as pool:
        writers = [store, other] * 20

        def write(number: int) -> int:
            return writers[number].write(lambda session: add_account(session, number))

        keys = list(pool.map(write, range(40)))
    other.close()
    assert len(set(keys)) == 40
    assert count(store) == 40


def test_a_closed_store_refuses_changes(tmp_path: Path, store: Store) -> None:
    other = Store(store.path)
    other.close()
    with pytest.raises(Closed):
        other.write(lambda session: add_account(session, 1))


def test_times_come_back_to_the_microsecond(store: Store) -> None:
    key = store.write(lambda session: add_account(session, 1))
    with store.read() as session:
        assert session.get_one(models.Account, key).created_at == NOW
