"""Flat copies of disks, made by a job of the host's management service that outlives the link.

A copy is made under `tmp` and gets its final name when it is whole. A job can be asked for some
minutes after its end; one that is gone without having been seen to end is begun anew.

Source: Msvm_ImageManagementService.ConvertVirtualHardDisk; Msvm_StorageJob, CIM_ConcreteJob
(JobState, RequestStateChange); the agent's Start-DiskCopy and Move-File.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from typing import Final, Literal

from translators.hyperv.host import Answer, Argument, Call, Cim, Path, Plan, Ref

HALF_MADE: Final = Path("tmp")
_CIM: Final = "root\\virtualization\\v2"
_STARTED: Final = (0, 4096)
_DONE: Final = frozenset({7, 32768})
"""JobState: completed, and completed with warnings."""
_FAILED: Final = frozenset({8, 9, 10})
"""Terminated, killed, exception."""
_TERMINATE: Final = 4
_HRESULT: Final = re.compile(r"0x[0-9A-Fa-f]{8}")
Progress = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job as a look found it; `why` in the parts of its error that no language changes."""

    progress: Progress
    percent: int
    why: str = ""


def half_made(name: str) -> Path:
    """Where a copy of that name is made."""
    return HALF_MADE / name


def below(root: str, path: str) -> Path | None:
    r"""A Windows path as a place below the host's root; None where it is none.

    >>> below("C:\\ec2gw", "c:\\EC2GW\\volumes\\vol-1.vhdx")
    Path(segments='volumes/vol-1.vhdx')
    """
    head = root.rstrip("\\").lower() + "\\"
    if not path.lower().startswith(head):
        return None
    return Path(path[len(head) :].replace("\\", "/"))


# -- looks


def look(job: str) -> Plan:
    """Ask how far a job is; one that is not known any more is no error."""
    # WQL has no parameters; a UUID object cannot carry a quote into it.
    asked: dict[str, Argument] = {
        "Namespace": _CIM,
        "ClassName": "Msvm_StorageJob",
        "Filter": f"InstanceID='{str(uuid.UUID(job)).upper()}'",
    }
    take = {
        "state": "JobState:int",
        "percent": "PercentComplete:int",
        "code": "ErrorCode:int",
        "description": "ErrorDescription:text",
    }
    return Plan("look-job", (Call("CimCmdlets\\Get-CimInstance", asked, keep="job", take=take),))


def seen(answer: Answer) -> Job | None:
    """Read what `look` brought back."""
    rows = answer.results["job"]
    if not rows:
        return None
    state, percent = rows[0]["state"], rows[0]["percent"]
    known = percent if isinstance(percent, int) else 0
    if state in _DONE:
        return Job("done", 100)
    if state in _FAILED:
        codes = _HRESULT.findall(str(rows[0]["description"] or ""))
        return Job("failed", known, " ".join([str(rows[0]["code"]), *codes]))
    return Job("running", known)


# -- plans


def start(source: Path, name: str, folder: Path) -> Plan:
    """Begin a copy; what an earlier try left goes first. Both folders are there afterwards."""
    target = half_made(name)
    calls = (
        Call("Agent\\New-Folder", {"Path": HALF_MADE}),
        Call("Agent\\New-Folder", {"Path": folder}),
        Call("Agent\\Remove-Tree", {"Path": target}),
        Call(
            "Agent\\Start-DiskCopy",
            {"Source": source, "Destination": target},
            keep="copy",
            take={"job": "Job:text", "code": "Code:int"},
        ),
    )
    return Plan("copy", calls, changes=True)


def started(answer: Answer) -> tuple[str | None, int]:
    """Read what `start` brought back: the job, if there is one to ask for, and the code."""
    row = answer.results["copy"][0]
    code = row["code"] if isinstance(row["code"], int) else -1
    job = str(row["job"] or "")
    return (job if job and code in _STARTED else None), code


def finish(name: str, target: Path) -> Plan:
    """Give a whole copy its name; from then on nobody writes to it."""
    asked: dict[str, Argument] = {
        "Path": half_made(name),
        "Destination": target,
        "ReadOnly": True,
    }
    return Plan("finish-copy", (Call("Agent\\Move-File", asked),), changes=True)


def cancel(job: str) -> Plan:
    """End a job before its time; what it made stays."""
    asked: dict[str, Argument] = {
        "Namespace": _CIM,
        "ClassName": "Msvm_StorageJob",
        "Filter": f"InstanceID='{str(uuid.UUID(job)).upper()}'",
    }
    call: dict[str, Argument] = {
        "InputObject": Ref("job", at=0),
        "MethodName": "RequestStateChange",
        "Arguments": {"RequestedState": Cim("uint16", _TERMINATE)},
    }
    return Plan(
        "cancel-copy",
        (
            Call("CimCmdlets\\Get-CimInstance", asked, keep="job"),
            Call("CimCmdlets\\Invoke-CimMethod", call),
        ),
        changes=True,
    )


def discard(name: str, *others: Path) -> Plan:
    """Remove a half-made copy, and whatever else is named; nothing there is no error."""
    paths = (half_made(name), *others)
    calls = tuple(Call("Agent\\Remove-Tree", {"Path": path}) for path in paths)
    return Plan("discard-copy", calls, changes=True)
