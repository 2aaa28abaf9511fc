"""The two COM ports that every machine has, each tied to a named pipe or to nothing.

Source: learn.microsoft.com/powershell/module/hyper-v/set-vmcomport; the class VMComPort.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import model, power
from ec2gw.lab.world.session import Session


def com_port_object(session: Session, vm: model.Vm, number: int) -> Live:
    values = {
        "Name": f"COM {number}",
        "Path": vm.com_ports[number - 1],
        "Id": f"Microsoft:{vm.id.upper()}\\{number}",
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMComPort", values, vm.id, str(number))


@cmdlet("Hyper-V\\Get-VMComPort", simulates="VM VMName Number")
def get_vm_com_port(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    numbers = [shell.number("Number")] if shell.has("Number") else [1, 2]
    with shell.reading() as session:
        vms = [shell.vm(session, one) for one in ids]
        return [com_port_object(session, vm, number) for vm in vms for number in numbers]


@cmdlet("Hyper-V\\Set-VMComPort", simulates="VM VMName Number Path")
def set_vm_com_port(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    number = shell.number("Number")
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if power.working(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            path = shell.text("Path")
            if path and not path.lower().startswith("\\\\.\\pipe\\"):
                text = f"'{path}' is no named pipe."
                raise faults.invalid_parameter(shell.activity, text, path)
            vm.com_ports[number - 1] = path
            session.put_vm(vm)
            changed.append(com_port_object(session, vm, number))
    return changed if shell.flag("Passthru") else []
