"""What WinRM does with two connections, cut ones, full pipes, deleted shells and silence.

ec2gw copes with every answer: it rebuilds, and asks again under the same token. What a host really
does decides how often that is needed.

Source: [MS-WSMV] 3.1.4.12 to 3.1.4.14; http.sys's idle limit.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Final

from ec2gw.doctor import journal, wire
from ec2gw.doctor.bench import SUBJECT, Bench
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from ec2gw.winrm import request as requests
from ec2gw.winrm import session
from translators.hyperv import host as port

_MOST_BYTES: Final = 4 * 1024**2
_PIECE: Final = 32 * 1024
_BLANK_SECONDS: Final = 25.0


class _Waiting(threading.Thread):
    """Somebody who waits in one Receive; `got` is what came, `failed` why nothing did."""

    def __init__(self, receive: Callable[[], list[object]]) -> None:
        super().__init__(name="doctor-receive", daemon=True)
        self._receive = receive
        self.got: list[object] = []
        self.failed = ""
        self.start()

    def run(self) -> None:
        try:
            self.got = self._receive()
        except session.LinkError as error:
            self.failed = f"{type(error).__name__}: {error}"


def _numbers(messages: list[object]) -> list[object]:
    return [one.get("id") for one in messages if isinstance(one, dict)]


def _send_while_receiving(bench: Bench) -> str:
    with wire.peer(bench) as peer:
        peer.start_agent()
        receiving = peer.connection()
        took = []
        for number in range(1, 6):
            waiting = _Waiting(lambda: peer.receive(receiving))
            time.sleep(0.1)  # so that it waits there
            began = time.monotonic()
            peer.ask(peer.first, number)
            waiting.join(2 * bench.patience.operation)
            took.append(time.monotonic() - began)
            if _numbers(waiting.got) != [number]:
                raise NotSo(waiting.failed or f"request {number} brought {waiting.got}")
    return bench.percentiles("answered", took)


def _two_receives(bench: Bench) -> str:
    with wire.peer(bench) as peer:
        peer.start_agent()
        lines = [peer.connection(), peer.connection()]
        waiting = [_Waiting(lambda line=line: peer.receive(line)) for line in lines]  # type: ignore[misc]
        time.sleep(0.2)
        for number in (1, 2):
            peer.ask(peer.first, number)
            time.sleep(0.1)
        for one in waiting:
            one.join(2 * bench.patience.operation)
        late = peer.receive(peer.connection()) if not all(one.got for one in waiting) else []
        came = sorted(str(one) for one in _numbers(waiting[0].got + waiting[1].got + late))
        failed = "; ".join(one.failed for one in waiting if one.failed)
        if came != ["1", "2"]:
            raise NotSo(f"of two answers came {came or 'none'}; {failed or 'no fault'}")
    if failed:
        return f"one waits, the other is refused ({failed}); nothing is lost"
    return "each answer came to one of them, once"


def _cut_receive(bench: Bench) -> str:
    with wire.peer(bench) as peer:
        peer.start_agent()
        doomed = peer.connection()
        waiting = _Waiting(lambda: peer.receive(doomed))
        time.sleep(0.2)
        doomed.abort()
        waiting.join(2 * bench.patience.operation)
        peer.ask(peer.first, 1)
        time.sleep(0.2)  # so that a host that still answers the dead one does so
        began = time.monotonic()
        try:
            found = peer.message(peer.connection(), 2 * bench.patience.operation)
        except NotSo:
            peer.ask(peer.first, 2)
            found = peer.message(peer.connection(), 2 * bench.patience.operation)
            raise NotSo(f"the answer was lost; the next one, to {found.get('id')}, came") from None
    return f"it came to the next Receive after {(time.monotonic() - began) * 1000:.0f} ms"


def _full_pipe(bench: Bench) -> str:
    """Fill the pipe of a process that reads nothing, and see how its host says so."""
    taken = 0
    with wire.peer(bench) as peer:
        peer.start_sleeper(bench.patience.sleeper)
        filling = peer.connection()
        began = time.monotonic()
        try:
            while taken < _MOST_BYTES:
                peer.send(filling, b"x" * _PIECE)
                taken += _PIECE
        except session.NoOutput as error:
            waited = time.monotonic() - began
            bench.measured["pipe_bytes"] = taken
            return f"after {taken} bytes: {error}, {waited:.1f} s in all"
        except session.LinkError as error:
            bench.measured["pipe_bytes"] = taken
            raise NotSo(f"after {taken} bytes: {type(error).__name__}, {error}") from None
    raise NotTried(f"the host took {taken} bytes")


def _deleted_shell(bench: Bench) -> str:
    """Delete the shell of an agent that is busy under a token; ask another one for the token."""
    mark = port.Path("busy-shell")
    plan, token = journal.busy_plan(bench, mark), secrets.token_hex(16)
    fence = port.Fence(token, SUBJECT, 1)
    body = requests.encode(plan, request_id=1, epoch=bench.epoch, fence=fence)
    bench.tokens.begin(token)
    with wire.peer(bench) as peer:
        peer.start_agent()
        peer.ask(peer.first, 1, **{key: value for key, value in body.items() if key != "id"})
        journal.until_begun(bench, bench, mark)
        peer.connection().delete_shell(peer.shell)
    began = time.monotonic()
    burn = port.Plan("burn", (), changes=True)
    words: list[str] = []
    while time.monotonic() - began < 4 * bench.patience.busy + 5:
        try:
            bench.run(burn, fence=fence, deadline_seconds=0.5)
        except port.Token as known:
            words.append(known.word)
            if known.word != "running":
                break
        else:
            raise NotTried("it had not begun")
    bench.measure("process_gone_ms", time.monotonic() - began)
    if words == ["done"]:
        raise NotTried("what it ran was over when its shell was deleted")
    if words[-1] == "begun":
        return f"its token reads {' '.join(dict.fromkeys(words))}: it ended in the midst of it"
    raise NotSo(f"the process lived on: its token reads {' '.join(dict.fromkeys(words))}")


def _idle(bench: Bench) -> str:
    with wire.peer(bench) as peer:
        peer.start_agent()
        lively = peer.connection()
        ends = time.monotonic() + bench.patience.idle
        while (left := ends - time.monotonic()) > 0:
            peer.send(lively, b"\n")  # or the agent itself takes us for lost
            time.sleep(min(left, _BLANK_SECONDS))
        began = time.monotonic()
        try:
            peer.ask(peer.first, 1)
            found = peer.message(peer.first, 2 * bench.patience.operation)
        except session.LinkError as error:
            raise NotSo(f"{type(error).__name__}: {error}") from None
        took = (time.monotonic() - began) * 1000
    return f"after {bench.patience.idle:.0f} s request {found.get('id')} took {took:.0f} ms"


PROBES: Final = (
    Probe(
        "send-while-receiving",
        "A Send goes through on one connection while a Receive waits on another.",
        "[MS-WSMV] 3.1.4.13, 3.1.4.14",
        _send_while_receiving,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "two-receives",
        "With two Receives waiting, no answer is lost and none comes twice.",
        "[MS-WSMV] 3.1.4.14",
        _two_receives,
        relied=False,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "receive-cut",
        "What is written after a waiting Receive was cut comes to the next one.",
        "[MS-WSMV] 3.1.4.14",
        _cut_receive,
        relied=False,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "pipe-full",
        "Input that a process does not take in time is told by a timeout.",
        "[MS-WSMV] 3.1.4.13",
        _full_pipe,
        relied=False,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "shell-deleted",
        "With its shell PowerShell ends, whatever it runs.",
        "[MS-WSMV] 3.1.4.5",
        _deleted_shell,
        relied=False,
        changes=True,
        needs=("token-resent",),
    ),
    Probe(
        "idle",
        "A connection that was silent for more than two minutes can still be used.",
        "http.sys, idle connections",
        _idle,
        relied=False,
        changes=True,
        needs=("versions",),
        slow=True,
    ),
)
