"""What a VM's firmware says of it (SMBIOS), and the call that writes it.

Source: learn.microsoft.com, Msvm_VirtualSystemSettingData (BIOSGUID, BIOSSerialNumber,
ChassisAssetTag); the agent's own function, in identity.ps1, since no cmdlet sets them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from translators.hyperv.host import Answer, Argument, Call, Plan, Ref


@dataclass(frozen=True, slots=True)
class Identity:
    """What the guest finds as `product_uuid`, `product_serial` and `chassis_asset_tag`."""

    asset_tag: str
    uuid: str | None
    """Also the serial number, where the host takes one of that length. None: Hyper-V's own."""


def write(machine: Ref, identity: Identity) -> Call:
    """Write it; only while the VM is off. A serial number that is refused is a warning."""
    asked: dict[str, Argument] = {
        "Id": Ref(machine.name, at=0, property="Id"),
        "AssetTag": identity.asset_tag,
    }
    if identity.uuid is not None:
        asked |= {"BiosGuid": identity.uuid, "SerialNumber": identity.uuid}
    return Call("Agent\\Set-VMIdentity", asked)


# -- of a VM that is there: what only the doctor asks


@dataclass(frozen=True, slots=True)
class Seen:
    """What a VM's settings say; `uuid` without braces, in lower case."""

    uuid: str
    serial_number: str
    asset_tag: str


def look(vm_id: str) -> Plan:
    """Read the settings that the VM has now, and no checkpoint's."""
    # WQL has no parameters; a UUID object cannot carry a quote into it.
    mine = f"VirtualSystemIdentifier='{str(uuid.UUID(vm_id)).upper()}'"
    call = Call(
        "CimCmdlets\\Get-CimInstance",
        {
            "Namespace": "root\\virtualization\\v2",
            "ClassName": "Msvm_VirtualSystemSettingData",
            "Filter": f"{mine} AND VirtualSystemType='Microsoft:Hyper-V:System:Realized'",
        },
        keep="settings",
        take={
            "uuid": "BIOSGUID:text",
            "serial": "BIOSSerialNumber:text",
            "tag": "ChassisAssetTag:text",
        },
    )
    return Plan("look-identity", (call,))


def seen(answer: Answer) -> Seen:
    """Read what `look` brought back."""
    [row] = answer.results["settings"]
    guid, serial, tag = (str(row[name] or "") for name in ("uuid", "serial", "tag"))
    return Seen(guid.strip("{}").lower(), serial, tag)


def put(vm_id: str, identity: Identity) -> Plan:
    """Write it; only while the VM is off."""
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    return Plan("identify", (fetch, write(Ref("vm"), identity)), changes=True)
