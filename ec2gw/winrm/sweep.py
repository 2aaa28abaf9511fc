"""Gives back the shells that a killed process, or a lost worker of ours, has left on a host.

What still runs there is let finish: its agent's input is closed, which ends it when its calls have
ended, and only then is the shell removed. Nobody else's shells are looked for or touched.

Source: [MS-WSMV] 3.1.4.5 (Delete) and 3.1.4.13 (Send, its End); docs/architecture.md, "The host
link".
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Collection
from typing import Final

from ec2gw.winrm import endpoint, ledger, session, timing

_AT_MOST_SECONDS: Final = 90.0
"""An agent whose input was closed lets its calls go on for a minute, then ends whatever happens."""
_QUICK_SECONDS: Final = 5


class Sweeper:
    """Works for one link, one sweep at a time; `in_use` names the shells to leave alone."""

    def __init__(
        self,
        address: endpoint.HostAddress,
        limits: timing.Timing,
        shells: ledger.Ledger,
        *,
        in_use: Callable[[], Collection[str]],
        gave_back: Callable[[int], None],
    ) -> None:
        operation_seconds = min(limits.operation_seconds, _QUICK_SECONDS)
        read_seconds = min(limits.read_seconds, operation_seconds + _QUICK_SECONDS)
        limits = dataclasses.replace(
            limits, operation_seconds=operation_seconds, read_seconds=read_seconds
        )
        self._connection = session.Connection(address, limits)
        self._ledger = shells
        self._in_use = in_use
        self._gave_back = gave_back
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Sweep in a thread of its own, if there is anything to sweep and none does."""
        running = self._thread is not None and self._thread.is_alive()
        if running or self._stopping.is_set() or not self._orphans():
            return
        self._thread = threading.Thread(
            target=self._sweep, args=(_AT_MOST_SECONDS, True), name="winrm-sweep", daemon=True
        )
        self._thread.start()

    def hurry(self) -> bool:
        """Sweep now what has nothing running; answer whether anything was given back."""
        return self._sweep(float(_QUICK_SECONDS), False) > 0

    def stop(self, wait_seconds: float) -> None:
        """End a sweep that is under way, and refuse any further; from any thread."""
        self._stopping.set()
        self._connection.abort()
        if self._thread is not None:
            self._thread.join(wait_seconds)

    def _orphans(self) -> dict[str, str]:
        noted = self._ledger.shells()  # first: what is made meanwhile is in use
        used = self._in_use()
        return {shell: command for shell, command in noted.items() if shell not in used}

    def _sweep(self, patience_seconds: float, force: bool) -> int:
        """Give back what nobody uses; `force`: also what has not ended when the patience has."""
        given_back = 0
        with self._turn:
            limit = time.monotonic() + patience_seconds
            try:
                orphans = self._orphans()
                for shell, command in orphans.items():
                    self._close_input(shell, command)
                for shell, command in orphans.items():
                    if self._has_ended(shell, command, limit) or force:
                        given_back += self._delete(shell)
            except session.LinkError:
                pass  # what is left stays written down
            finally:
                self._connection.close()
        if given_back:
            self._gave_back(given_back)
        return given_back

    def _close_input(self, shell: str, command: str) -> None:
        if command:
            with contextlib.suppress(session.Gone, session.NoOutput):
                self._connection.send(shell, command, b"", end=True)

    def _has_ended(self, shell: str, command: str, limit: float) -> bool:
        """Wait until its process has; what the host does not know any more has ended too."""
        while command:
            try:
                if self._connection.receive(shell, command).exit_code is not None:
                    return True
            except session.Gone:
                return True
            except session.NoOutput:
                pass
            if self._stopping.is_set():
                raise session.Gone("the link is closed")
            if time.monotonic() >= limit:
                return False
        return True

    def _delete(self, shell: str) -> int:
        """Remove it; 0 when it was gone before."""
        try:
            self._connection.delete_shell(shell)
        except session.Gone:
            self._ledger.deleted(shell)
            return 0
        self._ledger.deleted(shell)
        return 1
