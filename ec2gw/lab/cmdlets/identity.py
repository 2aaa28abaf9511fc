"""What a machine's firmware says of itself: the agent's own function, since no cmdlet sets it.

Source: learn.microsoft.com, Msvm_VirtualSystemSettingData and
Msvm_VirtualSystemManagementService.ModifySystemSettings; the agent's Set-VMIdentity.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, power

_INVALID_STATE = 32775


def new_number() -> str:
    """What Hyper-V makes up for serial number and asset tag: 26 digits, 32 characters."""
    digits = f"{secrets.randbelow(10**26):026}"
    parts = [digits[at : at + 4] for at in range(0, 24, 4)]
    return "-".join([*parts, digits[24:]])


@cmdlet("Agent\\Set-VMIdentity", simulates="Id AssetTag BiosGuid SerialNumber")
def set_vm_identity(shell: Shell) -> Sequence[object]:
    """Write it while the machine is off; a serial number that is refused is but a warning."""
    with shell.changing() as session:
        vm = session.vm(str(shell.arguments["Id"]))
        if vm is None:
            raise _fail(shell, "VMNotFound", "ObjectNotFound", "0 VMs are that")
        if power.working(vm) or power.transitional(vm) or disks.busy(session, vm):
            text = f"ModifySystemSettings answered {_INVALID_STATE} for BIOSGUID, ChassisAssetTag"
            raise _fail(shell, "SettingsRefused", "InvalidResult", text)
        vm.asset_tag = shell.text("AssetTag")
        if shell.has("BiosGuid"):
            vm.bios_guid = f"{{{shell.text('BiosGuid')}}}".upper()
        if shell.has("SerialNumber") and shell.injected == "serial":
            shell.warnings.append("the serial number was refused: SettingsRefused")
        elif shell.has("SerialNumber"):
            vm.serial_number = shell.text("SerialNumber")
        session.put_vm(vm)
    return []


def _fail(shell: Shell, identifier: str, category: str, text: str) -> CmdletError:
    return CmdletError(
        id=f"{identifier},{shell.activity}",
        category=category,
        activity=shell.activity,
        kind="System.InvalidOperationException",
        hresult=(faults.UNSPECIFIED,),
        text=text,
    )
