"""Faults that tests put into a door: lost messages, cut connections, a host that is down.

Holds the plan of faults alone; the door asks it at fixed places. Nothing here is reachable from
the network: a test hands the object in, or follows a file that the environment named at start.

Source: docs/architecture.md, "Tests"; the kinds of failure are those reported from real hosts.
"""

from __future__ import annotations

import json
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

log = logging.getLogger(__name__)

What = Literal["before", "after", "within", "swallow", "fault", "fault after"]
"""When a message is spoilt: the connection is cut before or after it is processed, or within its
answer; the answer is swallowed; a SOAP fault is answered and nothing is processed, or all was."""
Moment = Literal["before", "after"]

_FILE_KEYS = {"loss", "seed", "down", "delay_ms", "pace"}  # the last is for the world behind it


class Door(Protocol):
    """What faults may do to the door they are in."""

    def refuse_connections(self) -> None: ...

    def accept_connections(self) -> None: ...

    def restart_service(self) -> None: ...

    def end_programs(self) -> None: ...

    def let_pass(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one message; `code` is the SOAP fault's."""

    what: What | None = None
    code: int = 0


@dataclass(slots=True)
class _Planned:
    what: What
    kind: str
    skip: int
    times: int
    code: int


class Faults:
    """The faults of one door; `name` is what a followed file calls its host."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.around_message: Callable[[Moment, str], None] | None = None
        """Called in the connection's thread, before and after a message is processed, with its
        kind: an enumerated stop point. It may block, or never return."""
        self.delay_seconds = 0.0
        self.lost = 0
        """How many messages were lost at random."""
        self._lock = threading.Lock()
        self._planned: list[_Planned] = []
        self._loss = 0.0
        self._random = random.Random(0)
        self._door: Door | None = None
        self._down = False
        self._path: Path | None = None
        self._read_ns = -1
        self._reading = threading.Lock()

    # What tests call.

    def plan(
        self, what: What, kind: str = "*", *, nth: int = 1, times: int = 1, code: int = 995
    ) -> None:
        """Spoil the nth message of the kind from now on (`Send`, `Receive` ...; `*` any)."""
        with self._lock:
            self._planned.append(_Planned(what, kind, nth - 1, times, code))

    def lose(self, rate: float, seed: int = 0) -> None:
        """Lose that share of messages at random, half of them before they are processed."""
        with self._lock:
            self._loss, self._random = rate, random.Random(seed)

    def clear(self) -> None:
        """Forget what is planned, lost and late; a host that is down comes back."""
        with self._lock:
            self._planned.clear()
            self._loss = 0.0
        self.delay_seconds = 0.0
        self.go_up()

    def go_down(self) -> None:
        """Refuse connections and cut those that are there, as a host without power."""
        self._set_down(True)

    def go_up(self) -> None:
        self._set_down(False)

    def drop_shells(self) -> None:
        """Lose every shell and connection, as a restart of the WinRM service does."""
        if self._door is not None:
            self._door.restart_service()

    def end_programs(self) -> None:
        """End every program as a crash does; the shells stay."""
        if self._door is not None:
            self._door.end_programs()

    def let_pass(self, seconds: float) -> None:
        """Let shells be idle for so much longer, those aside that have a message in work."""
        if self._door is not None:
            self._door.let_pass(seconds)

    def follow(self, path: Path) -> None:
        """Read faults from a JSON file, and again whenever it changes; without it there are none.

        Its keys: `loss` and `seed`, `delay_ms`, `down` (the names of hosts that are).
        """
        self._path = path
        self.refresh()

    # What the door calls.

    def attach(self, door: Door) -> None:
        self._door = door
        if self._down:
            door.refuse_connections()

    def refresh(self) -> None:
        """Read the followed file if it has changed; half a file is read again next time."""
        if self._path is None or not self._reading.acquire(blocking=False):
            return
        try:
            self._read(self._path)
        finally:
            self._reading.release()

    def arrived(self, kind: str) -> Fate:
        """Tell what becomes of a message that has arrived; blocks for the delay and the hook."""
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        fate = self._fate(kind)
        if fate.what not in ("before", "fault") and self.around_message is not None:
            self.around_message("before", kind)
        return fate

    def processed(self, kind: str) -> None:
        """Note that a message was processed and is to be answered."""
        if self.around_message is not None:
            self.around_message("after", kind)

    def _read(self, path: Path) -> None:
        try:
            changed_ns = path.stat().st_mtime_ns
            text = path.read_text() if changed_ns != self._read_ns else None
        except FileNotFoundError:
            changed_ns, text = -1, "{}" if self._read_ns != -1 else None
        if text is None:
            return
        try:
            wanted = dict(json.loads(text))
        except (TypeError, ValueError):
            return
        self._read_ns = changed_ns
        if unknown := set(wanted) - _FILE_KEYS:
            log.warning("unknown keys in the file of faults: %s", sorted(unknown))
        self.delay_seconds = wanted.get("delay_ms", 0) / 1000
        self.lose(wanted.get("loss", 0.0), wanted.get("seed", 0))
        self._set_down(self.name in wanted.get("down", ()))

    def _fate(self, kind: str) -> Fate:
        with self._lock:
            for planned in self._planned:
                if planned.kind not in ("*", kind):
                    continue
                if planned.skip:
                    planned.skip -= 1
                    continue
                planned.times -= 1
                if planned.times <= 0:
                    self._planned.remove(planned)
                return Fate(planned.what, planned.code)
            if self._loss and self._random.random() < self._loss:
                self.lost += 1
                return Fate(self._random.choice(("before", "after")))
        return Fate()

    def _set_down(self, down: bool) -> None:
        if down == self._down:
            return
        self._down = down
        if self._door is not None and down:
            self._door.refuse_connections()
        elif self._door is not None:
            self._door.accept_connections()
