"""Says in words what is the matter with the data folder: full, locked, read-only, damaged.

Tells such troubles from faults of ours, and decides nothing. Imports no SQLAlchemy: its errors are
known by the cause that they carry.

Source: SQLite, "Result and Error Codes".
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DATABASE: Final = {
    sqlite3.SQLITE_BUSY: "is locked by another program",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: look at the folder's rights",
    sqlite3.SQLITE_CORRUPT: "is damaged: put a backup in its place",
    sqlite3.SQLITE_FULL: "does not fit: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: look at the disk, and whether it is full",
    sqlite3.SQLITE_LOCKED: "is locked by another program",
    sqlite3.SQLITE_NOTADB: "is none: put a backup in its place",
    sqlite3.SQLITE_PERM: "may not be used: look at its rights",
    sqlite3.SQLITE_READONLY: "is read-only",
}
_PRIMARY: Final = 0xFF
"""The lower byte of an extended code is the plain one."""
_DISK: Final = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What a write fails with that names no file."""


class Unusable(Exception):
    """The data folder cannot be used; one line says which, and why."""


@contextlib.contextmanager
def in_words(data: Path) -> Iterator[None]:
    """Let what is the matter with the data folder come out as one line.

    :raises Unusable:
    """
    try:
        yield
    except Exception as error:  # any: what is no such trouble goes on as it is
        found = _words(error, data)
        if found is None:
            raise
        raise Unusable(f"the data folder {data} cannot be used: {found}") from error


def _words(error: Exception, data: Path) -> str | None:
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, sqlite3.Error):
        known = _DATABASE.get(getattr(cause, "sqlite_errorcode", 0) & _PRIMARY)
        return f"its database {known}" if known else None
    if not isinstance(cause, OSError):
        return None
    if cause.filename is None:
        return os.strerror(cause.errno) if cause.errno in _DISK else None
    path = Path(os.fsdecode(cause.filename))
    is_ours = path.is_relative_to(data) or data.is_relative_to(path)
    return f"{path}: {cause.strerror}" if is_ours else None
