"""One virtual machine of ours: what it looks like on its host, and the plans that change it.

A VM of ours lives in `instances/NAME` below the host's root and carries Notes. Names are not
unique in Hyper-V: a VM is known by its GUID, and before that is known by its exact name
*and* its folder.

Source: pages of the Hyper-V module (New-VM, Set-VMFirmware, ...) and of Msvm_ShutdownComponent.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from translators.hyperv.host import Answer, Argument, Call, Cim, Flat, Path, Plan, Ref

INSTANCES: Final = Path("instances")
IMAGES: Final = Path("images")
OFF_STATES: Final = frozenset(
    {"Off", "Saved", "FastSaved", "Hibernated", "OffCritical", "SavedCritical", "FastSavedCritical"}
)
RUNNING_STATES: Final = frozenset(
    {
        "Running",
        "Paused",
        "Pausing",
        "Resuming",
        "Reset",
        "ForceReboot",
        "RunningCritical",
        "PausedCritical",
        "PausingCritical",
        "ResumingCritical",
        "ResetCritical",
    }
)
"""VMState by name (its numbers moved between builds); all others are on their way."""
_ACCEPTED: Final = (0, 4096)
"""Msvm_ShutdownComponent: done, or a job was started. 32780: the guest still boots."""

_CIM: Final = "root\\virtualization\\v2"


@dataclass(frozen=True, slots=True)
class Vm:
    """A VM as a look found it."""

    id: str
    name: str
    state: str
    notes: str
    folder: str
    uptime_seconds: int
    heartbeat: str | None
    processors: int
    memory_bytes: int

    @property
    def in_transition(self) -> bool:
        return self.state not in OFF_STATES and self.state not in RUNNING_STATES


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at one VM found: the VMs that are it (two are a fault), and its folder."""

    vms: tuple[Vm, ...]
    folder_exists: bool
    disc_exists: bool = False
    """Looked for only where its folder stays."""
    was_reset: bool = False
    """Its guest has rebooted since that was asked for; looked for only where it is in doubt."""


VM_PROPERTIES: Final[Mapping[str, str]] = {
    "id": "Id:text",
    "name": "Name:text",
    "state": "State:text",
    "notes": "Notes:text",
    "folder": "Path:text",
    "uptime_seconds": "Uptime.TotalSeconds:int",
    "heartbeat": "Heartbeat:text",
    "processors": "ProcessorCount:int",
    "memory": "MemoryStartup:int",
}


def notes(deployment: str, name: str, card: Mapping[str, object] = {}) -> str:
    """Write the Notes of a VM of ours; the card is whatever is to be known of it by them."""
    whole = {"ec2gw": deployment, "instance": name, **card}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def owner(text: str) -> tuple[str, str] | None:
    """Read the Notes of a VM: (deployment, name), or None for one that is not ours."""
    found = card(text)
    deployment, name = found.get("ec2gw"), found.get("instance")
    if isinstance(deployment, str) and isinstance(name, str):
        return deployment, name
    return None


