"""Whether a guest has rebooted: its VM runs on and does not show it, its host's log does.

Source: event 18514 of Microsoft-Windows-Hyper-V-Worker-Admin, "was reset by the guest operating
system"; derived until a real host has shown it.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

from translators.hyperv.host import Answer, Call, Plan

_BY_GUEST: Final = 18514


def look() -> Plan:
    """Ask for the latest reboots of all guests, and for the host's own time.

    Without any it is an error of the host: NoMatchingEventsFound.
    """
    clock = Call(
        "CimCmdlets\\Get-CimInstance",
        {"ClassName": "Win32_OperatingSystem"},
        keep="system",
        take={"now": "LocalDateTime:time"},
    )
    events = Call(
        "Microsoft.PowerShell.Diagnostics\\Get-WinEvent",
        {
            "FilterHashtable": {
                "LogName": "Microsoft-Windows-Hyper-V-Worker-Admin",
                "Id": [_BY_GUEST],
            },
            "MaxEvents": 200,
        },
        keep="events",
        take={"at": "TimeCreated:time", "words": "Properties.Value:texts"},
    )
    return Plan("look-reset", (clock, events))


def happened(answer: Answer, vm_id: str, within_seconds: float) -> bool:
    """Tell whether the VM was reset so lately, by the host's clock alone."""
    now = _time(str(answer.results["system"][0]["now"]))
    for row in answer.results["events"]:
        words = row["words"]
        if not isinstance(words, list) or len(words) < 2:
            continue
        if words[1].strip("{}").lower() != vm_id:
            continue
        if (now - _time(str(row["at"]))).total_seconds() <= within_seconds:
            return True
    return False


def _time(text: str) -> dt.datetime:
    # .NET's round-trip form has seven digits of a second, Python's reader takes six.
    head, _dot, tail = text.rstrip("Z").partition(".")
    return dt.datetime.fromisoformat(f"{head}.{(tail or '0')[:6]:0<6}+00:00")
