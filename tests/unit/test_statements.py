"""Statements run on the driver: they answer what SQLAlchemy would, in the same snapshot."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.statements import Statement
from state.store import Store
from tests import rows

HOSTS = (
    sa.select(
        models.Host.name,
        models.Host.created_at,
        models.Host.surveyed_at,
        models.Host.reachable,
        models.Host.options,
    )
    .where(
        models.Host.created_at <= sa.bindparam("now"),
        models.Host.state.in_(["active", "draining"]),
        models.Host.created_at > rows.NOW - dt.timedelta(days=1),
    )
    .order_by(models.Host.key)
)


def host(session: Session, name: str, **columns: Any) -> None:
    key = rows.host(session, name)
    made = session.get_one(models.Host, key)
    for column, value in columns.items():
        setattr(made, column, value)


def test_types_of_parameters_and_columns_are_kept(store: Store) -> None:
    def work(session: Session) -> None:
        host(session, "one", options={"ca_file": "a"}, surveyed_at=None)
        host(session, "two", reachable=False, state="draining")
        host(session, "three", state="removed")
        host(session, "four", created_at=rows.NOW + dt.timedelta(seconds=1))

    store.write(work)
    asked = {"now": rows.NOW}
    with store.read() as session:
        found = Statement(HOSTS).rows(session, asked)
        assert found == [tuple(row) for row in session.execute(HOSTS, asked)]
    assert [row[0] for row in found] == ["one", "two"]
    assert found[0][1:] == (rows.NOW, None, True, {"ca_file": "a"})


def test_a_statement_sees_what_its_session_holds_back(store: Store) -> None:
    statement = Statement(sa.select(models.Account.name))

    def work(session: Session) -> list[Any]:
        session.add(models.Account(id="1" * 12, name="new", created_at=rows.NOW))
        return statement.rows(session, {})

    assert store.write(work) == [("new",)]


def test_a_statement_stays_in_the_snapshot(store: Store) -> None:
    statement = Statement(sa.select(sa.func.count()).select_from(models.Account))
    account = models.Account(id="1" * 12, name="new", created_at=rows.NOW)
    with store.read() as session:
        assert statement.rows(session, {}) == [(0,)]
        store.write(lambda writing: writing.add(account))
        assert statement.rows(session, {}) == [(0,)]
    with store.read() as session:
        assert statement.rows(session, {}) == [(1,)]


def test_a_parameter_that_is_not_given_is_an_error(store: Store) -> None:
    with store.read() as session, pytest.raises(KeyError, match="now"):
        Statement(HOSTS).rows(session, {})
