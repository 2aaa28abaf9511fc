"""HTTP/1.1 for guests: h11's grammar over asyncio's streams, with bounds on everything.

A guest may be hostile, and all guests share this process: what is received, how long it may take
and how many connections there are is bounded; what a request means is `door`'s to know.

Source: h11, "API documentation"; RFC 9112; ip(7), "IP_TTL"; tcp(7), "SIOCOUTQ".
"""

from __future__ import annotations

import asyncio
import email.utils
import fcntl
import logging
import socket
import struct
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import h11

from ec2gw.metadata.door import Reply, Request, page
from ec2gw.metadata.places import Places

CONNECTIONS: Final = 4096
_HEAD_BYTES: Final = 16 * 1024
_BODY_BYTES: Final = 4 * 1024
_PIECE_BYTES: Final = 16 * 1024
_SERVER: Final = "EC2ws"
_BACKLOG: Final = 1024

_log = logging.getLogger("ec2gw.metadata")


@dataclass(frozen=True, slots=True)
class Limits:
    connections: int = CONNECTIONS
    per_address: int = 64
    """A forwarder's do not count, once it has proved to be one."""
    request_seconds: float = 10.0
    """From the first moment that it could come until it is all there."""
    reply_seconds: float = 10.0


class _TooLarge(Exception):
    pass


class Server:
    def __init__(
        self, answer: Callable[[Request], Awaitable[Reply]], limits: Limits | None = None
    ) -> None:
        self._answer = answer
        self._limits = limits or Limits()
        self._places = Places(self._limits.connections, self._limits.per_address)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, listening: socket.socket, stopping: asyncio.Event) -> None:
        """Serve on that socket until told to stop."""
        server = await asyncio.start_server(
            self._converse, sock=listening, limit=_PIECE_BYTES, backlog=_BACKLOG
        )
        async with server:
            await stopping.wait()
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        one = _Connection(reader, writer)
        try:
            if self._places.enter(one):
                while await self._exchange(one):
                    pass
        except OSError:
            one.abort()  # silent or slow (a TimeoutError), or gone
        except asyncio.CancelledError:
            one.abort()  # the end of the process, or of the loop
        except Exception:  # the connection's boundary: the others go on
            _log.exception("metadata-connection-failed", extra={"remote": one.remote})
            one.abort()
        finally:
            self._places.leave(one)
            self._tasks.discard(task)
            writer.close()

    async def _exchange(self, one: _Connection) -> bool:
        """Take one request and answer it; tell whether another may follow."""
        self._places.idle(one)
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                request = await one.request()
        except h11.RemoteProtocolError as error:
            return await self._reply(one, page(_hint(error)))
        except _TooLarge:
            return await self._reply(one, page(413))
        if request is None:
            return False
        self._places.busy(one)
        try:
            reply = await self._answer(request)
        except Exception:  # the request's boundary: it is answered, and the reason is in the log
            _log.exception("metadata-request-failed", extra={"remote": one.remote})
            reply = page(500)
        if reply.forwarded:
            self._places.trust(one)
        return await self._reply(one, reply)

    async def _reply(self, one: _Connection, reply: Reply) -> bool:
        async with asyncio.timeout(self._limits.reply_seconds):
            return await one.reply(reply)


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_BYTES)
        # To drain is to have handed all to the system: nothing is left here once it is closed.
        writer.transport.set_write_buffer_limits(high=0)
        name = writer.get_extra_info("peername")
        self.remote: str = name[0] if name else ""
        self.counted = True
        self._hops = _Hops(writer)
        self._out: list[bytes] = []
        self._head_only = False

    async def request(self) -> Request | None:
        """Receive a request with its body; None: there is no other.

        :raises h11.RemoteProtocolError: it is none
        :raises _TooLarge:
        """
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._wire.next_event()
            if event is h11.NEED_DATA:
                if self._wire.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                    self._writer.write(b"".join(self._out))
                    self._out.clear()
                self._wire.receive_data(await self._reader.read(_PIECE_BYTES))
            elif isinstance(event, h11.Request):
                head = event
                self._head_only = head.method == b"HEAD"
                self._hops.restore()
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _BODY_BYTES:
                    raise _TooLarge
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                method = head.method.decode("ascii")
                return Request(method, head.target, list(head.headers), bytes(body), self.remote)
            else:
                return None

    async def reply(self, reply: Reply) -> bool:
        """Send it; tell whether the connection can go on."""
        if self._wire.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return False
        headers = [
            ("Content-Type", reply.content_type),
            ("Content-Length", str(len(reply.body))),
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Server", _SERVER),
            *reply.headers,
        ]
        if self._wire.their_state is not h11.DONE:
            # What was not read of a request cannot be told from the next one.
            headers.append(("Connection", "close"))
        reason = HTTPStatus(reply.status).phrase.encode()
        self._send(h11.Response(status_code=reply.status, reason=reason, headers=headers))
        if not self._head_only:
            self._send(h11.Data(data=reply.body))
        if reply.hop_limit is not None:
            self._hops.limit(reply.hop_limit)
        self._send(h11.EndOfMessage())
        self._writer.write(b"".join(self._out))
        self._out.clear()
        await self._writer.drain()
        if {self._wire.our_state, self._wire.their_state} != {h11.DONE}:
            return False
        self._wire.start_next_cycle()
        return True

    def abort(self) -> None:
        self._writer.transport.abort()

    def _send(self, event: h11.Event) -> None:
        if piece := self._wire.send(event):
            self._out.append(piece)


class _Hops:
    """How far what a connection sends may go.

    Lowered for a reply that is for the guest alone; raised again once that has arrived, and not
    before: the kernel sends again what was lost on its way, with the limit that holds by then.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._transport = writer.transport
        self._socket: socket.socket = writer.get_extra_info("socket")
        is_6 = self._socket.family == socket.AF_INET6
        self._option = (
            (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
            if is_6
            else (socket.IPPROTO_IP, socket.IP_TTL)
        )
        self._usual: int | None = None

    def limit(self, hops: int) -> None:
        if self._usual is None:
            self._usual = self._socket.getsockopt(*self._option)
        self._socket.setsockopt(*self._option, hops)

    def restore(self) -> None:
        if self._usual is not None and self._has_arrived():
            self._socket.setsockopt(*self._option, self._usual)
            self._usual = None

    def _has_arrived(self) -> bool:
        waiting = fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4))
        on_their_way: int = struct.unpack("=i", waiting)[0]
        return on_their_way == 0 and self._transport.get_write_buffer_size() == 0


def _hint(error: h11.RemoteProtocolError) -> int:
    """What to call it; h11's hints are 400, 431 and 501, and EC2 shows nothing but 400."""
    return 431 if error.error_status_hint == 431 else 400
