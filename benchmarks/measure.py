"""Bursts of requests against one server, rounds of them against two in turn, and their ratios.

A ratio is taken within each round, between bursts that followed each other, and the median of the
rounds is told: what else the machine does weighs on both.
"""

from __future__ import annotations

import concurrent.futures
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from benchmarks import processes
from benchmarks.client import Answer, Connection, Unexpected
from benchmarks.sides import Side

Metric = Literal["cpu_ms", "p50_ms", "p99_ms", "each_ms", "whole_ms"]
_WARM_UP: Final = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """What one request cost: the median of the times; CPU over all of them."""

    p50_ms: float
    p99_ms: float
    each_ms: float
    """The time that all took together, over their number: of use where many ask at once."""
    cpu_ms: float
    """Of the process that answers."""
    whole_ms: float
    """CPU of all processes, until what the requests began is done."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of two sides; `counts` are the requests of a burst, left and right."""

    name: str
    requests: Callable[[Side], Sequence[bytes]]
    """Makes the signed requests of a burst; they are sent in turn."""
    counts: tuple[int, int]
    before: Callable[[Side, int], None] | None = None
    """Done before each request, with its number; neither its time nor its CPU counts."""
    after: Callable[[Side], None] | None = None
    """Done after a burst, so that what it began weighs on no other."""
    connections: int = 1
    """So many ask at once, each one thing after the other; nothing is done before a request."""


@dataclass(slots=True)
class Rounds:
    """The bursts of a case, a pair a round."""

    case: Case
    left: list[Burst] = field(default_factory=list)
    right: list[Burst] = field(default_factory=list)

    def ratios(self, metric: Metric) -> list[float]:
        """How many times dearer the right side was, by round."""
        pairs = zip(self.left, self.right, strict=True)
        return [getattr(right, metric) / getattr(left, metric) for left, right in pairs]


def rounds(cases: Sequence[Case], left: Side, right: Side, count: int) -> list[Rounds]:
    """Run every case against both sides in turn, as often as asked, changing who begins."""
    measured = [Rounds(case) for case in cases]
    for case in (one for one in cases if one.connections == 1):
        for side in (left, right):
            burst(side, case, min(_WARM_UP, *case.counts))
    for number in range(count):
        for one in measured:
            pair = [(left, one.left, one.case.counts[0]), (right, one.right, one.case.counts[1])]
            for side, bursts, requests in pair if number % 2 == 0 else reversed(pair):
                bursts.append(burst(side, one.case, requests))
    return measured


def burst(side: Side, case: Case, count: int) -> Burst:
    """Send so many requests, one after the other or over many connections."""
    requests = case.requests(side)
    answering, everything = (side.pids["api"],), tuple(side.pids.values())
    apart = apart_whole = 0.0
    answers: list[Answer] = []
    began, began_whole = processes.cpu_seconds(answering), processes.cpu_seconds(everything)
    clock = time.monotonic()
    if case.connections > 1:
        answers = at_once(side, [requests[at % len(requests)] for at in range(count)], case)
    else:
        for number in range(count):
            if case.before is not None:
                paused = processes.cpu_seconds(answering), processes.cpu_seconds(everything)
                case.before(side, number)
                apart += processes.cpu_seconds(answering) - paused[0]
                apart_whole += processes.cpu_seconds(everything) - paused[1]
            answers.append(_asked(side, side.connection, requests[number % len(requests)], case))
    seconds = time.monotonic() - clock
    cpu_seconds = processes.cpu_seconds(answering) - began - apart
    if case.after is not None:
        case.after(side)
    whole_seconds = processes.cpu_seconds(everything) - began_whole - apart_whole
    times = sorted(answer.seconds for answer in answers)
    return Burst(
        p50_ms=statistics.median(times) * 1000,
        p99_ms=times[int(0.99 * (len(times) - 1) + 0.5)] * 1000,
        each_ms=seconds / count * 1000,
        cpu_ms=cpu_seconds / count * 1000,
        whole_ms=whole_seconds / count * 1000,
        size_bytes=len(answers[-1].body),
    )


def at_once(side: Side, requests: Sequence[bytes], case: Case) -> list[Answer]:
    """Share requests out among the case's connections, and wait for all answers."""

    def ask(own: Sequence[bytes]) -> list[Answer]:
        with Connection(side.signer.port) as connection:
            return [_asked(side, connection, request, case) for request in own]

    shares = [requests[first :: case.connections] for first in range(case.connections)]
    with concurrent.futures.ThreadPoolExecutor(case.connections) as clients:
        return [answer for answers in clients.map(ask, shares) for answer in answers]


def _asked(side: Side, connection: Connection, request: bytes, case: Case) -> Answer:
    answer = connection.ask(request)
    if answer.status != 200:
        said = answer.body[:500].decode(errors="replace")
        raise Unexpected(f"{side.name}, {case.name}: {answer.status} {said}")
    return answer
