"""The API's process: granian in front of the Flask application, on a socket it was handed.

``python -m ec2gw.serve_api --data DIR --socket FD``, started by `ec2gw serve`, which holds the
listening socket: while this process is being started again, clients wait and are not refused. One
worker in this very process; a thread for each connection to receive with, of which a few work at a
time; the one writer of the store is here.

It is started before all that it needs is there, and waits at a gate once it is ready itself.

Source: granian, "Workers and threads", "SSL"; Python documentation, "gc.freeze".
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import flask
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.common import AbstractServer
from granian.server.mt import MTServer

from ec2gw import children, config, connections, inventory, logs, pipeline, web
from ec2gw.auth.accounts import Accounts
from ec2gw.depot import places
from ec2gw.engine import wake
from ec2gw.wire import model
from state import stop_points
from state.secrets import Vault
from state.store import Store
from translators import registry

CONNECTIONS: Final = 512
"""At most, and a thread for each: one that only receives takes no more than its stack."""
SILENT_SECONDS: Final = 5
WORKING_THREADS: Final = 8
_BACKLOG: Final = 1024
_GC_THRESHOLD: Final = 20_000
_PARENT_POLL_SECONDS: Final = 0.5

_log = logging.getLogger("ec2gw.serve_api")


class Server(MTServer):
    """granian's server whose worker is a thread of this process, on a socket that is there.

    granian keeps this form for interpreters without a global lock, where several workers share a
    process; a single one needs no such interpreter, and a process and a socket less to look after.
    """

    def __init__(self, descriptor: int, **options: Any) -> None:
        super().__init__("ec2gw", interface=Interfaces.WSGI, **options)
        self._descriptor = descriptor

    def answer_with(self, app: flask.Flask) -> None:
        """Serve until SIGTERM. Past `MTServer.serve`, which speaks of free threading."""
        AbstractServer.serve(self, target_loader=lambda: app, wrap_loader=False)

    def _check_gil(self) -> None:
        pass

    def _init_shared_socket(self) -> None:
        self._ssp = None
        holder: Any = SocketHolder  # its stub knows no constructor
        self._shd = holder(self._descriptor, False, _BACKLOG)


def application(
    resolved: config.Config, store: Store, make_room: Callable[[], object] = lambda: None
) -> flask.Flask:
    """Join the parts of the API for that configuration; `make_room` is web's."""
    registry.load_families()
    vault = Vault(resolved.key_file)
    with store.read() as session:
        settings = dataclasses.replace(
            resolved.settings,
            laboratory=inventory.real_hosts(session) == 0,
            token_key=vault.derive("page tokens"),
            password_key=vault.derive("guest passwords"),
            depot=places.told(resolved.run, vault),
        )
    bell = resolved.run / "engine.sock"
    gateway = pipeline.Gateway(
        store,
        Accounts(store, vault, resolved.open_account_limit),
        settings,
        resolved.auth,
        wake=lambda host_keys: wake.ring(bell, host_keys),
        sigv2=resolved.sigv2 or settings.laboratory,
    )
    return web.application(gateway, WORKING_THREADS, make_room)


def main(arguments: Sequence[str] | None = None) -> int:
    parent = children.parent()
    parser = argparse.ArgumentParser(prog="ec2gw.serve_api")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True)
    parser.add_argument("--gate", type=int)
    options = parser.parse_args(arguments)
    resolved = config.resolved(options.data)
    logs.begin("api", resolved.log_level)
    stop_points.arm("api")
    registry.load_families()
    model.service("ec2")  # else the first request would wait for it
    if options.gate is not None and not children.passed(options.gate):
        return 1
    store = Store(resolved.database)
    with socket.socket(fileno=os.dup(options.socket)) as listening:
        accepted = connections.Connections(listening.getsockname()[1], CONNECTIONS)
    app = application(resolved, store, lambda: accepted.give_up(SILENT_SECONDS))
    gc.collect()
    gc.freeze()  # what was made until now lives as long as the process
    gc.set_threshold(_GC_THRESHOLD)
    threading.Thread(target=_follow, args=(parent,), name="parent-watch", daemon=True).start()
    accepted.watch()
    server = Server(
        options.socket,
        blocking_threads=CONNECTIONS,
        backpressure=CONNECTIONS,
        backlog=_BACKLOG,
        websockets=False,
        http=HTTPModes.http1,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": {}, "loggers": {"_granian": {"propagate": True}}},
        ssl_cert=resolved.tls.certificate if resolved.tls else None,
        ssl_key=resolved.tls.key if resolved.tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    try:
        server.answer_with(app)
    finally:
        store.close()
    return 0


def _follow(parent: int) -> None:
    """End in good order when whoever started us is gone."""
    while os.getppid() == parent:
        threading.Event().wait(_PARENT_POLL_SECONDS)
    _log.warning("parent-gone")
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
