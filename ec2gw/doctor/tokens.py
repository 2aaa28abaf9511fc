"""The tokens that a doctor has sent to a host and does not know the end of, in a file.

Each is written down before it is sent, so that whoever cleans up after a crash can burn it: a plan
that nobody waits for any more must not begin later.

Source: docs/architecture.md, "Unknown is not failed".
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_TOKEN = re.compile(r"[0-9a-f]{32}")


class Tokens:
    """One file a host; at most one process has it, who holds the host's driver lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.open: set[str] = set()
        try:
            lines = path.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            word, _, token = line.partition(" ")
            if not _TOKEN.fullmatch(token):
                continue  # whoever wrote it died in it, and sent nothing
            if word == "begun":
                self.open.add(token)
            elif word == "ended":
                self.open.discard(token)

    def begin(self, token: str) -> None:
        """Write it down; on the disk before this returns."""
        self.open.add(token)
        self._append(f"begun {token}\n", sync=True)

    def end(self, token: str) -> None:
        if token in self.open:
            self.open.discard(token)
            self._append(f"ended {token}\n", sync=False)

    def forget(self) -> None:
        """Drop them all: nothing is left that they could run for."""
        self.open.clear()
        self._path.unlink(missing_ok=True)

    def _append(self, line: str, *, sync: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, line.encode("ascii"))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
