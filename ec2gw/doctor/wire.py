"""One agent in a shell of its own, without a link around it: for probes of the connection itself.

Each method may be told which connection it goes over; none does what a link does for its caller.

Source: docs/agent.md, "Frames"; [MS-WSMV] 3.1.4.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from typing import Final

from ec2gw.doctor.bench import Bench
from ec2gw.doctor.probe import NotSo
from ec2gw.winrm import agent, framing, session, timing

_START_SECONDS: Final = 75.0
_SLEEP: Final = "Start-Sleep -Seconds {}"


class Peer:
    """A remote process and the connections to it; closed by whoever made it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        patient = dataclasses.replace(bench.limits, renew_seconds=3600)
        self._limits = dataclasses.replace(patient, operation_seconds=bench.patience.operation)
        self._connections: list[session.Connection] = []
        self._decoder = framing.Decoder()
        self.first = self._connect(patient)  # PowerShell takes its input when it has started
        self.shell = self.first.create_shell()
        self.command = ""

    def connection(self) -> session.Connection:
        """One more connection, with a sign-in of its own, that waits less long in a Receive."""
        return self._connect(self._limits)

    def _connect(self, limits: timing.Timing) -> session.Connection:
        made = session.Connection(self._bench.target.address, limits)
        self._connections.append(made)
        return made

    def start_agent(self) -> None:
        """Start the agent of the doctor's folder and hear its hello.

        :raises NotSo: it did not say one
        """
        bootstrap = self._bench.bootstrap()
        self.command = self.first.start(self.shell, bootstrap.program, bootstrap.arguments)
        for start in range(0, len(bootstrap.input), timing.SEND_BYTES):
            self.send(self.first, bootstrap.input[start : start + timing.SEND_BYTES])
        if "hello" not in self.message(self.first, _START_SECONDS):
            raise NotSo("the agent's first word was no hello")

    def start_sleeper(self, seconds: int) -> None:
        """Start a PowerShell that reads nothing and ends by itself."""
        *options, _loader = agent.arguments()
        words = (*options, _SLEEP.format(seconds))
        self.command = self.first.start(self.shell, agent.PROGRAM, words)

    def send(self, over: session.Connection, data: bytes) -> None:
        over.send(self.shell, self.command, data)

    def ask(self, over: session.Connection, number: int, **members: object) -> None:
        """Send a request of no calls, or of those in `members`."""
        request = {"id": number, "epoch": self._bench.epoch, "calls": [], **members}
        self.send(over, framing.encode(request))

    def receive(self, over: session.Connection) -> list[object]:
        """Wait for output up to the operation's time, and read it as frames."""
        try:
            output = over.receive(self.shell, self.command)
        except session.NoOutput:
            return []
        return [one for one in self._decoder.feed(output.stdout) if isinstance(one, dict)]

    def message(self, over: session.Connection, seconds: float) -> dict[str, object]:
        """Wait for the next frame.

        :raises NotSo: none came in that time
        """
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            for one in self.receive(over):
                if isinstance(one, dict):
                    return one
        raise NotSo(f"no frame within {seconds:.0f} s")

    def close(self) -> None:
        """Remove the shell, which should end the process, and all connections."""
        with contextlib.suppress(session.LinkError):
            self.connection().delete_shell(self.shell)
        for one in self._connections:
            one.abort()
            one.close()


@contextlib.contextmanager
def peer(bench: Bench) -> Iterator[Peer]:
    """A shell with nothing in it yet."""
    made = Peer(bench)
    try:
        yield made
    finally:
        made.close()