def card(text: str) -> Mapping[str, object]:
    """Read all that the Notes of a VM hold; nothing where they are not as we write them."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # anybody may write Notes
        return {}
    return found if isinstance(found, dict) else {}


def folder_of(root: str, name: str) -> str:
    """The Windows folder of a VM of ours, to compare with; never sent to a host."""
    return f"{root.rstrip(chr(92))}\\instances\\{name}"


# -- looks


def look(vm_id: str | None, name: str) -> Plan:
    """Find the VM by its GUID, or by its name while that is not known.

    None found is an error of the host: see `is_missing`.
    """
    key: dict[str, Argument] = {"Id": vm_id} if vm_id else {"Name": name}
    return Plan("look", (Call("Hyper-V\\Get-VM", key, keep="vm", take=VM_PROPERTIES),))


def look_at_folder(name: str) -> Plan:
    """See whether anything of the VM is left in its folder."""
    take = {"name": "Name:text"}
    call = Call("Agent\\Get-FileState", {"Path": INSTANCES / name}, keep="folder", take=take)
    return Plan("look-folder", (call,))


def seen(answer: Answer) -> tuple[Vm, ...]:
    """Read what `look` brought back."""
    return tuple(read(row) for row in answer.results["vm"])


def read(row: Mapping[str, Flat]) -> Vm:
    """Shape one row of `VM_PROPERTIES`."""
    heartbeat = row["heartbeat"]
    return Vm(
        id=str(row["id"]).lower(),
        name=str(row["name"]),
        state=str(row["state"]),
        notes=str(row["notes"] or ""),
        folder=str(row["folder"] or ""),
        uptime_seconds=_whole(row["uptime_seconds"]),
        heartbeat=str(heartbeat) if heartbeat else None,
        processors=_whole(row["processors"]),
        memory_bytes=_whole(row["memory"]),
    )


def _whole(value: Flat) -> int:
    return value if isinstance(value, int) else 0


def is_missing(error_id: str) -> bool:
    """Tell from an error's whole id whether Get-VM found no such VM.

    ObjectNotFound is none of it: so it reads when Hyper-V's management service does not run, or
    when the account may not ask it.

    Source: kubernetes/minikube#16679 shows both, one after the other.
    """
    identifier, _comma, cmdlet = error_id.partition(",")
    return identifier == "InvalidParameter" and cmdlet.endswith(".GetVM")


# -- plans


def size(vm: Ref, processors: int, memory_bytes: int) -> list[Call]:
    """Calls that give it so many processors and so much memory."""
    memory: dict[str, Argument] = {"DynamicMemoryEnabled": False, "StartupBytes": memory_bytes}
    return [
        Call("Hyper-V\\Set-VMProcessor", {"VM": vm, "Count": processors}),
        Call("Hyper-V\\Set-VMMemory", {"VM": vm, **memory}),
    ]


def resize(vm_id: str, processors: int, memory_bytes: int, notes: str | None) -> Plan:
    """Give it other processors and memory, and Notes that say so; only while it is off.

    None leaves the Notes alone: an administrator wrote something else there.
    """
    calls = size(Ref("vm"), processors, memory_bytes)
    if notes is not None:
        calls.append(Call("Hyper-V\\Set-VM", {"VM": Ref("vm"), "Notes": notes}))
    return _on("resize", vm_id, *calls)


def start(vm_id: str) -> Plan:
    """Start it; a running VM only warns."""
    return _on("start", vm_id, Call("Hyper-V\\Start-VM", {"VM": Ref("vm")}))


def turn_off(vm_id: str) -> Plan:
    """Cut its power."""
    stop = Call("Hyper-V\\Stop-VM", {"VM": Ref("vm"), "TurnOff": True, "Force": True})
    return _on("turn-off", vm_id, stop)


def reset(vm_id: str) -> Plan:
    """Restart it hard."""
    return _on("reset", vm_id, Call("Hyper-V\\Restart-VM", {"VM": Ref("vm"), "Force": True}))


def shut_down(vm_id: str) -> Plan:
    """Ask the guest to shut down; returns at once. The answer's `code` says what came of it."""
    return _guest("shut-down", vm_id, "InitiateShutdown")


def reboot(vm_id: str) -> Plan:
    """Ask the guest to reboot; returns at once."""
    return _guest("reboot", vm_id, "InitiateReboot")


def remove(vm_id: str) -> Plan:
    """Remove the VM's registration; its disks stay where they are."""
    return _on("remove", vm_id, Call("Hyper-V\\Remove-VM", {"VM": Ref("vm"), "Force": True}))


def sweep(name: str) -> Plan:
    """Remove the VM's folder with all that is in it."""
    return Plan("sweep", (Call("Agent\\Remove-Tree", {"Path": INSTANCES / name}),), changes=True)


def accepted(answer: Answer | None) -> bool:
    """Tell whether the guest took up what `shut_down` or `reboot` asked of it."""
    rows = answer.results.get("result", ()) if answer is not None else ()
    return bool(rows) and rows[0]["code"] in _ACCEPTED


def _on(purpose: str, vm_id: str, *calls: Call) -> Plan:
    """Calls on the VM object, fetched by its GUID within the same plan."""
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    return Plan(purpose, (fetch, *calls), changes=True)


def _guest(purpose: str, vm_id: str, method: str) -> Plan:
    # WQL has no parameters; a UUID object cannot carry a quote into it.
    component = {
        "Namespace": _CIM,
        "ClassName": "Msvm_ShutdownComponent",
        "Filter": f"SystemName='{str(uuid.UUID(vm_id)).upper()}'",
    }
    ask: dict[str, Argument] = {
        "InputObject": Ref("guest", at=0),
        "MethodName": method,
        "Arguments": {"Force": Cim("boolean", True), "Reason": "Requested through the EC2 API"},
    }
    return Plan(
        purpose,
        (
            Call("CimCmdlets\\Get-CimInstance", component, keep="guest"),
            Call(
                "CimCmdlets\\Invoke-CimMethod", ask, keep="result", take={"code": "ReturnValue:int"}
            ),
        ),
        changes=True,
    )
