"""A client that costs next to nothing: sends bytes that were signed before, and reads the answer.

Knows one connection at a time, HTTP/1.1 with Content-Length alone, and no meaning of what it reads.

Source: RFC 9112, sections 6.3 and 9.3.
"""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class Unexpected(Exception):
    """The server said something else than was asked of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`seconds` from the first byte sent to the last byte received."""

    status: int
    body: bytes
    seconds: float


class Connection:
    """One keep-alive connection to loopback; made when it is first used, and again once closed."""

    def __init__(self, port: int, timeout_seconds: float = 120, source: str = "") -> None:
        """`source` is the address to come from; none: whatever the system takes."""
        self._port = port
        self._source = source
        self._timeout_seconds = timeout_seconds
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, request: bytes) -> Answer:
        """Send a request, wait for the whole answer.

        :raises OSError: also when the server closed the connection
        """
        connection = self._connected()
        began = time.perf_counter()
        connection.sendall(request)
        received = bytearray()
        while (end := received.find(_HEAD_END)) < 0:
            received += self._receive(connection)
        head = bytes(received[:end]).lower()
        length = _content_length(head)
        body = received[end + len(_HEAD_END) :]
        if len(body) < length:
            whole = bytearray(length)
            at = len(body)
            whole[:at] = body
            with memoryview(whole) as rest:
                while at < length:
                    more = connection.recv_into(rest[at:])
                    if not more:
                        raise ConnectionResetError("closed within an answer")
                    at += more
            body = whole
        seconds = time.perf_counter() - began
        if b"connection: close" in head:
            self.close()
        return Answer(int(head.split(b" ", 2)[1]), bytes(body), seconds)

    def fetch(self, request: bytes) -> bytes:
        """Ask for what has to succeed; answer the body.

        :raises Unexpected:
        """
        answer = self.ask(request)
        if answer.status != 200:
            raise Unexpected(f"{answer.status}: {answer.body[:500].decode(errors='replace')}")
        return answer.body

    def _connected(self) -> socket.socket:
        if self._socket is not None and select.select([self._socket], [], [], 0)[0]:
            self.close()  # nothing was asked, so this is the server's end of it: it was idle
        if self._socket is None:
            self._socket = socket.create_connection(
                ("127.0.0.1", self._port), self._timeout_seconds, (self._source, 0)
            )
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket

    def _receive(self, connection: socket.socket) -> bytes:
        piece = connection.recv(65536)
        if not piece:
            self.close()
            raise ConnectionResetError("closed before an answer")
        return piece


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.startswith(_LENGTH):
            return int(line[len(_LENGTH) :])
    raise Unexpected("an answer without Content-Length")
