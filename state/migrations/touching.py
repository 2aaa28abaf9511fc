"""What revisions share: the text of triggers that raise a resource's version.

History calls these, so their answers never change: for another text there is another function.
`state.triggers` says what the newest schema has; a test holds the two against each other.

Source: SQLite "CREATE TRIGGER" (recursive triggers are off by default).
"""

from __future__ import annotations

_EVENTS = (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",)))


def by_itself(table: str) -> str:
    """Raise a resource's version by any change of its row."""
    return (
        f"CREATE TRIGGER {table}_touches_itself AFTER UPDATE ON {table} "
        f"WHEN NEW.version = OLD.version BEGIN "
        f"UPDATE {table} SET version = version + 1 WHERE key = NEW.key; END"
    )


def by_tags(word: str, table: str) -> list[str]:
    """Raise it by its tags; the word is EC2's for the resource's type."""
    return [
        f"CREATE TRIGGER tag_{event.lower()}_{table} AFTER {event} ON tag "
        f"WHEN {rows[-1]}.resource_type = '{word}' BEGIN "
        f"UPDATE {table} SET version = version + 1 WHERE key = {rows[-1]}.resource_key; END"
        for event, rows in _EVENTS
    ]


def by_part(part: str, column: str, whole: str) -> list[str]:
    """Raise the whole's version by its parts, which name its key in that column."""
    made = []
    for event, rows in _EVENTS:
        touched = ", ".join(f"{row}.{column}" for row in rows)
        made.append(
            f"CREATE TRIGGER {part}_{event.lower()}_touches_{whole} AFTER {event} ON {part} "
            f"BEGIN UPDATE {whole} SET version = version + 1 WHERE key IN ({touched}); END"
        )
    return made
