"""One agent of the laboratory: a process that reads frames, runs their calls and answers.

It is what `powershell.exe` with our loader is on a host, seen from the shell: stdin, stdout, an
exit code. The main thread reads, decides and writes; each running plan has a thread of its own, at
most `LANES` of them and one for what only looks. It decides what the agent decides, in the same
order and words.

Source: the agent's Receive-Request, Complete-Lanes and main loop.
"""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from collections import deque
from dataclasses import dataclass

from ec2gw.lab.agent import casts, plan, recorder, request
from ec2gw.lab.agent.host import CmdletError, Invoked
from ec2gw.lab.agent.journal import Journal, Journals
from ec2gw.lab.door.process import Output
from ec2gw.winrm import agent, framing

LANES = 2
"""For plans with a token; one more is for those that only look."""
COMPRESS = "Agent\\Compress-Journal"
VERSION = "5.1.20348.2849"
_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 60.0  # what runs gets this long when the agent ends


class _Ended(Exception):
    """Nothing more to read, or nobody left to write to."""


@dataclass(frozen=True, slots=True)
class _Compressed:
    kept: int

    def property(self, name: str) -> object:
        return {"Kept": self.kept}[name]


@dataclass(slots=True)
class _Job:
    request: request.Request
    since: float
    answer: plan.Answer | None = None


