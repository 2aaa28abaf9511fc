"""The bulk look at a host: its capacity and every VM on it, ours or not.

Source: Get-VM, Get-VMHost, Get-VMSwitch; Win32_OperatingSystem. Event ids of the log
Microsoft-Windows-Hyper-V-Worker-Admin.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from translators.hyperv import vm
from translators.hyperv.host import Answer, Call, Flat, Plan


@dataclass(frozen=True, slots=True)
class Survey:
    """A host at one moment; `started_at` by our own clock, before the host was asked."""

    started_at: dt.datetime
    vms: tuple[vm.Vm, ...]
    processors: int
    memory_bytes: int
    free_memory_bytes: int
    free_disk_bytes: int
    boot_time: dt.datetime
    local_time: dt.datetime
    switches: tuple[str, ...]


def look() -> Plan:
    """Look at the whole host with one request."""
    calls = (
        Call(
            "Hyper-V\\Get-VMHost",
            keep="host",
            take={"processors": "LogicalProcessorCount:int", "memory": "MemoryCapacity:int"},
        ),
        Call(
            "CimCmdlets\\Get-CimInstance",
            {"ClassName": "Win32_OperatingSystem"},
            keep="system",
            take={
                "boot": "LastBootUpTime:time",
                "now": "LocalDateTime:time",
                "free_kib": "FreePhysicalMemory:int",
            },
        ),
        Call("Agent\\Test-Root", keep="root", take={"free": "FreeBytes:int"}),
        Call("Hyper-V\\Get-VMSwitch", keep="switches", take={"name": "Name:text"}),
        Call("Hyper-V\\Get-VM", keep="vms", take=vm.VM_PROPERTIES),
    )
    return Plan("survey", calls)


def read(answer: Answer, started_at: dt.datetime) -> Survey:
    """Shape what `look` brought back."""
    host, system = answer.results["host"][0], answer.results["system"][0]
    return Survey(
        started_at=started_at,
        vms=tuple(vm.read(row) for row in answer.results["vms"]),
        processors=_whole(host, "processors"),
        memory_bytes=_whole(host, "memory"),
        free_memory_bytes=_whole(system, "free_kib") * 1024,
        free_disk_bytes=_whole(answer.results["root"][0], "free"),
        boot_time=_time(system, "boot"),
        local_time=_time(system, "now"),
        switches=tuple(str(row["name"]) for row in answer.results["switches"]),
    )


def addresses() -> Plan:
    """Ask what addresses the guests report; only where there is at least one VM."""
    call = Call(
        "Hyper-V\\Get-VMNetworkAdapter",
        {"VMName": "*"},
        keep="nics",
        take={"vm": "VMId:text", "addresses": "IPAddresses:texts"},
    )
    return Plan("addresses", (call,))


def read_addresses(answer: Answer) -> dict[str, list[str]]:
    """VM's GUID -> addresses, in the guest's order."""
    found: dict[str, list[str]] = {}
    for row in answer.results["nics"]:
        listed = row["addresses"]
        if isinstance(listed, list):
            found.setdefault(str(row["vm"]).lower(), []).extend(listed)
    return found


# -- why a VM went off

Ending = Literal["turned-off", "asked", "guest"]
_ENDINGS: Final[Mapping[int, Ending]] = {
    18502: "turned-off",  # by an administrator
    18504: "asked",  # through the shutdown component
    18508: "guest",  # by the guest's own operating system
}
NO_EVENTS: Final = "NoMatchingEventsFound"


def endings() -> Plan:
    """Ask the host's log why VMs went off; newest first."""
    call = Call(
        "Microsoft.PowerShell.Diagnostics\\Get-WinEvent",
        {
            "FilterHashtable": {
                "LogName": "Microsoft-Windows-Hyper-V-Worker-Admin",
                "Id": list(_ENDINGS),
            },
            "MaxEvents": 500,
        },
        keep="events",
        take={"id": "Id:int", "at": "TimeCreated:time", "words": "Properties.Value:texts"},
    )
    return Plan("endings", (call,))


def read_endings(answer: Answer) -> dict[str, tuple[Ending, dt.datetime]]:
    """VM's GUID -> how and when it last went off."""
    found: dict[str, tuple[Ending, dt.datetime]] = {}
    for row in answer.results["events"]:
        words, at = row["words"], _time(row, "at")
        if not isinstance(words, list) or len(words) < 2:
            continue
        guid = words[1].strip("{}").lower()
        if guid not in found or at > found[guid][1]:
            found[guid] = (_ENDINGS[_whole(row, "id")], at)
    return found


def _whole(row: Mapping[str, Flat], name: str) -> int:
    value = row[name]
    return value if isinstance(value, int) else 0


def _time(row: Mapping[str, Flat], name: str) -> dt.datetime:
    text = str(row[name])
    # .NET's round-trip form has seven digits of a second, Python's reader takes six.
    head, dot, tail = text.partition(".")
    if dot:
        digits = tail.rstrip("Z")
        text = f"{head}.{digits[:6]}+00:00"
    else:
        text = f"{head.rstrip('Z')}+00:00"
    return dt.datetime.fromisoformat(text)
