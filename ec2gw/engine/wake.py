"""The bell between API and engine: a datagram that names hosts with something to do.

A lost datagram costs at most the second until the next poll.

Source: unix(7).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger("ec2gw.engine.wake")
_LONGEST = 4096


class Bell:
    """Listens on a socket file and calls `ring(host_keys)` for each datagram."""

    def __init__(self, path: Path, ring: Callable[[set[int]], None]) -> None:
        self._path = path
        self._ring = ring
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of an engine that was killed
        self._socket.bind(str(path))
        os.chmod(path, 0o600)
        self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._path.unlink(missing_ok=True)
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(2)
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                text = self._socket.recv(_LONGEST)
            except OSError:
                return
            if not text:
                return
            keys = {int(word) for word in text.split() if word.isdigit()}
            self._ring(keys)


def ring(path: Path, host_keys: set[int]) -> None:
    """Wake the engine for these hosts, if it listens; never waits."""
    if not host_keys:
        return
    text = " ".join(str(key) for key in sorted(host_keys)).encode()[:_LONGEST]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bell, contextlib.suppress(OSError):
        bell.setblocking(False)
        bell.sendto(text, str(path))
