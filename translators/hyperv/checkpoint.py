"""Checkpoints of a virtual machine that hold its disks still for a copy: looks, and plans.

One of ours has a name with our prefix. It covers all disks of the VM: each goes on in a child file
(`NAME_GUID.avhdx`), and what it was before does not change until the checkpoint is removed and the
child has been merged into it.

Source: Checkpoint-VM, Get-VMSnapshot, Remove-VMSnapshot; Microsoft, "Choose between standard or
production checkpoints in Hyper-V".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from translators.hyperv import vm
from translators.hyperv.drive import Place
from translators.hyperv.host import Answer, Call, Plan, Ref

PREFIX: Final = "ec2gw-"
_BUSY: Final = frozenset(
    {"CreatingSnapshot", "ApplyingSnapshot", "DeletingSnapshot", "MergingDisks"}
)
"""VMOperationalStatus by name, the second one of a VM."""
_DRIVE: Final[Mapping[str, str]] = {
    "type": "ControllerType:text",
    "number": "ControllerNumber:int",
    "location": "ControllerLocation:int",
    "path": "Path:text",
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as a look found it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Sight:
    """A VM (two are a fault, none is no error), its checkpoints, the files that its drives are at.

    `frozen` are the files that the checkpoint in question holds still.
    """

    vms: tuple[vm.Vm, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    drives: Mapping[Place, str] = field(default_factory=dict)
    frozen: Mapping[Place, str] = field(default_factory=dict)
    busy: bool = False
    """A checkpoint is being made, or what one held apart is being merged."""

    def named(self, name: str) -> tuple[Checkpoint, ...]:
        return tuple(one for one in self.checkpoints if one.name == name)


def name_of(point: str) -> str:
    """What the checkpoint of a point in time is called on the host."""
    return PREFIX + point


def look(vm_id: str) -> Plan:
    """See a VM, its checkpoints and its drives; a VM that is not there is an error of the host."""
    take = {**vm.VM_PROPERTIES, "status": "SecondaryOperationalStatus:text"}
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm", take=take),
        Call(
            "Hyper-V\\Get-VMSnapshot",
            {"VM": Ref("vm")},
            keep="checkpoints",
            take={"id": "Id:text", "name": "Name:text"},
        ),
        Call("Hyper-V\\Get-VMHardDiskDrive", {"VM": Ref("vm")}, keep="drives", take=_DRIVE),
    )
    return Plan("look-checkpoints", calls)


def look_into(vm_id: str, name: str) -> Plan:
    """See the files that the checkpoint of that name holds still."""
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMSnapshot", {"VM": Ref("vm"), "Name": name}, keep="checkpoint"),
        Call(
            "Hyper-V\\Get-VMHardDiskDrive",
            {"VMSnapshot": Ref("checkpoint", at=0)},
            keep="drives",
            take=_DRIVE,
        ),
    )
    return Plan("look-into-checkpoint", calls)


def read(answer: Answer) -> Sight:
    """Shape what `look` brought back."""
    return Sight(
        vm.seen(answer),
        tuple(
            Checkpoint(str(row["id"]).lower(), str(row["name"]))
            for row in answer.results["checkpoints"]
        ),
        read_drives(answer),
        busy=any(row["status"] in _BUSY for row in answer.results["vm"]),
    )


def read_drives(answer: Answer) -> dict[Place, str]:
    """Shape the drives that either look brought back; an empty drive has no file."""
    found: dict[Place, str] = {}
    for row in answer.results["drives"]:
        kind: Literal["SCSI", "IDE"] = "IDE" if row["type"] == "IDE" else "SCSI"
        place = Place(kind, _whole(row["location"]), _whole(row["number"]))
        if row["path"]:
            found[place] = str(row["path"])
    return found


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


# -- plans


def take(vm_id: str, name: str) -> Plan:
    """Make a checkpoint: by the guest's own help where it has any, else as if the power went.

    A VM of ours admits none but while one is made, so that no administrator's default gets in
    the way of removals. Without the guest's help the memory of a working VM is kept beside it.
    """
    fetched = Ref("vm")
    return Plan(
        "checkpoint",
        (
            Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
            Call("Hyper-V\\Set-VM", {"VM": fetched, "CheckpointType": "Production"}),
            Call("Hyper-V\\Checkpoint-VM", {"VM": fetched, "SnapshotName": name}),
            Call("Hyper-V\\Set-VM", {"VM": fetched, "CheckpointType": "Disabled"}),
        ),
        changes=True,
    )


def remove(vm_id: str, name: str) -> Plan:
    """Remove the checkpoints of that name; their merge goes on after the plan has ended."""
    return Plan(
        "remove-checkpoint",
        (
            Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
            Call(
                "Hyper-V\\Get-VMSnapshot",
                {"VM": Ref("vm"), "Name": name},
                keep="checkpoints",
            ),
            Call("Hyper-V\\Remove-VMSnapshot", {"VMSnapshot": Ref("checkpoints")}),
        ),
        changes=True,
    )
