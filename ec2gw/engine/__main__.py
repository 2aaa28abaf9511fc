"""The engine's process: ``python -m ec2gw.engine --data DIR``, started by `ec2gw serve`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from ec2gw import children, config, inventory, logs
from ec2gw.depot import places, service
from ec2gw.engine.service import Engine
from ec2gw.engine.service import now as clock
from state import stop_points
from state.secrets import Vault
from state.store import Store
from translators import registry

_PARENT_POLL_SECONDS: Final = 0.5


def main(arguments: Sequence[str] | None = None) -> int:
    parent = children.parent()
    parser = argparse.ArgumentParser(prog="ec2gw.engine")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--depot", type=int, help="the socket that hosts bring disks to")
    options = parser.parse_args(arguments)
    resolved = config.resolved(options.data)
    logs.begin("engine", resolved.log_level)
    stop_points.arm("engine")
    registry.load_families()
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    def follow() -> None:
        while os.getppid() == parent and not stopping.wait(_PARENT_POLL_SECONDS):
            pass
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=follow, name="parent-watch", daemon=True).start()
    store = Store(resolved.database)
    try:
        with store.read() as session:
            laboratory = inventory.real_hosts(session) == 0
        vault = Vault(resolved.key_file)
        depot = places.told(resolved.run, vault)
        settings = dataclasses.replace(
            resolved.settings,
            laboratory=laboratory,
            depot=depot,
            password_key=vault.derive("guest passwords"),
        )
        with contextlib.ExitStack() as stack:
            if depot is not None and options.depot is not None:
                stack.enter_context(
                    service.open_for_hosts(resolved, store, depot, options.depot, clock)
                )
            Engine(resolved.data, store, settings).run(stopping)
    finally:
        store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
