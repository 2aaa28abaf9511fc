"""Keeps a host told whose consoles are read there, and by whom.

What is told is the whole of it, so that it may be told again at any time; it travels without a
token, as what only looks does, and is refused of an older driver all the same.

Source: docs/guests.md, "Console".
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from state import recovering, store
from translators.ec2.instances.console import watched
from translators.hyperv import console
from translators.hyperv import host as port

_log = logging.getLogger("ec2gw.engine.consoles")
_AGAIN_SECONDS: Final = 600.0
"""After so long it is told again, whatever became of what a host was told."""
_LATER_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 60.0


class Consoles:
    """Of one host, for as long as one driver holds it."""

    def __init__(
        self,
        state: store.Store,
        link: port.Host,
        host_key: int,
        host_name: str,
        stopping: threading.Event,
    ) -> None:
        self._state = state
        self._link = link
        self._host_key = host_key
        self._host_name = host_name
        self._stopping = stopping
        self._told: watched.Watched | None = None
        self._until = 0.0
        self._trouble = ""

    def is_behind(self) -> bool:
        """Tell whether the host is to be told something now."""
        if time.monotonic() >= self._until:
            return True
        return self._told is not None and self._told != self._wanted()

    def tell(self) -> None:
        """Tell it; what keeps us from that is logged once, and tried again later."""
        wanted = self._wanted()
        if wanted is None or self._stopping.is_set():
            return
        try:
            if wanted.reader == watched.RESIDENT:
                self._run(console.start_reader())
            elif wanted.reader == watched.OFF:
                self._run(console.stop_reader())
            self._run(console.watch(wanted.names, wanted.others))
        except port.HostError as error:
            self._told, self._until = None, time.monotonic() + _LATER_SECONDS
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self._trouble and not self._stopping.is_set():
                _log.info("consoles-not-told", extra={"host": self._host_name, "why": trouble})
            self._trouble = trouble
            return
        self._told, self._until, self._trouble = wanted, time.monotonic() + _AGAIN_SECONDS, ""

    def _wanted(self) -> watched.Watched | None:
        with self._state.read() as session:
            if recovering.is_on(session):
                return self._told  # logs of what is not known any more are not removed on a guess
            return watched.watched(session, self._host_key)

    def _run(self, plan: port.Plan) -> None:
        self._link.run(plan, deadline_seconds=_DEADLINE_SECONDS)
