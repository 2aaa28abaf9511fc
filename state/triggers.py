"""Triggers that raise a resource's version whenever what its view is made of changes.

In the database and not in code, so that no writer can forget it. SQLite's dialect; another
database brings its own form of the same table.

Source: SQLite "CREATE TRIGGER" (recursive triggers are off by default).
"""

from __future__ import annotations

from typing import Final

RESOURCES: Final[dict[str, str]] = {
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
    "snapshot": "snapshot",
    "key-pair": "key_pair",
    "import-image-task": "import_image_task",
    "import-snapshot-task": "import_snapshot_task",
}
"""EC2's resource type, as in a tag -> table."""

_PARTS: Final[tuple[tuple[str, str, str, str], ...]] = (
    # part's table, its column, whole's table, what the column holds of it
    ("volume", "instance_key", "instance", "key"),
    ("network_interface", "instance_key", "instance", "key"),
    ("security_group_rule", "group_key", "security_group", "key"),
    ("route", "route_table_key", "route_table", "key"),
    ("interface_group", "interface_key", "network_interface", "key"),
    ("image_disk", "image_key", "image", "key"),
)


def statements() -> list[str]:
    """The CREATE TRIGGER statements, in order; every name in them is a constant of ours."""
    made = [_own(table) for table in RESOURCES.values()]
    for word, table in RESOURCES.items():
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            made.append(
                f"CREATE TRIGGER tag_{event.lower()}_{table} AFTER {event} ON tag "
                f"WHEN {row}.resource_type = '{word}' BEGIN "
                f"UPDATE {table} SET version = version + 1 WHERE key = {row}.resource_key; END"
            )
    for part, column, whole, key in _PARTS:
        for event, rows in (
            ("INSERT", ("NEW",)),
            ("UPDATE", ("OLD", "NEW")),
            ("DELETE", ("OLD",)),
        ):
            touched = ", ".join(f"{row}.{column}" for row in rows)
            made.append(
                f"CREATE TRIGGER {part}_{event.lower()}_touches_{whole} AFTER {event} ON {part} "
                f"BEGIN UPDATE {whole} SET version = version + 1 WHERE {key} IN ({touched}); END"
            )
    # An interface's groups show on its instance too.
    for event, row in (("INSERT", "NEW"), ("DELETE", "OLD")):
        made.append(
            f"CREATE TRIGGER interface_group_{event.lower()}_touches_instance "
            f"AFTER {event} ON interface_group BEGIN "
            "UPDATE instance SET version = version + 1 WHERE key = (SELECT instance_key "
            f"FROM network_interface WHERE key = {row}.interface_key); END"
        )
    return made


def _own(table: str) -> str:
    return (
        f"CREATE TRIGGER {table}_touches_itself AFTER UPDATE ON {table} "
        f"WHEN NEW.version = OLD.version BEGIN "
        f"UPDATE {table} SET version = version + 1 WHERE key = NEW.key; END"
    )
