"""DVD drives of a machine, and the discs in them.

Source: learn.microsoft.com/powershell/module/hyper-v; the class DvdDrive as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from ec2gw.lab.cmdlets import drives, faults
from ec2gw.lab.cmdlets.objects import Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import model
from ec2gw.lab.world.session import Session


def dvd_object(session: Session, vm: model.Vm, dvd: model.Dvd) -> Live:
    values = {
        "Path": dvd.path,
        "DvdMediaType": named("DvdMediaType", "ISO" if dvd.path else "None"),
        **drives.drive_values(session, vm, dvd, "DVD Drive"),
    }
    return Values.of("DvdDrive", values, vm.id, *drives.place_texts(dvd))


@cmdlet("Hyper-V\\Add-VMDvdDrive", simulates="VM VMName ControllerNumber ControllerLocation Path")
def add_vm_dvd_drive(shell: Shell) -> Sequence[Live]:
    added: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            place = drives.free_place(shell, vm)
            drives.check_hot(shell, session, vm, place[0])
            drives.check_place(shell, vm, place)
            path = shell.text("Path")
            dvd = model.Dvd(*place, drives.existing(shell, session, path) if path else None)
            vm.dvds.append(dvd)
            session.put_vm(vm)
            added.append(dvd_object(session, vm, dvd))
    return added if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Get-VMDvdDrive", simulates="VM VMName ControllerNumber ControllerLocation")
def get_vm_dvd_drive(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [
            dvd_object(session, vm, dvd)
            for one in ids
            for vm in [shell.vm(session, one)]
            for dvd in vm.dvds
            if drives.asked_for(shell, dvd)
        ]


def _chosen_dvds(shell: Shell, session: Session) -> list[tuple[model.Vm, model.Dvd]]:
    if shell.has("VMDvdDrive"):
        wanted = [live.identity for live in shell.lives("VMDvdDrive")]
        return [
            (vm, dvd)
            for vm_id, *place in wanted
            for vm in [shell.vm(session, vm_id)]
            for dvd in vm.dvds
            if drives.place_texts(dvd) == tuple(place)
        ]
    vms = [shell.vm(session, vm_id) for vm_id in shell.vm_ids()]
    return [(vm, dvd) for vm in vms for dvd in vm.dvds if drives.asked_for(shell, dvd)]


@cmdlet(
    "Hyper-V\\Set-VMDvdDrive",
    simulates="VMDvdDrive VMName ControllerNumber ControllerLocation Path",
)
def set_vm_dvd_drive(shell: Shell) -> Sequence[Live]:
    """Change the disc; an empty path ejects it, also while the machine runs."""
    changed: list[Live] = []
    with shell.changing() as session:
        chosen = _chosen_dvds(shell, session)
        if not chosen:
            raise faults.not_found(shell.activity, "There is no such DVD drive.")
        for vm, dvd in chosen:
            if shell.has("Path"):
                path = shell.text("Path")
                dvd.path = drives.existing(shell, session, path) if path else None
            session.put_vm(vm)
            changed.append(dvd_object(session, vm, dvd))
    return changed if shell.flag("Passthru") else []


@cmdlet(
    "Hyper-V\\Remove-VMDvdDrive", simulates="VMDvdDrive VMName ControllerNumber ControllerLocation"
)
def remove_vm_dvd_drive(shell: Shell) -> Sequence[Live]:
    removed: list[Live] = []
    with shell.changing() as session:
        chosen = _chosen_dvds(shell, session)
        if not chosen:
            raise faults.not_found(shell.activity, "There is no such DVD drive.")
        for vm, dvd in chosen:
            drives.check_hot(shell, session, vm, dvd.controller_type)
            removed.append(dvd_object(session, vm, dvd))
            vm.dvds.remove(dvd)
            session.put_vm(vm)
    return removed if shell.flag("Passthru") else []
