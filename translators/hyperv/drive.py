"""Disks below a host's root, and their places on the controllers of a VM.

A drive is a place on a controller, a disk is the file in it; Hyper-V adds the two one after the
other, so a drive may be left without a disk. While a checkpoint exists the drive holds another
file, a child of ours that is named after it.

Source: pages of the Hyper-V module (New-VHD, Add-VMHardDiskDrive).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from translators.hyperv.host import Argument, Call, Path, Ref

VOLUMES: Final = Path("volumes")
_BLOCK_BYTES: Final = 1024**2
"""Of a disk without a parent: Linux's file systems write all over a disk, in small pieces."""
_CHECKPOINTED: Final = re.compile(r"_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.avhdx")


@dataclass(frozen=True, slots=True)
class Place:
    """A place on a controller of a VM; a VM boots from the first one."""

    controller: Literal["SCSI", "IDE"]
    location: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk that is to be made: blank, or a child of a parent that nobody writes to."""

    path: Path
    parent: Path | None
    size_bytes: int | None
    """None: as large as its parent."""


@dataclass(frozen=True, slots=True)
class Extra:
    """A disk that a VM is made with beside its root disk."""

    disk: Disk
    place: Place
    maximum_iops: int


def is_disk(path: str, root: str, disk: Path) -> Literal["itself", "checkpoint"] | None:
    r"""Tell whether a drive's path, as Windows writes it, is the disk or what a checkpoint made.

    >>> is_disk("c:\\EC2GW\\volumes\\vol-1.vhdx", "C:\\ec2gw\\", Path("volumes/vol-1.vhdx"))
    'itself'
    """
    backslash = chr(92)
    ours = f"{root.rstrip(backslash)}/{disk.segments}".replace("/", backslash).lower()
    if path.lower() == ours:
        return "itself"
    stem = ours.rpartition(".")[0]
    rest = path.lower().removeprefix(stem)
    return "checkpoint" if rest != path.lower() and _CHECKPOINTED.fullmatch(rest) else None


def make(disk: Disk) -> list[Call]:
    """Make a disk, whatever was left of an earlier try: only for one that was never written to."""
    folder = Path(disk.path.segments.rpartition("/")[0])
    asked: dict[str, Argument] = {"Path": disk.path}
    if disk.parent is not None:
        asked |= {"ParentPath": disk.parent, "Differencing": True}
    else:
        asked |= {"Dynamic": True, "BlockSizeBytes": _BLOCK_BYTES}
    if disk.size_bytes is not None:
        asked["SizeBytes"] = disk.size_bytes
    return [
        Call("Agent\\New-Folder", {"Path": folder}),
        Call("Agent\\Remove-Tree", {"Path": disk.path}),
        Call("Hyper-V\\New-VHD", asked),
    ]


def put(machine: Ref, place: Place, path: Path, maximum_iops: int) -> Call:
    """Add a drive with the disk in it; 0 leaves it unthrottled."""
    asked: dict[str, Argument] = {
        "VM": machine,
        "ControllerType": place.controller,
        "ControllerNumber": place.number,
        "ControllerLocation": place.location,
        "Path": path,
        "MaximumIOPS": maximum_iops,
    }
    return Call("Hyper-V\\Add-VMHardDiskDrive", asked)
