"""One driver a host: a file lock that ends with its process, however that ends.

Source: flock(2); docs/architecture.md, "One driver per host".
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Taken(Exception):
    """Another process holds it."""


class FileLock:
    """Holds an exclusive lock on a file from construction to `release`.

    :raises Taken: at once, when another process holds it
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise Taken(str(path)) from error
        os.truncate(self._descriptor, 0)
        os.write(self._descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Let go; the file stays, so that its name never means two locks."""
        os.close(self._descriptor)
