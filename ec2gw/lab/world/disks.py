"""Long work on virtual disks: copies by the host's management service, checkpoints, merges.

Each is written down with the time of its end when it begins. `settle` carries out what has ended,
in the order of the ends, within a change of the world; so it goes on while nobody looks, whoever
asked for it is long gone, and after a restart of the laboratory.

Source: docs/laboratory.md, "Disks"; learn.microsoft.com, Msvm_StorageJob, "Hyper-V checkpoints".
"""

from __future__ import annotations

import dataclasses
import functools
import re
import uuid
from collections.abc import Callable, Sequence

from ec2gw.lab.world import model, paths, power
from ec2gw.lab.world.session import ADMINISTRATORS, SYSTEM, Session

EMPTY_BYTES = 4 * 1024**2
"""A dynamic disk with nothing in it."""
BEGIN_SECONDS = 0.3
"""What a copy or a merge takes besides its bytes."""
CHECKPOINT_SECONDS = 1.0
LINGER_SECONDS = 0.8
"""How long a file stays open after a merge into it."""
KEPT_SECONDS = 300.0
"""How long a job can be asked for after its end; the service's own time, whatever the pace."""
MAXIMUM_CHECKPOINTS = 50
WHOLE = ("Completed", "CompletedWithWarnings")
"""Ends of a copy that leave a disk."""
FILE_NOT_FOUND, SHARING_VIOLATION, FILE_EXISTS = "0x80070002", "0x80070020", "0x80070050"
PATH_NOT_FOUND, DISK_FULL, UNSPECIFIED = "0x80070003", "0x80070070", "0x80004005"
MISMATCH = "0xC03A000E"
"""The parent is not as it was when the child was made: ERROR_VHD_CHILD_PARENT_ID_MISMATCH."""

_CHECKPOINTED = re.compile(r"_[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}\Z", re.IGNORECASE)


# -- chains


def content(session: Session, path: str) -> list[str]:
    """Read the words that guests wrote: those of the bottom first."""
    chain = list(session.chain(path))
    return [word for file in reversed(chain) if file.vhd for word in file.vhd.data]


def broken(session: Session, path: str) -> tuple[str, str] | None:
    """Why a disk with its parents cannot be opened: a code, and the file at fault."""
    child: model.File | None = None
    for file in session.chain(path):
        known = child.vhd.parent_stamp if child and child.vhd else None
        if known is not None and file.vhd and known != file.vhd.stamp:
            return MISMATCH, file.path
        child = file
    if child is None:
        return FILE_NOT_FOUND, path
    if child.vhd is not None and child.vhd.parent is not None:
        return FILE_NOT_FOUND, child.vhd.parent
    return None


def children(session: Session, path: str) -> list[model.File]:
    """The disks that differ from this one."""
    wanted = paths.key(path)
    return [
        file
        for file in session.host.files.values()
        if file.vhd and file.vhd.parent and paths.key(file.vhd.parent) == wanted
    ]


def touch(session: Session, path: str) -> None:
    """Note that something writes into a disk: whatever differs from it is broken by that."""
    file = session.file(path)
    if file is not None and file.vhd is not None:
        vhd = dataclasses.replace(file.vhd, stamp=file.vhd.stamp + 1)
        session.put_file(dataclasses.replace(file, vhd=vhd, changed_at=session.now))


def open_for_writing(session: Session, vm: model.Vm) -> None:
    """What a start does to the disks of a machine."""
    for disk in vm.disks:
        if disk.path:
            touch(session, disk.path)


# -- copies


