"""Integration services of a machine: what the guest's drivers answer.

Source: learn.microsoft.com/powershell/module/hyper-v/get-vmintegrationservice; the class
VMIntegrationComponent as recorded.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ec2gw.lab.cmdlets.objects import ZERO_GUID, Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet, matches
from ec2gw.lab.world import model, power
from ec2gw.lab.world.session import Session

SERVICES = {
    "Guest Service Interface": False,
    "Heartbeat": True,
    "Key-Value Pair Exchange": True,
    "Shutdown": True,
    "Time Synchronization": True,
    "VSS": True,
}
"""Name (of an English host) -> whether it is on by default."""


def service_object(session: Session, vm: model.Vm, name: str) -> Live:
    if power.guest_is_up(vm, session.now):
        status = [named("VMIntegrationComponentOperationalStatus", "Ok")]
    elif power.working(vm):
        status = [named("VMIntegrationComponentOperationalStatus", "NoContact")]
    else:
        status = []
    values = {
        "Name": name,
        "Id": f"Microsoft:{vm.id.upper()}\\{str(uuid.uuid5(uuid.UUID(vm.id), name)).upper()}",
        "Enabled": SERVICES[name],
        "OperationalStatus": status,
        "PrimaryOperationalStatus": status[0] if status else None,
        "SecondaryOperationalStatus": None,
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "VMSnapshotId": ZERO_GUID,
        "VMSnapshotName": "",
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMIntegrationComponent", values, vm.id, name)


@cmdlet("Hyper-V\\Get-VMIntegrationService", simulates="VM VMName Name")
def get_vm_integration_service(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids_of("VM", "VMName")
    wanted = shell.texts("Name") or ["*"]
    with shell.reading() as session:
        return [
            service_object(session, shell.vm(session, vm_id), name)
            for vm_id in ids
            for name in SERVICES
            if any(matches(one, name) for one in wanted)
        ]
