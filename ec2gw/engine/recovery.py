"""The recovery of this process: what its drivers saw of their hosts since it began, and its end.

Holds no look and writes no row: `translators.ec2.instances.recovery` says what becomes of rows.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy.orm import Session

from state import recovering, stop_points, store
from translators.ec2.instances import recovery
from translators.hyperv import host as port
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine.recovery")
_PROBE_SECONDS: Final = 30.0
_SHOWN: Final = 10


class Recovery:
    """Shared by all drivers of the process. Thread-safe."""

    def __init__(
        self, state: store.Store, settings: Settings, now: Callable[[], dt.datetime]
    ) -> None:
        self._state = state
        self._settings = settings
        self._now = now
        self._seen: dict[int, recovery.Seen] = {}
        self._told: list[str] = []
        self._lock = threading.Lock()

    def resume(self) -> None:
        """Go on with a recovery that another process began: all hosts are looked at by us."""

        def work(session: Session) -> bool:
            if not recovering.is_on(session):
                return False
            recovering.await_hosts(session)
            return True

        if self._state.write(work):
            _log.warning("recovery-goes-on")

    def begin(self, why: str, host_name: str, beat: int = 0) -> None:
        """Stop all changes: a host has told that the state is older than it is."""
        stop_points.reach("engine before recovery")
        if self._state.write(lambda session: recovering.begin(session, beat)):
            _log.warning("recovery-begins", extra={"host": host_name, "why": why})
        stop_points.reach("engine after recovery")

    def is_on(self) -> bool:
        with self._state.read() as session:
            return recovering.is_on(session)

    def ask(self, host: port.Host) -> dict[str, int]:
        """Ask a host what it has heard of all that is being driven."""
        with self._state.read() as session:
            subjects = recovery.subjects(session, self._settings, self._now())
        return {subject: heard(host, subject) for subject in subjects}

    def report(self, host_key: int, seen_now: recovery.Seen) -> bool:
        """Take note of a host that was looked at whole, and end if it was the last; tell if so."""
        with self._lock:
            self._seen[host_key] = seen_now
            seen = self._seen.copy()
            stop_points.reach("engine before report")
            self._state.write(lambda session: recovering.seen(session, host_key))
            stop_points.reach("engine before conclusion")
            outcome = self._state.write(lambda session: self._conclude(session, seen))
            stop_points.reach("engine after conclusion")
            if outcome is None:
                return False
            if outcome.waits:
                self._tell(sorted(outcome.waits))
                return False
            self._seen, self._told = {}, []
        for name in outcome.adopted:
            _log.warning("adopted", extra={"instance": name})
        for name, phase in outcome.settled:
            _log.warning("settled", extra={"instance": name, "phase": phase})
        for name, why in outcome.left:
            _log.warning("stray-vm", extra={"vm": name, "why": why})
        _log.warning(
            "recovery-ends",
            extra={
                "adopted": len(outcome.adopted),
                "settled": len(outcome.settled),
                "left": len(outcome.left),
            },
        )
        return True

    def _conclude(
        self, session: Session, seen: dict[int, recovery.Seen]
    ) -> recovery.Outcome | None:
        if not recovering.is_on(session):
            return None
        return recovery.conclude(session, seen, self._settings, self._now())

    def _tell(self, waits: list[str]) -> None:
        """Say what is waited for, whenever that changes."""
        if waits != self._told:
            self._told = waits
            more = len(waits) - _SHOWN
            shown = [*waits[:_SHOWN], *([f"{more} more"] if more > 0 else [])]
            _log.warning("recovery-waits", extra={"for": ", ".join(shown)})


def heard(host: port.Host, subject: str) -> int:
    """Ask the host for the newest generation of a subject that it has heard of; 0: of none.

    :raises HostError: it cannot say
    """
    try:
        host.run(
            port.Plan("heard", ()),
            fence=port.Fence(None, subject, 0),
            deadline_seconds=_PROBE_SECONDS,
        )
    except port.Fenced as fenced:
        if fenced.what != "generation":
            raise
        return fenced.seen
    return 0


def tell_beat(host: port.Host, deployment: str, number: int) -> int | None:
    """Tell the host how far the state is; answer the number of a later one that it knows.

    :raises HostError: it cannot say
    """
    try:
        host.run(
            port.Plan("beat", ()),
            fence=port.Fence(None, f"state-{deployment}", number),
            deadline_seconds=_PROBE_SECONDS,
        )
    except port.Fenced as fenced:
        if fenced.what != "generation":
            raise
        return fenced.seen
    return None
