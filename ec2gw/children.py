"""The processes under `serve`: started, started again when they die by themselves, ended.

Knows what a process is, not what it does.

Source: Python documentation, "subprocess"; signal(7).
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 10.0
PARENT_VARIABLE: Final = "EC2GW_PARENT"
_CALM_SECONDS: Final = 60.0
"""Who ran so long starts anew with the shortest pause."""

_log = logging.getLogger("ec2gw.supervise")


class Gate:
    """Holds back children that were started early, until what they need is there.

    Who is behind it may start again: once open, it is open for all.
    """

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    @property
    def descriptor(self) -> int:
        """What a child gets, for `passed`."""
        return self._theirs.fileno()

    def open(self) -> None:
        self._ours.send(b"+")

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


def passed(descriptor: int) -> bool:
    """Wait at a gate; False when its keeper is gone."""
    with socket.socket(fileno=descriptor) as gate:
        return gate.recv(1, socket.MSG_PEEK) != b""


@dataclass(slots=True)
class Child:
    """One process of a kind: at most one at a time, another after it died."""

    name: str
    arguments: Sequence[str]
    descriptors: Sequence[int] = ()
    deaths: int = 0
    """In a row, without a calm time between."""
    process: subprocess.Popen[bytes] | None = None
    _pause_seconds: float = FIRST_PAUSE_SECONDS
    _not_before: float = 0.0
    _began: float = 0.0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def tend(self) -> float | None:
        """Start it if it does not run and may; answer how long to wait until it may."""
        now = time.monotonic()
        if self.process is not None:
            status = self.process.poll()
            if status is None:
                return None
            self._died(status, now)
        if now < self._not_before:
            return self._not_before - now
        self._began = now
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.arguments],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # ours is for what the operator pastes
            pass_fds=tuple(self.descriptors),
            env={**os.environ, PARENT_VARIABLE: str(os.getpid())},
            start_new_session=True,  # a Ctrl-C is for the parent alone: it ends the others in order
        )
        _log.info("child-started", extra={"child": self.name, "pid": self.process.pid})
        return None

    def _died(self, status: int, now: float) -> None:
        if now - self._began >= _CALM_SECONDS:
            self.deaths, self._pause_seconds = 0, FIRST_PAUSE_SECONDS
        self.deaths += 1
        self._not_before = now + self._pause_seconds
        self._pause_seconds = min(self._pause_seconds * 2, LONGEST_PAUSE_SECONDS)
        how = signal.Signals(-status).name if status < 0 else f"exit {status}"
        fields = {"child": self.name, "how": how, "deaths": self.deaths}
        _log.warning("child-died", extra=fields)
        self.process = None


def parent() -> int:
    """Say whose child this process is, even if that one is gone already."""
    told = os.environ.get(PARENT_VARIABLE, "")
    return int(told) if told.isdecimal() else os.getppid()


def end(children: Sequence[Child], within_seconds: float) -> None:
    """Ask all to end, wait for them, kill those that do not."""
    running = [child.process for child in children if child.process is not None]
    for process in running:
        process.terminate()
    deadline = time.monotonic() + within_seconds
    for process in running:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _log.warning("child-killed", extra={"pid": process.pid})
            process.kill()
            process.wait()
