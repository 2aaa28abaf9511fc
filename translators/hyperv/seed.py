"""The disc that a VM's guest reads at its first boot: its file, the drive that it lies in, plans.

The drive has one place, and stays when the disc goes. Another disc of ours, without secrets, may
take its place then (`bare.iso`). Whatever else somebody puts into the drive is left alone.

Source: pages of the Hyper-V module (Add-VMDvdDrive, Get-VMDvdDrive, Set-VMDvdDrive, New-VM: a
machine of generation 1 has a DVD drive from the start).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from translators.hyperv import file, vm
from translators.hyperv.drive import Place
from translators.hyperv.file import FileState
from translators.hyperv.host import Answer, Argument, Call, Flat, Path, Plan, Ref

_PLACES: Final = {1: Place("IDE", 0, number=1), 2: Place("SCSI", 63)}
"""Generation -> where its drive is; no volume is ever put there (`translators.devices`)."""
_SEED: Final = "seed.iso"
_BARE: Final = "bare.iso"


@dataclass(frozen=True, slots=True)
class Drive:
    """A DVD drive as a look found it; `path` is empty for one without a disc."""

    place: Place
    path: str


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look found: the VM, its DVD drives, and the disc's file with its digest."""

    vm: vm.Vm
    drives: tuple[Drive, ...]
    file: FileState | None
    has_bare: bool = False
    """Whether the file of a bare disc is there."""

    def holding(self, root: str, name: str) -> Drive | None:
        """The drive that our disc is in."""
        return self._holding(f"{vm.folder_of(root, name)}\\{_SEED}")

    def holding_bare(self, root: str, name: str) -> Drive | None:
        """The drive that our bare disc is in."""
        return self._holding(f"{vm.folder_of(root, name)}\\{_BARE}")

    def _holding(self, ours: str) -> Drive | None:
        return next((one for one in self.drives if one.path.lower() == ours.lower()), None)

    def at(self, generation: int) -> Drive | None:
        """The drive where ours has its place."""
        return next((one for one in self.drives if one.place == _PLACES[generation]), None)


def path(name: str) -> Path:
    """Where the disc of a VM of ours lies."""
    return vm.INSTANCES / name / _SEED


def bare_path(name: str) -> Path:
    """Where the disc lies that takes its place."""
    return vm.INSTANCES / name / _BARE


# -- looks


def look(vm_id: str, name: str) -> Plan:
    """See the VM, its DVD drives and the file; no such VM is an error (`vm.is_missing`)."""
    take = {
        "controller": "ControllerType:text",
        "number": "ControllerNumber:int",
        "location": "ControllerLocation:int",
        "path": "Path:text",
    }
    return Plan(
        "look-disc",
        (
            Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm", take=vm.VM_PROPERTIES),
            Call("Hyper-V\\Get-VMDvdDrive", {"VM": Ref("vm")}, keep="drives", take=take),
            *file.look(path(name), digest=True).calls,
            _look_at_bare(name),
        ),
    )


def seen(answer: Answer) -> Sight:
    """Read what `look` brought back."""
    return Sight(
        vm.read(answer.results["vm"][0]),
        tuple(_drive(row) for row in answer.results["drives"]),
        file.seen(answer),
        bool(answer.results["bare"]),
    )


def _look_at_bare(name: str) -> Call:
    take = {"name": "Name:text"}
    return Call("Agent\\Get-FileState", {"Path": bare_path(name)}, keep="bare", take=take)


def _drive(row: Mapping[str, Flat]) -> Drive:
    number, location = (
        value if isinstance(value, int) else 0 for value in (row["number"], row["location"])
    )
    controller: Literal["SCSI", "IDE"] = "IDE" if row["controller"] == "IDE" else "SCSI"
    return Drive(Place(controller, location, number), str(row["path"] or ""))


def look_at_files(name: str) -> Plan:
    """See whether a disc's file is there; none is no error."""
    return Plan("look-discs", (*file.look(path(name)).calls, _look_at_bare(name)))


def is_left(answer: Answer) -> bool:
    """Read what `look_at_files` brought back."""
    return file.seen(answer) is not None or bool(answer.results["bare"])


# -- plans


def first(machine: Ref, generation: int, name: str, content: bytes) -> list[Call]:
    """Write the disc and put it in: calls on a VM that was just made, in an empty folder."""
    place = _PLACES[generation]
    written = _write(path(name), content)
    if generation == 1:
        return [*written, *_exchange(machine, place, path(name))]
    return [*written, _add(machine, place, name)]


def put(vm_id: str, generation: int, name: str, content: bytes, *, has_drive: bool) -> Plan:
    """Write another disc and put it in; only while the VM is off.

    `has_drive`: whether there is one at its place. It may hold the disc before.
    """
    place, machine = _PLACES[generation], Ref("vm")
    into = _exchange(machine, place, path(name)) if has_drive else [_add(machine, place, name)]
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    written = _write_anew(path(name), content)
    bare = [_remove(bare_path(name)), _remove(_part(bare_path(name)))]
    return Plan("put-disc", (*written, fetch, *into, *bare), changes=True)


def eject(vm_id: str, place: Place) -> Plan:
    """Take the disc out of the drive there; its file stays. Also while the VM runs."""
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    return Plan("eject-disc", (fetch, *_exchange(Ref("vm"), place, None)), changes=True)


def swap(vm_id: str, place: Place, name: str, bare: bytes) -> Plan:
    """Put a bare disc where the disc is; its file stays. Also while the VM runs."""
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    into = _exchange(Ref("vm"), place, bare_path(name))
    return Plan("eject-disc", (*_write_anew(bare_path(name), bare), fetch, *into), changes=True)


def remove(name: str) -> Plan:
    """Remove the disc's file, and what was written of another one; none is no error."""
    calls = (_remove(path(name)), _remove(_part(path(name))))
    return Plan("remove-disc", calls, changes=True)


def clear(name: str) -> Plan:
    """Remove the files of both discs; none is no error."""
    discs = (path(name), bare_path(name))
    calls = [_remove(one) for disc in discs for one in (disc, _part(disc))]
    return Plan("remove-disc", tuple(calls), changes=True)


def _remove(one: Path) -> Call:
    return Call("Agent\\Remove-Tree", {"Path": one})


def _part(disc: Path) -> Path:
    return Path(f"{disc.segments}.part")


def _write(disc: Path, content: bytes) -> Sequence[Call]:
    return [call for plan in file.put(disc, content) for call in plan.calls]


def _write_anew(disc: Path, content: bytes) -> Sequence[Call]:
    """Write it where another one may have been begun."""
    return [_remove(_part(disc)), *_write(disc, content)]


def _add(machine: Ref, place: Place, name: str) -> Call:
    asked: dict[str, Argument] = {
        "VM": machine,
        "ControllerNumber": place.number,
        "ControllerLocation": place.location,
        "Path": path(name),
    }
    return Call("Hyper-V\\Add-VMDvdDrive", asked)


def _exchange(machine: Ref, place: Place, disc: Path | None) -> Sequence[Call]:
    """What is in the drive there becomes the disc, or nothing."""
    where: dict[str, Argument] = {
        "VM": machine,
        "ControllerNumber": place.number,
        "ControllerLocation": place.location,
    }
    return [
        Call("Hyper-V\\Get-VMDvdDrive", where, keep="dvd"),
        Call("Hyper-V\\Set-VMDvdDrive", {"VMDvdDrive": Ref("dvd", at=0), "Path": disc}),
    ]
