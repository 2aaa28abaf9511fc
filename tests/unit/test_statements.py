"""Statements run on the driver: they answer what SQLAlchemy would, in the same snapshot."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.statements import Insertion, Statement, listed
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
        found = Statement(HOSTS).run(session, asked)
        assert found == [tuple(row) for row in session.execute(HOSTS, asked)]
    assert [row[0] for row in found] == ["one", "two"]
    assert found[0][1:] == (rows.NOW, None, True, {"ca_file": "a"})


def test_a_statement_sees_what_its_session_holds_back(store: Store) -> None:
    statement = Statement(sa.select(models.Account.name))

    def work(session: Session) -> list[Any]:
        session.add(models.Account(id="1" * 12, name="new", created_at=rows.NOW))
        return statement.run(session, {})

    assert store.write(work) == [("new",)]


def test_a_statement_stays_in_the_snapshot(store: Store) -> None:
    statement = Statement(sa.select(sa.func.count()).select_from(models.Account))
    account = models.Account(id="1" * 12, name="new", created_at=rows.NOW)
    with store.read() as session:
        assert statement.run(session, {}) == [(0,)]
        store.write(lambda writing: writing.add(account))
        assert statement.run(session, {}) == [(0,)]
    with store.read() as session:
        assert statement.run(session, {}) == [(1,)]


def test_a_parameter_that_is_not_given_is_an_error(store: Store) -> None:
    with store.read() as session, pytest.raises(KeyError, match="now"):
        Statement(HOSTS).run(session, {})


def test_any_number_of_values_is_one_parameter(store: Store) -> None:
    def work(session: Session) -> None:
        for number in range(3):
            rows.host(session, f"host-{number}")

    store.write(work)
    name = models.Host.name
    statement = Statement(
        sa.select(name, models.Host.key).where(name.in_(listed("names", sa.String)))
    )
    with store.read() as session:
        assert statement.run(session, {"names": []}) == []
        found = statement.named(session, {"names": ["host-2", "host-0", "'; --"]})
    assert sorted((row.name, row.key) for row in found) == [("host-0", 1), ("host-2", 3)]


def test_an_insertion_writes_what_sqlalchemy_would(store: Store) -> None:
    insertion = Insertion(models.Host)
    row = {
        "name": "one",
        "url": "http://127.0.0.1:5985/wsman",
        "region": "us-east-1",
        "zone_letter": "a",
        "transport": "ntlm",
        "root": "C:\\ec2gw",
        "options": {"ca_file": "a"},
        "created_at": rows.NOW,
    }
    keys = store.write(lambda session: insertion.run(session, [row, {**row, "name": "two"}]))
    store.write(lambda session: session.execute(sa.insert(models.Host), [{**row, "name": "three"}]))
    table = models.Host.__table__
    with store.read() as session:
        found = [dict(one) for one in session.execute(sa.select(table)).mappings()]
    assert [one.pop("key") for one in found] == [*keys, 3]
    assert [one.pop("name") for one in found] == ["one", "two", "three"]
    assert found[0] == found[1] == found[2]


def test_a_column_that_is_not_there_is_an_error(store: Store) -> None:
    insertion = Insertion(models.InterfaceGroup)
    with pytest.raises(TypeError, match="colour"):
        store.write(lambda session: insertion.run(session, [{"colour": "red"}]))


def test_errors_of_the_driver_come_as_those_of_sqlalchemy(store: Store) -> None:
    insertion = Insertion(models.Account)
    account = {"id": "1" * 12, "name": "one", "created_at": rows.NOW}
    with pytest.raises(sa.exc.IntegrityError, match="UNIQUE") as caught:
        store.write(lambda session: insertion.run(session, [account, account]))
    assert "111111111111" not in str(caught.value)
    with store.read() as session, pytest.raises(sa.exc.OperationalError, match="readonly"):
        insertion.run(session, [account])


def test_a_change_by_statement_is_undone_with_its_transaction(store: Store) -> None:
    key = store.write(lambda session: rows.host(session, "one"))
    rename = Statement(
        sa.update(models.Host)
        .where(models.Host.key == sa.bindparam("host"))
        .values(name=sa.bindparam("fresh"))
    )

    def work(session: Session) -> None:
        rename.run(session, {"host": key, "fresh": "two"})
        raise LookupError

    with pytest.raises(LookupError):
        store.write(work)
    with store.read() as session:
        assert session.get_one(models.Host, key).name == "one"
