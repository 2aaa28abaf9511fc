"""Keeps room for new connections: where too many are open, the most silent ones are given up.

Whoever sends a request slowly, or never to its end, holds one of the server's threads, and the
server has no deadline for that. So there is a thread for every connection that may be open, and
these are watched from outside: by the kernel's count of how long each client has sent nothing.
Stalled bodies, endless handshakes and idle connections are all the same to it. A client that is
given up finds its connection closed, as after any keep-alive that ended, and asks again.

Where the kernel does not tell (other than Linux) nothing is watched.

Source: tcp(7), TCP_INFO (`struct tcp_info` of linux/tcp.h); proc(5), /proc/self/fd.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
_LAST_DATA_RECEIVED: Final = 52
"""Where `tcpi_last_data_recv` is, in milliseconds; the structure only ever grows at its end."""
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_EVERY_SECONDS: Final = 0.25

_log = logging.getLogger("ec2gw.connections")


class Connections:
    """Those that this process has accepted on a port. Thread-safe."""

    def __init__(self, port: int, at_most: int) -> None:
        self._port = port
        self._crowded = at_most * 3 // 4
        self._calm = at_most // 2

    def watch(self) -> None:
        """Relieve whenever it gets crowded, for the life of the process."""
        if _DESCRIPTORS.is_dir():
            threading.Thread(target=self._watch, name="connections", daemon=True).start()

    def relieve(self) -> int:
        """Where it is crowded, close the most silent ones; answers how many."""
        found = self._accepted()
        surplus = len(found) - self._calm if len(found) > self._crowded else 0
        return _close(found[:surplus], len(found))

    def give_up(self, silent_seconds: float) -> int:
        """Close all whose clients have sent nothing for so long; answers how many."""
        found = self._accepted()
        return _close([one for one in found if one.silent_ms >= silent_seconds * 1000], len(found))

    def _watch(self) -> None:
        while True:
            threading.Event().wait(_EVERY_SECONDS)
            if len(os.listdir(_DESCRIPTORS)) > self._crowded:
                self.relieve()

    def _accepted(self) -> list[_Accepted]:
        """Find them, the most silent first."""
        found = []
        for name in os.listdir(_DESCRIPTORS) if _DESCRIPTORS.is_dir() else ():
            # Gone meanwhile, no socket, or the one that listens.
            with contextlib.suppress(OSError), _held(int(name)) as one:
                here, peer = one.getsockname(), one.getpeername()
                if one.family in _FAMILIES and here[1] == self._port:
                    found.append(_Accepted(_silent_ms(one), int(name), peer))
        return sorted(found, key=lambda one: one.silent_ms, reverse=True)


@dataclass(frozen=True, slots=True)
class _Accepted:
    silent_ms: int
    descriptor: int
    peer: Any


def _held(descriptor: int) -> socket.socket:
    """Duplicate it: what it is cannot change in our hands. One at a time, they are limited."""
    duplicate = os.dup(descriptor)
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise


def _close(chosen: Sequence[_Accepted], count: int) -> int:
    for one in chosen:
        with contextlib.suppress(OSError), _held(one.descriptor) as held:
            if held.getpeername() == one.peer:  # else it ended, and the number is another's now
                held.shutdown(socket.SHUT_RDWR)
    if chosen:
        _log.warning("connections-given-up", extra={"open": count, "closed": len(chosen)})
    return len(chosen)


def _silent_ms(one: socket.socket) -> int:
    told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_DATA_RECEIVED + 4)
    (silent,) = struct.unpack_from("=I", told, _LAST_DATA_RECEIVED)
    return int(silent)
