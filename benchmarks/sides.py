"""The servers that are compared, each as it runs by default: how it starts and who asks it.

Source: docs/architecture.md, "Processes"; moto documentation, "Server mode".
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import processes
from benchmarks.client import Connection
from benchmarks.signing import Signer

LABORATORY_IMAGE: Final = "ami-0ec20000000000001"
_EXPORT: Final = re.compile(r"^export (\w+)=(\S+)$", re.MULTILINE)
_IMAGE: Final = re.compile(rb"<imageId>(ami-\w+)</imageId>")


@dataclass(frozen=True, slots=True)
class Side:
    """A server that runs. Of its `pids`, `api` is the one that answers requests."""

    name: str
    signer: Signer
    connection: Connection
    pids: Mapping[str, int]
    image_id: str

    def fetch(self, action: str, parameters: Mapping[str, str | int] = {}) -> bytes:
        """Sign, send, and answer the body of what has to succeed."""
        return self.connection.fetch(self.signer.request(action, parameters))


@dataclass(frozen=True, slots=True)
class Start:
    """A start: the time to the first signed answer, and to the line that says `ready`."""

    side: Side
    seconds: float
    ready_seconds: float


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Start]:
    """Run `moto_server`: threaded werkzeug, all in memory, no signature looked at."""
    port = processes.free_port()
    signer = Signer(port, "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    first = signer.request("DescribeInstances", {"MaxResults": 5})
    server = str(Path(sys.executable).with_name("moto_server"))
    began = time.monotonic()
    with (
        processes.running([server, "-p", str(port)], folder / "moto.log") as program,
        Connection(port) as connection,
    ):
        program.wait(lambda: _answers(connection, first), "moto's first answer")
        seconds = time.monotonic() - began
        found = _IMAGE.search(connection.fetch(signer.request("DescribeImages")))
        if found is None:
            raise processes.Failed("moto has no image")
        side = Side("moto", signer, connection, {"api": program.pid}, found[1].decode())
        yield Start(side, seconds, seconds)


@contextlib.contextmanager
def ec2gw(folder: Path, data: Path, signer: Signer | None = None) -> Iterator[Start]:
    """Run `ec2gw serve` with engine and laboratory; `signer` is None at a first start.

    Nothing can be signed before a first start is ready: there both times are the same.
    """
    port = signer.port if signer else processes.free_port()
    first = signer.request("DescribeInstances", {"MaxResults": 5}) if signer else b""
    arguments = ["serve", "--data", str(data), "--listen", f"127.0.0.1:{port}"]
    began = time.monotonic()
    with (
        processes.running(
            [sys.executable, "-m", "ec2gw", *arguments], folder / f"{data.name}.log"
        ) as program,
        Connection(port) as connection,
    ):
        seconds = None
        if first:
            program.wait(lambda: _answers(connection, first), "ec2gw's first answer")
            seconds = time.monotonic() - began
        program.wait(lambda: "\nready: " in program.output, "ec2gw's line that says ready")
        ready_seconds = time.monotonic() - began
        if signer is None:
            told = dict(_EXPORT.findall(program.output))
            signer = Signer(port, told["AWS_ACCESS_KEY_ID"], told["AWS_SECRET_ACCESS_KEY"])
        children: dict[str, int] = json.loads((data / "run" / "pids.json").read_text())
        pids = {**children, "serve": program.pid}
        side = Side("ec2gw", signer, connection, pids, LABORATORY_IMAGE)
        yield Start(side, ready_seconds if seconds is None else seconds, ready_seconds)


@contextlib.contextmanager
def api_alone(folder: Path, data: Path, credentials: Signer) -> Iterator[Side]:
    """Run the gateway's API process by itself, on a data folder that `serve` has made."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as `serve` does
        port: int = listener.getsockname()[1]
        number = listener.fileno()
        arguments = ["--data", str(data), "--socket", str(number)]
        signer = Signer(port, credentials.access_key_id, credentials.secret)
        first = signer.request("DescribeInstances", {"MaxResults": 5})
        with (
            processes.running(
                [sys.executable, "-m", "ec2gw.serve_api", *arguments],
                folder / f"{data.name}.log",
                descriptors=[number],
            ) as program,
            Connection(port) as connection,
        ):
            program.wait(lambda: _answers(connection, first), "the API's first answer")
            yield Side(data.name, signer, connection, {"api": program.pid}, LABORATORY_IMAGE)


def _answers(connection: Connection, request: bytes) -> bool:
    try:
        return connection.ask(request).status == 200
    except OSError:
        connection.close()
        return False
