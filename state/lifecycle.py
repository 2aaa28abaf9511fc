"""The phases of an instance: which events move it, and what EC2 calls each phase.

One table says what an owner may ask, one what the engine may find. Nothing else moves a phase.

Source: EC2 User Guide, "Amazon EC2 instance state changes"; API Reference, InstanceState.
"""

from __future__ import annotations

from typing import Final, Literal

Phase = Literal[
    "pending",  # launched: VM and disks are being made
    "starting",  # was stopped, is being started
    "running",
    "rebooting",
    "stopping",
    "stopped",
    "shutting-down",  # being removed with its disks
    "terminated",
]
State = Literal["pending", "running", "stopping", "stopped", "shutting-down", "terminated"]
Ask = Literal["start", "stop", "reboot", "terminate"]
Found = Literal[
    "launched",  # the VM runs for the first time
    "failed",  # a launch that cannot succeed: what was made of it is removed
    "started",
    "not-started",  # the host refused the start for good
    "stopped",
    "rebooted",
    "removed",  # no VM, no disks of ours left
    "guest-stopped",  # the guest shut itself down, or an administrator did
    "guest-left",  # the guest shut itself down and its owner wants it terminated then
    "seen-running",  # an administrator started it
    "host-restarted",  # the VM ran before its host's restart and does not run now
    "vanished",  # the VM is gone from every host where it may be, and nobody asked for it
]

PHASES: Final[tuple[Phase, ...]] = (
    "pending",
    "starting",
    "running",
    "rebooting",
    "stopping",
    "stopped",
    "shutting-down",
    "terminated",
)
WORKING: Final[frozenset[Phase]] = frozenset(
    {"pending", "starting", "rebooting", "stopping", "shutting-down"}
)
"""Phases that the engine drives to rest."""

STATES: Final[dict[Phase, tuple[int, State]]] = {
    "pending": (0, "pending"),
    "starting": (0, "pending"),
    "running": (16, "running"),
    "rebooting": (16, "running"),
    "shutting-down": (32, "shutting-down"),
    "terminated": (48, "terminated"),
    "stopping": (64, "stopping"),
    "stopped": (80, "stopped"),
}
"""Phase -> EC2's code and name."""

_ASKS: Final[dict[Ask, dict[Phase, Phase]]] = {
    "start": {
        "stopped": "starting",
        "starting": "starting",
        "pending": "pending",
        "running": "running",
        "rebooting": "rebooting",
    },
    "stop": {
        "running": "stopping",
        "rebooting": "stopping",
        "starting": "stopping",
        "stopping": "stopping",
        "stopped": "stopped",
    },
    "reboot": {"running": "rebooting", "rebooting": "rebooting"},
    "terminate": {
        phase: "terminated" if phase == "terminated" else "shutting-down" for phase in PHASES
    },
}
_FINDINGS: Final[dict[Found, dict[Phase, Phase]]] = {
    "launched": {"pending": "running"},
    "failed": {"pending": "shutting-down"},
    "started": {"starting": "running"},
    "not-started": {"starting": "stopped"},
    "stopped": {"stopping": "stopped"},
    "rebooted": {"rebooting": "running"},
    "removed": {"shutting-down": "terminated"},
    "guest-stopped": {"running": "stopped", "rebooting": "stopped"},
    "guest-left": {"running": "shutting-down", "rebooting": "shutting-down"},
    "seen-running": {"stopped": "running"},
    "host-restarted": {"running": "starting", "rebooting": "starting"},
    "vanished": {
        "running": "terminated",
        "rebooting": "terminated",
        "starting": "terminated",
        "stopping": "terminated",
        "stopped": "terminated",
    },
}


class Refused(Exception):
    """The phase does not admit the event."""

    def __init__(self, phase: Phase, event: str) -> None:
        super().__init__(f"{event} is not possible while {phase}")
        self.phase = phase
        self.event = event


def ask(phase: Phase, event: Ask) -> Phase:
    """Say where an owner's wish moves the phase; the same phase means nothing is to do.

    :raises Refused: EC2 answers IncorrectInstanceState
    """
    after = _ASKS[event].get(phase)
    if after is None:
        raise Refused(phase, event)
    return after


def find(phase: Phase, event: Found) -> Phase:
    """Say where the engine's finding moves the phase.

    :raises Refused: the intent changed meanwhile; the finding is moot
    """
    after = _FINDINGS[event].get(phase)
    if after is None:
        raise Refused(phase, event)
    return after
