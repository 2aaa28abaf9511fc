"""A virtual machine as it is made: what it is to be, and the one plan that makes it whole.

Source: pages of the Hyper-V module (New-VM, Set-VMFirmware, Set-VMComPort, ...).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from translators.hyperv import acl, drive, identity, nic, seed, vm
from translators.hyperv.host import Argument, Call, Path, Plan, Ref
from translators.hyperv.identity import Identity

_PIPES: Final = "\\\\.\\pipe\\"


@dataclass(frozen=True, slots=True)
class Adapter:
    """The one network adapter of a VM; `mac` in EC2's form, `vlan` None for untagged."""

    name: str
    mac: str
    switch: str
    vlan: int | None
    rules: frozenset[acl.Rule] = frozenset()
    """Of its port, there before it is connected."""


@dataclass(frozen=True, slots=True)
class Spec:
    """How a VM is to be made. `secure_boot_template` None: secure boot off."""

    name: str
    generation: int
    processors: int
    memory_bytes: int
    parent: Path
    """The file that the root disk is a child of."""
    disk_bytes: int | None  # None: as large as the image
    secure_boot_template: str | None
    adapter: Adapter
    notes: str
    start_delay_seconds: int
    maximum_iops: int = 0
    """Of the root disk; 0: as many as it can."""
    disks: tuple[drive.Extra, ...] = ()
    """Beside the root disk."""
    disc: bytes | None = field(default=None, repr=False)
    """What its guest reads at its first boot; None: nothing."""
    identity: Identity | None = None
    """None: as Hyper-V makes it up."""
    console: str = ""
    """The pipe that its first COM port is tied to."""


def console(name: str) -> str:
    """The pipe of a VM's first COM port; whoever wants to hear it listens there."""
    return f"{_PIPES}{name}"


def create(spec: Spec) -> Plan:
    """Make the VM whole but for its start; anything left of an earlier try goes first.

    The Notes come last: a VM without them was never finished and never ran.
    """
    folder = vm.INSTANCES / spec.name
    machine = Ref("vm")
    disk: dict[str, Argument] = {
        "Path": folder / "root.vhdx",
        "ParentPath": spec.parent,
        "Differencing": True,
    }
    if spec.disk_bytes is not None:
        disk["SizeBytes"] = spec.disk_bytes
    calls = [
        Call("Agent\\Remove-Tree", {"Path": folder}),
        Call("Agent\\New-Folder", {"Path": folder}),
        Call("Hyper-V\\New-VHD", disk),
        *(call for extra in spec.disks for call in drive.make(extra.disk)),
        Call(
            "Hyper-V\\New-VM",
            {
                "Name": spec.name,
                "Generation": spec.generation,
                "MemoryStartupBytes": spec.memory_bytes,
                "NoVHD": True,
                "Path": vm.INSTANCES,
            },
            keep="vm",
            take={"id": "Id:text"},
        ),
        *vm.size(machine, spec.processors, spec.memory_bytes),
        # New-VM makes an adapter of its own, with a localised name and a dynamic MAC.
        Call("Hyper-V\\Get-VMNetworkAdapter", {"VM": machine}, keep="made"),
        Call("Hyper-V\\Remove-VMNetworkAdapter", {"VMNetworkAdapter": Ref("made")}),
        *_adapter(machine, spec.adapter),
        *_boot(machine, spec, folder),
        *(
            drive.put(machine, extra.place, extra.disk.path, extra.maximum_iops)
            for extra in spec.disks
        ),
        *_told(machine, spec),
        Call(
            "Hyper-V\\Set-VM",
            {
                "VM": machine,
                "AutomaticStartAction": "StartIfRunning",
                "AutomaticStartDelay": spec.start_delay_seconds,
                "AutomaticStopAction": "ShutDown",
                "CheckpointType": "Disabled",
                "Notes": spec.notes,
            },
        ),
    ]
    return Plan("create", tuple(calls), changes=True)


def _told(machine: Ref, spec: Spec) -> list[Call]:
    """What the guest is told of itself, and where it talks to."""
    calls: list[Call] = []
    if spec.disc is not None:
        calls += seed.first(machine, spec.generation, spec.name, spec.disc)
    if spec.console:
        port: dict[str, Argument] = {"VM": machine, "Number": 1, "Path": spec.console}
        calls.append(Call("Hyper-V\\Set-VMComPort", port))
    if spec.identity is not None:
        calls.append(identity.write(machine, spec.identity))
    return calls


def _adapter(machine: Ref, adapter: Adapter) -> list[Call]:
    """An adapter that is guarded before it is connected."""
    added = Ref("nic", at=0)  # Set-VMNetworkAdapter takes one adapter, and no list of one
    vlan: dict[str, Argument] = {"VMNetworkAdapter": added, "Untagged": True}
    if adapter.vlan is not None:
        vlan = {"VMNetworkAdapter": added, "Access": True, "VlanId": adapter.vlan}
    return [
        Call(
            "Hyper-V\\Add-VMNetworkAdapter",
            {
                "VM": machine,
                "Name": adapter.name,
                "StaticMacAddress": adapter.mac.replace(":", "").upper(),
                "DeviceNaming": "On",
                "Passthru": True,
            },
            keep="nic",
        ),
        nic.guard(added),
        Call("Hyper-V\\Set-VMNetworkAdapterVlan", vlan),
        *(nic.add(added, one) for one in acl.first(adapter.rules, nic.MOST_CHANGES)),
        Call(
            "Hyper-V\\Connect-VMNetworkAdapter",
            {"VMNetworkAdapter": added, "SwitchName": adapter.switch},
        ),
    ]


def _boot(machine: Ref, spec: Spec, folder: Path) -> list[Call]:
    """The root disk where the generation boots from: IDE 0:0, or SCSI 0:0 under UEFI."""
    attach = Call(
        "Hyper-V\\Add-VMHardDiskDrive",
        {
            "VM": machine,
            "ControllerType": "IDE" if spec.generation == 1 else "SCSI",
            "ControllerNumber": 0,
            "ControllerLocation": 0,
            "Path": folder / "root.vhdx",
            "MaximumIOPS": spec.maximum_iops,
            "Passthru": True,
        },
        keep="disk",
    )
    if spec.generation == 1:
        order = ["IDE", "CD", "LegacyNetworkAdapter", "Floppy"]
        return [attach, Call("Hyper-V\\Set-VMBios", {"VM": machine, "StartupOrder": order})]
    firmware: dict[str, Argument] = {"VM": machine, "FirstBootDevice": Ref("disk", at=0)}
    if spec.secure_boot_template is None:
        firmware["EnableSecureBoot"] = "Off"
    else:
        firmware["EnableSecureBoot"] = "On"
        firmware["SecureBootTemplate"] = spec.secure_boot_template
    return [attach, Call("Hyper-V\\Set-VMFirmware", firmware)]
