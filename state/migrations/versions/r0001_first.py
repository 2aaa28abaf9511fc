"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from state.migrations import touching

revision = "0001"
down_revision = None

_RESOURCES = {  # EC2's resource type, as in a tag -> table
    "instance": "instance",
    "volume": "volume",
    "network-interface": "network_interface",
    "vpc": "vpc",
    "subnet": "subnet",
    "security-group": "security_group",
    "security-group-rule": "security_group_rule",
    "route-table": "route_table",
    "internet-gateway": "internet_gateway",
    "network-acl": "network_acl",
    "dhcp-options": "dhcp_options",
    "image": "image",
    "key-pair": "key_pair",
}
_PARTS = (  # part's table, its column, whole's table
    ("volume", "instance_key", "instance"),
    ("network_interface", "instance_key", "instance"),
    ("security_group_rule", "group_key", "security_group"),
    ("route", "route_table_key", "route_table"),
    ("interface_group", "interface_key", "network_interface"),
)


def upgrade() -> None:
    """Go one revision up; there is no way down, only the copy made before."""
    op.create_table(
        "account",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("owner_alias", sa.String(), nullable=True),
        sa.Column("made_by_request", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "deployment",
        sa.Column("key", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("recovering", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "host",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("zone_letter", sa.String(length=1), nullable=False),
        sa.Column("transport", sa.String(length=16), nullable=False),
        sa.Column("username", sa.String(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("laboratory", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("surveyed_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("boot_time", sa.BigInteger(), nullable=True),
        sa.Column("processors", sa.Integer(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("free_disk_bytes", sa.BigInteger(), nullable=True),
        sa.Column("foreign_vms", sa.Integer(), nullable=False),
        sa.Column("foreign_memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("switches", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "network",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("zone_letter", sa.String(length=1), nullable=False),
        sa.Column("switch", sa.String(), nullable=False),
        sa.Column("vlan", sa.Integer(), nullable=True),
        sa.Column("cidr", sa.String(), nullable=False),
        sa.Column("router", sa.String(), nullable=True),
        sa.Column("dns", sa.JSON(), nullable=False),
        sa.Column("reserved", sa.JSON(), nullable=False),
        sa.Column("next_offset", sa.Integer(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access_key",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "account_region",
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("account_key", "region"),
    )
    op.create_table(
        "client_token",
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("account_key", "region", "action", "token"),
    )
    with op.batch_alter_table("client_token", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_client_token_created_at"), ["created_at"], unique=False
        )

    op.create_table(
        "dhcp_options",
        sa.Column("configurations", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "image",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("architecture", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("secure_boot_template", sa.String(), nullable=True),
        sa.Column("root_device_name", sa.String(), nullable=False),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        sa.Column("snapshot_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "key_pair",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("account_key", "region", "name"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "reservation",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tag",
        sa.Column("resource_type", sa.String(length=32), nullable=False),
        sa.Column(
            "resource_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.Column("resource_id", sa.String(length=32), nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.PrimaryKeyConstraint("resource_type", "resource_key", "key"),
    )
    with op.batch_alter_table("tag", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tag_owner", ["account_key", "region", "resource_id"], unique=False
        )
        batch_op.create_index(
            "ix_tag_value",
            ["resource_type", "account_key", "key", "value", "resource_key"],
            unique=False,
        )

    op.create_table(
        "vpc",
        sa.Column("cidr", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("tenancy", sa.String(), nullable=False),
        sa.Column("dns_hostnames", sa.Boolean(), nullable=False),
        sa.Column("dns_support", sa.Boolean(), nullable=False),
        sa.Column("network_address_usage_metrics", sa.Boolean(), nullable=False),
        sa.Column(
            "dhcp_options_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("association_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["dhcp_options_key"],
            ["dhcp_options.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "internet_gateway",
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "network_acl",
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "route_table",
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("main", sa.Boolean(), nullable=False),
        sa.Column("main_association_id", sa.String(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "security_group",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("vpc_key", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "subnet",
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "network_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("cidr", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("default_for_az", sa.Boolean(), nullable=False),
        sa.Column("map_public_ip_on_launch", sa.Boolean(), nullable=False),
        sa.Column("network_acl_association_id", sa.String(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["network_key"],
            ["network.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("subnet", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_subnet_vpc_key"), ["vpc_key"], unique=False)

    op.create_table(
        "instance",
        sa.Column(
            "reservation_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("launch_index", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.String(), nullable=False),
        sa.Column(
            "image_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("processors", sa.Integer(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("key_name", sa.String(), nullable=True),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("host_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subnet_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("phase_since", sa.BigInteger(), nullable=False),
        sa.Column("launch_time", sa.BigInteger(), nullable=False),
        sa.Column("terminated_at", sa.BigInteger(), nullable=True),
        sa.Column("state_reason_code", sa.String(), nullable=True),
        sa.Column("state_reason_message", sa.String(), nullable=True),
        sa.Column("transition_reason", sa.String(), nullable=False),
        sa.Column("user_data", sa.LargeBinary(), nullable=True),
        sa.Column("shutdown_behavior", sa.String(), nullable=False),
        sa.Column("disable_api_termination", sa.Boolean(), nullable=False),
        sa.Column("disable_api_stop", sa.Boolean(), nullable=False),
        sa.Column("ebs_optimized", sa.Boolean(), nullable=False),
        sa.Column("monitoring", sa.Boolean(), nullable=False),
        sa.Column("source_dest_check", sa.Boolean(), nullable=False),
        sa.Column("metadata_options", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("client_token", sa.String(), nullable=False),
        sa.Column("platform", sa.String(), nullable=True),
        sa.Column("vm_generation", sa.Integer(), nullable=False),
        sa.Column("vm_id", sa.String(), nullable=True),
        sa.Column("root_device_name", sa.String(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["host_key"],
            ["host.key"],
        ),
        sa.ForeignKeyConstraint(
            ["image_key"],
            ["image.key"],
        ),
        sa.ForeignKeyConstraint(
            ["reservation_key"],
            ["reservation.key"],
        ),
        sa.ForeignKeyConstraint(
            ["subnet_key"],
            ["subnet.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("instance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instance_host_key"), ["host_key"], unique=False)
        batch_op.create_index(
            "ix_instance_host_phase",
            ["host_key", "phase", "processors", "memory_bytes"],
            unique=False,
        )
        batch_op.create_index("ix_instance_owner", ["account_key", "region", "key"], unique=False)
        batch_op.create_index(
            "ix_instance_owner_phase", ["account_key", "region", "phase"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_instance_phase"), ["phase"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_instance_reservation_key"), ["reservation_key"], unique=False
        )

    op.create_table(
        "route",
        sa.Column(
            "route_table_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("destination_cidr", sa.String(), nullable=False),
        sa.Column("gateway_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["route_table_key"],
            ["route_table.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("route", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_route_route_table_key"), ["route_table_key"], unique=False
        )

    op.create_table(
        "security_group_rule",
        sa.Column(
            "group_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("is_egress", sa.Boolean(), nullable=False),
        sa.Column("protocol", sa.String(), nullable=False),
        sa.Column("from_port", sa.Integer(), nullable=True),
        sa.Column("to_port", sa.Integer(), nullable=True),
        sa.Column("cidr_ipv4", sa.String(), nullable=True),
        sa.Column("cidr_ipv6", sa.String(), nullable=True),
        sa.Column(
            "referenced_group_key",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["group_key"],
            ["security_group.key"],
        ),
        sa.ForeignKeyConstraint(
            ["referenced_group_key"],
            ["security_group.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("security_group_rule", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_security_group_rule_group_key"), ["group_key"], unique=False
        )

    op.create_table(
        "look",
        sa.Column(
            "instance_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("vm_state", sa.String(), nullable=True),
        sa.Column("heartbeat", sa.String(), nullable=True),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("host_boot_time", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_key"],
            ["instance.key"],
        ),
        sa.PrimaryKeyConstraint("instance_key"),
    )
    op.create_table(
        "network_interface",
        sa.Column("vpc_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "subnet_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "network_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("mac", sa.String(), nullable=False),
        sa.Column("private_ip", sa.String(), nullable=False),
        sa.Column("source_dest_check", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column(
            "instance_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("device_index", sa.Integer(), nullable=False),
        sa.Column("attachment_id", sa.String(), nullable=True),
        sa.Column("attachment_status", sa.String(), nullable=True),
        sa.Column("attach_time", sa.BigInteger(), nullable=True),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False),
        sa.Column("requester_managed", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["instance_key"],
            ["instance.key"],
        ),
        sa.ForeignKeyConstraint(
            ["network_key"],
            ["network.key"],
        ),
        sa.ForeignKeyConstraint(
            ["subnet_key"],
            ["subnet.key"],
        ),
        sa.ForeignKeyConstraint(
            ["vpc_key"],
            ["vpc.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sa.UniqueConstraint("mac"),
        sa.UniqueConstraint("network_key", "private_ip"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("network_interface", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_network_interface_instance_key"), ["instance_key"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_network_interface_subnet_key"), ["subnet_key"], unique=False
        )
        batch_op.create_index(
            "ix_network_interface_owner", ["account_key", "region", "key"], unique=False
        )

    op.create_table(
        "volume",
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("host_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("size_gib", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("iops", sa.Integer(), nullable=True),
        sa.Column("throughput", sa.Integer(), nullable=True),
        sa.Column("snapshot_id", sa.String(), nullable=True),
        sa.Column("image_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column(
            "instance_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("device", sa.String(), nullable=True),
        sa.Column("attachment_state", sa.String(), nullable=True),
        sa.Column("attach_time", sa.BigInteger(), nullable=True),
        sa.Column("delete_on_termination", sa.Boolean(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column(
            "account_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_key"],
            ["account.key"],
        ),
        sa.ForeignKeyConstraint(
            ["host_key"],
            ["host.key"],
        ),
        sa.ForeignKeyConstraint(
            ["image_key"],
            ["image.key"],
        ),
        sa.ForeignKeyConstraint(
            ["instance_key"],
            ["instance.key"],
        ),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("volume", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_volume_instance_key"), ["instance_key"], unique=False)
        batch_op.create_index("ix_volume_owner", ["account_key", "region", "key"], unique=False)

    op.create_table(
        "work",
        sa.Column(
            "instance_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("token", sa.String(length=32), nullable=True),
        sa.Column("purpose", sa.String(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["instance_key"],
            ["instance.key"],
        ),
        sa.PrimaryKeyConstraint("instance_key"),
    )
    op.create_table(
        "interface_group",
        sa.Column(
            "interface_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "group_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["group_key"],
            ["security_group.key"],
        ),
        sa.ForeignKeyConstraint(["interface_key"], ["network_interface.key"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("interface_key", "group_key"),
    )
    with op.batch_alter_table("interface_group", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_interface_group_group_key"), ["group_key"], unique=False
        )

    for table in _RESOURCES.values():
        op.execute(touching.by_itself(table))
    for word, table in _RESOURCES.items():
        for statement in touching.by_tags(word, table):
            op.execute(statement)
    for part, column, whole in _PARTS:
        for statement in touching.by_part(part, column, whole):
            op.execute(statement)
    # An interface's groups show on its instance too.
    for event, row in (("INSERT", "NEW"), ("DELETE", "OLD")):
        op.execute(
            f"CREATE TRIGGER interface_group_{event.lower()}_touches_instance "
            f"AFTER {event} ON interface_group BEGIN "
            "UPDATE instance SET version = version + 1 WHERE key = (SELECT instance_key "
            f"FROM network_interface WHERE key = {row}.interface_key); END"
        )
