"""What a VM's firmware says of it (SMBIOS), and the call that writes it.

Source: learn.microsoft.com, Msvm_VirtualSystemSettingData (BIOSGUID, BIOSSerialNumber,
ChassisAssetTag); the agent's own function, in identity.ps1, since no cmdlet sets them.
"""

from __future__ import annotations

from dataclasses import dataclass

from translators.hyperv.host import Argument, Call, Ref


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