class Session:
    """A started agent. `write`, `close_input` and `kill` may be called from any thread."""

    def __init__(self, journals: Journals, output: Output, silence_seconds: float) -> None:
        self._journals = journals
        self._host = journals.host
        self._entered: Journal | None = None
        self._output = output
        self._silence = silence_seconds
        self._me = secrets.token_hex(16)
        self._changed = threading.Condition()
        self._inbox = bytearray()
        self._closed = False
        self._killed = False
        self._over = False
        self._finished: deque[_Job] = deque()
        self._running = 0
        self._changing = 0
        self._waiting: deque[object] = deque()
        self._owed: dict[str, str] = {}
        self._decoder = framing.Decoder(largest=framing.MAX_ASK)
        self._mine = 0
        self._setup: request.Setup
        self._journal: Journal  # both from the first message on
        self._thread = threading.Thread(
            target=self._main, name=f"agent-{self._host.name}-{self._me[:6]}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    # -- what the door calls

    def write(self, data: bytes) -> None:
        with self._changed:
            if not self._over and not self._killed:
                self._inbox += data
                self._changed.notify_all()

    def unread(self) -> int:
        with self._changed:
            return len(self._inbox)

    def close_input(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def kill(self) -> None:
        with self._changed:
            self._killed = True
            self._inbox.clear()
            self._changed.notify_all()
        # What it began and has not ended is from now on `begun`, as after a process's death.
        self._die()

    # -- the process

    def _main(self) -> None:
        code = 1
        try:
            code = self._run()
        except _Ended:
            pass
        except Exception:  # the process's outermost frame: it dies as a process does, and says so
            self._output.stderr(traceback.format_exc().encode("utf-8"))
        finally:
            with self._changed:
                self._over = True
                self._inbox.clear()
            self._die()
            if not self._killed:
                self._output.exited(code)

    def _die(self) -> None:
        if self._entered is not None:
            self._entered.leave(self._me)

    def _run(self) -> int:
        if self._line() + b"\n" != agent.first_line():
            self._output.stderr(b"The laboratory runs its own version's agent and no other text.\n")
            return 1
        try:
            self._configure(self._first_message())
        except (request.BadRequest, CmdletError, OSError) as failed:
            self._send({"bad": "setup", "why": str(failed)})
            return 1
        self._send(self._hello())
        self._serve()
        self._leave()
        return 0

    def _first_message(self) -> object:
        [message] = self._decoder.feed(self._line() + b"\n") or [None]
        if isinstance(message, framing.BadFrame):
            raise request.BadRequest(message.why)
        return message

    def _configure(self, message: object) -> None:
        self._setup = request.read_setup(message)
        self._host.invoke("Agent\\New-Folder", {"Path": self._setup.root})
        self._host, self._journal = self._journals.at(self._setup.root)
        self._journal.enter(self._me)
        self._entered = self._journal

    def _hello(self) -> dict[str, object]:
        versions = self._host.module_versions
        return {
            "hello": 1,
            "version": VERSION,
            "mode": "FullLanguage",
            "epoch": self._journal.epoch,
            "host": self._host.host_id,
            "boot": casts.time(self._host.boot_time),
            "modules": {one: versions[one] for one in self._setup.modules if one in versions},
            "missing": sorted(do for do in self._setup.allowed if not self._knows(do)),
            "agent": agent.digest(),
            "limits": {
                "line": framing.MAX_LINE,
                "text": framing.MAX_TEXT,
                "lanes": LANES,
                "silence": int(self._silence),
            },
            "damaged": self._journal.damaged,
            "journal": self._journal.name,
        }

    def _serve(self) -> None:
        heard = looked = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._inbox or self._finished or self._closed or self._killed,
                    timeout=_LOOK_SECONDS,
                )
                if self._killed:
                    raise _Ended
                data = bytes(self._inbox)
                self._inbox.clear()
                end_of_input = self._closed and not data
            if data:
                heard = time.monotonic()
            for message in self._decoder.feed(data):
                self._receive(message)
                self._begin_what_waits()
            self._complete()
            self._begin_what_waits()
            if end_of_input:
                return
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                if self._superseded():
                    return
            if time.monotonic() - heard >= self._silence:
                return

    def _receive(self, message: object) -> None:
        if isinstance(message, framing.BadFrame):
            told: dict[str, object] = {"bad": "frame", "why": message.why}
            if message.digest is not None:
                told["digest"] = message.digest
            self._send(told)
        else:
            self._waiting.append(message)

    def _begin_what_waits(self) -> None:
        """Requests are checked when they start, not when they come: they may have waited long."""
        while (at := self._next()) is not None:
            message = self._waiting[at]
            del self._waiting[at]
            try:
                wanted = request.read(message)
                refusal = self._journal.begin(wanted, self._me, self._owed)
            except (request.BadRequest, OSError) as failed:
                self._send({"id": request.id_of(message), "bad": "request", "why": str(failed)})
                continue
            self._mine = max(self._mine, wanted.epoch)
            if refusal is not None:
                self._send(refusal)
                continue
            self._running += 1
            self._changing += wanted.token is not None
            job = _Job(wanted, time.monotonic())
            threading.Thread(
                target=self._lane, args=(job,), name=f"lane-{self._host.name}", daemon=True
            ).start()

    def _next(self) -> int | None:
        """Find what begins now; whoever only looks never waits for what takes minutes."""
        if self._running > LANES:
            return None
        for at, message in enumerate(self._waiting):
            changes = isinstance(message, dict) and "token" in message
            if not changes or self._changing < LANES:
                return at
        return None

    def _lane(self, job: _Job) -> None:
        record = recorder.recorder(job.request, self._invoke)
        invoke = record.invoke if record else self._invoke
        try:
            job.answer = plan.run(job.request.calls, self._setup, invoke, self._dropped)
            if record:
                record.close(self._setup, job.answer)
        except plan.Dropped:
            return
        except Exception as fault:  # the lane's outermost frame: a fault of ours is an answer too
            self._output.stderr(traceback.format_exc().encode("utf-8"))
            error = {"id": "Agent", "text": f"{type(fault).__name__}: {fault}"}
            job.answer = {"ok": False, "done": 0, "results": {}, "stage": "agent", "error": error}
        with self._changed:
            self._finished.append(job)
            self._changed.notify_all()

    def _complete(self) -> None:
        self._pay()
        while self._finished:
            job = self._finished.popleft()
            self._running -= 1
            self._changing -= job.request.token is not None
            if self._killed:
                raise _Ended
            answer = job.answer or {}
            if job.request.token is not None:
                self._owed[job.request.token] = "ok" if answer["ok"] else "failed"
                self._pay()
            elapsed_ms = int((time.monotonic() - job.since) * 1000)
            self._send({"id": job.request.id, **answer, "ms": elapsed_ms})

    def _pay(self) -> None:
        """Write the ends that are due; what the disk does not take is kept for the next time."""
        for token, outcome in list(self._owed.items()):
            try:
                self._journal.end(token, outcome)
            except OSError:
                return
            del self._owed[token]

    def _superseded(self) -> bool:
        """Whether a newer driver is at work: the host is left to it."""
        try:
            self._journal.look()
        except OSError:
            return False
        return 0 < self._mine < self._journal.epoch

    def _leave(self) -> None:
        for message in self._waiting:
            self._send({"id": request.id_of(message), "ok": False, "refused": "ending"})
        self._waiting.clear()
        until = time.monotonic() + _LEAVE_SECONDS
        while (self._running or self._owed) and time.monotonic() < until:
            with self._changed:
                self._changed.wait_for(lambda: self._finished or self._killed, timeout=0.2)
            if self._killed:
                raise _Ended
            self._complete()
            if not self._running and self._owed:
                until = min(until, time.monotonic() + _LOOK_SECONDS)

    def _knows(self, do: str) -> bool:
        return do == COMPRESS or self._host.knows(do)

    def _invoke(self, do: str, arguments: dict[str, object]) -> Invoked:
        if do == COMPRESS:
            return self._compress(arguments)
        return self._host.invoke(do, arguments)

    def _compress(self, arguments: dict[str, object]) -> Invoked:
        tokens, damaged = arguments.get("Tokens"), arguments.get("Damaged", 0)
        if not isinstance(tokens, list) or not all(isinstance(one, str) for one in tokens):
            raise _unbound("Tokens")
        if not isinstance(damaged, int) or isinstance(damaged, bool):
            raise _unbound("Damaged")
        try:
            return Invoked([_Compressed(self._journal.compact(tokens, damaged))])
        except OSError as failed:
            kind = "System.IO.IOException"
            raise CmdletError("JournalNotWritten", "WriteError", str(failed), kind=kind) from failed

    def _dropped(self) -> bool:
        # A lane that outlives its process ends between two calls, as a process's end cuts it.
        return self._killed or self._over

    def _line(self) -> bytes:
        """The next line of stdin without its end, before frames are read.

        :raises _Ended: there is none
        """
        with self._changed:
            while (end := self._inbox.find(b"\n")) < 0:
                if self._closed or self._killed or len(self._inbox) > framing.MAX_LINE:
                    raise _Ended
                self._changed.wait()
            line = bytes(self._inbox[:end])
            del self._inbox[: end + 1]
        return line

    def _send(self, message: dict[str, object]) -> None:
        try:
            frame = framing.encode(message, largest=framing.MAX_TEXT)
        except ValueError:  # done, but too large or odd to tell: look
            kept = {name: message.get(name) for name in ("id", "ok", "done")}
            frame = framing.encode({**kept, "bad": "answer"})
        if not self._killed:
            self._output.stdout(frame)


def _unbound(parameter: str) -> CmdletError:
    return CmdletError(
        "ParameterArgumentTransformationError,Compress-Journal",
        "InvalidData",
        f"Cannot process argument transformation on parameter '{parameter}'.",
        activity="Compress-Journal",
        kind="System.Management.Automation.ParameterBindingArgumentTransformationException",
    )
