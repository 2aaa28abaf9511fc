"""Runs the revisions on the file that `state.schema` names, all in one transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context
from sqlalchemy import event

from state import models

engine = sa.create_engine(f"sqlite:///{context.config.attributes['path']}")


@event.listens_for(engine, "connect")
def _configure(raw: object, _record: object) -> None:
    raw.isolation_level = None  # type: ignore[attr-defined]  # the driver's type is not known here


@event.listens_for(engine, "begin")
def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


with engine.connect() as connection:
    context.configure(
        connection=connection, target_metadata=models.Base.metadata, render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
