"""Tells whether a database was changed since it was last asked, by whomever, for next to nothing.

Source: SQLite, "PRAGMA data_version".
"""

from __future__ import annotations

import sqlite3
from pathlib import Path


class Changes:
    """A connection that only asks for that. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False)
        self._connection.execute("PRAGMA query_only=ON")

    def number(self) -> int:
        """Answer a number that is another one after every commit; it says no more than that."""
        found: tuple[int] = self._connection.execute("PRAGMA data_version").fetchone()
        return found[0]

    def close(self) -> None:
        self._connection.close()
