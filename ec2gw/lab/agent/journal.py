"""The journal of one simulated host: what any agent there has been told, so nothing runs twice.

The file is the one that the agent keeps on a real host, line for line: its name and serial
(`J1 name serial`), then one line per begin (`B token agent`), end (`E token outcome`), generation
floor (`G subject n`) and epoch (`P - n`), each with its own digest. It is read again before each
decision, under one lock.

A line whose writer died in it is ended by the next writer with the word `torn` and counts for
nothing: what it would have announced never began. Any other line that does not hold is damage: it
may have been the begin of a token, so no token runs until the driver has looked and has ordered
the journal compacted with the number of damaged lines that it knows of.

Source: docs/agent.md; the agent's Read-Journal and Write-Journal.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ec2gw.lab.agent.host import CmdletError, LabHost
from ec2gw.lab.agent.request import Request
from ec2gw.winrm import framing

Refusal = dict[str, object]

_HEAD = 50
"""Bytes of the first line: by them another file is noticed."""
_TORN = b" torn"


@dataclass(slots=True)
class _Known:
    """What the lines said. Maxima win; a file that vanished takes nothing of it away."""

    begun: dict[str, str]
    ended: dict[str, str]
    floors: dict[str, int]
    epoch: int = 0
    name: str = ""
    serial: int = 0


class Journal:
    """One per folder, shared by all agents of it; thread-safe."""

    def __init__(self, host: LabHost) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._alive: set[str] = set()
        self._known = _Known({}, {}, {})
        self._head = b""
        self._size = 0  # of the file, when it was last read
        self._at = 0  # what of it was learnt: all of its whole lines
        self._damaged = 0

    @property
    def epoch(self) -> int:
        return self._known.epoch

    @property
    def damaged(self) -> int:
        """How many lines of the file are damaged."""
        return self._damaged

    @property
    def name(self) -> str:
        """The file's own name, which a compacted one keeps."""
        return self._known.name

    def enter(self, agent: str) -> None:
        """An agent starts: it counts as alive until it leaves.

        :raises OSError: the journal cannot be read or begun
        """
        with self._lock:
            self._read()
            if not self._head:
                self._write([])
            self._alive.add(agent)
        self._host.agents(len(self._alive))

    def leave(self, agent: str) -> None:
        if agent in self._alive:
            self._alive.discard(agent)
            self._host.agents(len(self._alive))

    def look(self) -> None:
        """Read what others have written.

        :raises OSError: it cannot be read
        """
        with self._lock:
            self._read()

    def begin(self, request: Request, agent: str, owed: Mapping[str, str]) -> Refusal | None:
        """Decide whether the request may run now; if so, it is written down first.

        `owed` are the ends that the agent knows of and could not write yet.

        :raises OSError: the journal cannot be read or written; nothing may run
        """
        with self._lock:
            self._read()
            refusal = self._refusal(request, owed)
            if refusal is None:
                lines = self._lines(request, agent)
                if lines:
                    self._write(lines)
        return refusal

    def end(self, token: str, outcome: str) -> None:
        """Write down how a token's calls ended.

        :raises OSError: not written: to be repeated
        """
        with self._lock:
            self._read()
            self._write([f"E {token} {outcome}"])

    def compact(self, tokens: Collection[str], damaged: int) -> int:
        """Drop what the driver has acknowledged, and the damage that it has looked at.

        Floors and the epoch stay; so does a token that is running, whatever was said of it.
        Returns how many tokens are kept.

        :raises CmdletError: other lines are damaged than the driver knows of
        """
        with self._lock:
            self._read()
            if self._damaged != damaged:
                text = f"{self._damaged} lines of the journal are damaged, not {damaged}"
                raise CmdletError("DamagedJournal", "InvalidData", text, "Compress-Journal")
            known = self._known
            gone = {
                token
                for token in tokens
                if token in known.ended or known.begun.get(token) not in self._alive
            }
            begun = {token: by for token, by in known.begun.items() if token not in gone}
            ended = {token: how for token, how in known.ended.items() if token not in gone}
            name = known.name or secrets.token_hex(16)
            lines = [f"J1 {name} {known.serial % 99999 + 1:05}", f"P - {known.epoch}"]
            lines += [f"G {subject} {floor}" for subject, floor in known.floors.items()]
            lines += [f"B {token} {by}" for token, by in begun.items()]
            lines += [f"E {token} {how}" for token, how in ended.items()]
            self._host.journal_replace(b"".join(map(_line, lines)))
            known.begun, known.ended = begun, ended
            self._size = -1  # another file, be it as long as the old one
            self._read()
            return len(begun.keys() | ended.keys())

    def _refusal(self, request: Request, owed: Mapping[str, str]) -> Refusal | None:
        known = self._known
        refusal: Refusal = {"id": request.id, "ok": False}
        if request.epoch < known.epoch:
            return {**refusal, "refused": "epoch", "seen": known.epoch}
        if request.subject is not None and request.generation is not None:
            floor = known.floors.get(request.subject, 0)
            if request.generation < floor:
                return {**refusal, "refused": "generation", "seen": floor}
        if request.token is None:
            return None
        outcome = known.ended.get(request.token) or owed.get(request.token)
        if outcome is not None:
            return {**refusal, "refused": "done", "outcome": outcome}
        if request.token in known.begun:
            running = known.begun[request.token] in self._alive
            # begun: whoever ran it died; look, then decide
            return {**refusal, "refused": "running" if running else "begun"}
        if self._damaged:
            return {**refusal, "refused": "damaged", "seen": self._damaged}
        return None

    def _lines(self, request: Request, agent: str) -> list[str]:
        lines: list[str] = []
        if request.epoch > self._known.epoch:
            lines.append(f"P - {request.epoch}")
        if (
            request.subject is not None
            and request.generation is not None
            and request.generation > self._known.floors.get(request.subject, 0)
        ):
            lines.append(f"G {request.subject} {request.generation}")
        if request.token is not None:
            lines.append(f"B {request.token} {agent}")
        return lines

    def _write(self, lines: list[str]) -> None:
        if not self._head:
            lines = [f"J1 {secrets.token_hex(16)} 00001", *lines]
        data = b"".join(map(_line, lines))
        if self._head and self._at == self._size:
            self._host.journal_append(data)
            if self._host.journal_size() == self._size + len(data):
                self._learn_all(data)
                self._at = self._size = self._size + len(data)
                return
        else:
            self._host.journal_append((_TORN + b"\n" if self._at < self._size else b"") + data)
        self._read()

    def _read(self) -> None:
        if self._host.journal_size() == self._size:
            return
        data = self._host.journal_read()
        if data[:_HEAD] != self._head or len(data) < self._at:
            self._head, self._at, self._damaged = data[:_HEAD], 0, 0
        whole = data.rfind(b"\n") + 1
        self._learn_all(data[self._at : whole])
        self._at = max(self._at, whole)
        self._size = len(data)

    def _learn_all(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            self._learn(line)

    def _learn(self, line: bytes) -> None:
        if not line or line.endswith(_TORN):
            return
        said, _, told = line.rpartition(b" ")
        words = said.decode("ascii", "replace").split(" ")
        if len(words) != 3 or framing.digest(said).encode("ascii") != told:
            self._damaged += 1
            return
        kind, name, value = words
        known = self._known
        match kind:
            case "J1":
                known.name, known.serial = name, int(value)
            case "B":
                known.begun[name] = value
            case "E":
                known.ended[name] = value
            case "G":
                known.floors[name] = max(int(value), known.floors.get(name, 0))
            case "P":
                known.epoch = max(int(value), known.epoch)
            case _:
                self._damaged += 1


class Journals:
    """Those of one host, a folder of agents each; thread-safe."""

    def __init__(self, host: LabHost) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._known: dict[str, tuple[LabHost, Journal]] = {}

    @property
    def host(self) -> LabHost:
        return self._host

    def at(self, root: str) -> tuple[LabHost, Journal]:
        """The host as seen from that folder, and the journal in it."""
        with self._lock:
            if root.lower() not in self._known:
                here = self._host.rooted(root)
                self._known[root.lower()] = here, Journal(here)
            return self._known[root.lower()]


def _line(text: str) -> bytes:
    said = text.encode("ascii")
    return said + b" " + framing.digest(said).encode("ascii") + b"\n"
