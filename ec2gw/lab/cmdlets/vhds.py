"""Virtual disks: New-, Get-, Test-, Resize- and Set-VHD, on files that no machine writes now.

Source: learn.microsoft.com/powershell/module/hyper-v/new-vhd and the pages beside it; the class
VirtualHardDisk as recorded.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, paths, vhdx
from ec2gw.lab.world.session import ADMINISTRATORS, Session

MIB = 1024**2
MINIMUM_SIZE = 3 * MIB
MAXIMUM_SIZE = {"VHDX": 64 * 1024 * model.GIB, "VHD": 2040 * model.GIB}
FORMATS = {".vhdx": "VHDX", ".vhd": "VHD"}


@dataclass(frozen=True, slots=True)
class At:
    file: model.File
    vhd: model.Vhd
    attached: bool
    host: str


VHD: Mapping[str, Callable[[At], object]] = {
    "ComputerName": lambda at: at.host,
    "Path": lambda at: at.file.path,
    "VhdFormat": lambda at: named("VhdFormat", at.vhd.format),
    "VhdType": lambda at: named("VhdType", at.vhd.type),
    "FileSize": lambda at: at.file.size,
    "Size": lambda at: at.vhd.size,
    "MinimumSize": lambda at: None,
    "LogicalSectorSize": lambda at: at.vhd.logical_sector,
    "PhysicalSectorSize": lambda at: at.vhd.physical_sector,
    "BlockSize": lambda at: at.vhd.block_size,
    "ParentPath": lambda at: at.vhd.parent or "",
    "DiskIdentifier": lambda at: at.vhd.identifier,
    "FragmentationPercentage": lambda at: 0,
    "Alignment": lambda at: 1,
    "Attached": lambda at: at.attached,
    "DiskNumber": lambda at: None,
}


def vhd_object(session: Session, file: model.File) -> Live:
    assert file.vhd is not None
    attached = paths.key(file.path) in session.open_files()
    return Live("VirtualHardDisk", VHD, At(file, file.vhd, attached, session.name), (file.path,))


def _found(shell: Shell, session: Session, path: str) -> tuple[model.File, model.Vhd]:
    file = session.file(path)
    if file is None:
        text = f"'{path}' was not found"
        raise faults.operation_failed(shell.activity, text, faults.FILE_NOT_FOUND, path)
    if file.vhd is None and session.head(path).startswith(vhdx.IDENTIFIER):
        text = f"'{path}': the file or directory is corrupted and unreadable"
        raise faults.operation_failed(shell.activity, text, faults.CORRUPT, path)
    if file.vhd is None:
        text = f"'{path}' is no virtual hard disk."
        raise faults.invalid_parameter(shell.activity, text, path)
    return file, file.vhd


@cmdlet(
    "Hyper-V\\New-VHD",
    simulates="Path ParentPath SizeBytes Differencing Dynamic Fixed BlockSizeBytes "
    "LogicalSectorSizeBytes PhysicalSectorSizeBytes",
)
def new_vhd(shell: Shell) -> Sequence[Live]:
    made: list[Live] = []
    for path in shell.texts("Path"):
        with shell.changing() as session:
            vhd = _layout(shell, session, path)
            size = vhd.size if vhd.type == "Fixed" else disks.EMPTY_BYTES
            _check_target(shell, session, path, size)
            file = model.File(
                paths.canonical(path),
                False,
                ADMINISTRATORS,
                size=size,
                created_at=session.now,
                changed_at=session.now,
                vhd=vhd,
            )
            session.put_file(file)
            made.append(vhd_object(session, file))
    return made


def _layout(shell: Shell, session: Session, path: str) -> model.Vhd:
    format_ = FORMATS.get("." + paths.name(path).rpartition(".")[2].lower())
    if format_ is None:
        text = f"'{path}' does not end in .vhd or .vhdx."
        raise faults.invalid_parameter(shell.activity, text, path)
    vhd = model.Vhd(
        format=format_,
        type="Fixed" if shell.flag("Fixed") else "Dynamic",
        size=shell.number("SizeBytes"),
        identifier=str(uuid.uuid4()).upper(),
        block_size=shell.number("BlockSizeBytes", 32 * MIB),
        logical_sector=int(str(shell.arguments.get("LogicalSectorSizeBytes", 512))),
        physical_sector=int(str(shell.arguments.get("PhysicalSectorSizeBytes", 4096))),
    )
    if shell.has("ParentPath"):
        parent_path = shell.text("ParentPath")
        parent_file, parent = _found(shell, session, parent_path)
        if _is_written(session, parent_file):
            raise faults.object_in_use(shell.activity, parent_path)
        _check_chain(shell, session, parent_path)
        if parent.format != format_:
            text = "The format of the child differs from that of its parent."
            raise faults.invalid_parameter(shell.activity, text, path)
        vhd.type, vhd.parent, vhd.parent_stamp = "Differencing", parent_file.path, parent.stamp
        vhd.size = shell.number("SizeBytes", parent.size)
        vhd.logical_sector = parent.logical_sector
        vhd.physical_sector = parent.physical_sector
        if vhd.size < parent.size:
            text = "A differencing disk cannot be smaller than its parent."
            raise faults.invalid_parameter(shell.activity, text, path)
    _check_size(shell, vhd)
    return vhd


def _check_size(shell: Shell, vhd: model.Vhd) -> None:
    fits = MINIMUM_SIZE <= vhd.size <= MAXIMUM_SIZE[vhd.format]
    if not fits or vhd.size % vhd.logical_sector:
        text = f"The size {vhd.size} is out of range or no multiple of the sector size."
        raise faults.invalid_parameter(shell.activity, text, str(vhd.size))


def _check_target(shell: Shell, session: Session, path: str, size: int) -> None:
    folder = session.file(paths.parent(path))
    if folder is None or not folder.folder:
        text = f"The folder of '{path}' does not exist"
        raise faults.operation_failed(shell.activity, text, faults.PATH_NOT_FOUND, path)
    if session.file(path) is not None:
        text = f"'{path}' exists"
        raise faults.operation_failed(shell.activity, text, faults.FILE_EXISTS, path)
    if size > session.free_disk():
        text = "There is not enough space on the disk"
        raise faults.operation_failed(shell.activity, text, faults.DISK_FULL, path)


@cmdlet("Hyper-V\\Get-VHD", simulates="Path VMId")
def get_vhd(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        asked = shell.texts("Path")
        for vm_id in shell.texts("VMId"):
            asked += [one.path for one in shell.vm(session, vm_id).disks if one.path]
        found: list[Live] = []
        for path in asked:
            file, _ = _found(shell, session, path)
            if file.locked_until > session.now or _is_of_service(session, file):
                raise faults.object_in_use(shell.activity, path)
            found.append(vhd_object(session, file))
        return found


@cmdlet("Hyper-V\\Test-VHD", simulates="Path")
def test_vhd(shell: Shell) -> Sequence[object]:
    """True when each disk and its parents are there; an error, never False, when not."""
    with shell.reading() as session:
        for path in shell.texts("Path"):
            _found(shell, session, path)
            _check_chain(shell, session, path)
        return [True] * len(shell.texts("Path"))


def _check_chain(shell: Shell, session: Session, path: str) -> None:
    fault = disks.broken(session, path)
    if fault is not None:
        text = f"'{path}': its parent '{fault[1]}' is not there, or not as it was"
        raise faults.operation_failed(shell.activity, text, fault[0], path)


def _is_written(session: Session, file: model.File) -> bool:
    return file.locked_until > session.now or paths.key(file.path) in session.written_files()


def _is_of_service(session: Session, file: model.File) -> bool:
    """Whether the host's service is making this very file."""
    return any(
        paths.key(job.destination) == paths.key(file.path)
        for job in session.machine.jobs
        if not job.ended
    )


