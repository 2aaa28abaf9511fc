"""A disk that is full in the midst of a commit: what was answered is kept, what is lost is told."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.store import Store

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def account(number: int, name: str = "") -> Callable[[Session], int]:
    def work(session: Session) -> int:
        made = models.Account(id=f"{number:012d}", name=name or f"n{number}", created_at=NOW)
        session.add(made)
        session.flush()
        return made.key

    return work


def leave_room(session: Session, pages: int) -> None:
    """Let the database grow by so many pages and no more."""
    connection = session.connection()
    has = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
    connection.exec_driver_sql(f"PRAGMA max_page_count={has + pages}")


def known(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.scalars(sa.select(models.Account.id)))


def together(store: Store, *works: Callable[[Session], Any]) -> list[Future[Any]]:
    """Have the changes share one commit."""
    held, go = threading.Event(), threading.Event()

    def hold(session: Session) -> None:
        held.set()
        assert go.wait(10)

    with ThreadPoolExecutor(len(works) + 1) as pool:
        holding = pool.submit(store.write, hold)
        assert held.wait(10)
        futures: list[Future[Any]] = []
        for work in works:
            before = store._jobs.qsize()
            futures.append(pool.submit(store.write, work))
            while store._jobs.qsize() == before:
                time.sleep(0.001)
        go.set()
        holding.result(10)
    return futures


def test_nothing_that_was_answered_is_lost_when_the_disk_is_full(store: Store) -> None:
    store.write(lambda session: leave_room(session, 0))
    too_much = account(2, "x" * 500_000)
    futures = together(store, account(1), too_much, account(3))
    failed = [future.exception() is not None for future in futures]
    kept = {f"{number:012d}" for number, no in zip((1, 2, 3), failed, strict=True) if not no}
    assert failed[1]
    assert known(store) == kept
    store.write(lambda session: leave_room(session, 1000))
    store.write(too_much)
    assert known(store) == {*kept, f"{2:012d}"}
