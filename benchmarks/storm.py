"""Many launch at once while the gateway's processes are killed: nothing answered may be missing.

Of the gateway alone, since what it is compared with forgets all when it ends. A client whose
connection is cut asks again with the same token, as every SDK does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import cases, seeding
from benchmarks.client import Connection, Unexpected
from benchmarks.sides import Side
from ec2gw.lab.world import World

_ANSWER_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 0.005
_VICTIMS: Final = ("api", "engine", "api", "lab", "api")


@dataclass(frozen=True, slots=True)
class Raised:
    """What came of it: a sentence, and what is wrong, which has to be nothing."""

    told: str
    wrong: list[str]


@dataclass(slots=True)
class _Storm:
    side: Side
    data: Path
    answered: dict[str, list[str]] = field(default_factory=dict)
    """Token -> the ids that were answered."""
    seconds: list[float] = field(default_factory=list)
    again: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def client(self, tokens: list[str]) -> None:
        for token in tokens:
            parameters = {"ImageId": self.side.image_id, "ClientToken": token, **seeding.launch()}
            began = time.monotonic()
            names = seeding.instance_ids(self._until_answered(parameters))
            with self._lock:
                self.answered[token] = names
                self.seconds.append(time.monotonic() - began)

    def _until_answered(self, parameters: dict[str, str | int]) -> bytes:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            request = self.side.signer.request("RunInstances", parameters)
            with contextlib.suppress(OSError), Connection(self.side.signer.port) as connection:
                answer = connection.ask(request)
                if answer.status == 200:
                    return answer.body
                if answer.status < 500:
                    raise Unexpected(answer.body[:500].decode(errors="replace"))
            with self._lock:
                self.again += 1
            if time.monotonic() > deadline:
                raise Unexpected(f"no answer within {_ANSWER_SECONDS:g} s")
            time.sleep(_PAUSE_SECONDS)

    def kill(self, launches: int, over: threading.Event) -> None:
        """Kill one child after the other, each when some more launches were answered."""
        for number, name in enumerate(_VICTIMS, 1):
            enough = launches * number // (len(_VICTIMS) + 1)
            while not over.wait(_LOOK_SECONDS):
                children = json.loads((self.data / "run" / "pids.json").read_text())
                if len(self.seconds) >= enough and (pid := children[name]):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        self.killed[name] += 1
                        break


def raised(side: Side, data: Path, launches: int) -> Raised:
    """Launch so many over all connections, and kill meanwhile; then look whether all is right."""
    storm = _Storm(side, data)
    tokens = [str(uuid.uuid4()) for _ in range(launches)]
    shares = [tokens[first :: cases.CONNECTIONS] for first in range(cases.CONNECTIONS)]
    over = threading.Event()
    killer = threading.Thread(target=storm.kill, args=(launches, over))
    killer.start()
    try:
        with ThreadPoolExecutor(cases.CONNECTIONS) as clients:
            list(clients.map(storm.client, shares))
    finally:
        over.set()
        killer.join()
    cases.settle(data / "state.sqlite3")
    wrong = list(_wrong(storm))
    deaths = ", ".join(f"{name} {count}" for name, count in sorted(storm.killed.items()))
    told = (
        f"Storm: {launches} launches over {cases.CONNECTIONS} connections, killed meanwhile: "
        f"{deaths}. Asked again with the same token {storm.again} times; the median waited "
        f"{statistics.median(storm.seconds):.2f} s, the longest {max(storm.seconds):.2f} s. "
        f"Missing or doubled: {len(wrong)}."
    )
    return Raised(told, wrong)


def _wrong(storm: _Storm) -> Iterator[str]:
    """Tell what is not so: of what was answered, of what is shown, of what is on the hosts."""
    answered = Counter(name for names in storm.answered.values() for name in names)
    shown = Counter(seeding.instance_ids(_described(storm.side)))
    on_hosts = Counter(
        vm["name"]
        for host in World(storm.data / "lab" / "world.sqlite3").snapshot().values()
        for vm in host["vms"]
    )
    yield from (f"{token}: {names}" for token, names in storm.answered.items() if len(names) != 1)
    yield from differences(answered, shown, "in DescribeInstances")
    yield from differences(answered, on_hosts, "on the hosts")


def differences(answered: Counter[str], found: Counter[str], place: str) -> Iterator[str]:
    """Tell what is missing at a place, and what is there twice or was never answered."""
    yield from (f"{name} is missing {place}" for name in answered - found)
    yield from (f"{name} is once too often {place}" for name in found - answered)


def _described(side: Side) -> bytes:
    deadline = time.monotonic() + _ANSWER_SECONDS
    while True:
        with contextlib.suppress(OSError):
            return side.fetch("DescribeInstances")
        side.connection.close()
        if time.monotonic() > deadline:
            raise Unexpected("DescribeInstances is not answered any more")
        time.sleep(_PAUSE_SECONDS)
