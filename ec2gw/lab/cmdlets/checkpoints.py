"""Checkpoints of machines: listed and removed; administrators make them (`Console`), we do not.

Source: learn.microsoft.com/powershell/module/hyper-v/get-vmsnapshot, remove-vmsnapshot; the class
VMSnapshot as recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values, named, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet, matches
from ec2gw.lab.world import model, power
from ec2gw.lab.world.session import Session


def snapshot_object(session: Session, vm: model.Vm, one: model.Snapshot) -> Live:
    values = {
        "Id": uuid.UUID(one.id),
        "Name": one.name,
        "SnapshotType": named("SnapshotType", one.kind),
        "CreationTime": time(one.created_at),
        "ParentSnapshotId": uuid.UUID(one.parent_id) if one.parent_id else None,
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMSnapshot", values, vm.id, one.id)


@cmdlet("Hyper-V\\Get-VMSnapshot", simulates="VM VMName Name Id")
def get_vm_snapshot(shell: Shell) -> Sequence[Live]:
    ids = None if shell.has("Id") else shell.vm_ids_of("VM", "VMName")
    with shell.reading() as session:
        return [
            snapshot_object(session, vm, one)
            for vm in session.vms()
            for one in vm.snapshots
            if (ids is None or vm.id in ids)
            and matches(shell.text("Name", "*"), one.name)
            and one.id in (shell.texts("Id") or [one.id])
        ]


@cmdlet("Hyper-V\\Remove-VMSnapshot", simulates="VM VMName Name VMSnapshot")
def remove_vm_snapshot(shell: Shell) -> Sequence[Live]:
    """Remove and merge at once; a real host goes on merging after the cmdlet has returned."""
    removed: list[Live] = []
    with shell.changing() as session:
        for vm, one in _chosen(shell, session):
            if power.transitional(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            removed.append(snapshot_object(session, vm, one))
            session.merge(vm, one)
            session.put_vm(vm)
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
