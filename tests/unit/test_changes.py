"""What tells that a database was changed."""

from __future__ import annotations

import contextlib

import sqlalchemy as sa

from state import models
from state.changes import Changes
from state.store import Store
from tests import rows


def test_every_commit_makes_another_number_and_nothing_else_does(store: Store) -> None:
    with contextlib.closing(Changes(store.path)) as changes:
        seen = [changes.number()]
        store.write(rows.ground)
        seen.append(changes.number())
        store.write(lambda session: session.execute(sa.update(models.Host).values(epoch=7)))
        seen.append(changes.number())

        assert len(set(seen)) == 3
        with store.read() as session:
            session.scalars(sa.select(models.Host)).all()
        assert changes.number() == changes.number() == seen[-1]


def test_it_sees_what_another_process_would_commit(store: Store) -> None:
    other = Store(store.path)
    try:
        with contextlib.closing(Changes(store.path)) as changes:
            before = changes.number()
            other.write(rows.ground)
            assert changes.number() != before
    finally:
        other.close()
