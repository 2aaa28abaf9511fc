"""Waits, bounded, until the engine has answered what a request has to know before it is answered.

Source: docs/architecture.md, "The life of an instance", questions.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from translators import errors
from translators.registry import Result

PER_HOST: Final = 8
"""Requests that wait for one host at a time; each holds a thread of the service."""
_FIRST_PAUSE_SECONDS: Final = 0.02
_LONGEST_PAUSE_SECONDS: Final = 0.25


class Questions:
    """Who waits for which host. Thread-safe."""

    def __init__(self, per_host: int = PER_HOST) -> None:
        self._per_host = per_host
        self._waiting: Counter[int] = Counter()
        self._lock = threading.Lock()
        self.rest: Callable[[], AbstractContextManager[object]] = nullcontext
        """Entered by who waits, so that others may work meanwhile."""

    def check(self, host_keys: Collection[int]) -> None:
        """Refuse a request that would be one too many for a host; nothing was asked yet.

        :raises Ec2Error: ``RequestLimitExceeded``
        """
        with self._lock:
            if any(self._waiting[key] >= self._per_host for key in host_keys):
                raise errors.request_limit_exceeded()

    @contextmanager
    def waiting(self, host_keys: Collection[int]) -> Iterator[None]:
        """Count as one that waits for these hosts."""
        with self._lock:
            self._waiting.update(host_keys)
        try:
            with self.rest():
                yield
        finally:
            with self._lock:
                self._waiting.subtract(host_keys)


def wait(answer: Callable[[], Result | None], deadline_seconds: float) -> Result | None:
    """Ask until there is an answer; None when the deadline passed without one."""
    end = time.monotonic() + deadline_seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        found = answer()
        left = end - time.monotonic()
        if found is not None or left <= 0:
            return found
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)