def begin_copy(session: Session, source: str, destination: str, injected: str = "") -> model.Job:
    """Begin a flat copy of a disk with its parents; what cannot be done, the job says."""
    chain = list(session.chain(source))
    size = sum(file.size for file in chain) - EMPTY_BYTES * (len(chain) - 1)
    virtual = chain[0].vhd.size if chain and chain[0].vhd else 0
    size = max(min(size, virtual + EMPTY_BYTES), EMPTY_BYTES)
    job = model.Job(
        id=str(uuid.uuid4()).upper(),
        source=source,
        destination=paths.canonical(destination),
        bytes=size,
        began_at=session.now,
        ends_at=_ends(session, size),
    )
    refused = _refusal(session, source, destination)
    free = session.free_disk()
    if injected == "stuck":
        job.ends_at = None
    elif refused or free < EMPTY_BYTES:
        job.outcome, job.error, job.percent = "Exception", refused or DISK_FULL, 0
        job.ends_at, job.ended = session.now, True
    elif injected == "exception" or free < size:
        job.outcome, job.error = "Exception", DISK_FULL if free < size else UNSPECIFIED
        job.percent = 50 if free >= size else free * 100 // size
        job.ends_at = _ends(session, size * job.percent // 100)
    elif injected == "warnings":
        job.outcome = "CompletedWithWarnings"
    if not job.ended:
        session.put_file(_fresh(session, job, EMPTY_BYTES, source))
    session.machine.jobs.append(job)
    session.put_machine()
    settle(session)
    return job


def _refusal(session: Session, source: str, destination: str) -> str:
    folder = session.file(paths.parent(destination))
    fault = broken(session, source)
    if fault is not None:
        return fault[0]
    file = session.file(source)
    if paths.key(source) in session.written_files() or (file and file.locked_until > session.now):
        return SHARING_VIOLATION
    if folder is None or not folder.folder:
        return PATH_NOT_FOUND
    return FILE_EXISTS if session.file(destination) else ""


def _fresh(session: Session, job: model.Job, size: int, source: str) -> model.File:
    """The file of a copy: as large as its source, without a parent."""
    (top, *_), bottom = list(session.chain(source)), session.image_of(source)
    assert top.vhd is not None
    vhd = dataclasses.replace(
        top.vhd,
        format="VHDX",
        type="Dynamic",
        identifier=str(uuid.uuid4()).upper(),
        parent=None,
        guest=bottom.guest if bottom else "",
        generations=list(bottom.generations) if bottom else [],
        stamp=0,
        parent_stamp=0,
        data=content(session, source),
    )
    now = session.now
    return model.File(
        job.destination, False, ADMINISTRATORS, size=size, created_at=now, changed_at=now, vhd=vhd
    )


def _ends(session: Session, bytes_: int, begins: float | None = 0.0) -> float | None:
    rate = session.machine.disk_rate
    if not rate or begins is None:
        return None
    return max(session.now, begins) + (BEGIN_SECONDS + bytes_ / rate) * session.pace


def _end_copy(session: Session, job: model.Job) -> None:
    file = session.file(job.destination)
    job.ended = True
    session.put_machine()
    if file is None or file.vhd is None:
        return
    if job.outcome in WHOLE and job.bytes - file.size > session.free_disk():
        job.outcome, job.error, job.percent = "Exception", DISK_FULL, 99
    size = max(job.bytes * job.percent // 100, EMPTY_BYTES)
    # What is left of a copy that failed opens nowhere.
    vhd = file.vhd if job.outcome in WHOLE else None
    session.put_file(dataclasses.replace(file, size=size, changed_at=session.now, vhd=vhd))


def terminate(session: Session, job: model.Job) -> None:
    job.percent, job.outcome, job.ends_at = job.progress(session.now), "Terminated", session.now
    _end_copy(session, job)


def forget_jobs(session: Session) -> None:
    """The management service is started anew: nothing is known of a copy, half-made files stay."""
    for job in session.machine.jobs:
        file = session.file(job.destination)
        if not job.ended and file is not None:
            size = max(job.bytes * job.progress(session.now) // 100, EMPTY_BYTES)
            session.put_file(dataclasses.replace(file, size=size, vhd=None))
    session.machine.jobs = []
    session.put_machine()


# -- checkpoints


def busy(session: Session, vm: model.Vm) -> str:
    """What a machine is busy with, as VMOperationalStatus names it; nothing when it is not."""
    if any(one.vm_id == vm.id for one in session.machine.makings):
        return "CreatingSnapshot"
    if any(one.vm_id == vm.id for one in session.machine.merges):
        return "MergingDisks"
    return ""


def begin_checkpoint(
    session: Session, vm: model.Vm, name: str, *, with_memory: bool
) -> model.Making:
    """Begin to freeze the disks of a machine; the moment that counts is that of its end."""
    seconds = CHECKPOINT_SECONDS
    if with_memory and session.machine.disk_rate:
        seconds += vm.memory_startup / session.machine.disk_rate
    ends_at = session.now + seconds * session.pace
    making = model.Making(vm.id, str(uuid.uuid4()), name, ends_at, with_memory)
    session.machine.makings.append(making)
    session.put_machine()
    return making


def take(session: Session, vm: model.Vm, name: str, made_id: str, with_memory: bool) -> None:
    """Freeze the disks: from now on the machine writes to children of theirs."""
    parent = vm.snapshots[-1].id if vm.snapshots else None
    frozen = [dataclasses.replace(disk) for disk in vm.disks]
    made = model.Snapshot(
        made_id, name, session.now, parent_id=parent, disks=frozen, with_memory=with_memory
    )
    for disk in vm.disks:
        file = session.file(disk.path) if disk.path else None
        if file is None or file.vhd is None:
            continue
        stem = _CHECKPOINTED.sub("", file.path.rpartition(".")[0])
        disk.path = f"{stem}_{str(uuid.uuid4()).upper()}.avhdx"
        vhd = dataclasses.replace(
            file.vhd,
            type="Differencing",
            parent=file.path,
            parent_stamp=file.vhd.stamp,
            stamp=0,
            guest="",
            data=[],
        )
        child = model.File(
            disk.path, False, SYSTEM, size=EMPTY_BYTES, created_at=session.now, vhd=vhd
        )
        session.put_file(child)
    session.make_folders(paths.join(vm.path, "Snapshots"), SYSTEM)
    sizes = (64 * 1024, vm.memory_startup if with_memory else 64 * 1024)
    for path, size in zip(_own_files(vm, made), sizes, strict=True):
        session.put_file(model.File(path, False, SYSTEM, size=size, created_at=session.now))
    vm.snapshots.append(made)
    session.put_vm(vm)


def _own_files(vm: model.Vm, snapshot: model.Snapshot) -> list[str]:
    folder = paths.join(vm.path, "Snapshots")
    return [paths.join(folder, f"{snapshot.id.upper()}{end}") for end in (".vmcx", ".vmrs")]


def remove(
    session: Session, vm: model.Vm, doomed: Sequence[model.Snapshot], *, stuck: bool = False
) -> None:
    """Take checkpoints off the list; their disks go on to merge, also after their machine."""
    pairs = [
        [child.path, disk.path]
        for snapshot in reversed(vm.snapshots)
        if snapshot in doomed
        for disk in snapshot.disks
        if disk.path
        for child in children(session, disk.path)
        if paths.key(child.path) in _lineage(session, vm)
    ]
    for snapshot in doomed:
        for path in _own_files(vm, snapshot):
            if session.file(path):
                session.drop_file(path)
    vm.snapshots = [one for one in vm.snapshots if one not in doomed]
    session.put_vm(vm)
    if pairs:
        files = [session.file(child) for child, _ in pairs]
        size = sum(file.size for file in files if file)
        ends_at = None if stuck else _ends(session, size, _readers_done(session, pairs))
        session.machine.merges.append(model.Merge(vm.id, pairs, session.now, ends_at))
        session.put_machine()


def _readers_done(session: Session, pairs: Sequence[Sequence[str]]) -> float | None:
    """When nobody copies any more what is merged into; None: never."""
    targets = {paths.key(parent) for _, parent in pairs}
    ends = [
        job.ends_at
        for job in session.machine.jobs
        if not job.ended and targets & {paths.key(file.path) for file in session.chain(job.source)}
    ]
    known = [end for end in ends if end is not None]
    return max(known, default=0.0) if len(known) == len(ends) else None


def _lineage(session: Session, vm: model.Vm) -> set[str]:
    """All files that the disks of a machine consist of."""
    return {
        paths.key(file.path) for disk in vm.disks if disk.path for file in session.chain(disk.path)
    }


def _end_merge(session: Session, merge: model.Merge) -> None:
    session.machine.merges.remove(merge)
    session.put_machine()
    vm = session.vm(merge.vm_id)
    for child_path, parent_path in merge.pairs:
        child, parent = session.file(child_path), session.file(parent_path)
        if child is None or child.vhd is None or parent is None or parent.vhd is None:
            continue
        stamp = parent.vhd.stamp + 1
        size = min(parent.size + child.size - EMPTY_BYTES, child.vhd.size + EMPTY_BYTES)
        vhd = dataclasses.replace(
            parent.vhd, stamp=stamp, size=child.vhd.size, data=parent.vhd.data + child.vhd.data
        )
        # Whoever comes right after finds the file still open.
        linger = (merge.ends_at or session.now) + LINGER_SECONDS * session.pace
        session.put_file(
            dataclasses.replace(
                parent,
                size=max(size, parent.size),
                vhd=vhd,
                changed_at=session.now,
                locked_until=parent.locked_until if vm and power.working(vm) else linger,
            )
        )
        for other in children(session, child_path):
            assert other.vhd is not None
            moved = dataclasses.replace(other.vhd, parent=parent.path, parent_stamp=stamp)
            session.put_file(dataclasses.replace(other, vhd=moved))
        session.drop_file(child_path)
        if vm is not None:
            _rename_disks(vm, child_path, parent.path)
            session.put_vm(vm)


def _rename_disks(vm: model.Vm, old: str, new: str) -> None:
    frozen = [disk for one in vm.snapshots for disk in one.disks]
    for disk in [*vm.disks, *frozen]:
        if disk.path == old:
            disk.path = new


# -- time


def is_due(session: Session) -> bool:
    """Whether `settle` has something to do."""
    return bool(_due(session)) or any(_is_forgotten(session, one) for one in session.machine.jobs)


def settle(session: Session) -> None:
    """Carry out what has ended by now, in the order of the ends."""
    while due := _due(session):
        _, end = min(due, key=lambda one: one[0])
        end()
    kept = [job for job in session.machine.jobs if not _is_forgotten(session, job)]
    if len(kept) != len(session.machine.jobs):
        session.machine.jobs = kept
        session.put_machine()


def _is_forgotten(session: Session, job: model.Job) -> bool:
    return job.ended and session.now >= (job.ends_at or 0.0) + KEPT_SECONDS


def _due(session: Session) -> list[tuple[float, Callable[[], None]]]:
    machine, now = session.machine, session.now
    found: list[tuple[float, Callable[[], None]]] = []
    for job in machine.jobs:
        if not job.ended and job.ends_at is not None and job.ends_at <= now:
            found.append((job.ends_at, functools.partial(_end_copy, session, job)))
    for merge in machine.merges:
        if merge.ends_at is not None and merge.ends_at <= now:
            found.append((merge.ends_at, functools.partial(_end_merge, session, merge)))
    for making in machine.makings:
        if making.ends_at <= now:
            found.append((making.ends_at, functools.partial(_end_making, session, making)))
    return found


def _end_making(session: Session, making: model.Making) -> None:
    session.machine.makings.remove(making)
    session.put_machine()
    vm = session.vm(making.vm_id)
    if vm is not None:
        take(session, vm, making.name, making.id, making.with_memory)
