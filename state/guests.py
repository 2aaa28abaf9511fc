"""The phases of what guests are given and asked, and of disks that come from outside."""

from __future__ import annotations

from typing import Final, Literal

SeedPhase = Literal[
    "there",  # in the drive since the VM was made, or since its last start
    "stale",  # what it says is not true any more: a new one is made at the next start
    "gone",  # ejected and deleted
]
Asks = Literal["console", "screenshot"]
QuestionPhase = Literal["asked", "answered", "failed"]
ImportPhase = Literal[
    "queued",
    "fetching",
    "converting",
    "sending",  # through the depot to the host that is to have it
    "verifying",  # its host looks whether it is a disk
    "completed",
    "cancelled",
    "failed",
]

IMPORT_WORKING: Final[frozenset[ImportPhase]] = frozenset(
    {"queued", "fetching", "converting", "sending", "verifying"}
)
