"""A host behind a real door whose agent is a script: it answers as told, or misbehaves as told."""

from __future__ import annotations

import base64
import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Output
from ec2gw.lab.door.server import Door, Tls
from ec2gw.winrm import agent, endpoint, framing, ledger, pool, timing
from translators.hyperv.host import Call, Fence, Plan

Json = dict[str, Any]
Behave = Callable[["Agent", Json], Iterable[Json] | None]
"""What to answer to a request; None means what an honest agent would."""

PASSWORD = "laboratory password"
QUICK = timing.Timing(
    connect_seconds=1,
    operation_seconds=1,
    read_seconds=2,
    start_seconds=3,
    farewell_seconds=1,
)


def work(milliseconds: int = 0, text: str = "") -> Plan:
    """A plan that changes something, slowly if told."""
    return Plan("work", (_call(milliseconds, text),), changes=True)


def look(milliseconds: int = 0, text: str = "") -> Plan:
    return Plan("look", (_call(milliseconds, text),))


def _call(milliseconds: int, text: str) -> Call:
    return Call(
        "Toy\\Echo", {"Milliseconds": milliseconds, "Text": text}, "it", {"text": "Text:text"}
    )


def fence(attempt: int, *, generation: int = 1) -> Fence:
    return Fence(f"{attempt:032x}", "i-1", generation)


class Agent:
    """One process: requests come in order, each runs in a thread of its own."""

    def __init__(self, host: ScriptedHost, arguments: Sequence[str], output: Output) -> None:
        self.host = host
        self.arguments = list(arguments)
        self.output = output
        self.setup: Json = {}
        self.requests: list[Json] = []
        self.bad_lines = 0
        self.ended = threading.Event()
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._rest = b""
        threading.Thread(target=self._main, daemon=True).start()

    def write(self, data: bytes) -> None:
        self.host.sends.append(len(data))
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put(line)

    def unread(self) -> int:
        return self.host.unread

    def close_input(self) -> None:
        self._lines.put(None)

    def kill(self) -> None:
        self.ended.set()
        self._lines.put(None)

    def end(self, code: int = 0) -> None:
        """Die as a process does, whatever runs."""
        self.kill()
        self.output.exited(code)

    def say(self, message: Json) -> None:
        self.output.stdout(framing.encode(message))

    def _main(self) -> None:
        text = base64.b64decode(self._lines.get() or b"")
        [setup] = framing.Decoder().feed((self._lines.get() or b"") + b"\n") or [{}]
        assert isinstance(setup, dict)
        self.setup = setup
        if self.host.mute:
            return
        self.say(
            {
                "hello": 1,
                "version": "5.1.20348.1",
                "mode": "FullLanguage",
                "epoch": 0,
                "agent": hashlib.sha256(text).hexdigest(),
                **self.host.hello,
            }
        )
        while (line := self._lines.get()) is not None:
            for message in framing.Decoder().feed(line + b"\n"):
                if isinstance(message, framing.BadFrame):
                    self.bad_lines += 1
                    self.say({"bad": "frame", "why": message.why})
                elif isinstance(message, dict):
                    self.requests.append(message)
                    threading.Thread(target=self._answer, args=(message,), daemon=True).start()
        self.ended.wait(self.host.lingers_seconds)
        if not self.ended.is_set():
            self.output.exited(0)

    def _answer(self, request: Json) -> None:
        answers = self.host.behave(self, request)
        if answers is None:
            answers = [self.host.honest(self, request)]
        for answer in answers:
            if not self.ended.is_set():
                self.say({"id": request["id"], **answer})


class ScriptedHost:
    """A door, the agents started behind it, and the tokens that they share."""

    def __init__(
        self, *, limits: Limits | None = None, tls: Tls | None = None, basic: bool = False
    ) -> None:
        self.behave: Behave = lambda agent, request: None
        self.hello: Json = {}
        self.mute = False
        self.remembers = True
        self.unread = 0
        self.lingers_seconds = 0.0  # between the end of an agent's input and its own
        self.sends: list[int] = []
        self.agents: list[Agent] = []
        self.ran: list[str] = []
        self.tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        self.faults = Faults()
        self.credentials = Credentials([Account("op", PASSWORD, "LAB")])
        self.door = Door(
            ("127.0.0.1", 0),
            self._start,
            self.credentials,
            limits=limits or Limits(),
            basic=basic,
            tls=tls,
            faults=self.faults,
        )
        self.door.start()

    def address(self, **changes: Any) -> endpoint.HostAddress:
        known: dict[str, Any] = {
            "url": self.door.endpoint,
            "transport": "ntlm",
            "username": "LAB\\op",
            "password": lambda: PASSWORD,
            "laboratory": True,
        }
        return endpoint.HostAddress(**(known | changes))

    def honest(self, agent: Agent, request: Json) -> Json:
        """Run it, once per token."""
        token = request.get("token")
        if token and self.remembers:
            with self._lock:
                known = self.tokens.get(token)
                if known == "running":
                    return {"ok": False, "refused": "running"}
                if known is not None:
                    return {"ok": False, "refused": "done", "outcome": known}
                self.tokens[token] = "running"
        results = {}
        for call in request["calls"]:
            time.sleep(call["with"]["Milliseconds"] / 1000)
            results[call["as"]] = [{"text": call["with"]["Text"]}]
        if token:
            with self._lock:
                self.ran.append(token)
                self.tokens[token] = "ok"
        return {"ok": True, "done": len(results), "results": results, "warnings": [], "ms": 1}

    def _start(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], out: Output
    ) -> Agent:
        assert program == agent.PROGRAM
        self.agents.append(Agent(self, arguments, out))
        return self.agents[-1]


def link(
    host: ScriptedHost,
    *,
    limits: timing.Timing = QUICK,
    address: endpoint.HostAddress | None = None,
    epoch: int | None = 1,
    shells: ledger.Ledger | None = None,
    events: list[tuple[str, Mapping[str, object]]] | None = None,
) -> pool.HostLink:
    return pool.HostLink(
        address or host.address(),
        root="C:\\ec2gw",
        modules=["Toy"],
        allowed={"Toy\\Echo": ["Milliseconds", "Text"]},
        paths={},
        epoch=epoch,
        shells=shells,
        limits=limits,
        on_event=None if events is None else lambda event, fields: events.append((event, fields)),
    )
