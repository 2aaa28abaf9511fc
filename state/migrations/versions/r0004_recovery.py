"""A state that is older than its hosts is noticed, and what it waits for then can be told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go one revision up; there is no way down, only the copy made before."""
    for table, name, kind, default in (
        ("deployment", "beat", sa.BigInteger(), "0"),
        ("deployment", "confirmed", sa.Boolean(), "1"),
        ("deployment", "wishes", sa.JSON(), "{}"),
        ("host", "recovering", sa.Boolean(), "0"),
        ("host", "strays", sa.JSON(), "[]"),
    ):
        op.add_column(table, sa.Column(name, kind, server_default=default, nullable=False))
