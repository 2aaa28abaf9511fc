"""Plans that only the doctor runs, on VMs and disks of its own: what we want to know of a host.

Beside the product's own plans, which it runs too. Each is tried on a host on which something may
be refused; what that means is the caller's to say.

Source: pages of the Hyper-V module (Save-VM, Rename-VM, Add-VMNetworkAdapterExtendedAcl, ...);
about_WSMan_Provider; Get-Process (Windows PowerShell 5.1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from translators.hyperv import allowed, vm
from translators.hyperv.host import Answer, Argument, Call, Flat, Path, Plan, Ref

TIB: Final = 1024**4
TOO_LARGE_BYTES: Final = 60 * TIB
"""Of a fixed disk that no host has room for; a VHDX may have 64."""

_MORE: Final[Mapping[str, tuple[str, ...]]] = {
    "Hyper-V\\Add-VMNetworkAdapterExtendedAcl": (
        "VMNetworkAdapter",
        "Action",
        "Direction",
        "Weight",
    ),
    "Hyper-V\\Disconnect-VMNetworkAdapter": ("VMNetworkAdapter",),
    "Hyper-V\\Get-VMNetworkAdapterVlan": ("VMNetworkAdapter",),
    "Hyper-V\\New-VHD": ("Dynamic", "Fixed"),
    "Hyper-V\\Remove-VMHardDiskDrive": ("VMHardDiskDrive",),
    "Hyper-V\\Rename-VM": ("VM", "NewName"),
    "Hyper-V\\Resume-VM": ("VM",),
    "Hyper-V\\Save-VM": ("VM",),
    "Hyper-V\\Set-VMHardDiskDrive": ("VMHardDiskDrive", "MaximumIOPS"),
    "Hyper-V\\Set-VMNetworkAdapter": ("MaximumBandwidth",),
    "Hyper-V\\Suspend-VM": ("VM",),
    "Microsoft.PowerShell.Management\\Get-ChildItem": ("Path",),
    "Microsoft.PowerShell.Management\\Get-Process": ("Name",),
}

MODULES: Final = (*allowed.MODULES, "Microsoft.WSMan.Management")
"""The last one brings the drive with the quotas."""

ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    do: tuple(dict.fromkeys((*allowed.ALLOWED.get(do, ()), *_MORE.get(do, ()))))
    for do in sorted(allowed.ALLOWED.keys() | _MORE.keys())
}
"""The product's own table and what the plans below need besides."""

PATHS: Final[dict[str, tuple[str, ...]]] = {**allowed.PATHS, "Hyper-V\\New-VHD": ("Path",)}
"""A parent may lie outside of the doctor's own folder, in the operator's `images`."""


@dataclass(frozen=True, slots=True)
class Details:
    """A VM's devices, as a look found them."""

    disks: tuple[Mapping[str, Flat], ...]
    adapters: tuple[Mapping[str, Flat], ...]
    vlans: tuple[Mapping[str, Flat], ...]


# -- looks


def windows() -> Plan:
    """Ask which Windows it is."""
    call = Call(
        "CimCmdlets\\Get-CimInstance",
        {"ClassName": "Win32_OperatingSystem"},
        keep="system",
        take={"caption": "Caption:text", "version": "Version:text", "build": "BuildNumber:text"},
    )
    return Plan("look-windows", (call,))


def shell_limits() -> Plan:
    """Ask for the quotas of remote shells; an administrator may."""
    call = Call(
        "Microsoft.PowerShell.Management\\Get-ChildItem",
        {"Path": "WSMan:\\localhost\\Shell"},
        keep="limits",
        take={"name": "Name:text", "value": "Value:text"},
    )
    return Plan("look-shell-limits", (call,))


def processes() -> Plan:
    """List the PowerShell processes of the host, ours among them."""
    call = Call(
        "Microsoft.PowerShell.Management\\Get-Process",
        {"Name": "powershell"},
        keep="processes",
        take={"id": "Id:int", "memory": "PrivateMemorySize64:int"},
    )
    return Plan("look-processes", (call,))


