"""A volume on its host: the look at a VM's drives, and the plans that change a disk or a drive.

Source: pages of the Hyper-V module (New-VHD, Get-VMHardDiskDrive, Remove-VMHardDiskDrive,
Set-VMHardDiskDrive, Resize-VHD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from translators.hyperv import drive, vm
from translators.hyperv.drive import Disk, Place
from translators.hyperv.host import Answer, Argument, Call, Path, Plan, Ref


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive as a look found it; `path` is empty for one without a disk."""

    place: Place
    path: str
    maximum_iops: int


# -- looks


def look(vm_id: str) -> Plan:
    """See a VM and its drives; none of that GUID is an error of the host (`vm.is_missing`)."""
    found = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm", take=vm.VM_PROPERTIES)
    drives = Call(
        "Hyper-V\\Get-VMHardDiskDrive",
        {"VM": Ref("vm")},
        keep="drives",
        take={
            "controller": "ControllerType:text",
            "number": "ControllerNumber:int",
            "location": "ControllerLocation:int",
            "path": "Path:text",
            "iops": "MaximumIOPS:int",
        },
    )
    return Plan("look-drives", (found, drives))


def seen(answer: Answer) -> tuple[vm.Vm, tuple[Drive, ...]]:
    """Read what `look` brought back."""
    drives: list[Drive] = []
    for row in answer.results["drives"]:
        number, location, iops = (
            value if isinstance(value, int) else 0
            for value in (row["number"], row["location"], row["iops"])
        )
        kind: Literal["SCSI", "IDE"] = "IDE" if row["controller"] == "IDE" else "SCSI"
        drives.append(Drive(Place(kind, location, number), str(row["path"] or ""), iops))
    return vm.read(answer.results["vm"][0]), tuple(drives)


# -- plans


def create(disk: Disk) -> Plan:
    """Make a disk that was never written to."""
    return Plan("create-volume", tuple(drive.make(disk)), changes=True)


def attach(vm_id: str, place: Place, path: Path, maximum_iops: int) -> Plan:
    """Add a drive with the disk in it; on SCSI also while the VM runs."""
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    added = drive.put(Ref("vm"), place, path, maximum_iops)
    return Plan("attach-volume", (fetch, added), changes=True)


def detach(vm_id: str, place: Place) -> Plan:
    """Remove the drive there with the disk in it; its file stays."""
    return _on_drive("detach-volume", vm_id, place, "Hyper-V\\Remove-VMHardDiskDrive", {})


def clear(vm_id: str, place: Place) -> Plan:
    """Remove an empty drive, which half an attachment left there."""
    plan = detach(vm_id, place)
    return Plan("clear-drive", plan.calls, changes=True)


def boot_from(vm_id: str, place: Place) -> Plan:
    """Let a second-generation VM boot from the disk there: its firmware forgot the one before."""
    fetch, drive_there = _fetch(vm_id, place)
    firmware: dict[str, Argument] = {"VM": Ref("vm"), "FirstBootDevice": Ref("drive", at=0)}
    return Plan(
        "boot-volume",
        (fetch, drive_there, Call("Hyper-V\\Set-VMFirmware", firmware)),
        changes=True,
    )


def throttle(vm_id: str, place: Place, maximum_iops: int) -> Plan:
    """Let the disk there do so many I/O of 8 KB a second; 0: as many as it can."""
    return _on_drive(
        "throttle-volume",
        vm_id,
        place,
        "Hyper-V\\Set-VMHardDiskDrive",
        {"MaximumIOPS": maximum_iops},
    )


def grow(path: Path, size_bytes: int) -> Plan:
    """Make a disk larger: while a VM runs with it on SCSI only."""
    call = Call("Hyper-V\\Resize-VHD", {"Path": path, "SizeBytes": size_bytes})
    return Plan("grow-volume", (call,), changes=True)


def remove(path: Path) -> Plan:
    """Remove a disk's file, or the folder of a VM that is no more; nothing there is no error."""
    call = Call("Agent\\Remove-Tree", {"Path": path})
    return Plan("remove-volume", (call,), changes=True)


def _on_drive(
    purpose: str,
    vm_id: str,
    place: Place,
    cmdlet: str,
    more: dict[str, Argument],
) -> Plan:
    """A call on the drive at a place, fetched within the same plan."""
    change = Call(cmdlet, {"VMHardDiskDrive": Ref("drive", at=0), **more})
    return Plan(purpose, (*_fetch(vm_id, place), change), changes=True)


def _fetch(vm_id: str, place: Place) -> tuple[Call, Call]:
    where: dict[str, Argument] = {
        "VM": Ref("vm"),
        "ControllerType": place.controller,
        "ControllerNumber": place.number,
        "ControllerLocation": place.location,
    }
    return (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMHardDiskDrive", where, keep="drive"),
    )
