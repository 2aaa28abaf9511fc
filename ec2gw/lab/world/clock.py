"""The world's time, and how fast things happen in it. Knows no state.

Durations of the model (a guest boots in five seconds) are those of a real host times a pace,
which the faults file may change while the laboratory runs.

Source: docs/architecture.md, "The laboratory".
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Protocol

FAULTS_VARIABLE = "EC2GW_LAB_FAULTS"


class Clock(Protocol):
    """Seconds since the epoch, and waiting for them to pass."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class WallClock:
    def now(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that stands until it is told to go on; whoever sleeps moves it. For tests."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        with self._lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += max(seconds, 0.0)

    advance = sleep


class Pace:
    """The factor on the model's durations: as built, or as the faults file says now."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._seen: tuple[int, int] | None = None
        self._told: float | None = None

    @property
    def factor(self) -> float:
        told = self._from_file()
        return self._factor if told is None else told

    def _from_file(self) -> float | None:
        name = os.environ.get(FAULTS_VARIABLE)
        if not name:
            return None
        try:
            facts = Path(name).stat()
            seen = (facts.st_mtime_ns, facts.st_size)
            if seen != self._seen:
                pace = json.loads(Path(name).read_text(encoding="utf-8")).get("pace")
                self._told = float(pace) if isinstance(pace, int | float) else None
                self._seen = seen
        except (OSError, ValueError):
            # Half written or gone: what was told last stands.
            return self._told
        return self._told
