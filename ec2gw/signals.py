"""What a parent of processes is signalled: to stop, or that a child has ended.

Source: signal(7); Python documentation, "signal" (set_wakeup_fd).
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import time
from collections.abc import Iterator
from types import FrameType


class Signals:
    """What was signalled, and a wait that any signal ends."""

    def __init__(self, waking: socket.socket) -> None:
        self.stopping = False
        self._waking = waking

    def stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        ready, _, _ = select.select([self._waking], [], [], max(0.0, deadline - time.monotonic()))
        if ready:
            self._waking.recv(4096)


@contextlib.contextmanager
def heard() -> Iterator[Signals]:
    waking, woken = socket.socketpair()
    waking.setblocking(False)
    woken.setblocking(False)
    with waking, woken:
        signals = Signals(waking)
        handlers = {
            number: signal.signal(number, signals.stop)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        before = signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        try:
            yield signals
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