def details(vm_id: str) -> Plan:
    """Look at a VM's disks and adapters."""
    one = Ref("vm")
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call(
            "Hyper-V\\Get-VMHardDiskDrive",
            {"VM": one},
            keep="disks",
            take={
                "path": "Path:text",
                "controller": "ControllerType:text",
                "number": "ControllerNumber:int",
                "location": "ControllerLocation:int",
            },
        ),
        Call(
            "Hyper-V\\Get-VMNetworkAdapter",
            {"VM": one},
            keep="adapters",
            take={"name": "Name:text", "mac": "MacAddress:text", "switch": "SwitchName:text"},
        ),
        Call(
            "Hyper-V\\Get-VMNetworkAdapterVlan",
            {"VMNetworkAdapter": Ref("adapters")},
            keep="vlans",
            take={"mode": "OperationMode:text", "id": "AccessVlanId:int"},
        ),
    )
    return Plan("look-details", calls)


def read_details(answer: Answer) -> Details:
    return Details(
        tuple(answer.results["disks"]),
        tuple(answer.results["adapters"]),
        tuple(answer.results["vlans"]),
    )


def disk(path: Path) -> Plan:
    """Look at a virtual disk's header."""
    take = {"attached": "Attached:bool", "size": "Size:int", "parent": "ParentPath:text"}
    call = Call("Hyper-V\\Get-VHD", {"Path": path}, keep="disk", take=take)
    return Plan("look-disk", (call,))


# -- disks


def new_disk(path: Path, size_bytes: int) -> Plan:
    """Make an empty disk that grows."""
    parameters: dict[str, Argument] = {"Path": path, "Dynamic": True, "SizeBytes": size_bytes}
    return Plan("new-disk", (Call("Hyper-V\\New-VHD", parameters),), changes=True)


def too_large_disk(path: Path) -> Plan:
    """Ask for more room than there is."""
    parameters: dict[str, Argument] = {"Path": path, "Fixed": True, "SizeBytes": TOO_LARGE_BYTES}
    return Plan("too-large-disk", (Call("Hyper-V\\New-VHD", parameters),), changes=True)


def differing_from(plan: Plan, parent: str) -> Plan:
    """`making.create`, with a parent that is named by its whole Windows path."""
    calls = tuple(
        dataclasses.replace(call, parameters={**call.parameters, "ParentPath": parent})
        if "ParentPath" in call.parameters
        else call
        for call in plan.calls
    )
    return dataclasses.replace(plan, calls=calls)


# -- a VM


def namesake(name: str, folder: Path) -> Plan:
    """Make another VM of that name, elsewhere, with nothing in it."""
    parameters: dict[str, Argument] = {
        "Name": name,
        "Generation": 2,
        "MemoryStartupBytes": 32 * 1024**2,
        "NoVHD": True,
        "Path": folder,
    }
    call = Call("Hyper-V\\New-VM", parameters, keep="vm", take={"id": "Id:text"})
    return Plan("namesake", (call,), changes=True)


def save(vm_id: str) -> Plan:
    return _on("save", vm_id, "Hyper-V\\Save-VM")


def suspend(vm_id: str) -> Plan:
    return _on("suspend", vm_id, "Hyper-V\\Suspend-VM")


def resume(vm_id: str) -> Plan:
    return _on("resume", vm_id, "Hyper-V\\Resume-VM")


def rename(vm_id: str, name: str) -> Plan:
    return _on("rename", vm_id, "Hyper-V\\Rename-VM", NewName=name)


def set_notes(vm_id: str, text: str) -> Plan:
    return _on("set-notes", vm_id, "Hyper-V\\Set-VM", Notes=text)


def set_checkpoint_type(vm_id: str) -> Plan:
    return _on("set-checkpoint-type", vm_id, "Hyper-V\\Set-VM", CheckpointType="Disabled")


def set_processors(vm_id: str, count: int) -> Plan:
    return _on("set-processors", vm_id, "Hyper-V\\Set-VMProcessor", Count=count)


def set_memory(vm_id: str, startup_bytes: int) -> Plan:
    return _on(
        "set-memory",
        vm_id,
        "Hyper-V\\Set-VMMemory",
        DynamicMemoryEnabled=False,
        StartupBytes=startup_bytes,
    )


