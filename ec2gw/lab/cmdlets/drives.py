"""Hard disk drives of a machine, and where drives of any kind sit.

Source: learn.microsoft.com/powershell/module/hyper-v; the classes Drive, HardDiskDrive.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import ZERO_GUID, Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, paths, power
from ec2gw.lab.world.session import Session

SCSI_LOCATIONS = 64
IDE_CONTROLLERS = 2
IDE_LOCATIONS = 2
Place = tuple[str, int, int]


def disk_object(
    session: Session, vm: model.Vm, disk: model.Disk, of: model.Snapshot | None = None
) -> Live:
    values = {
        "Path": disk.path,
        "DiskNumber": None,
        "MaximumIOPS": disk.maximum_iops,
        "MinimumIOPS": disk.minimum_iops,
        "SupportPersistentReservations": False,
        **drive_values(session, vm, disk, "Hard Drive"),
    }
    if of is not None:
        values |= {"VMSnapshotId": uuid.UUID(of.id), "VMSnapshotName": of.name}
    return Values.of("HardDiskDrive", values, vm.id, *place_texts(disk))


def drive_values(
    session: Session, vm: model.Vm, drive: model.Disk | model.Dvd, what: str
) -> dict[str, object]:
    kind, number, location = drive.controller_type, drive.number, drive.location
    controller = uuid.uuid5(uuid.UUID(vm.id), f"{kind} {number}")
    return {
        "ControllerType": named("ControllerType", kind),
        "ControllerNumber": number,
        "ControllerLocation": location,
        "Name": f"{what} on {kind} controller number {number} at location {location}",
        "Id": f"Microsoft:{vm.id.upper()}\\{str(controller).upper()}\\0\\{location}\\D",
        "PoolName": "Primordial",
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "VMSnapshotId": ZERO_GUID,
        "VMSnapshotName": "",
        "ComputerName": session.name,
        "IsDeleted": False,
    }


def _place(drive: model.Disk | model.Dvd) -> Place:
    return (drive.controller_type, drive.number, drive.location)


def _taken(vm: model.Vm) -> set[Place]:
    return {_place(disk) for disk in vm.disks} | {_place(dvd) for dvd in vm.dvds}


def place_texts(drive: model.Disk | model.Dvd) -> tuple[str, str, str]:
    return (drive.controller_type, str(drive.number), str(drive.location))


def attach(
    shell: Shell, session: Session, vm: model.Vm, kind: str, number: int, location: int, path: str
) -> model.Disk:
    """Put a disk into a free place of a machine, not yet kept."""
    full = _unconnected(shell, session, vm, path)
    disk = model.Disk(kind, number, location, full)
    check_place(shell, vm, _place(disk))
    vm.disks.append(disk)
    return disk


def _unconnected(shell: Shell, session: Session, vm: model.Vm, path: str) -> str:
    full = existing(shell, session, path)
    connected = {
        paths.key(file.path) for one in vm.disks if one.path for file in session.chain(one.path)
    }
    if paths.key(full) in connected:
        text = f"The disk '{full}' is already connected to '{vm.name}'."
        raise faults.invalid_parameter(shell.activity, text, full)
    return full


def _exchanged(shell: Shell, session: Session, vm: model.Vm, disk: model.Disk) -> str:
    """The disk that a drive gets instead; a working machine fills an empty drive only."""
    if power.working(vm) and disk.path is not None:
        raise faults.invalid_state(shell.activity, vm.name)
    path = _unconnected(shell, session, vm, shell.text("Path"))
    if power.working(vm):
        _check_openable(shell, session, path)
        disks.touch(session, path)
    return path


def _check_iops(shell: Shell, disk: model.Disk) -> None:
    if disk.maximum_iops and disk.minimum_iops > disk.maximum_iops:
        text = "The minimum of IOPS is above the maximum."
        raise faults.invalid_parameter(shell.activity, text, str(disk.minimum_iops))


def existing(shell: Shell, session: Session, path: str) -> str:
    file = session.file(path)
    if file is None or file.folder:
        text = f"Failed to add device: attachment '{path}' was not found"
        raise faults.operation_failed(shell.activity, text, faults.FILE_NOT_FOUND, path)
    return file.path


def check_place(shell: Shell, vm: model.Vm, place: Place) -> None:
    kind, number, location = place
    scsi = kind == "SCSI" and number == 0 and 0 <= location < SCSI_LOCATIONS
    ide = (
        kind == "IDE"
        and vm.generation == 1
        and 0 <= number < IDE_CONTROLLERS
        and 0 <= location < IDE_LOCATIONS
    )
    if not scsi and not ide:
        text = f"'{vm.name}' has no {kind} controller {number} with location {location}."
        raise faults.invalid_parameter(shell.activity, text, vm.name)
    if place in _taken(vm):
        text = f"Location {location} of {kind} controller {number} is in use."
        raise faults.invalid_parameter(shell.activity, text, vm.name)


def check_hot(shell: Shell, session: Session, vm: model.Vm, kind: str) -> None:
    """A working machine takes drives on SCSI only, and none in a transition or while it merges."""
    if (
        disks.busy(session, vm)
        or power.transitional(vm)
        or (power.working(vm) and kind == "IDE")
        or vm.state == "Saved"
    ):
        raise faults.invalid_state(shell.activity, vm.name)


def free_place(shell: Shell, vm: model.Vm) -> Place:
    """Take the place that is asked for, or the first free one."""
    kind = shell.text("ControllerType", "IDE" if vm.generation == 1 else "SCSI")
    taken = _taken(vm)
    numbers = range(IDE_CONTROLLERS) if kind == "IDE" else range(1)
    locations = range(IDE_LOCATIONS if kind == "IDE" else SCSI_LOCATIONS)
    if shell.has("ControllerNumber"):
        numbers = range(shell.number("ControllerNumber"), shell.number("ControllerNumber") + 1)
    if shell.has("ControllerLocation"):
        first = shell.number("ControllerLocation")
        locations = range(first, first + 1)
    places = [(kind, number, location) for number in numbers for location in locations]
    free = [one for one in places if one not in taken]
    return free[0] if free else places[0]


@cmdlet(
    "Hyper-V\\Add-VMHardDiskDrive",
    simulates="VM VMName ControllerType ControllerNumber ControllerLocation Path "
    "MaximumIOPS MinimumIOPS",
)
def add_vm_hard_disk_drive(shell: Shell) -> Sequence[Live]:
    added: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            place = free_place(shell, vm)
            check_hot(shell, session, vm, place[0])
            if shell.injected == "half":
                return _half(shell, session, vm, place)
            if shell.has("Path"):
                path = _unconnected(shell, session, vm, shell.text("Path"))
                check_place(shell, vm, place)
                if power.working(vm):
                    _check_openable(shell, session, path)
                    disks.touch(session, path)
                disk = attach(shell, session, vm, *place, path)
            else:
                check_place(shell, vm, place)
                disk = model.Disk(*place, None)
                vm.disks.append(disk)
            disk.maximum_iops = shell.number("MaximumIOPS")
            disk.minimum_iops = shell.number("MinimumIOPS")
            _check_iops(shell, disk)
            session.put_vm(vm)
            added.append(disk_object(session, vm, disk))
    return added if shell.flag("Passthru") else []


def _check_openable(shell: Shell, session: Session, path: str) -> None:
    """A running machine opens a disk at once, and alone."""
    if session.in_use(path):
        text = f"'{path}' is in use"
        raise faults.operation_failed(shell.activity, text, faults.SHARING_VIOLATION, path)
    fault = disks.broken(session, path)
    if fault is not None:
        text = f"'{fault[1]}' is not there, or not as it was"
        raise faults.operation_failed(shell.activity, text, fault[0], path)
    file = session.file(path)
    if file is not None and file.read_only:
        text = f"'{path}' is read-only"
        raise faults.operation_failed(shell.activity, text, faults.ACCESS_DENIED, path)


def _half(shell: Shell, session: Session, vm: model.Vm, place: Place) -> Sequence[Live]:
    """The drive is made and its disk is not: what an attachment leaves that failed in between."""
    check_place(shell, vm, place)
    vm.disks.append(model.Disk(*place, None))
    session.put_vm(vm)
    shell.fails_after = faults.operation_failed(
        shell.activity, "Failed to add device", faults.SHARING_VIOLATION, vm.name
    )
    return []


@cmdlet(
    "Hyper-V\\Get-VMHardDiskDrive",
    simulates="VM VMName VMSnapshot ControllerType ControllerNumber ControllerLocation",
)
def get_vm_hard_disk_drive(shell: Shell) -> Sequence[Live]:
    if shell.has("VMSnapshot"):
        vm_id, snapshot_id = shell.lives("VMSnapshot")[0].identity
        with shell.reading() as session:
            vm = shell.vm(session, vm_id)
            return [
                disk_object(session, vm, disk, one)
                for one in vm.snapshots
                if one.id == snapshot_id
                for disk in one.disks
                if asked_for(shell, disk)
            ]
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [
            disk_object(session, vm, disk)
            for one in ids
            for vm in [shell.vm(session, one)]
            for disk in vm.disks
            if asked_for(shell, disk)
        ]


def asked_for(shell: Shell, drive: model.Disk | model.Dvd) -> bool:
    wanted = {
        "ControllerType": drive.controller_type,
        "ControllerNumber": drive.number,
        "ControllerLocation": drive.location,
    }
    return all(shell.arguments.get(name, value) == value for name, value in wanted.items())


def _chosen_disks(shell: Shell, session: Session) -> list[tuple[model.Vm, model.Disk]]:
    if shell.has("VMHardDiskDrive"):
        wanted = [live.identity for live in shell.lives("VMHardDiskDrive")]
    else:
        wanted = [
            (vm_id, shell.text("ControllerType"), str(shell.number("ControllerNumber")),
             str(shell.number("ControllerLocation")))
            for vm_id in shell.vm_ids()
        ]  # fmt: skip
    found: list[tuple[model.Vm, model.Disk]] = []
    for vm_id, *place in wanted:
        vm = shell.vm(session, vm_id)
        disks = [one for one in vm.disks if place_texts(one) == tuple(place)]
        if not disks:
            text = f"'{vm.name}' has no hard disk drive at {' '.join(place)}."
            raise faults.not_found(shell.activity, text, vm.name)
        found.append((vm, disks[0]))
    return found


@cmdlet(
    "Hyper-V\\Remove-VMHardDiskDrive",
    simulates="VMHardDiskDrive VMName ControllerType ControllerNumber ControllerLocation",
)
def remove_vm_hard_disk_drive(shell: Shell) -> Sequence[Live]:
    removed: list[Live] = []
    with shell.changing() as session:
        for vm, disk in _chosen_disks(shell, session):
            check_hot(shell, session, vm, disk.controller_type)
            removed.append(disk_object(session, vm, disk))
            vm.disks.remove(disk)
            session.put_vm(vm)
    return removed if shell.flag("Passthru") else []


@cmdlet(
    "Hyper-V\\Set-VMHardDiskDrive",
    simulates="VMHardDiskDrive VMName ControllerType ControllerNumber ControllerLocation Path "
    "MaximumIOPS MinimumIOPS",
)
def set_vm_hard_disk_drive(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    with shell.changing() as session:
        for vm, disk in _chosen_disks(shell, session):
            if shell.has("Path"):
                check_hot(shell, session, vm, disk.controller_type)
                disk.path = _exchanged(shell, session, vm, disk)
            disk.maximum_iops = shell.number("MaximumIOPS", disk.maximum_iops)
            disk.minimum_iops = shell.number("MinimumIOPS", disk.minimum_iops)
            _check_iops(shell, disk)
            session.put_vm(vm)
            changed.append(disk_object(session, vm, disk))
    return changed if shell.flag("Passthru") else []
