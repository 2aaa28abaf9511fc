"""Images are shared and registered: who may launch them, what they pass on, who may make them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go one revision up; there is no way down, only the copy made before."""
    op.create_table(
        "image_permission",
        sa.Column("image_key", _KEY, nullable=False),
        sa.Column("account_key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["image_key"], ["image.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_key"], ["account.key"]),
        sa.PrimaryKeyConstraint("image_key", "account_key"),
    )
    op.create_index("ix_image_permission_account_key", "image_permission", ["account_key"])
    # Added one by one, not by making the tables anew: that would lose their triggers.
    for table, name, kind, default in (
        ("image", "ena_support", sa.Boolean(), "1"),
        ("image", "volume_type", sa.String(), "gp3"),
        ("image", "delete_on_termination", sa.Boolean(), "1"),
        ("account", "image_store", sa.Boolean(), "0"),
    ):
        op.add_column(table, sa.Column(name, kind, server_default=default, nullable=False))
    # The administrator's own account: whoever has its key could always read the data folder.
    op.execute("UPDATE account SET image_store = 1 WHERE name = 'default'")
