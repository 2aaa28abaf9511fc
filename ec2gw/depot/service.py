"""The depot at work, in the engine's process: its listener, and its floor swept now and then.

Source: docs/decisions/0015-disks-travel-through-the-gateway.md.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.config import Config
from ec2gw.depot import certificate, door
from ec2gw.depot.shelf import Shelf
from state import models
from state.store import Store
from translators.settings import Depot

_SWEEP_SECONDS: Final = 60.0

_log = logging.getLogger("ec2gw.depot")


@contextmanager
def open_for_hosts(
    resolved: Config, store: Store, told: Depot, descriptor: int, now: Callable[[], dt.datetime]
) -> Iterator[None]:
    """Let hosts in on the socket of that number for as long as the block lasts."""
    folder = resolved.data / "depot"
    spare_gib = resolved.depot.spare_gib if resolved.depot else 0
    shelf = Shelf(folder, spare_bytes=spare_gib * 1024**3)
    server = door.Server(
        socket.socket(fileno=os.dup(descriptor)),
        door.Depot(store, shelf, told.token_key, now),
        certificate.context(certificate.ensured(folder)),
    )
    closing = threading.Event()

    def sweep() -> None:
        while not closing.wait(_SWEEP_SECONDS):
            try:
                sweep_out(store, shelf)
            except Exception:  # the thread's boundary: the next time may do better
                _log.warning("depot-not-swept", exc_info=True)

    threads = [
        threading.Thread(target=server.serve_forever, name="depot", daemon=True),
        threading.Thread(target=sweep, name="depot-sweep", daemon=True),
    ]
    for thread in threads:
        thread.start()
    _log.info("depot-ready", extra={"url": told.url})
    try:
        yield
    finally:
        closing.set()
        server.shutdown()
        server.server_close()


def sweep_out(store: Store, shelf: Shelf) -> None:
    """Remove the files of transfers that are over."""
    here = shelf.numbers()
    if not here:
        return

    def look(session: Session) -> set[int]:
        row = models.Transfer
        query = sa.select(row.key).where(row.phase.in_(("sending", "receiving")))
        return set(session.scalars(query))

    # In the writer's turn: a file that was placed within a change waits for that one's commit.
    under_way = store.write(look)
    for number in here - under_way:
        shelf.drop(number)
        _log.info("depot-dropped", extra={"transfer": number})