def set_secure_boot(vm_id: str) -> Plan:
    return _on("set-secure-boot", vm_id, "Hyper-V\\Set-VMFirmware", EnableSecureBoot="Off")


def add_disk(vm_id: str, path: Path) -> Plan:
    """Connect a second disk at SCSI 0:1."""
    return _on(
        "add-disk",
        vm_id,
        "Hyper-V\\Add-VMHardDiskDrive",
        ControllerType="SCSI",
        ControllerNumber=0,
        ControllerLocation=1,
        Path=path,
    )


def remove_disk(vm_id: str) -> Plan:
    """Disconnect the second disk, whatever it is."""
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMHardDiskDrive", {"VM": Ref("vm")}, keep="disks"),
        Call("Hyper-V\\Remove-VMHardDiskDrive", {"VMHardDiskDrive": Ref("disks", at=1)}),
    )
    return Plan("remove-disk", calls, changes=True)


def disconnect(vm_id: str) -> Plan:
    """Take its adapters off their switches."""
    return _on_adapters("disconnect", vm_id, "Hyper-V\\Disconnect-VMNetworkAdapter")


def connect(vm_id: str, switch: str) -> Plan:
    return _on_adapters("connect", vm_id, "Hyper-V\\Connect-VMNetworkAdapter", SwitchName=switch)


def set_vlan(vm_id: str, vlan: int) -> Plan:
    return _on_adapters(
        "set-vlan", vm_id, "Hyper-V\\Set-VMNetworkAdapterVlan", Access=True, VlanId=vlan
    )


def set_bandwidth(vm_id: str, bits_a_second: int) -> Plan:
    """Limit what its first adapter sends."""
    return _on_adapters(
        "set-bandwidth", vm_id, "Hyper-V\\Set-VMNetworkAdapter", MaximumBandwidth=bits_a_second
    )


def set_iops(vm_id: str, iops: int) -> Plan:
    """Limit its first disk."""
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMHardDiskDrive", {"VM": Ref("vm")}, keep="disks"),
        Call(
            "Hyper-V\\Set-VMHardDiskDrive",
            {"VMHardDiskDrive": Ref("disks", at=0), "MaximumIOPS": iops},
        ),
    )
    return Plan("set-iops", calls, changes=True)


def deny_inbound(vm_id: str) -> Plan:
    """Add one rule to its first adapter."""
    return _on_adapters(
        "deny-inbound",
        vm_id,
        "Hyper-V\\Add-VMNetworkAdapterExtendedAcl",
        Action="Deny",
        Direction="Inbound",
        Weight=1,
    )


def many_looks(count: int, mark: Path) -> Plan:
    """Make a folder, so that others see that it has begun, then look at the host so often."""
    begin = Call("Agent\\New-Folder", {"Path": mark})
    return Plan("many-looks", (begin, *(Call("Hyper-V\\Get-VMHost"),) * count), changes=True)


def sweep(folder: Path) -> Plan:
    """Remove the doctor's own folder, asked of an agent of the folder above it.

    It needs no token, so that nothing of it stays in the journal of the host's driver: done twice
    is done once.
    """
    return Plan("sweep-doctor", (Call("Agent\\Remove-Tree", {"Path": folder}),))


def instance_folder(root: str) -> str:
    """Where `making.create` puts VMs, to compare with; never sent to a host."""
    return vm.folder_of(root, "").lower()


def _on(purpose: str, vm_id: str, cmdlet: str, **parameters: Argument) -> Plan:
    fetch = Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm")
    return Plan(purpose, (fetch, Call(cmdlet, {"VM": Ref("vm"), **parameters})), changes=True)


def _on_adapters(purpose: str, vm_id: str, cmdlet: str, **parameters: Argument) -> Plan:
    calls = (
        Call("Hyper-V\\Get-VM", {"Id": vm_id}, keep="vm"),
        Call("Hyper-V\\Get-VMNetworkAdapter", {"VM": Ref("vm")}, keep="adapters"),
        Call(cmdlet, {"VMNetworkAdapter": Ref("adapters", at=0), **parameters}),
    )
    return Plan(purpose, calls, changes=True)
