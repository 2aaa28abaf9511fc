"""Carries requests to one agent on the host and its answers back, until that process ends.

Two threads: one sends what is due and pings when all is quiet, one receives. A cut connection is
replaced and everything unanswered is asked again, at the same process, with the same tokens; when
the process itself is gone, every exchange is broken off and the pool moves it to another worker.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ec2gw.winrm import exchange, framing, outstanding, reply, session, shell, timing
from translators.hyperv import host

_STDERR_BYTES = 2000


class Tell(Protocol):
    """Takes an event and its fields for the log."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


@dataclass(slots=True)
class _InARow:
    """What has failed since a message of this thread last came through."""

    failures: int = 0
    denials: int = 0

    def note(self, error: session.LinkError) -> None:
        self.failures += 1
        self.denials = self.denials + 1 if isinstance(error, session.Denied) else 0

    def clear(self) -> None:
        self.failures = self.denials = 0


class Worker:
    """`changed` is called, without any lock held, when it became worn or died."""

    def __init__(
        self,
        process: shell.Shell,
        limits: timing.Timing,
        *,
        ping: exchange.Exchange,
        tell: Tell,
        changed: Callable[[], None],
    ) -> None:
        self._process = process
        self._limits = limits
        self._tell = tell
        self._changed = changed
        self._wake = threading.Condition()
        self._started_at = time.monotonic()
        self._outstanding = outstanding.Outstanding(ping, limits, self._started_at)
        self._decoder = framing.Decoder()
        self._hello: reply.Hello | None = None
        self._stderr = b""
        self._torn = False
        self._asked = 0
        self._spoilt = 0
        self._memory = 0
        self._retired_at: float | None = None
        self._may_delete = False
        self._cause: session.LinkError | None = None
        self._reader = threading.Thread(target=self._read, name="winrm-receive", daemon=True)
        self._sender = threading.Thread(target=self._send, name="winrm-send", daemon=True)

    # ---- its life

    def start(self, bootstrap: shell.Bootstrap) -> reply.Hello:
        """Start the process and wait for its hello; blocks.

        :raises LinkError: also for a process that starts and then says nothing
        """
        self._process.start(bootstrap)
        self._reader.start()
        with self._wake:
            heard = self._wake.wait_for(
                lambda: self._hello is not None or self._cause is not None,
                self._limits.start_seconds,
            )
            if not heard:
                self._cause = session.Lost("no hello within the time to start")
            hello, cause = self._hello, self._cause
        if hello is None or cause is not None:
            self._process.stop_reading()
            if not isinstance(cause, session.Denied):
                self._process.end(delete=True)
            self._reader.join(self._limits.farewell_seconds)
            raise self._with_stderr(cause or session.Lost("no hello"))
        now = time.monotonic()
        self._outstanding.sent(now)
        self._outstanding.heard(now)
        self._sender.start()
        return hello

    def _with_stderr(self, cause: session.LinkError) -> session.LinkError:
        # Nothing was asked yet, so it can tell of nothing but PowerShell's own start.
        said = self._stderr.decode("ascii", "replace").strip()
        return type(cause)(f"{cause}; it said: {said}", cause.code) if said else cause

    @property
    def cause(self) -> session.LinkError | None:
        """Why it has ended."""
        return self._cause

    @property
    def finished(self) -> bool:
        """Whether its threads have said good-bye too."""
        return self._cause is not None and not (self._sender.is_alive() or self._reader.is_alive())

    @property
    def shell_id(self) -> str:
        """The host's name for its shell; empty before there is one."""
        return self._process.id

    @property
    def usable(self) -> bool:
        return self._cause is None and self._retired_at is None

    @property
    def worn(self) -> bool:
        """Whether it has served long enough to be replaced."""
        return (
            self.age_seconds >= self._limits.recycle_seconds
            or self._asked >= self._limits.recycle_requests
            or self._memory >= self._limits.recycle_bytes
        )

    @property
    def age_seconds(self) -> float:
        return time.monotonic() - self._started_at

    def retire(self) -> None:
        """Take nothing more; end when what is open was answered."""
        with self._wake:
            self._retired_at = self._retired_at or time.monotonic()
            self._wake.notify_all()

    def stop(self) -> None:
        """Begin to end now; what runs on the host may go on there."""
        with self._wake:
            self._may_delete = self._may_delete or not self._outstanding.is_busy
            self._cause = self._cause or session.Gone("the link is closed")
            self._wake.notify_all()
        self._break_off()

    def join(self, limit: float) -> None:
        """Wait for the good-bye until then (monotonic), and cut off whoever still waits."""
        if self._sender.is_alive():
            self._sender.join(max(0.0, limit - time.monotonic()))
        self._process.abort()
        for thread in (self._sender, self._reader):
            if thread.is_alive():
                thread.join(self._limits.farewell_seconds)

    # ---- what callers do

    def submit(self, one: exchange.Exchange) -> bool:
        """Carry it from now on; false when this worker takes nothing more."""
        with self._wake:
            if not self.usable:
                return False
            one.carry()
            self._outstanding.add(one, time.monotonic())
            self._asked += 1
            self._wake.notify_all()
            return True

    def withdraw(self, one: exchange.Exchange) -> None:
        """Its caller has gone: what was not sent yet stays unsent."""
        with self._wake:
            self._outstanding.withdraw(one)

    # ---- sending

    def _send(self) -> None:
        try:
            row = _InARow()
            while batch := self._next_batch():
                self._carry(batch, row)
        except Exception as error:  # the thread's end: whoever waits must be told
            self._tell("worker-fault", error=type(error).__name__)
            self._die(session.Lost(f"the sending thread failed: {type(error).__name__}"))
        if not isinstance(self._cause, session.Denied):  # one more sign-in could lock the account
            self._process.end(delete=self._may_delete)
        self._process.stop_reading()
        self._die(session.Gone("retired"))

    def _next_batch(self) -> list[exchange.Exchange]:
        """What is due, waiting for it; nothing when all is over."""
        table = self._outstanding
        with self._wake:
            while self._cause is None:
                now = time.monotonic()
                if self._retired_at is not None and (
                    not table.is_busy or now - self._retired_at > self._limits.drain_seconds
                ):
                    self._may_delete = not table.is_busy
                    return []
                if table.is_silent(now):
                    break
                table.plan_ping(now)
                if batch := table.take_due(now):
                    return batch
                self._wake.wait(max(0.0, table.next_event() - now))
            else:
                return []
        self._die(session.Lost("the agent is silent"))
        return []

    def _carry(self, batch: list[exchange.Exchange], row: _InARow) -> None:
        frames = b"".join(one.frame for one in batch)
        try:
            # After a cut Send half a line may wait at the agent: end it first.
            self._process.write(b"\n" + frames if self._torn else frames)
        except session.LinkError as error:
            unsent = isinstance(error, session.Unconnected)
            with self._wake:
                self._torn = self._torn or not unsent
                self._outstanding.not_sent(batch, time.monotonic(), surely=unsent)
            self._tell("send-failed", error=type(error).__name__, code=error.code)
            self._after(error, row)
            return
        row.clear()
        with self._wake:
            self._torn = False
            self._outstanding.sent(time.monotonic())

    # ---- receiving

    def _read(self) -> None:
        try:
            row = _InARow()
            while self._cause is None:
                try:
                    output = self._process.read()
                except session.NoOutput:
                    row.clear()
                except session.LinkError as error:
                    self._read_failed(error, row)
                else:
                    row.clear()
                    self._take_output(output)
        except Exception as error:  # the thread's end: whoever waits must be told
            self._tell("worker-fault", error=type(error).__name__)
            self._die(session.Lost(f"the receiving thread failed: {type(error).__name__}"))

    def _read_failed(self, error: session.LinkError, row: _InARow) -> None:
        if self._cause is not None:
            return
        self._tell("receive-failed", error=type(error).__name__, code=error.code)
        if self._hello is None and not isinstance(error, session.Denied):
            self._die(error)  # the hello may be what got lost, and it is said only once
            return
        self._after(error, row)
        self._ask_all_again(outstanding.AT_ONCE)

    def _take_output(self, output: session.Output) -> None:
        if output.stderr:
            self._stderr = (self._stderr + output.stderr)[-_STDERR_BYTES:]
            self._tell("stderr", bytes=len(output.stderr))
        for message in self._decoder.feed(output.stdout):
            if isinstance(message, framing.BadFrame):
                # Others write to the console too, but it may have been an answer.
                self._spoilt += 1
                if self._spoilt.bit_count() == 1:  # the 1st, 2nd, 4th ...: noise may come in floods
                    self._tell("bad-frame", why=message.why, count=self._spoilt)
                self._ask_all_again(outstanding.SPOILT_PAUSES)
            elif isinstance(message, dict):
                self._take_message(message)
        if output.exit_code is not None:
            self._may_delete = True
            self._die(session.Gone(f"the process ended with {output.exit_code}"))

    def _take_message(self, message: Mapping[str, object]) -> None:
        with self._wake:
            self._outstanding.heard(time.monotonic())
        if "hello" in message:
            self._take_hello(message)
        elif message.get("refused") == "ending":
            self._tell("agent-ending")
            self._die(session.Gone("the agent is ending"))
        elif message.get("bad") == "setup":
            self._die(session.Lost(f"the agent refuses its setup: {message.get('why')}"))
        elif message.get("bad") == "frame":
            self._take_bad_frame(message)
        else:
            self._take_answer(message)

    def _take_hello(self, message: Mapping[str, object]) -> None:
        try:
            hello = reply.hello(message)
        except host.Faulty as error:
            self._die(session.Lost(f"the hello cannot be read: {error}"))
            return
        with self._wake:
            self._hello = self._hello or hello
            self._wake.notify_all()

    def _take_bad_frame(self, message: Mapping[str, object]) -> None:
        self._tell("told-bad-frame")
        with self._wake:
            one = self._outstanding.find_frame(message.get("digest"))
            if one is not None:  # it arrived as it was sent, and would be as unreadable again
                self._outstanding.close(one.id)
                one.answer(message)
                return
        self._ask_all_again(outstanding.SPOILT_PAUSES)

    def _take_answer(self, message: Mapping[str, object]) -> None:
        key = message.get("id")
        if isinstance(memory := message.get("memory"), int):
            self._memory = memory
        with self._wake:
            one = self._outstanding.find(key)
            if one is not None and message.get("refused") == "running":
                one.running = True
                self._outstanding.again(one, outstanding.RUNNING_PAUSES, time.monotonic())
                self._wake.notify_all()
                return
            self._outstanding.close(key)
            self._wake.notify_all()  # a retired worker may have waited for this
        if one is not None:
            one.answer(message)
        if self.worn:
            self._changed()

    # ---- trouble

    def _ask_all_again(self, pauses: tuple[float, ...]) -> None:
        with self._wake:
            self._outstanding.all_again(pauses, time.monotonic())
            self._wake.notify_all()

    def _after(self, error: session.LinkError, row: _InARow) -> None:
        """Pause before the next connection, or give the process up."""
        row.note(error)
        final = isinstance(error, session.Gone | session.Untrusted | session.Unusable)
        refused = isinstance(error, session.Denied) and (error.is_final or row.denials > 1)
        if final or refused:
            self._die(error)
            return
        if row.failures >= self._limits.reconnects:
            # A connection that is cut while it signs in is refused too: once proves nothing.
            once = isinstance(error, session.Denied)
            self._die(session.Lost(str(error), error.code) if once else error)
            return
        again = row.failures - 1
        pause = min(2.0, 0.05 * 4.0**again) * random.random() if again else 0.0
        with self._wake:
            self._wake.wait_for(lambda: self._cause is not None, pause)

    def _die(self, cause: session.LinkError) -> None:
        with self._wake:
            first = self._cause is None
            self._cause = self._cause or cause
            self._wake.notify_all()
        self._break_off()
        if first:
            self._changed()

    def _break_off(self) -> None:
        with self._wake:
            cause = self._cause or session.Gone("closed")
            given_up = self._outstanding.clear()
        for one in given_up:
            one.break_off(cause)
