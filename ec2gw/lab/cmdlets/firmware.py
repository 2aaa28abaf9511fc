"""What a machine boots from: UEFI firmware of generation 2, BIOS of generation 1.

Source: learn.microsoft.com/powershell/module/hyper-v/set-vmfirmware, set-vmbios.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import model, power
from ec2gw.lab.world.session import Session

TEMPLATES = {
    "MicrosoftWindows": uuid.UUID("1734c6e8-3154-4dda-ba5f-a874cc483422"),
    "MicrosoftUEFICertificateAuthority": uuid.UUID("272e7447-90a4-4563-a4b9-8e4ab00526ce"),
    "OpenSourceShieldedVM": uuid.UUID("4292ae2b-ee2c-42b5-a969-dd8f8689f6f3"),
}
"""Secure boot templates of a host. Source: Get-VMHost.SecureBootTemplates, as published."""


def firmware_object(session: Session, vm: model.Vm) -> Live:
    values = {
        "SecureBoot": named("OnOffState", vm.secure_boot),
        "SecureBootTemplate": vm.secure_boot_template,
        "SecureBootTemplateId": TEMPLATES.get(vm.secure_boot_template),
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMFirmware", values, vm.id)


def bios_object(session: Session, vm: model.Vm) -> Live:
    values = {
        "StartupOrder": [named("BootDevice", one) for one in vm.startup_order],
        "NumLockEnabled": False,
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMBios", values, vm.id)


def _of_generation(shell: Shell, session: Session, vm_id: str, generation: int) -> model.Vm:
    vm = shell.vm(session, vm_id)
    if vm.generation != generation:
        text = f"'{vm.name}' is a machine of generation {vm.generation}."
        raise faults.fault(
            shell.activity, "InvalidOperation", "InvalidOperation", text, target=vm.name
        )
    return vm


@cmdlet("Hyper-V\\Get-VMFirmware", simulates="VM VMName")
def get_vm_firmware(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [firmware_object(session, _of_generation(shell, session, one, 2)) for one in ids]


@cmdlet(
    "Hyper-V\\Set-VMFirmware",
    simulates="VM VMName EnableSecureBoot SecureBootTemplate FirstBootDevice BootOrder",
)
def set_vm_firmware(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = _of_generation(shell, session, vm_id, 2)
            if power.working(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            vm.secure_boot = shell.text("EnableSecureBoot", vm.secure_boot)
            template = shell.text("SecureBootTemplate", vm.secure_boot_template)
            if template not in TEMPLATES:
                text = f"The host has no secure boot template '{template}'."
                raise faults.invalid_parameter(shell.activity, text, template)
            vm.secure_boot_template = template
            devices = shell.lives("BootOrder") or shell.lives("FirstBootDevice")
            if any(device.identity[0] != vm.id for device in devices):
                text = "The boot device belongs to another machine."
                raise faults.invalid_parameter(shell.activity, text, vm.name)
            order = [" ".join(device.identity[1:]) for device in devices]
            if shell.has("BootOrder"):
                vm.boot_order = order
            elif order:
                vm.boot_order = order + [one for one in vm.boot_order if one not in order]
            session.put_vm(vm)
            changed.append(firmware_object(session, vm))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Get-VMBios", simulates="VM VMName")
def get_vm_bios(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [bios_object(session, _of_generation(shell, session, one, 1)) for one in ids]


@cmdlet("Hyper-V\\Set-VMBios", simulates="VM VMName StartupOrder")
def set_vm_bios(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = _of_generation(shell, session, vm_id, 1)
            if power.working(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            if shell.has("StartupOrder"):
                order = shell.texts("StartupOrder")
                if sorted(order) != sorted(vm.startup_order):
                    text = "The start-up order must name each device once."
                    raise faults.invalid_parameter(shell.activity, text, vm.name)
                vm.startup_order = order
            session.put_vm(vm)
            changed.append(bios_object(session, vm))
    return changed if shell.flag("Passthru") else []
