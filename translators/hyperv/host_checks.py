"""Small looks that tell whether a host can serve at all: rights, clock, root folder, switches.

Holds the plans and what they bring back; what an administrator is told is the caller's.

Source: Get-VMHost, Get-VMSwitch (Hyper-V module); Win32_OperatingSystem.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from translators.hyperv.host import Answer, Call, Flat, Plan


@dataclass(frozen=True, slots=True)
class Root:
    """Our folder on the host."""

    exists: bool
    owner: str
    free_bytes: int
    file_system: str


def rights() -> Plan:
    """Ask for what only a Hyper-V administrator gets."""
    call = Call("Hyper-V\\Get-VMHost", keep="host", take={"name": "Name:text"})
    return Plan("check-rights", (call,))


def clock() -> Plan:
    """Ask for the host's time."""
    call = Call(
        "CimCmdlets\\Get-CimInstance",
        {"ClassName": "Win32_OperatingSystem"},
        keep="system",
        take={"now": "LocalDateTime:time"},
    )
    return Plan("check-clock", (call,))


def read_clock(answer: Answer) -> dt.datetime:
    return dt.datetime.fromisoformat(str(_only(answer, "system")["now"]))


def root() -> Plan:
    """Ask about our folder; it need not exist yet."""
    call = Call(
        "Agent\\Test-Root",
        keep="root",
        take={
            "exists": "Exists:bool",
            "owner": "Owner:text",
            "free": "FreeBytes:int",
            "file_system": "FileSystem:text",
        },
    )
    return Plan("check-root", (call,))


def read_root(answer: Answer) -> Root:
    found = _only(answer, "root")
    free = found["free"]
    return Root(
        exists=found["exists"] is True,
        owner=str(found["owner"] or ""),
        free_bytes=free if isinstance(free, int) else 0,
        file_system=str(found["file_system"] or ""),
    )


def switches() -> Plan:
    """Ask for the virtual switches' names."""
    call = Call("Hyper-V\\Get-VMSwitch", keep="switches", take={"name": "Name:text"})
    return Plan("check-switches", (call,))


def read_switches(answer: Answer) -> tuple[str, ...]:
    return tuple(str(one["name"]) for one in answer.results["switches"])


def _only(answer: Answer, name: str) -> dict[str, Flat]:
    return dict(answer.results[name][0])
