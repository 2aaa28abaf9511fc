"""The shells that a host may still hold for us, written down in a file; talks to no host.

A process that is killed cannot give its shells back: the host keeps each until it has idled for
minutes, and admits a user about thirty. So each is written down when it is made, and whoever comes
next gives back what is left. A shell whose making was never answered is not known, and idles out.

Source: docs/decisions/0012-shells-are-written-down.md.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Final

log = logging.getLogger("ec2gw.winrm")

_MOST: Final = 100
"""More than any host admits; the oldest have idled out long ago."""


class Ledger:
    """The shells of one host by id, each with its command's; one link at a time has it.

    It is as durable as the page cache: after a loss of power shells idle out as ever. A file that
    cannot be read or written is as good as none, and without a path there is none.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._shells = _read(path) if path is not None else {}

    def shells(self) -> dict[str, str]:
        """Shell -> its command, empty where none was started; the oldest first."""
        with self._lock:
            return dict(self._shells)

    def opened(self, shell: str, command: str = "") -> None:
        with self._lock:
            self._shells[shell] = command
            while len(self._shells) > _MOST:
                del self._shells[next(iter(self._shells))]
            self._write()

    def deleted(self, shell: str) -> None:
        with self._lock:
            if self._shells.pop(shell, None) is not None:
                self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        fresh = self._path.with_suffix(".fresh")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:
                json.dump(self._shells, file)
            fresh.replace(self._path)
        except OSError as error:
            log.warning("shells-not-noted", extra={"error": f"{type(error).__name__}: {error}"})


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(shell): str(command) for shell, command in list(found.items())[-_MOST:]}
