"""Extended ACLs of network adapters: added, listed, removed. They live with the adapter's port.

Source: learn.microsoft.com/powershell/module/hyper-v/add-vmnetworkadapterextendedacl and the pages
beside it; the class VMNetworkAdapterExtendedAclSetting as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults, nics
from ec2gw.lab.cmdlets.objects import Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import filtering, model
from ec2gw.lab.world.session import Session


def acl_object(session: Session, vm: model.Vm, nic: model.Nic, acl: model.Acl) -> Live:
    values = {
        "Direction": named("VMNetworkAdapterExtendedAclDirection", acl.direction),
        "Action": named("VMNetworkAdapterExtendedAclAction", acl.action),
        "LocalIPAddress": acl.local_address,
        "RemoteIPAddress": acl.remote_address,
        "LocalPort": acl.local_port,
        "RemotePort": acl.remote_port,
        "Protocol": acl.protocol,
        "Weight": acl.weight,
        "Stateful": acl.stateful,
        "IdleSessionTimeout": acl.idle_seconds,
        "IsolationID": acl.isolation_id,
        "ParentAdapter": nics.nic_object(session, vm, nic),
        "IsTemplate": False,
        "ComputerName": session.name,
        "IsDeleted": acl not in nic.acls,
    }
    identity = (vm.id, nic.id, acl.direction, str(acl.weight))
    return Values.of("VMNetworkAdapterExtendedAclSetting", values, *identity)


@cmdlet(
    "Hyper-V\\Add-VMNetworkAdapterExtendedAcl",
    simulates="VM VMName VMNetworkAdapterName VMNetworkAdapter Action Direction LocalIPAddress "
    "RemoteIPAddress LocalPort RemotePort Protocol Weight Stateful IdleSessionTimeout IsolationID",
)
def add_vm_network_adapter_extended_acl(shell: Shell) -> Sequence[Live]:
    acl = _asked(shell)
    added: list[Live] = []
    with shell.changing() as session:
        for vm, nic in nics.chosen(shell, session, "VMNetworkAdapterName"):
            if any(_key(one) == _key(acl) for one in nic.acls):
                text = f"'{nic.name}' has a rule of weight {acl.weight} in that direction"
                raise faults.operation_failed(shell.activity, text, faults.FILE_EXISTS, nic.name)
            nic.acls.append(acl)
            session.put_vm(vm)
            added.append(acl_object(session, vm, nic, acl))
    return added if shell.flag("Passthru") else []


def _asked(shell: Shell) -> model.Acl:
    acl = model.Acl(
        direction=shell.text("Direction"),
        action=shell.text("Action"),
        weight=shell.number("Weight"),
        local_address=shell.text("LocalIPAddress", filtering.ANY),
        remote_address=shell.text("RemoteIPAddress", filtering.ANY),
        local_port=shell.text("LocalPort", filtering.ANY),
        remote_port=shell.text("RemotePort", filtering.ANY),
        protocol=shell.text("Protocol", filtering.ANY),
        stateful=shell.flag("Stateful"),
        idle_seconds=shell.number("IdleSessionTimeout"),
        isolation_id=shell.number("IsolationID"),
    )
    try:
        filtering.check(acl)
    except filtering.BadRule as bad:
        raise faults.invalid_parameter(shell.activity, str(bad)) from None
    return acl


def _key(acl: model.Acl) -> tuple[str, int]:
    return acl.direction, acl.weight


@cmdlet(
    "Hyper-V\\Get-VMNetworkAdapterExtendedAcl",
    simulates="VM VMName VMNetworkAdapterName VMNetworkAdapter",
)
def get_vm_network_adapter_extended_acl(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        return [
            acl_object(session, vm, nic, one)
            for vm, nic in nics.chosen(shell, session, "VMNetworkAdapterName")
            for one in nic.acls
        ]


@cmdlet(
    "Hyper-V\\Remove-VMNetworkAdapterExtendedAcl",
    simulates="VM VMName VMNetworkAdapterName VMNetworkAdapter Weight Direction InputObject",
)
def remove_vm_network_adapter_extended_acl(shell: Shell) -> Sequence[Live]:
    removed: list[Live] = []
    with shell.changing() as session:
        for vm, nic, key in _doomed(shell, session):
            gone = [one for one in nic.acls if _key(one) == key]
            if not gone:
                text = f"'{nic.name}' has no rule of weight {key[1]} in that direction."
                raise faults.not_found(shell.activity, text, nic.name)
            nic.acls = [one for one in nic.acls if one not in gone]
            session.put_vm(vm)
            removed += [acl_object(session, vm, nic, one) for one in gone]
    return removed if shell.flag("Passthru") else []


def _doomed(shell: Shell, session: Session) -> list[tuple[model.Vm, model.Nic, tuple[str, int]]]:
    if not shell.has("InputObject"):
        key = (shell.text("Direction"), shell.number("Weight"))
        return [(*one, key) for one in nics.chosen(shell, session, "VMNetworkAdapterName")]
    found = []
    for vm_id, nic_id, direction, weight in (one.identity for one in shell.lives("InputObject")):
        vm = shell.vm(session, vm_id)
        adapters = [nic for nic in vm.nics if nic.id == nic_id]
        if not adapters:
            raise faults.not_found(shell.activity, "The adapter is gone.", vm.name)
        found.append((vm, adapters[0], (direction, int(weight))))
    return found
