"""Keeps rendered pieces of answers by row and version, within a number of bytes.

Knows neither shapes nor XML. Used from many threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

DEFAULT_LIMIT_BYTES: Final = 64 * 1024 * 1024
_OVERHEAD_BYTES: Final = 300  # of an entry besides its text: key, tuples, links


@dataclass(slots=True)
class _Entry:
    version: int
    piece: bytes
    used: bool = False


_Table = dict[int, _Entry]


class Cache:
    """The least used go first; a row's newer version takes the place of the older.

    What was used since it was last looked at is passed over once: that is nearly the order of
    use, and a use costs no more than a flag. One cache belongs to one database: keys are row
    numbers.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._limit_bytes: Final = limit_bytes
        self._held_bytes = 0
        self._tables: Final[dict[tuple[object, str], _Table]] = {}
        self._queue: Final[deque[tuple[_Table, int]]] = deque()
        self._lock: Final = threading.Lock()

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    def get(
        self, writer: object, kind: str, pairs: Sequence[tuple[int, int]]
    ) -> list[bytes | None]:
        """Answer the piece of each (key, version), None where it is not here."""
        found: list[bytes | None] = []
        add = found.append
        with self._lock:
            look = self._tables.get((writer, kind), {}).get
            for key, version in pairs:
                entry = look(key)
                if entry is not None and entry.version == version:
                    entry.used = True
                    add(entry.piece)
                else:
                    add(None)
        return found

    def put(self, writer: object, kind: str, pieces: Iterable[tuple[int, int, bytes]]) -> None:
        """Keep (key, version, piece)."""
        with self._lock:
            table = self._tables.setdefault((writer, kind), {})
            for key, version, piece in pieces:
                before = table.get(key)
                if before is None:
                    table[key] = _Entry(version, piece)
                    self._queue.append((table, key))
                    self._held_bytes += len(piece) + _OVERHEAD_BYTES
                else:
                    self._held_bytes += len(piece) - len(before.piece)
                    before.version, before.piece = version, piece
            while self._held_bytes > self._limit_bytes:
                self._drop()

    def _drop(self) -> None:
        table, key = self._queue.popleft()
        entry = table[key]
        if entry.used:
            entry.used = False
            self._queue.append((table, key))
        else:
            del table[key]
            self._held_bytes -= len(entry.piece) + _OVERHEAD_BYTES
