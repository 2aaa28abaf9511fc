"""Keeps rendered pieces of answers by row and version, within a number of bytes.

Knows neither shapes nor XML. Used from many threads.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final

DEFAULT_LIMIT_BYTES: Final = 64 * 1024 * 1024
_OVERHEAD_BYTES: Final = 300  # of an entry besides its text: key, tuples, links


class Cache:
    """Least recently used goes first; a row's newer version takes the place of the older.

    One cache belongs to one database: keys are row numbers.
    """

    def __init__(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._limit_bytes: Final = limit_bytes
        self._held_bytes = 0
        self._entries: Final[OrderedDict[tuple[object, str, int], tuple[int, bytes]]] = (
            OrderedDict()
        )
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
        entries = self._entries
        use = entries.move_to_end
        with self._lock:
            for key, version in pairs:
                name = (writer, kind, key)
                entry = entries.get(name)
                if entry is not None and entry[0] == version:
                    use(name)
                    add(entry[1])
                else:
                    add(None)
        return found

    def put(self, writer: object, kind: str, pieces: Iterable[tuple[int, int, bytes]]) -> None:
        """Keep (key, version, piece)."""
        with self._lock:
            for key, version, piece in pieces:
                name = (writer, kind, key)
                before = self._entries.pop(name, None)
                if before is not None:
                    self._held_bytes -= len(before[1]) + _OVERHEAD_BYTES
                self._entries[name] = (version, piece)
                self._held_bytes += len(piece) + _OVERHEAD_BYTES
            while self._held_bytes > self._limit_bytes:
                _, (_, dropped) = self._entries.popitem(last=False)
                self._held_bytes -= len(dropped) + _OVERHEAD_BYTES
