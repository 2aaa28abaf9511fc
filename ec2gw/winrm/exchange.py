"""One request on its way: its frame, where copies of it may be, and its answer; no I/O.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from ec2gw.winrm import session


class Exchange:
    """Belongs to one caller; a worker carries it, another may take it over.

    `copies` counts the Sends that may have brought it to the host: at 0 it surely never left.
    """

    def __init__(self, request_id: int, frame: bytes, *, fenced: bool) -> None:
        self.id = request_id
        self.frame = frame
        self.digest = frame[1:].split(b" ", 2)[1].decode("ascii")
        self.fenced = fenced
        self.copies = 0
        self.asked_again = 0
        self.running = False
        self.workers = 0
        self._changed = threading.Condition()
        self._reply: Mapping[str, object] | None = None
        self._broken: session.LinkError | None = None

    @property
    def reply(self) -> Mapping[str, object] | None:
        """The agent's last word."""
        return self._reply

    def answer(self, reply: Mapping[str, object]) -> None:
        with self._changed:
            if self._reply is None:
                self._reply = reply
            self._changed.notify_all()

    def break_off(self, cause: session.LinkError) -> None:
        """Its worker is no more: somebody else has to carry it, if it is still wanted."""
        with self._changed:
            self._broken = cause
            self.running = False
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait for an answer or a break; whether one came."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._reply is not None or self._broken is not None, max(0.0, seconds)
            )

    def carry(self) -> None:
        """Forget the break: a worker carries it now."""
        with self._changed:
            self._broken = None
            self.running = False
            self.workers += 1
