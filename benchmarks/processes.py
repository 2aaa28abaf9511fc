"""Starts and ends the programs that are measured, and reads what they use from the system.

Source: proc(5) (`smaps_rollup`); clock_getcpuclockid(3): the clock of another process, which
counts what `/proc/PID/stat` does, threads that ended too, but in nanoseconds.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

_STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.01
_CPU_CLOCK: Final = 2  # CPUCLOCK_SCHED of the kernel's posix-timers.h


class Failed(Exception):
    """A program did not come up, or did not do what was waited for."""


class Program:
    """A program that runs, with its output in a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def wait(self, done: Callable[[], bool], what: str, within_seconds: float = 60) -> None:
        """Look until it is so.

        :raises Failed: when it does not become so, or the program ended meanwhile
        """
        deadline = time.monotonic() + within_seconds
        while not done():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                why = "the program ended" if ended else f"not within {within_seconds:g} s"
                raise Failed(f"{what}: {why}\n{self.output[-2000:]}")
            time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def running(
    arguments: Sequence[str], log: Path, *, descriptors: Sequence[int] = ()
) -> Iterator[Program]:
    """Run a program; it is ended with the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(descriptors),
            start_new_session=True,
        )
    try:
        yield Program(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def cpu_seconds(pids: Iterable[int]) -> float:
    """Tell what the processes have used until now, in all their threads."""
    return sum(time.clock_gettime((~pid << 3) | _CPU_CLOCK) for pid in pids)


def pss_mib(pid: int) -> float:
    """Tell the memory of a process, pages that it shares counted in parts."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise Failed(f"no Pss of process {pid}")
