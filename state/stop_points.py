"""Named places at which a test may cut a process, as `kill -9` would; inert otherwise.

A process started with EC2GW_STOP_POINTS=FILE counts the places it passes, one line each, in
FILE; with EC2GW_STOP_AT=N it ends itself by SIGKILL at the N-th line. EC2GW_STOP_PROCESS limits
this to the process of that name (api, engine, lab).
"""

from __future__ import annotations

import os
import signal
import threading

_FILE = os.environ.get("EC2GW_STOP_POINTS")
_AT = int(os.environ.get("EC2GW_STOP_AT", "0"))
_lock = threading.Lock()
_passed = 0
_on = False


def arm(process: str) -> None:
    """Say which process this is; without the environment's word nothing happens ever."""
    global _on
    _on = _FILE is not None and os.environ.get("EC2GW_STOP_PROCESS", process) == process


def reach(place: str) -> None:
    """Pass a place: between two durable writes, before or after a message."""
    if not _on or _FILE is None:
        return
    global _passed
    with _lock:
        _passed += 1
        with open(_FILE, "a", encoding="ascii") as file:
            file.write(f"{_passed} {place}\n")
        if _passed == _AT:
            os.kill(os.getpid(), signal.SIGKILL)
