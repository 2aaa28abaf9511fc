"""One TCP connection of a client: HTTP/1.1 with keep-alive, sign-in, sealing, one answer each.

Holds the transport as http.sys behaves; what a message does is `service`'s. Sign-in and sealing
belong to the connection and end with it. Each answer leaves in one write.

Source: RFC 9112; MS-WSMV 2.1 (transport) and 2.2.9; traces of live hosts in public issues.
"""

from __future__ import annotations

import http
import logging
import selectors
import socket
import struct
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Protocol

from spnego.channel_bindings import GssChannelBindings

from ec2gw.lab.door import certificates, envelope, sealing
from ec2gw.lab.door.accounts import Credentials
from ec2gw.lab.door.authentication import SignIn
from ec2gw.lab.door.command import Gone
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.service import Caller, Service
from ec2gw.lab.door.soapfault import Fault

log = logging.getLogger(__name__)

_SOAP_TYPE = "application/soap+xml;charset=UTF-8"
_PATH = "/wsman"
_MIME_BYTES = 4096  # what sealing adds to an envelope, generously
_READ_BYTES = 1 << 20
_SWALLOW_SECONDS = 300.0


class Host(Protocol):
    """What a connection needs of its door."""

    service: Service
    credentials: Credentials
    limits: Limits
    faults: Faults
    basic: bool
    kerberos: bool
    endpoint: str
    binding: GssChannelBindings | None

    @property
    def plain(self) -> bool:
        """No TLS: what is not sealed is readable by others."""


class _Cut(Exception):
    """The connection is to be reset, whatever was being done."""


class Connection(BaseHTTPRequestHandler):
    """Serves one client until it leaves, is silent for too long, or breaks the rules."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, address: str, host: Host) -> None:
        connection.settimeout(host.limits.connection_idle_seconds)
        self._host = host
        self._address = address
        self._sign_in = SignIn(
            host.credentials,
            basic=host.basic,
            kerberos=host.kerberos,
            binding=host.binding,
            certificate=lambda: certificates.principal_of(connection),
        )
        super().__init__(connection, (address, 0), None)  # type: ignore[arg-type]

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a request line is the client's text."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the HTTP parser refuses, without a page."""
        self.close_connection = True
        self._reply(code)

    def handle_one_request(self) -> None:
        """Serve one request; a cut or vanished client ends the connection."""
        try:
            super().handle_one_request()
        except _Cut:
            self._reset()
        except (OSError, Gone):
            self.close_connection = True

    def do_POST(self) -> None:
        """Serve one message, or a step of signing in."""
        body = self._body()
        if body is None:
            return
        if self.path.partition("?")[0].rstrip("/").casefold() != _PATH:
            return self._reply(404)
        verdict = self._sign_in.judge(self.headers.get("Authorization", ""))
        if verdict.account is None:
            return self._reply(401, challenges=verdict.challenges)
        if not body:
            return self._reply(200, challenges=verdict.challenges)  # signed in, nothing asked
        sealed = sealing.is_sealed(self.headers.get("Content-Type", ""))
        if sealed:
            try:
                body = self._sign_in.unseal(body)
            except sealing.Broken:
                # Sealed for another connection, as a client resends after a lost one.
                self.close_connection = True
                return self._reply(400)
        elif self._host.plain and verdict.by_token:
            return self._reply(401, challenges=("Negotiate",))  # AllowUnencrypted is false
        if len(body) > self._host.limits.max_envelope_bytes:
            return self._reply(413)
        return self._serve(body, verdict.account.principal, sealed, verdict.challenges)

    def _not_allowed(self) -> None:
        self.close_connection = True
        self._reply(405)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = _not_allowed

    def _body(self) -> bytes | None:
        """Read the body, or answer why not: its length must be told and within bounds."""
        length_text = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length_text.isascii():
            self.send_error(411)
            return None
        if not length_text.isdigit() or len(length_text) > 10:
            self.send_error(411 if not length_text else 400)
            return None
        length = int(length_text)
        # A body that is a little too long is read and opened all the same: sealing counts
        # messages, and the next one must fit.
        if length > max(_READ_BYTES, self._host.limits.max_envelope_bytes + _MIME_BYTES):
            self.close_connection = True
            self._reply(413)
            return None
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError
        return body

    def _serve(self, xml: bytes, user: str, sealed: bool, challenges: tuple[str, ...]) -> None:
        host = self._host
        try:
            request = envelope.read(xml)
        except Fault as fault:
            status, answer = host.service.refuse(fault)
            return self._answer(status, answer, sealed, challenges)
        host.faults.refresh()
        fate = host.faults.arrived(request.kind)
        if fate.what == "before":
            raise _Cut
        if fate.what != "fault":
            caller = Caller(user, self._address, host.endpoint, self._gone)
            status, answer = host.service.answer(request, caller)
            host.faults.processed(request.kind)
        if fate.what in ("fault", "fault after"):
            injected = Fault(fate.code, "w:InternalError", "A fault of the test. ", by_sender=False)
            status, answer = host.service.refuse(injected, request)
        if fate.what == "after":
            raise _Cut
        if fate.what == "swallow":
            self._swallow()
        return self._answer(status, answer, sealed, challenges, half=fate.what == "within")

    def _answer(
        self,
        status: int,
        xml: bytes,
        sealed: bool,
        challenges: tuple[str, ...],
        *,
        half: bool = False,
    ) -> None:
        if sealed:
            self._reply(status, self._sign_in.seal(xml), sealing.CONTENT_TYPE, challenges, half)
        else:
            self._reply(status, xml, _SOAP_TYPE, challenges, half)

    def _reply(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "",
        challenges: tuple[str, ...] = (),
        half: bool = False,
    ) -> None:
        phrase = http.HTTPStatus(status).phrase
        lines = [f"HTTP/1.1 {status} {phrase}"]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"WWW-Authenticate: {challenge}" for challenge in challenges]
        lines += ["Server: Microsoft-HTTPAPI/2.0", f"Date: {formatdate(usegmt=True)}"]
        if self.close_connection:
            lines.append("Connection: close")
        lines.append(f"Content-Length: {len(body)}")
        message = "\r\n".join([*lines, "", ""]).encode("ascii") + body
        if half:
            message = message[: len(message) - len(body) // 2]
        self.connection.sendall(message)
        if half:
            raise _Cut

    def _gone(self) -> bool:
        """Tell whether the client has closed the connection while its message is in work."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.connection, selectors.EVENT_READ)
            if not selector.select(0):
                return False
        try:
            # Past TLS, to the bytes: what is wanted is their end alone.
            return not socket.socket.recv(self.connection, 1, socket.MSG_PEEK)
        except OSError:
            return True

    def _swallow(self) -> None:
        """Leave the client without an answer until it gives up."""
        deadline = time.monotonic() + _SWALLOW_SECONDS
        while not self._gone() and time.monotonic() < deadline:
            time.sleep(0.02)
        raise _Cut

    def _reset(self) -> None:
        """End the connection at once, with what was not sent: the client sees a reset."""
        self.close_connection = True
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
