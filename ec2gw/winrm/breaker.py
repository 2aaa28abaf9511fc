"""When a host is left alone: closed, open with growing pauses, half-open for one trial; no I/O.

Three failures within 30 s open it for 1, 2, 4 ... 60 s at most, each with full jitter. A refused
sign-in opens it at once and for 15 minutes, because further tries could lock the account; a
reached limit for 30 s.

Source: docs/architecture.md, "The host link"; AWS Architecture Blog, "Exponential Backoff And
Jitter" (full jitter).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Literal

FAILURES = 3
WITHIN_SECONDS = 30.0
LONGEST_SECONDS = 60.0
DENIED_SECONDS = 15 * 60.0
EXHAUSTED_SECONDS = 30.0

Position = Literal["closed", "open", "half-open"]


class Breaker:
    """Thread-safe; `clock` is monotonic seconds, `jitter` a number from 0 to 1."""

    def __init__(
        self, clock: Callable[[], float], jitter: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._failures: list[float] = []
        self._opened = 0
        self._until = 0.0
        self._position: Position = "closed"
        self.reason = ""

    @property
    def position(self) -> Position:
        with self._lock:
            return self._position

    def admits(self) -> bool:
        """Whether a call may hope for the link: closed, in trial, or due for one."""
        with self._lock:
            return self._position != "open" or self._clock() >= self._until

    def wait_seconds(self) -> float:
        """How long until a trial is due; 0 when nothing stands against one."""
        with self._lock:
            return max(0.0, self._until - self._clock()) if self._position == "open" else 0.0

    def try_begin(self) -> bool:
        """Take the right to try: always when closed, once when the pause has passed."""
        with self._lock:
            if self._position == "closed":
                return True
            if self._position == "half-open" or self._clock() < self._until:
                return False
            self._position = "half-open"
            return True

    def success(self) -> None:
        with self._lock:
            self._failures.clear()
            self._opened = 0
            self._position = "closed"
            self.reason = ""

    def failure(self, reason: str) -> None:
        with self._lock:
            now = self._clock()
            self.reason = reason
            self._failures = [at for at in self._failures if now - at < WITHIN_SECONDS] + [now]
            if self._position == "half-open" or len(self._failures) >= FAILURES:
                ceiling = min(LONGEST_SECONDS, 2.0 ** min(self._opened, 10))
                self._open(now + ceiling * self._jitter())

    def denied(self, reason: str) -> None:
        """Open at once: the host refused the sign-in."""
        self._open_for(DENIED_SECONDS, reason)

    def exhausted(self, reason: str) -> None:
        """Open at once: one of the host's limits is reached, and trying makes it worse."""
        self._open_for(EXHAUSTED_SECONDS, reason)

    def _open_for(self, seconds: float, reason: str) -> None:
        with self._lock:
            self.reason = reason
            self._open(self._clock() + seconds)

    def _open(self, until: float) -> None:
        self._opened += 1
        self._failures.clear()
        self._until = until
        self._position = "open"