@cmdlet("Hyper-V\\Resize-VHD", simulates="Path SizeBytes")
def resize_vhd(shell: Shell) -> Sequence[Live]:
    """Grow a disk: offline anywhere, online only on SCSI and where nothing differs from it."""
    changed: list[Live] = []
    for path in shell.texts("Path"):
        with shell.changing() as session:
            file, vhd = _found(shell, session, path)
            _check_resize(shell, session, file)
            if file.read_only:
                text = f"'{path}' is read-only"
                raise faults.operation_failed(shell.activity, text, faults.ACCESS_DENIED, path)
            grown = dataclasses.replace(vhd, size=shell.number("SizeBytes"))
            if grown.size < vhd.size:
                text = "A virtual disk is not made smaller than it is."
                raise faults.invalid_parameter(shell.activity, text, path)
            _check_size(shell, grown)
            more = grown.size - vhd.size if vhd.type == "Fixed" else 0
            if more > session.free_disk():
                text = "There is not enough space on the disk"
                raise faults.operation_failed(shell.activity, text, faults.DISK_FULL, path)
            grown.stamp += 1
            size = file.size + more
            resized = dataclasses.replace(file, vhd=grown, size=size, changed_at=session.now)
            session.put_file(resized)
            changed.append(vhd_object(session, resized))
    return changed if shell.flag("Passthru") else []


def _check_resize(shell: Shell, session: Session, file: model.File) -> None:
    """Refuse what is in use, unless it is the top of a running machine's disk on SCSI."""
    holder = session.open_files().get(paths.key(file.path))
    owners = [
        (vm, disk)
        for vm in session.vms()
        for disk in vm.disks
        if disk.path and paths.key(disk.path) == paths.key(file.path)
    ]
    if any(disks.busy(session, vm) for vm, _ in owners):
        raise faults.invalid_state(shell.activity, file.path)
    online = any(
        vm.id == holder and disk.controller_type == "SCSI" and vm.state in ("Running", "Paused")
        for vm, disk in owners
    )
    vhdx = file.vhd is not None and file.vhd.format == "VHDX"
    if file.locked_until > session.now or (holder is not None and not (online and vhdx)):
        raise faults.object_in_use(shell.activity, file.path)
    if disks.children(session, file.path) or any(vm.snapshots for vm, _ in owners):
        text = f"'{file.path}' has checkpoints, or others differ from it"
        raise faults.operation_failed(shell.activity, text, faults.NOT_SUPPORTED, file.path)


@cmdlet("Hyper-V\\Set-VHD", simulates="Path ResetDiskIdentifier Force")
def set_vhd(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for path in shell.texts("Path"):
        with shell.changing() as session:
            file, vhd = _found(shell, session, path)
            if session.in_use(path):
                raise faults.object_in_use(shell.activity, path)
            fresh = dataclasses.replace(
                vhd, identifier=str(uuid.uuid4()).upper(), stamp=vhd.stamp + 1
            )
            session.put_file(dataclasses.replace(file, vhd=fresh))
            changed.append(vhd_object(session, dataclasses.replace(file, vhd=fresh)))
    return changed if shell.flag("Passthru") else []
