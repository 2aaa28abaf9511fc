"""Network adapters of machines: addresses, switch, VLAN, guards.

Source: learn.microsoft.com/powershell/module/hyper-v; the class VMNetworkAdapter as recorded.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import ZERO_GUID, Live, Values, named
from ec2gw.lab.cmdlets.shell import Shell, cmdlet, matches
from ec2gw.lab.world import model, power
from ec2gw.lab.world.session import Session

MAXIMUM_ADAPTERS = 8
MAXIMUM_VLAN = 4094
UNSET_MAC = "000000000000"


@dataclass(frozen=True, slots=True)
class At:
    nic: model.Nic
    vm: model.Vm
    session: Session


def _switch_id(at: At) -> uuid.UUID | None:
    switch = at.session.switch(at.nic.switch) if at.nic.switch else None
    return uuid.UUID(switch.id) if switch else None


def _status(at: At) -> list[object]:
    return [named("VMNetworkAdapterOperationalStatus", "Ok")] if power.working(at.vm) else []


NIC: Mapping[str, Callable[[At], object]] = {
    "Id": lambda at: f"Microsoft:{at.vm.id.upper()}\\{at.nic.id.upper()}",
    "AdapterId": lambda at: at.nic.id.upper(),
    "Name": lambda at: at.nic.name,
    "MacAddress": lambda at: at.nic.mac,
    "DynamicMacAddressEnabled": lambda at: at.nic.dynamic_mac,
    "MacAddressSpoofing": lambda at: named("OnOffState", at.nic.mac_spoofing),
    "DhcpGuard": lambda at: named("OnOffState", at.nic.dhcp_guard),
    "RouterGuard": lambda at: named("OnOffState", at.nic.router_guard),
    "DeviceNaming": lambda at: named("OnOffState", at.nic.device_naming),
    "IsLegacy": lambda at: at.nic.legacy,
    "IsSynthetic": lambda at: not at.nic.legacy,
    "IsManagementOs": lambda at: False,
    "IsExternalAdapter": lambda at: False,
    "IsTemplate": lambda at: False,
    "IsDeleted": lambda at: False,
    "Connected": lambda at: at.nic.switch is not None,
    "SwitchName": lambda at: at.nic.switch or "",
    "SwitchId": _switch_id,
    "IPAddresses": lambda at: at.session.addresses(at.vm, at.nic),
    "VlanSetting": lambda at: vlan_object(at.session, at.vm, at.nic),
    "Status": _status,
    "StatusDescription": lambda at: ["OK"] if power.working(at.vm) else [],
    "PoolName": lambda at: "",
    "VMId": lambda at: uuid.UUID(at.vm.id),
    "VMName": lambda at: at.vm.name,
    "VMSnapshotId": lambda at: ZERO_GUID,
    "VMSnapshotName": lambda at: "",
    "ComputerName": lambda at: at.session.name,
}


def nic_object(session: Session, vm: model.Vm, nic: model.Nic) -> Live:
    return Live("VMNetworkAdapter", NIC, At(nic, vm, session), (vm.id, nic.id))


def vlan_object(session: Session, vm: model.Vm, nic: model.Nic) -> Live:
    allowed = _vlan_list(nic.allowed_vlans) or []
    values = {
        "OperationMode": named("VMNetworkAdapterVlanMode", nic.vlan_mode),
        "AccessVlanId": nic.vlan_id,
        "NativeVlanId": nic.native_vlan_id,
        "AllowedVlanIdList": allowed,
        "AllowedVlanIdListString": nic.allowed_vlans,
        "ParentAdapter": nic_object(session, vm, nic),
        "IsTemplate": False,
        "ComputerName": session.name,
        "IsDeleted": False,
    }
    return Values.of("VMNetworkAdapterVlanSetting", values, vm.id, nic.id)


def _vlan_list(text: str) -> list[int] | None:
    """Read `1,5-7`; None for what is no such list."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        ends = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        if not ends:
            return None
        found.extend(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return found if all(1 <= one <= MAXIMUM_VLAN for one in found) else None


def new_nic(shell: Shell, session: Session, name: str, switch: str | None) -> model.Nic:
    return model.Nic(str(uuid.uuid4()), name, _switch(shell, session, switch) if switch else None)


def _switch(shell: Shell, session: Session, name: str) -> str:
    found = session.switch(name)
    if found is None:
        text = f"Hyper-V was unable to find a virtual switch with name '{name}'."
        raise faults.not_found(shell.activity, text, name)
    return found.name


def _mac(shell: Shell) -> str:
    """Bring a static address into Hyper-V's form: 12 digits, upper case, unicast."""
    given = shell.text("StaticMacAddress")
    digits = re.sub("[-:.]", "", given).upper()
    if not re.fullmatch("[0-9A-F]{12}", digits) or int(digits[:2], 16) & 1:
        raise faults.invalid_parameter(shell.activity, f"'{given}' is no unicast MAC.", given)
    return digits


@cmdlet("Hyper-V\\Get-VMNetworkAdapter", simulates="VM VMName All Name IsLegacy")
def get_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    if shell.flag("All"):
        with shell.reading() as session:
            ids = [vm.id for vm in session.vms()]
    else:
        ids = shell.vm_ids() if shell.has("VM") or shell.has("VMName") else []
    with shell.reading() as session:
        return [
            nic_object(session, vm, nic)
            for one in ids
            if (vm := session.vm(one))
            for nic in vm.nics
            if matches(shell.text("Name", "*"), nic.name)
            and shell.arguments.get("IsLegacy", nic.legacy) == nic.legacy
        ]


@cmdlet(
    "Hyper-V\\Add-VMNetworkAdapter",
    simulates="VM VMName SwitchName Name DynamicMacAddress StaticMacAddress DeviceNaming IsLegacy",
)
def add_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    added: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            legacy = bool(shell.arguments.get("IsLegacy", False))
            # A generation 2 machine takes adapters while it runs; the first one does not.
            if power.working(vm) and (vm.generation == 1 or power.transitional(vm)):
                raise faults.invalid_state(shell.activity, vm.name)
            if len(vm.nics) >= MAXIMUM_ADAPTERS or (legacy and vm.generation == 2):
                text = "The machine takes no such network adapter any more."
                raise faults.invalid_parameter(shell.activity, text, vm.name)
            switch = shell.text("SwitchName") or None
            nic = new_nic(shell, session, shell.text("Name", "Network Adapter"), switch)
            nic.legacy = legacy
            nic.device_naming = shell.text("DeviceNaming", "Off")
            if shell.has("StaticMacAddress"):
                nic.mac, nic.dynamic_mac = _mac(shell), False
            vm.nics.append(nic)
            session.put_vm(vm)
            added.append(nic_object(session, vm, nic))
    return added if shell.flag("Passthru") else []


Chosen = tuple[model.Vm, model.Nic]


def chosen(shell: Shell, session: Session, name: str = "Name") -> list[Chosen]:
    """List the adapters that -VMNetworkAdapter, or a machine and a name, mean."""
    if shell.has("VMNetworkAdapter"):
        given: list[Chosen] = []
        for vm_id, nic_id in (live.identity for live in shell.lives("VMNetworkAdapter")):
            vm = shell.vm(session, vm_id)
            nics = [nic for nic in vm.nics if nic.id == nic_id]
            if not nics:
                raise faults.not_found(shell.activity, "The adapter is gone.", vm.name)
            given.append((vm, nics[0]))
        return given
    wanted = shell.text(name, "*") if isinstance(shell.arguments.get(name, "*"), str) else ""
    names = [wanted] if wanted else shell.texts(name)
    found = [
        (vm, nic)
        for vm_id in shell.vm_ids_of("VM", "VMName")
        for vm in [shell.vm(session, vm_id)]
        for nic in vm.nics
        if any(matches(one, nic.name) for one in names)
    ]
    if not found:
        raise faults.not_found(shell.activity, "There is no such network adapter.")
    return found


@cmdlet("Hyper-V\\Remove-VMNetworkAdapter", simulates="VM VMName Name VMNetworkAdapter")
def remove_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    removed: list[Live] = []
    with shell.changing() as session:
        for vm, nic in chosen(shell, session):
            if power.working(vm) and (vm.generation == 1 or power.transitional(vm)):
                raise faults.invalid_state(shell.activity, vm.name)
            removed.append(nic_object(session, vm, nic))
            vm.nics.remove(nic)
            session.put_vm(vm)
    return removed if shell.flag("Passthru") else []


GUARDS = {
    "MacAddressSpoofing": "mac_spoofing",
    "DhcpGuard": "dhcp_guard",
    "RouterGuard": "router_guard",
    "DeviceNaming": "device_naming",
}


@cmdlet(
    "Hyper-V\\Set-VMNetworkAdapter",
    simulates="VM VMName Name VMNetworkAdapter MacAddressSpoofing DhcpGuard RouterGuard "
    "DeviceNaming StaticMacAddress DynamicMacAddress MaximumBandwidth",
)
def set_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    with shell.changing() as session:
        for vm, nic in chosen(shell, session):
            address = shell.has("StaticMacAddress") or shell.flag("DynamicMacAddress")
            if address and power.working(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            if shell.has("StaticMacAddress"):
                nic.mac, nic.dynamic_mac = _mac(shell), False
            elif shell.flag("DynamicMacAddress"):
                nic.mac, nic.dynamic_mac = UNSET_MAC, True
            for parameter, field in GUARDS.items():
                if shell.has(parameter):
                    setattr(nic, field, shell.text(parameter))
            nic.maximum_bandwidth = shell.number("MaximumBandwidth", nic.maximum_bandwidth)
            session.put_vm(vm)
            changed.append(nic_object(session, vm, nic))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Rename-VMNetworkAdapter", simulates="VM VMName Name VMNetworkAdapter NewName")
def rename_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    with shell.changing() as session:
        for vm, nic in chosen(shell, session):
            nic.name = shell.text("NewName")
            session.put_vm(vm)
            changed.append(nic_object(session, vm, nic))
    return changed if shell.flag("Passthru") else []


@cmdlet(
    "Hyper-V\\Connect-VMNetworkAdapter",
    simulates="VMName Name VMNetworkAdapter SwitchName VMSwitch",
)
def connect_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    with shell.changing() as session:
        for vm, nic in chosen(shell, session):
            if shell.has("VMSwitch"):
                nic.switch = _switch(shell, session, shell.lives("VMSwitch")[0].identity[0])
            else:
                nic.switch = _switch(shell, session, shell.text("SwitchName"))
            session.put_vm(vm)
            changed.append(nic_object(session, vm, nic))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Disconnect-VMNetworkAdapter", simulates="VMName Name VMNetworkAdapter")
def disconnect_vm_network_adapter(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    with shell.changing() as session:
        for vm, nic in chosen(shell, session):
            nic.switch = None
            session.put_vm(vm)
            changed.append(nic_object(session, vm, nic))
    return changed if shell.flag("Passthru") else []


@cmdlet(
    "Hyper-V\\Get-VMNetworkAdapterVlan", simulates="VM VMName VMNetworkAdapterName VMNetworkAdapter"
)
def get_vm_network_adapter_vlan(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        return [
            vlan_object(session, vm, nic)
            for vm, nic in chosen(shell, session, "VMNetworkAdapterName")
        ]


@cmdlet(
    "Hyper-V\\Set-VMNetworkAdapterVlan",
    simulates="VM VMName VMNetworkAdapterName VMNetworkAdapter Untagged Access VlanId Trunk "
    "NativeVlanId AllowedVlanIdList",
)
def set_vm_network_adapter_vlan(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    modes = [one for one in ("Untagged", "Access", "Trunk") if shell.flag(one)]
    vlan = shell.number("VlanId")
    access = modes == ["Access"] and 1 <= vlan <= MAXIMUM_VLAN
    trunk = modes == ["Trunk"] and _vlan_list(shell.text("AllowedVlanIdList")) is not None
    if not access and not trunk and modes != ["Untagged"]:
        raise faults.invalid_parameter(shell.activity, "One mode, with its VLANs, is needed.")
    with shell.changing() as session:
        for vm, nic in chosen(shell, session, "VMNetworkAdapterName"):
            nic.vlan_mode = modes[0]
            nic.vlan_id = vlan if access else 0
            nic.native_vlan_id = shell.number("NativeVlanId") if trunk else 0
            nic.allowed_vlans = shell.text("AllowedVlanIdList") if trunk else ""
            session.put_vm(vm)
            changed.append(vlan_object(session, vm, nic))
    return changed if shell.flag("Passthru") else []
