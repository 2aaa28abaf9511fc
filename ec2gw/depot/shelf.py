"""Files on their way, in a folder of the gateway's: received piece by piece, read from any place.

Knows numbers and bytes; whose they are and who may have them is `door`'s to know.

Source: RFC 9110, section 14 (ranges) for what pieces mean.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

_PIECE_BYTES: Final = 1024 * 1024


class Gap(Exception):
    """The piece does not follow what is there; `length` bytes are."""

    def __init__(self, length: int) -> None:
        super().__init__(f"{length} bytes are here")
        self.length = length


class Full(Exception):
    """What is announced does not fit on the gateway's disk."""


class Shelf:
    """One file a transfer, by its number. Thread-safe."""

    def __init__(self, folder: Path, *, spare_bytes: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._spare_bytes = spare_bytes
        """What is left to others on that disk."""
        self._locks: dict[int, threading.Lock] = {}
        self._guard = threading.Lock()

    def received(self, number: int) -> int:
        """Tell how many bytes of the file are here."""
        try:
            return self._path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def take(
        self, number: int, offset: int, length: int, total: int, read: Callable[[int], bytes]
    ) -> int:
        """Append a piece of `length` bytes at `offset`; answers how much is here now.

        What came of a piece before its sender fell silent stays, and is not sent again.

        :raises Gap: it would leave a hole, or overwrite what is here
        :raises Full: before anything is read
        """
        with self._lock(number):
            here = self.received(number)
            if offset != here or offset + length > total:
                raise Gap(here)
            free = os.statvfs(self._folder)
            if total - here > free.f_bavail * free.f_frsize - self._spare_bytes:
                raise Full
            with self._path(number).open("ab") as file:
                left = length
                while left > 0:
                    piece = read(min(left, _PIECE_BYTES))
                    if not piece:
                        break
                    file.write(piece)
                    left -= len(piece)
                file.flush()
                os.fsync(file.fileno())
            return offset + length - left

    def adopt(self, number: int, file: Path) -> None:
        """Take a file that is whole, and on the disk already, for that number: it is moved here.

        It has to lie on the same file system, and to be synced: this is done within transactions.

        :raises OSError: it stays where it was
        """
        with self._lock(number):
            file.replace(self._path(number))
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def digest(self, number: int) -> str:
        """Answer the SHA-256 of what is here, lower-case hex."""
        with self._lock(number), self._path(number).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def open(self, number: int) -> BinaryIO:
        """Open the file to be read.

        :raises FileNotFoundError:
        """
        return self._path(number).open("rb")

    def numbers(self) -> set[int]:
        """List whose files are here."""
        return {int(one.stem) for one in self._folder.glob("*.disk") if one.stem.isdecimal()}

    def drop(self, number: int) -> None:
        """Remove the file; who still reads it may end."""
        with self._lock(number):
            self._path(number).unlink(missing_ok=True)
        with self._guard:
            self._locks.pop(number, None)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.disk"

    def _lock(self, number: int) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(number, threading.Lock())
