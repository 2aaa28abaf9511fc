"""The door itself: a listener, a thread for each connection, and what has to be done in time.

Holds the life of threads and sockets; `connection` speaks HTTP, `service` WS-Management.

Source: MS-WSMV 2.1; "WinRM quotas" (Microsoft Learn) for MaxConnections.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ec2gw.lab.door import certificates
from ec2gw.lab.door.accounts import Credentials
from ec2gw.lab.door.connection import Connection
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Starter
from ec2gw.lab.door.service import Service

log = logging.getLogger(__name__)

_TICK_SECONDS = 0.25
_HANDSHAKE_SECONDS = 10.0
_STOP_SECONDS = 5.0
_BACKLOG = 64


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its key, as PEM files.

    With `clients`, the authorities of clients' certificates, these may sign in by them. `newest`
    is TLS 1.2 on hosts before Windows Server 2022.
    """

    certificate: Path
    key: Path
    clients: Path | None = None
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED


class Door:
    """A WS-Management shell service on one address; several may live in a process.

    NTLM is always offered, sealed unless TLS is there. Basic is offered when asked for, on
    loopback only; Kerberos too, with the keytab that `KRB5_KTNAME` names. `endpoint` is the URL
    for clients, once started.

    :raises ValueError: Basic on an address that is not loopback
    """

    def __init__(
        self,
        address: tuple[str, int],
        starter: Starter,
        credentials: Credentials,
        *,
        machine: str = "localhost",
        limits: Limits | None = None,
        basic: bool = False,
        kerberos: bool = False,
        tls: Tls | None = None,
        faults: Faults | None = None,
    ) -> None:
        if basic and not ipaddress.ip_address(address[0]).is_loopback:
            raise ValueError("Basic is for loopback only")
        self.credentials = credentials
        self.limits = limits or Limits()
        self.basic = basic
        self.kerberos = kerberos
        self.faults = faults or Faults()
        self.service = Service(starter, self.limits, machine)
        self.binding = certificates.channel_binding(tls.certificate) if tls else None
        self.endpoint = ""
        self._address = address
        self._tls = _context(tls) if tls else None
        self._lock = threading.RLock()
        self._listener: socket.socket | None = None
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._stopping = threading.Event()
        self._refusing = False
        self._keeper = threading.Thread(target=self._keep, name="door", daemon=True)

    @property
    def plain(self) -> bool:
        return self._tls is None

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        return self._address[1]

    def start(self) -> None:
        """Listen, and serve from threads of its own.

        :raises OSError: the address is not to be had
        :raises ValueError: another door of the process knows an account by another password
        """
        self.credentials.publish()
        try:
            listener = self._listen()
        except OSError:
            self.credentials.withdraw()
            raise
        self._address = (self._address[0], listener.getsockname()[1])
        scheme = "http" if self.plain else "https"
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        self.endpoint = f"{scheme}://{host}:{self.port}/wsman"
        self._listener = listener
        self.faults.attach(self)
        self._keeper.name = f"door-{self.port}"
        self._keeper.start()

    def stop(self) -> None:
        """Close everything: listener, connections, shells with their processes."""
        if self._stopping.is_set() or not self.endpoint:
            return
        self._stopping.set()
        deadline = time.monotonic() + _STOP_SECONDS
        self.refuse_connections()
        self.service.shells.delete_all()
        for thread in (self._keeper, *self._threads()):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self.credentials.withdraw()

    def refuse_connections(self) -> None:
        """Stop listening and cut every connection; the shells stay."""
        with self._lock:
            self._refusing = True
            listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self._cut_connections()

    def accept_connections(self) -> None:
        """Listen again where it listened before, at once or as soon as the port is free."""
        with self._lock:
            self._refusing = False
            if self._listener is None and not self._stopping.is_set():
                with contextlib.suppress(OSError):
                    self._listener = self._listen()

    def restart_service(self) -> None:
        """Do what a restart of the WinRM service does: shells and connections are gone."""
        self.service.shells.delete_all()
        self._cut_connections()

    def end_programs(self) -> None:
        """End every program as a crash does."""
        self.service.shells.end_programs()

    def let_pass(self, seconds: float) -> None:
        """Let time pass for shells that are idle."""
        self.service.shells.let_pass(seconds)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        listener = socket.create_server(self._address, family=family, backlog=_BACKLOG)
        listener.settimeout(_TICK_SECONDS)
        return listener

    def _keep(self) -> None:
        """Accept connections, and look after what time changes; the door's own thread."""
        looked = 0.0
        while not self._stopping.is_set():
            listener = self._listener
            if listener is None:
                self._stopping.wait(_TICK_SECONDS)
            else:
                self._accept(listener)
            if time.monotonic() - looked < _TICK_SECONDS:
                continue
            looked = time.monotonic()
            try:
                self._look_after()
            except Exception:  # a thread's end: a program that cannot be killed ends no door
                log.exception("the laboratory's door could not look after its shells")

    def _look_after(self) -> None:
        self.service.shells.reap()
        self.faults.refresh()
        if self._listener is None and not self._refusing:
            self.accept_connections()

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, address = listener.accept()
        except TimeoutError:
            return
        except OSError as error:
            # Closed by `refuse_connections`, or the process is out of file descriptors.
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS):
                self._stopping.wait(_TICK_SECONDS)
            return
        thread = threading.Thread(
            target=self._serve,
            args=(connection, address[0]),
            name=f"door-{self.port}-client",
            daemon=True,
        )
        with self._lock:
            if self._refusing or len(self._connections) >= self.limits.max_connections:
                connection.close()
                return
            self._connections[connection] = thread
        thread.start()

    def _serve(self, connection: socket.socket, address: str) -> None:
        served = connection
        try:
            # A client that sends nothing must not hold up others: never in the accepting thread.
            if self._tls is not None:
                connection.settimeout(_HANDSHAKE_SECONDS)
                served = self._tls.wrap_socket(connection, server_side=True)
                self._replace(connection, served)
            Connection(served, address, self)
        except OSError:
            pass  # the client left, or its handshake failed
        except Exception:  # a thread's end: one broken connection must not be silent
            log.exception("a connection of the laboratory's door failed")
        finally:
            with self._lock:
                self._connections.pop(served, None)
                self._connections.pop(connection, None)
            served.close()
            connection.close()

    def _replace(self, connection: socket.socket, served: socket.socket) -> None:
        with self._lock:
            self._connections[served] = self._connections.pop(connection)

    def _cut_connections(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                # Past TLS: its own shutdown would let a thread that writes go on in the clear.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._connections.values())


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    context.maximum_version = tls.newest
    if tls.clients is not None:
        # As http.sys: asked for in the handshake up to TLS 1.2, from 1.3 on when it is needed.
        context.load_verify_locations(tls.clients)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.post_handshake_auth = True
    return context
