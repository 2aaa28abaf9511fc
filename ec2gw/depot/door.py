"""The depot's HTTP: hosts send a disk in pieces, and fetch one from any place on.

    PUT  /files/N   Content-Range: bytes FIRST-LAST/TOTAL   204; 409 with how much is here already
    HEAD /files/N                                           204 with how much is here
    GET  /files/N   Range: bytes=FIRST-                     200 or 206

Everything needs `Authorization: Bearer TOKEN`, the token of that transfer's present phase: sending
admits PUT and HEAD, receiving GET and HEAD. Whoever shows another one learns nothing.

Source: RFC 9110 (ranges, conditional answers); RFC 6750 (bearer tokens).
"""

from __future__ import annotations

import datetime as dt
import hmac
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from sqlalchemy.orm import Session

from ec2gw.depot.shelf import Full, Gap, Shelf
from state import models
from state.store import Store
from translators import transfers

_log = logging.getLogger("ec2gw.depot")
MOST_CONNECTIONS: Final = 64
LONGEST_PIECE_BYTES: Final = 256 * 1024 * 1024
_MOST_BYTES: Final = 64 * 2**40
"""No VHDX is larger."""
_SILENT_SECONDS: Final = 60.0
_PIECE_BYTES: Final = 1024 * 1024
_LENGTH: Final = "X-Ec2gw-Length"
_PATH: Final = re.compile(r"/files/([1-9][0-9]{0,17})")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")
_FROM: Final = re.compile(r"bytes=([0-9]{1,18})-")


@dataclass(frozen=True, slots=True)
class Depot:
    """What the door needs of the rest."""

    store: Store
    shelf: Shelf
    token_key: bytes
    now: Callable[[], dt.datetime]


class Server(ThreadingHTTPServer):
    """A thread for each connection, of which there are only so many."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, listening: socket.socket, depot: Depot, tls: ssl.SSLContext) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.depot = depot
        self._tls = tls
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # The handshake belongs to the connection's thread: a silent client holds up nobody else.
        try:
            request.settimeout(_SILENT_SECONDS)
            super().process_request_thread(
                self._tls.wrap_socket(request, server_side=True), client_address
            )
        except OSError as error:
            _log.info("depot-no-tls", extra={"remote": client_address[0], "why": str(error)})
            self.shutdown_request(request)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.warning("depot-connection-failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "ec2gw"
    sys_version = ""
    timeout = _SILENT_SECONDS

    def do_PUT(self) -> None:
        transfer = self._admitted("sending")
        if transfer is None:
            return
        piece = _RANGE.fullmatch(self.headers.get("Content-Range", ""))
        announced = self.headers.get("Content-Length", "")
        if piece is None or not announced.isdecimal():
            self._say(HTTPStatus.LENGTH_REQUIRED)
            return
        first, last, total = (int(one) for one in piece.groups())
        length = last - first + 1
        if not 0 < length <= LONGEST_PIECE_BYTES or int(announced) != length or total > _MOST_BYTES:
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        depot = self.server.depot
        if transfer.sha256 is not None:  # it has been whole; the last answer was lost
            self._say(HTTPStatus.CONFLICT, total)
            return
        if transfer.length_bytes != total:  # another file than what is here of it
            depot.shelf.drop(transfer.key)
            self._note(transfer, done_bytes=0, length_bytes=total)
        try:
            here = depot.shelf.take(transfer.key, first, length, total, self.rfile.read)
        except Gap as gap:
            self._say(HTTPStatus.CONFLICT, gap.length)
            return
        except Full:
            _log.error("depot-full", extra={"transfer": transfer.key, "bytes": total})
            self._say(HTTPStatus.INSUFFICIENT_STORAGE)
            return
        if here < last + 1:  # it fell silent in the middle
            self.close_connection = True
            return
        self._note(transfer, done_bytes=here)
        self._end(transfer, here, total)
        self._say(HTTPStatus.NO_CONTENT, here)

    def do_HEAD(self) -> None:
        transfer = self._admitted("sending", "receiving")
        if transfer is None:
            return
        here = transfer.length_bytes or 0
        if transfer.sha256 is None and here:  # of what was not announced nothing here counts
            total, here = here, self.server.depot.shelf.received(transfer.key)
            self._end(transfer, here, total)  # it may have come whole, and we ended before that
        self._say(HTTPStatus.NO_CONTENT, here)

    def _end(self, transfer: models.Transfer, here: int, total: int) -> None:
        """Tell the digest of what is whole; told again it is the same."""
        if here == total:
            self._note(transfer, sha256=self.server.depot.shelf.digest(transfer.key))

    def do_GET(self) -> None:
        transfer = self._admitted("receiving")
        if transfer is None:
            return
        wanted = self.headers.get("Range")
        begin = _FROM.fullmatch(wanted) if wanted is not None else None
        first = int(begin.group(1)) if begin else 0
        total = transfer.length_bytes or 0
        try:
            file = self.server.depot.shelf.open(transfer.key)
        except FileNotFoundError:
            self._say(HTTPStatus.NOT_FOUND)
            return
        with file:
            if (wanted is not None and begin is None) or first >= total:
                self._say(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, total)
                return
            file.seek(first)
            self.send_response(HTTPStatus.PARTIAL_CONTENT if begin else HTTPStatus.OK)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(total - first))
            if begin:
                self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
            self.end_headers()
            try:
                while piece := file.read(_PIECE_BYTES):
                    self.wfile.write(piece)
            except OSError as error:  # it comes back for the rest, from where it is
                self.close_connection = True
                _log.info("depot-cut-off", extra={"transfer": transfer.key, "why": str(error)})

    def _admitted(self, *phases: str) -> models.Transfer | None:
        """Answer the transfer that the request's token is of; else refuse, always the same way."""
        named = _PATH.fullmatch(self.path)
        word, _space, shown = self.headers.get("Authorization", "").partition(" ")
        depot = self.server.depot
        with depot.store.read() as session:
            found = session.get(models.Transfer, int(named.group(1))) if named else None
            if found is not None:
                session.expunge(found)
        if (
            found is None
            or word != "Bearer"
            or found.phase not in phases
            or not hmac.compare_digest(transfers.token(depot.token_key, found), shown)
            or depot.now() > found.phase_since + transfers.VALID
        ):
            _log.warning("depot-refused", extra={"remote": self.client_address[0]})
            self._say(HTTPStatus.UNAUTHORIZED)
            return None
        return found

    def _note(self, transfer: models.Transfer, **columns: object) -> None:
        def work(session: Session) -> None:
            row = session.get(models.Transfer, transfer.key)
            same = (transfer.phase, transfer.generation)
            if row is not None and (row.phase, row.generation) == same:
                for name, value in columns.items():
                    setattr(row, name, value)

        self.server.depot.store.write(work)

    def _say(self, status: HTTPStatus, length: int | None = None) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header(_LENGTH, str(length))
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", "0")
        if status >= HTTPStatus.BAD_REQUEST:
            # What was announced may still be on its way: nothing after it could be understood.
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        _log.info("depot-request", extra={"remote": self.client_address[0], "what": format % args})
