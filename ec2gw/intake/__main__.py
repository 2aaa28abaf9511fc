"""The intake's process: ``python -m ec2gw.intake --data DIR``, started by `ec2gw serve`.

Most of its life nobody imports anything: until then it is a few megabytes that ask the database,
now and then, whether there is a task. All else is imported with the first one.

Source: docs/architecture.md, "Processes".
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final

POLL_SECONDS: Final = 2.0
_PARENT_POLL_SECONDS: Final = 0.5
_PARENT_VARIABLE: Final = "EC2GW_PARENT"
_WAITING: Final = """
    SELECT 1 FROM import_image_task WHERE phase IN ('queued', 'fetching', 'converting')
    UNION ALL
    SELECT 1 FROM import_snapshot_task WHERE phase IN ('queued', 'fetching', 'converting')
    LIMIT 1
"""


def main(arguments: Sequence[str] | None = None) -> int:
    told = os.environ.get(_PARENT_VARIABLE, "")
    parent = int(told) if told.isdecimal() else os.getppid()
    parser = argparse.ArgumentParser(prog="ec2gw.intake")
    parser.add_argument("--data", type=Path, required=True)
    data: Path = parser.parse_args(arguments).data
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
    while not (_is_left(data / "intake") or _is_waiting(data / "state.sqlite3")):
        if stopping.wait(POLL_SECONDS):
            return 0
    from ec2gw.intake import service  # heavy: see above

    service.run(data, stopping)
    return 0


def _is_left(folder: Path) -> bool:
    """Tell whether somebody worked here, and may not have cleaned up."""
    return folder.is_dir() and any(folder.iterdir())


def _is_waiting(database: Path) -> bool:
    """Ask whether there is a task; a database that cannot be asked now is asked again."""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(
            sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection,
    ):
        return connection.execute(_WAITING).fetchone() is not None
    return False


if __name__ == "__main__":
    sys.exit(main())
