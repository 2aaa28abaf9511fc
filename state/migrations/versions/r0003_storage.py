"""Disks of their own: volumes that come and go, snapshots, images of several disks, port rules."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.migrations import touching

revision = "0003"
down_revision = "0002"

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go one revision up; there is no way down, only the copy made before."""
    op.create_table(
        "snapshot",
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("fixed_at", sa.BigInteger(), nullable=True),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("volume_id", sa.String(), nullable=False),
        sa.Column("volume_key", sa.Integer(), nullable=True),
        sa.Column("instance_key", sa.Integer(), nullable=True),
        sa.Column("host_key", _KEY, nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("everywhere", sa.Boolean(), nullable=False),
        sa.Column("point", sa.String(), nullable=True),
        sa.Column("cold", sa.Boolean(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=True),
        sa.Column("source_path", sa.String(), nullable=True),
        sa.Column("job", sa.String(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("account_key", _KEY, nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["host_key"],
            ["host.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_snapshot_phase_host", "snapshot", ["phase", "host_key"])
    op.create_index("ix_snapshot_instance_key", "snapshot", ["instance_key"])
    op.create_index("ix_snapshot_owner", "snapshot", ["account_key", "region", "key"])
    op.create_index("ix_snapshot_volume_key", "snapshot", ["volume_key"])
    op.create_table(
        "transfer",
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("source_host_key", _KEY, nullable=False),
        sa.Column("target_host_key", _KEY, nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("length_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("done_bytes", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["source_host_key"],
            ["host.key"],
        ),
        sa.ForeignKeyConstraint(
            ["target_host_key"],
            ["host.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("path", "target_host_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_transfer_phase", "transfer", ["phase"])
    op.create_table(
        "snapshot_copy",
        sa.Column("snapshot_key", _KEY, nullable=False),
        sa.Column("host_key", _KEY, nullable=False),
        sa.Column("ready", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["host_key"],
            ["host.key"],
        ),
        sa.ForeignKeyConstraint(["snapshot_key"], ["snapshot.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("snapshot_key", "host_key"),
    )
    op.create_index("ix_snapshot_copy_host_key", "snapshot_copy", ["host_key"])
    op.create_table(
        "snapshot_permission",
        sa.Column("snapshot_key", _KEY, nullable=False),
        sa.Column("account_key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(["snapshot_key"], ["snapshot.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("snapshot_key", "account_key"),
    )
    op.create_index("ix_snapshot_permission_account_key", "snapshot_permission", ["account_key"])
    op.create_table(
        "image_disk",
        sa.Column("image_key", _KEY, nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("snapshot_key", _KEY, nullable=True),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        sa.Column("volume_type", sa.String(), nullable=False),
        sa.Column("iops", sa.Integer(), nullable=True),
        sa.Column("throughput", sa.Integer(), nullable=True),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["image_key"], ["image.key"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["snapshot_key"],
            ["snapshot.key"],
        ),
        sa.PrimaryKeyConstraint("image_key", "device"),
    )
    op.create_index("ix_image_disk_snapshot_key", "image_disk", ["snapshot_key"])
    op.create_table(
        "interface_rules",
        sa.Column("interface_key", _KEY, nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("applied", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["interface_key"], ["network_interface.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("interface_key"),
    )
    op.create_index(
        "ix_interface_rules_due", "interface_rules", ["interface_key", "wanted", "applied"]
    )
    op.create_table(
        "volume_modification",
        sa.Column("volume_key", _KEY, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("message", sa.String(), nullable=True),
        sa.Column("original", sa.JSON(), nullable=False),
        sa.Column("target", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("key", _KEY, nullable=False),
        sa.ForeignKeyConstraint(["volume_key"], ["volume.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_volume_modification_state", "volume_modification", ["state"])
    op.create_index("ix_volume_modification_volume_key", "volume_modification", ["volume_key"])
    _add_columns()
    _take_over()
    op.execute(touching.by_itself("snapshot"))
    for statement in [
        *touching.by_tags("snapshot", "snapshot"),
        *touching.by_part("image_disk", "image_key", "image"),
    ]:
        op.execute(statement)


def _add_columns() -> None:
    # Added one by one, not by making the tables anew: that would lose their triggers.
    op.execute("ALTER TABLE image ADD COLUMN snapshot_key INTEGER REFERENCES snapshot (key)")
    op.create_index("ix_image_snapshot_key", "image", ["snapshot_key"])
    for name in ("source_image_id", "source_image_region", "source_instance_id", "message"):
        op.add_column("image", sa.Column(name, sa.String(), nullable=True))
    for name in ("iops", "throughput"):
        op.add_column("image", sa.Column(name, sa.Integer(), nullable=True))
    op.add_column("image", sa.Column("deprecated_at", sa.BigInteger(), nullable=True))
    op.execute("ALTER TABLE volume ADD COLUMN snapshot_key INTEGER REFERENCES snapshot (key)")
    op.create_index("ix_volume_snapshot_key", "volume", ["snapshot_key"])
    op.add_column("volume", sa.Column("location", sa.Integer(), nullable=True))
    for column, kind, default in (
        ("phase", sa.String(16), "in-use"),
        ("generation", sa.Integer(), "1"),
        ("phase_since", sa.BigInteger(), "0"),
        ("force", sa.Boolean(), "0"),
        ("written", sa.Boolean(), "1"),
        ("auto_enable_io", sa.Boolean(), "0"),
    ):
        op.add_column("volume", sa.Column(column, kind, server_default=default, nullable=False))
    op.create_index("ix_volume_host_phase", "volume", ["host_key", "phase"])


def _take_over() -> None:
    """Attempts under way, disks that outlived their instances, the disks of images."""
    op.rename_table("work", "work_of_instances")
    op.create_table(
        "work",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", _KEY, autoincrement=False, nullable=False),
        sa.Column("token", sa.String(length=32), nullable=True),
        sa.Column("purpose", sa.String(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.execute(
        "INSERT INTO work (kind, key, token, purpose, generation, begun_at, trouble) "
        "SELECT 'instance', instance_key, token, purpose, generation, begun_at, trouble "
        "FROM work_of_instances"
    )
    op.drop_table("work_of_instances")
    op.execute("UPDATE volume SET phase = 'available' WHERE instance_key IS NULL")
    op.execute(
        "INSERT INTO snapshot (id, account_key, region, state, phase, generation, phase_since, "
        "description, size_gib, progress, started_at, fixed_at, completed_at, public, volume_id, "
        "file_name, everywhere, cold) "
        "SELECT snapshot_id, account_key, region, 'completed', 'ready', 1, created_at, '', "
        "size_gib, 100, created_at, created_at, created_at, max(public), 'vol-ffffffff', "
        "'images/' || file_name, 1, 0 FROM image GROUP BY snapshot_id"
    )
    op.execute(
        "UPDATE image SET snapshot_key = "
        "(SELECT snapshot.key FROM snapshot WHERE snapshot.id = image.snapshot_id)"
    )
    op.execute(
        "UPDATE volume SET snapshot_key = "
        "(SELECT snapshot_key FROM image WHERE image.key = volume.image_key)"
    )
    op.execute(
        "INSERT INTO interface_rules (interface_key, wanted, applied, changed_at) "
        "SELECT key, 1, 0, coalesce(attach_time, 0) FROM network_interface"
    )
