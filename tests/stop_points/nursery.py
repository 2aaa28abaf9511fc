"""Starts a gateway's processes without their imports: forks them off one that has made them all.

Half of the work of a cut is what Python does until a program begins. The forked process runs the
same `main` with arguments, environment and files of its own; it has not shared anything with
another one but code.

`python -m tests.stop_points.nursery FD`: orders come over that socket, a line of JSON each with the
descriptors of log and listener; back go the pid of each start and the status of each end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ec2gw.lab import binding
from translators import registry

_PROGRAMS = {"api": "ec2gw.serve_api", "engine": "ec2gw.engine.__main__", "lab": "ec2gw.lab.serve"}
_START_SECONDS = 60


class Nursery:
    """What the tests hold: starts processes and hears of their ends."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        self._ended: dict[int, int] = {}
        self._began: list[int] = []

    def start(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], *files: int
    ) -> Nursling:
        """Start one of `api`, `engine`, `lab`; `files`: log, and what it is handed besides."""
        order = {"program": program, "arguments": arguments, "environment": environment}
        socket.send_fds(self._socket, [json.dumps(order).encode()], files)
        limit = time.monotonic() + _START_SECONDS
        while not self._began:
            assert self._process.poll() is None, "the nursery has ended"
            assert time.monotonic() < limit, f"{program} was not started"
            self.hear(0.1)
        return Nursling(self, self._began.pop())

    def hear(self, seconds: float = 0.0) -> None:
        """Take in what was told."""
        while select.select([self._socket], [], [], seconds)[0]:
            told = json.loads(self._socket.recv(4096) or b"{}")
            if not told:
                return
            if "began" in told:
                self._began.append(told["began"])
            else:
                self._ended[told["ended"]] = told["status"]
            seconds = 0.0

    def status(self, pid: int) -> int | None:
        self.hear()
        return self._ended.get(pid)

    def close(self) -> None:
        """End it; what it started has been ended before."""
        self._socket.close()
        self._process.kill()
        self._process.wait(10)


class Nursling:
    """A started process, as `subprocess.Popen` shows one."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid

    def poll(self) -> int | None:
        return self._nursery.status(self.pid)

    def wait(self, timeout: float) -> int:
        limit = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > limit:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._nursery.hear(0.05)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def _warm() -> None:
    """Import all that any of the programs will, and read their tables."""
    for module in _PROGRAMS.values():
        importlib.import_module(module)
    registry.load_families()
    with contextlib.suppress(binding.BindingError):
        binding.bind("Hyper-V\\Get-VM", {"Nothing": 1}, binding.LABORATORY)


def _run(order: Mapping[str, Any], files: Sequence[int]) -> int:
    """Be the program, in the forked process."""
    log, *handed = files
    os.dup2(log, 1)
    os.dup2(log, 2)
    for descriptor in handed:
        os.set_inheritable(descriptor, True)
    os.environ.clear()
    os.environ.update(order["environment"])
    arguments = [word.format(*handed) for word in order["arguments"]]
    sys.argv = [order["program"], *arguments]
    module = sys.modules[_PROGRAMS[order["program"]]]
    return int(module.main(arguments) or 0)


def _serve(orders: socket.socket) -> None:
    while True:
        if select.select([orders], [], [], 0.02)[0]:
            text, files, *_ = socket.recv_fds(orders, 1 << 16, 8)
            if not text:
                return
            pid = os.fork()
            if pid == 0:
                orders.close()
                status = 1
                try:
                    status = _run(json.loads(text), files)
                except SystemExit as ended:
                    status = ended.code if isinstance(ended.code, int) else 1
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            for descriptor in files:
                os.close(descriptor)
            orders.send(json.dumps({"began": pid}).encode())
        _tell_ends(orders)


def _tell_ends(orders: socket.socket) -> None:
    with contextlib.suppress(ChildProcessError):
        while (end := os.waitpid(-1, os.WNOHANG))[0]:
            status = os.waitstatus_to_exitcode(end[1])
            orders.send(json.dumps({"ended": end[0], "status": status}).encode())


if __name__ == "__main__":
    _warm()
    with socket.socket(fileno=int(sys.argv[1])) as line, contextlib.suppress(BrokenPipeError):
        _serve(line)
