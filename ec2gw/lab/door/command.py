"""One command of a shell: its process, what waits for its stdin, what waits to be received.

Holds no XML and no other command. Output waits in one bounded queue; a process that writes more
blocks as at a full pipe. Once the answer that says Done was given, only Signal knows the command.

Source: MS-WSMV 3.1.4.11 to 3.1.4.14; recorded answers of live hosts.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from ec2gw.lab.door import answer, soapfault
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Process

_CONTROL_C_EXIT = -1073741510  # STATUS_CONTROL_C_EXIT, 0xC000013A
_ACCESS_VIOLATION = -1073741819  # STATUS_ACCESS_VIOLATION, 0xC0000005
_PIECE_BYTES = 32768
_PIECE_COST_BYTES = 128  # what a piece costs besides its content: an element, an object
_LOOK_SECONDS = 1.0  # how often a waiting Receive looks whether its client is still there
_POLL_SECONDS = 0.02  # how often a Send looks whether a full stdin was read


class Gone(Exception):
    """The client has left while its Receive waited; nothing was taken for it."""


@dataclass(frozen=True, slots=True)
class Received:
    """What one Receive brings: pieces in the order written, and an exit code if it is Done."""

    chunks: tuple[tuple[str, bytes], ...]
    exit_code: int | None


class Command:
    """The door's side of a process, and the `Output` that the process writes to."""

    def __init__(self, limits: Limits) -> None:
        self.id = answer.new_id()
        self._limit = limits.max_waiting_bytes
        self._changed = threading.Condition()
        self._waiting: deque[tuple[str, bytearray]] = deque()
        self._waiting_bytes = 0
        self._exit_code: int | None = None
        self._aborted = False
        self._told_done = False
        self._process: Process | None = None
        self._input = threading.Lock()
        self._input_closed = False

    # What the process calls.

    def stdout(self, data: bytes) -> None:
        self._write("stdout", data)

    def stderr(self, data: bytes) -> None:
        self._write("stderr", data)

    def exited(self, code: int) -> None:
        with self._changed:
            if self.running:
                self._exit_code = (code + 2**31) % 2**32 - 2**31  # an xs:int, as hosts tell it
            self._changed.notify_all()

    # What the service calls.

    @property
    def running(self) -> bool:
        return self._exit_code is None and not self._aborted

    def attach(self, process: Process) -> None:
        """Give the command its process; it may have been aborted meanwhile."""
        with self._changed:
            self._process = process
            wanted = self.running
        if not wanted:
            process.kill()

    def send(self, data: bytes, *, end: bool, timeout_seconds: float) -> None:
        """Hand bytes to stdin once what waits there leaves room; all of them or none.

        :raises Fault: the process has ended or its input is closed (109), or it did not read in
            time (2150858793)
        """
        deadline = time.monotonic() + timeout_seconds
        if not self._input.acquire(timeout=timeout_seconds):
            raise soapfault.operation_timed_out()
        try:
            while True:
                process = self._process
                if process is None or not self.running or self._input_closed:
                    raise soapfault.pipe_ended()
                unread = process.unread()
                if unread == 0 or unread + len(data) <= self._limit:
                    break
                if time.monotonic() >= deadline:
                    raise soapfault.operation_timed_out()
                time.sleep(_POLL_SECONDS)
            if data:
                process.write(data)
            if end:
                self._input_closed = True
                process.close_input()
        finally:
            self._input.release()

    def receive(
        self,
        streams: Collection[str],
        *,
        max_bytes: int,
        timeout_seconds: float,
        gone: Callable[[], bool],
    ) -> Received:
        """Wait for output of the streams, and take it.

        :raises Fault: nothing came in time (2150858793), the command was ended by others (995),
            or its end was told before (2150858843)
        :raises Gone: the client has left
        """
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while True:
                if self._aborted:
                    raise soapfault.aborted()
                if self._told_done:
                    raise soapfault.command_not_found()
                chunks = self._take(streams, max_bytes)
                left_over = any(name in streams for name, _ in self._waiting)
                if self._exit_code is not None and not left_over:
                    self._told_done = True
                    return Received(chunks, self._exit_code)
                if chunks:
                    return Received(chunks, None)
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise soapfault.operation_timed_out()
                self._changed.wait(min(remaining, _LOOK_SECONDS))
                if gone():
                    raise Gone

    def interrupt(self) -> None:
        """Ctrl-C: a running process ends as Windows ends it, its output is still received."""
        self._end(_CONTROL_C_EXIT)

    def crash(self) -> None:
        """End a running process as an access violation does; its output is still received."""
        self._end(_ACCESS_VIOLATION)

    def _end(self, code: int) -> None:
        with self._changed:
            if self.running:
                self._exit_code = code
            self._changed.notify_all()
        self._kill()

    def abort(self) -> None:
        """End the process and drop what waits; whoever receives gets fault 995."""
        with self._changed:
            self._aborted = True
            self._waiting.clear()
            self._waiting_bytes = 0
            self._changed.notify_all()
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _write(self, name: str, data: bytes) -> None:
        rest = memoryview(data)
        with self._changed:
            while rest:
                self._changed.wait_for(
                    lambda: self._waiting_bytes < self._limit or not self.running
                )
                if not self.running:
                    return
                piece = rest[: min(_PIECE_BYTES, self._limit - self._waiting_bytes)]
                rest = rest[len(piece) :]
                self._waiting_bytes += len(piece)
                # Small writes are joined, so that a queue of bytes is never a queue of objects.
                if self._waiting and self._waiting[-1][0] == name:
                    last = self._waiting[-1][1]
                    if len(last) + len(piece) <= _PIECE_BYTES:
                        last += piece
                        continue
                self._waiting.append((name, bytearray(piece)))
                self._waiting_bytes += _PIECE_COST_BYTES
            self._changed.notify_all()

    def _take(self, streams: Collection[str], max_bytes: int) -> tuple[tuple[str, bytes], ...]:
        taken: list[tuple[str, bytes]] = []
        kept: deque[tuple[str, bytearray]] = deque()
        while self._waiting and max_bytes > _PIECE_COST_BYTES:
            name, data = self._waiting.popleft()
            if name not in streams:
                kept.append((name, data))
                continue
            max_bytes -= _PIECE_COST_BYTES
            piece = bytes(data[:max_bytes])
            taken.append((name, piece))
            max_bytes -= len(piece)
            self._waiting_bytes -= len(piece)
            if len(piece) < len(data):
                self._waiting.appendleft((name, data[len(piece) :]))
            else:
                self._waiting_bytes -= _PIECE_COST_BYTES
        self._waiting.extendleft(reversed(kept))
        if taken:
            self._changed.notify_all()
        return tuple(taken)
