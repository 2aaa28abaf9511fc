"""What one worker has been asked and not yet answered: what is due to be sent, and when to ping.

Holds no thread, socket or clock: `now` is monotonic seconds, and the worker's lock guards it all.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

from collections.abc import Sequence

from ec2gw.winrm import exchange, timing

RUNNING_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds until a token that is still running is asked for again."""
SPOILT_PAUSES = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds until everything is asked again after a frame that could not be read."""
AT_ONCE = (0.0,)

_MOST_ABANDONED = 4096


class Outstanding:
    """Exchanges by id; `ping` is one of them while it is unanswered."""

    def __init__(self, ping: exchange.Exchange, limits: timing.Timing, now: float) -> None:
        self._ping = ping
        self._limits = limits
        self._open: dict[int, exchange.Exchange] = {}
        self._due: dict[int, float] = {}
        self._abandoned: set[int] = set()
        self._pinged_at: float | None = None
        self._sent_at = self._heard_at = now

    def __contains__(self, one: exchange.Exchange) -> bool:
        return one.id in self._open

    @property
    def is_busy(self) -> bool:
        """Whether calls may be running on the host, also such that nobody waits for any more."""
        return bool(self._abandoned) or any(key != self._ping.id for key in self._open)

    # ---- what comes and goes

    def add(self, one: exchange.Exchange, now: float) -> None:
        self._open[one.id] = one
        self._due[one.id] = now

    def withdraw(self, one: exchange.Exchange) -> None:
        """Its caller has gone: what was not sent yet stays unsent."""
        if self._open.pop(one.id, None) is None:
            return
        self._due.pop(one.id, None)
        if one.copies and len(self._abandoned) < _MOST_ABANDONED:
            self._abandoned.add(one.id)

    def find(self, key: object) -> exchange.Exchange | None:
        """The exchange with that id, which somebody still waits for."""
        return self._open.get(key) if isinstance(key, int) else None

    def find_frame(self, digest: object) -> exchange.Exchange | None:
        """The exchange whose frame has that digest."""
        return next((one for one in self._open.values() if one.digest == digest), None)

    def close(self, key: object) -> None:
        """The host has said its last word about it."""
        if not isinstance(key, int):
            return
        self._open.pop(key, None)
        self._due.pop(key, None)
        self._abandoned.discard(key)
        if key == self._ping.id:
            self._pinged_at = None

    def clear(self) -> list[exchange.Exchange]:
        """Give everything up; what was open."""
        given_up = [one for one in self._open.values() if one is not self._ping]
        self._open.clear()
        self._due.clear()
        return given_up

    # ---- sending

    def take_due(self, now: float) -> list[exchange.Exchange]:
        """What is to be sent now, oldest first, joined up to one Send; a larger one goes alone."""
        batch: list[exchange.Exchange] = []
        size = 0
        for key in [key for key, at in self._due.items() if at <= now]:
            one = self._open[key]
            size += len(one.frame)
            if batch and size > timing.SEND_BYTES:
                break
            del self._due[key]
            one.copies += 1
            batch.append(one)
        return batch

    def sent(self, now: float) -> None:
        self._sent_at = now

    def not_sent(self, batch: Sequence[exchange.Exchange], now: float, *, surely: bool) -> None:
        """The Send failed: all of it is due again."""
        for one in batch:
            if surely:
                one.copies -= 1
            if one.id in self._open:
                self._due[one.id] = now

    def again(self, one: exchange.Exchange, pauses: Sequence[float], now: float) -> None:
        """Ask for it once more, later each time."""
        self._due[one.id] = now + pauses[min(one.asked_again, len(pauses) - 1)]
        one.asked_again += 1

    def all_again(self, pauses: Sequence[float], now: float) -> None:
        """Answers may be lost: ask for whatever is not about to be sent anyway."""
        for one in self._open.values():
            if one.id not in self._due:
                self.again(one, pauses, now)

    # ---- quiet

    def heard(self, now: float) -> None:
        self._heard_at = now

    def plan_ping(self, now: float) -> None:
        if now >= self._ping_at() and self._ping.id not in self._due:
            if self._pinged_at is None:
                self._pinged_at = now
            self.add(self._ping, now)

    def is_silent(self, now: float) -> bool:
        """Whether the agent has owed us a word for too long."""
        return self._pinged_at is not None and now >= self._silent_at(self._pinged_at)

    def next_event(self) -> float:
        """When there is something to do, if nothing comes in between."""
        events = [*self._due.values()]
        if self._ping.id not in self._due:
            events.append(self._ping_at())
        if self._pinged_at is not None:
            events.append(self._silent_at(self._pinged_at))
        return min(events)

    def _silent_at(self, pinged_at: float) -> float:
        # Behind slow calls a ping waits as long as they do.
        if self.is_busy:
            return max(pinged_at, self._heard_at) + self._limits.busy_silence_seconds
        return pinged_at + self._limits.silence_seconds

    def _ping_at(self) -> float:
        # Unanswered, it is repeated: the agent ends when it hears nothing for two minutes, and an
        # idle connection is closed.
        quiet_since = self._sent_at
        if self._pinged_at is None:
            quiet_since = min(self._sent_at, self._heard_at)
        return quiet_since + self._limits.ping_seconds
