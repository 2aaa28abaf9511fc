"""Guests: seeds, passwords, consoles, planned maintenance, and disks that come from outside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.migrations import touching

revision = "0005"
down_revision = "0004"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go one revision up; there is no way down, only the copy made before."""
    op.add_column("image", sa.Column("boot_mode", sa.String(), nullable=True))
    # What every image showed until now: whoever wrote that down would else see it go.
    op.execute(
        "UPDATE image SET boot_mode = CASE generation WHEN 1 THEN 'legacy-bios' ELSE 'uefi' END"
    )
    op.add_column("image", sa.Column("guest", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("snapshot", sa.Column("vm_generation", sa.Integer(), nullable=True))
    op.add_column("instance", sa.Column("password_data", sa.String(), nullable=True))
    op.add_column("look", sa.Column("answered_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE look SET answered_at = changed_at WHERE heartbeat LIKE 'Ok%'")
    op.create_table(
        "seed",
        sa.Column("instance_key", _KEY, nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("eject_at", sa.BigInteger(), nullable=True),
        sa.Column("has_password", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["instance_key"], ["instance.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("instance_key"),
    )
    op.create_index("ix_seed_phase", "seed", ["phase", "eject_at"])
    op.create_table(
        "question",
        sa.Column("instance_key", _KEY, nullable=False),
        sa.Column("host_key", _KEY, nullable=False),
        sa.Column("asks", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["instance_key"], ["instance.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["host_key"], ["host.key"]),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_question_host_phase", "question", ["host_key", "phase"])
    op.create_index("ix_question_instance_key", "question", ["instance_key"])
    op.create_table(
        "console",
        sa.Column("instance_key", _KEY, nullable=False),
        sa.Column("output", sa.LargeBinary(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["instance_key"], ["instance.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("instance_key"),
    )
    op.create_table(
        "host_event",
        sa.Column("host_key", _KEY, nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("not_after", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("cancelled", sa.Boolean(), nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["host_key"], ["host.key"]),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_host_event_host_key", "host_event", ["host_key"])
    op.create_table(
        "status_report",
        sa.Column("instance_key", _KEY, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("starts_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("reported_at", sa.BigInteger(), nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["instance_key"], ["instance.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_status_report_instance_key", "status_report", ["instance_key"])
    op.create_table(
        "import_image_task",
        sa.Column("image_key", _KEY, nullable=True),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("beat_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("account_key", _KEY, nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["image_key"], ["image.key"]),
        sa.ForeignKeyConstraint(["account_key"], ["account.key"]),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_image_task_image_key", "import_image_task", ["image_key"])
    op.create_index("ix_import_image_task_phase", "import_image_task", ["phase"])
    op.create_table(
        "import_snapshot_task",
        sa.Column("snapshot_id", sa.String(length=32), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("worker", sa.String(length=64), nullable=True),
        sa.Column("beat_at", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("account_key", _KEY, nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["account_key"], ["account.key"]),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_snapshot_task_phase", "import_snapshot_task", ["phase"])
    op.create_index("ix_import_snapshot_task_snapshot_id", "import_snapshot_task", ["snapshot_id"])
    for word, table in (
        ("import-image-task", "import_image_task"),
        ("import-snapshot-task", "import_snapshot_task"),
    ):
        op.execute(touching.by_itself(table))
        for statement in touching.by_tags(word, table):
            op.execute(statement)
