"""The metadata service's process: ``python -m ec2gw.metadata --data DIR --socket FD``.

Started by `ec2gw serve`, which holds the listening socket: however often this process dies, guests
wait and are not refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import logging
import os
import resource
import signal
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ec2gw import children, config, logs
from ec2gw.metadata import forwarder
from ec2gw.metadata.callers import Callers
from ec2gw.metadata.door import Door
from ec2gw.metadata.passwords import Passwords
from ec2gw.metadata.server import CONNECTIONS, Limits, Server
from ec2gw.metadata.throttle import Throttle
from state import stop_points
from state.changes import Changes
from state.secrets import Vault
from state.store import Store

LOOK_SECONDS: Final = 0.25
"""So often the database is asked whether it changed."""
_THREADS: Final = 4
_PARENT_POLL_SECONDS: Final = 0.5
_OTHER_FILES: Final = 128
"""Descriptors that are not connections: the database's, most of all."""

_log = logging.getLogger("ec2gw.metadata")


def main(arguments: Sequence[str] | None = None) -> int:
    parent = children.parent()
    parser = argparse.ArgumentParser(prog="ec2gw.metadata")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--socket", type=int, required=True)
    options = parser.parse_args(arguments)
    resolved = config.resolved(options.data)
    logs.begin("metadata", resolved.log_level)
    stop_points.arm("metadata")
    try:
        with socket.socket(fileno=os.dup(options.socket)) as listening, opened(resolved) as parts:
            asyncio.run(_run(listening, *parts, parent))
    except forwarder.KeyUnusable as error:  # it was usable when the parent started
        _log.error("metadata-forwarder-key-unusable", extra={"error": str(error)})
        return 1
    return 0


@contextlib.contextmanager
def opened(resolved: config.Config) -> Iterator[tuple[Door, Callers, Changes, Executor]]:
    """Join the parts of the service for that configuration.

    :raises ec2gw.metadata.forwarder.KeyUnusable:
    """
    wanted = resolved.metadata or config.Metadata("")
    key = forwarder.read_key(wanted.forwarder_key) if wanted.forwarder_key else None
    # The key of all secrets is let go at once: here it would be of use to nobody but a thief.
    token_key = Vault(resolved.key_file).derive("metadata tokens")
    with contextlib.ExitStack() as stack:
        store = Store(resolved.database)
        stack.callback(store.close)
        changes = Changes(resolved.database)
        stack.callback(changes.close)
        pool = stack.enter_context(ThreadPoolExecutor(_THREADS, "metadata"))
        callers = Callers(store, resolved.settings.guest, wanted.networks, _now)
        door = Door(
            callers,
            Passwords(store),
            token_key=token_key,
            forwarder_key=key,
            pool=pool,
            throttle=Throttle(),
            routers=wanted.routers,
        )
        yield door, callers, changes, pool


async def _run(
    listening: socket.socket,
    door: Door,
    callers: Callers,
    changes: Changes,
    pool: Executor,
    parent: int,
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = Server(door.answer, Limits(connections=_room(CONNECTIONS)))
    host, port = listening.getsockname()[:2]
    async with asyncio.TaskGroup() as tasks:
        followers = [
            tasks.create_task(_follow(parent, stopping)),
            tasks.create_task(listen_for_changes(callers, changes, pool)),
        ]
        _log.info("metadata-ready", extra={"listen": f"{host}:{port}"})
        await server.run(listening, stopping)
        for follower in followers:
            follower.cancel()


async def listen_for_changes(callers: Callers, changes: Changes, pool: Executor) -> None:
    """Tell `callers` of the database's changes until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            callers.changed(await loop.run_in_executor(pool, changes.number))
        except sqlite3.Error as error:  # what was found before it ends by itself
            _log.warning("metadata-state-unseen", extra={"error": str(error)})
        await asyncio.sleep(LOOK_SECONDS)


async def _follow(parent: int, stopping: asyncio.Event) -> None:
    """End in good order when whoever started us is gone."""
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    _log.warning("parent-gone")
    stopping.set()


def _room(wanted: int) -> int:
    """Raise the limit of open files as far as it is of use; answer how many connections fit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted + _OTHER_FILES
    if 0 <= soft < most:  # what is not limited is a negative number
        soft = most if hard < 0 else min(most, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft < 0 else max(1, min(wanted, soft - _OTHER_FILES))


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


if __name__ == "__main__":
    sys.exit(main())
