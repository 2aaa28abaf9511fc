"""Checkpoints of machines: made, listed, removed; the disks of a removed one merge by and by.

Source: learn.microsoft.com/powershell/module/hyper-v/checkpoint-vm, get-vmsnapshot,
remove-vmsnapshot; "Choose between standard or production checkpoints in Hyper-V"; the class
VMSnapshot as recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.cmdlets import drives, faults
from ec2gw.lab.cmdlets.objects import Live, named, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet, matches
from ec2gw.lab.world import disks, model, power
from ec2gw.lab.world.session import Session


@dataclass(frozen=True, slots=True)
class At:
    one: model.Snapshot
    vm: model.Vm
    session: Session


def _parent_name(at: At) -> str | None:
    names = [one.name for one in at.vm.snapshots if one.id == at.one.parent_id]
    return names[0] if names else None


SNAPSHOT: Mapping[str, Callable[[At], object]] = {
    "Id": lambda at: uuid.UUID(at.one.id),
    "Name": lambda at: at.one.name,
    "SnapshotType": lambda at: named("SnapshotType", at.one.kind),
    "IsAutomaticCheckpoint": lambda at: False,
    "State": lambda at: named("VMState", "Saved" if at.one.with_memory else "Off"),
    "CreationTime": lambda at: time(at.one.created_at),
    "ParentSnapshotId": lambda at: uuid.UUID(at.one.parent_id) if _parent_name(at) else None,
    "ParentSnapshotName": _parent_name,
    "HardDrives": lambda at: [
        drives.disk_object(at.session, at.vm, disk, at.one) for disk in at.one.disks
    ],
    "Generation": lambda at: at.vm.generation,
    "Notes": lambda at: "",
    "Path": lambda at: at.vm.path,
    "VMId": lambda at: uuid.UUID(at.vm.id),
    "VMName": lambda at: at.vm.name,
    "ComputerName": lambda at: at.session.name,
    "IsDeleted": lambda at: at.one not in at.vm.snapshots,
}


def snapshot_object(session: Session, vm: model.Vm, one: model.Snapshot) -> Live:
    return Live("VMSnapshot", SNAPSHOT, At(one, vm, session), (vm.id, one.id))


@cmdlet("Hyper-V\\Checkpoint-VM", simulates="VM Name SnapshotName")
def checkpoint_vm(shell: Shell) -> Sequence[Live]:
    """Make a checkpoint of the type that the machine is set to, and wait for it."""
    made: list[tuple[str, str]] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            with_memory = _check(shell, session, vm)
            name = shell.text("SnapshotName", f"{vm.name} - ({time(session.now):%m/%d/%Y - %H:%M})")
            making = disks.begin_checkpoint(session, vm, name, with_memory=with_memory)
        made.append((vm_id, making.id))
        shell.wait_until(making.ends_at)
    if not shell.flag("Passthru"):
        return []
    with shell.reading() as session:
        return [
            snapshot_object(session, vm, one)
            for vm_id, made_id in made
            for vm in [shell.vm(session, vm_id)]
            for one in vm.snapshots
            if one.id == made_id
        ]


def _check(shell: Shell, session: Session, vm: model.Vm) -> bool:
    """Refuse what cannot be; answer whether the memory is kept, since the guest does not help."""
    if power.transitional(vm) or disks.busy(session, vm):
        raise faults.invalid_state(shell.activity, vm.name)
    if vm.checkpoint_type == "Disabled":
        text = f"Checkpoints have been disabled for '{vm.name}'"
        raise faults.operation_failed(shell.activity, text, faults.NOT_SUPPORTED, vm.name)
    if len(vm.snapshots) >= disks.MAXIMUM_CHECKPOINTS:
        text = f"'{vm.name}' has as many checkpoints as it can have"
        raise faults.operation_failed(shell.activity, text, faults.NO_SYSTEM_RESOURCES, vm.name)
    helped = power.guest_is_up(vm, session.now) and vm.guest.vss and vm.state == "Running"
    if vm.checkpoint_type == "ProductionOnly" and power.working(vm) and not helped:
        text = f"Production checkpoints cannot be created for '{vm.name}'"
        raise faults.operation_failed(shell.activity, text, faults.UNSPECIFIED, vm.name)
    with_memory = power.working(vm) and (vm.checkpoint_type == "Standard" or not helped)
    needed = len(vm.disks) * disks.EMPTY_BYTES + (vm.memory_startup if with_memory else 0)
    if needed > session.free_disk():
        text = "There is not enough space on the disk"
        raise faults.operation_failed(shell.activity, text, faults.DISK_FULL, vm.name)
    return with_memory


@cmdlet("Hyper-V\\Get-VMSnapshot", simulates="VM VMName Name Id SnapshotType")
def get_vm_snapshot(shell: Shell) -> Sequence[Live]:
    ids = None if shell.has("Id") else shell.vm_ids_of("VM", "VMName")
    with shell.reading() as session:
        found = [
            snapshot_object(session, vm, one)
            for vm in session.vms()
            for one in vm.snapshots
            if (ids is None or vm.id in ids)
            and matches(shell.text("Name", "*"), one.name)
            and one.id in (shell.texts("Id") or [one.id])
            and one.kind in (shell.texts("SnapshotType") or [one.kind])
        ]
        if not found and shell.has("Id"):
            wanted = shell.texts("Id")[0]
            text = f"Hyper-V was unable to find a checkpoint with id '{wanted}'."
            raise faults.invalid_parameter(shell.activity, text, wanted)
        return found


@cmdlet(
    "Hyper-V\\Remove-VMSnapshot", simulates="VM VMName Name VMSnapshot IncludeAllChildSnapshots"
)
def remove_vm_snapshot(shell: Shell) -> Sequence[Live]:
    """Take checkpoints off their machine; what they held apart goes on to merge afterwards."""
    removed: list[Live] = []
    with shell.changing() as session:
        chosen: dict[str, list[model.Snapshot]] = {}
        for vm, one in _chosen(shell, session):
            with_children = shell.flag("IncludeAllChildSnapshots")
            doomed = vm.snapshots[vm.snapshots.index(one) :] if with_children else [one]
            known = chosen.setdefault(vm.id, [])
            known += [each for each in doomed if each not in known]
        for vm_id, doomed in chosen.items():
            vm = shell.vm(session, vm_id)
            if power.transitional(vm) or disks.busy(session, vm):
                raise faults.invalid_state(shell.activity, vm.name)
            disks.remove(session, vm, doomed, stuck=shell.injected == "stuck")
            removed += [snapshot_object(session, vm, one) for one in doomed]
    return removed if shell.flag("Passthru") else []


def _chosen(shell: Shell, session: Session) -> list[tuple[model.Vm, model.Snapshot]]:
    if shell.has("VMSnapshot"):
        wanted = [live.identity for live in shell.lives("VMSnapshot")]
        found = [
            (vm, one)
            for vm_id, snapshot_id in wanted
            for vm in [shell.vm(session, vm_id)]
            for one in vm.snapshots
            if one.id == snapshot_id
        ]
        if len(found) != len(wanted):
            raise faults.not_found(shell.activity, "The checkpoint is gone.")
        return found
    names = shell.texts("Name") or ["*"]
    return [
        (vm, one)
        for vm_id in shell.vm_ids_of("VM", "VMName")
        for vm in [shell.vm(session, vm_id)]
        for one in vm.snapshots
        if any(matches(name, one.name) for name in names)
    ]
