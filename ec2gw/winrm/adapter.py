"""The HTTP adapter under pywinrm: our timeouts, bounded answers, connections that can be cut.

pywinrm has one number for connecting and reading, reads answers of any length, and a thread that
waits in a Receive cannot be woken. All three are mended below it, in requests' own seam.

Source: Requests, "Transport Adapters"; urllib3, "PoolManager".
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping
from typing import Any

import requests
import urllib3
import urllib3.connection
import urllib3.connectionpool
from requests import adapters

from ec2gw.winrm import timing


class Oversized(requests.exceptions.RequestException):
    """An answer longer than any that we ask for."""


class Adapter(adapters.HTTPAdapter):
    """One host's connections. `abort` may be called from any thread, the rest from one."""

    def __init__(self, connect_seconds: float, read_seconds: float) -> None:
        self.connect_seconds = connect_seconds
        self.read_seconds = read_seconds
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._aborted = False
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _pools(self)

    def trust(self, context: ssl.SSLContext) -> None:
        """Let further TLS connections be what this says of them, and it alone."""
        self.poolmanager.connection_pool_kw["ssl_context"] = context

    def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
        """Leave files of certificates to the context: Requests would add its own authorities."""
        conn.cert_reqs = "CERT_REQUIRED"

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        if self._aborted:
            raise requests.exceptions.ConnectionError("the link is closed")
        response = super().send(
            request,
            stream=True,
            timeout=(self.connect_seconds, self.read_seconds),
            verify=True,
            cert=None,
        )
        _bound(response)
        return response

    def abort(self) -> None:
        """Cut every connection, now and later: whoever waits in one wakes up with an error."""
        with self._lock:
            self._aborted = True
            for one in self._sockets:
                _cut(one)

    def opened(self, one: socket.socket) -> None:
        """Remember a connection so that it can be cut."""
        with self._lock:
            self._sockets = [known for known in self._sockets if known.fileno() >= 0] + [one]
            if self._aborted:
                _cut(one)


def _pools(adapter: Adapter) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Plain(urllib3.connection.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            adapter.opened(self.sock)

    class Tls(urllib3.connection.HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            adapter.opened(self.sock)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Tls

    return {"http": PlainPool, "https": TlsPool}


def _cut(one: socket.socket) -> None:
    # The plain method also for TLS: SSLSocket's own would pull the session from under a reader.
    try:
        socket.socket.shutdown(one, socket.SHUT_RDWR)
    except OSError:
        return  # closed already


def _bound(response: requests.Response) -> None:
    """Read the body, up to the bound, so that nobody reads it without one."""
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and int(announced) > timing.MAX_ANSWER_BYTES:
        response.close()
        raise Oversized(f"an answer of {announced} bytes")
    if response.status_code == 401 and announced.isdecimal():
        # NTLM takes the certificate for its channel binding from the unread answer's socket.
        return
    body = bytearray()
    for piece in response.iter_content(64 * 1024):
        body += piece
        if len(body) > timing.MAX_ANSWER_BYTES:
            response.close()
            raise Oversized("an answer without end")
    response._content = bytes(body)
