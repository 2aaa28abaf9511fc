"""CIM: Get-CimInstance, Get-CimAssociatedInstance and Invoke-CimMethod on a few classes.

Source: learn.microsoft.com, Hyper-V WMI provider (V2): Msvm_ComputerSystem,
Msvm_ShutdownComponent; Win32_OperatingSystem, Win32_ComputerSystem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ec2gw.lab.agent.host import CmdletError, WmiValue
from ec2gw.lab.binding import tables
from ec2gw.lab.cmdlets import copies, faults, powering
from ec2gw.lab.cmdlets.objects import Live, Values, known_properties, named, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, power
from ec2gw.lab.world import session as sessions
from ec2gw.lab.world.session import Session

VIRTUALIZATION = "root/virtualization/v2"
CIMV2 = "root/cimv2"

DONE, JOB_STARTED = 0, 4096
INVALID_STATE, NOT_READY, LOCKED, IN_PROGRESS = 32775, 32780, 32781, 32782
"""Return values of Msvm_ComputerSystem.RequestStateChange and Msvm_ShutdownComponent."""

ENABLED_STATES = {
    "Running": 2, "Off": 3, "Stopping": 4, "Saved": 6, "Paused": 9, "Starting": 10, "Reset": 11,
    "Saving": 32773, "Pausing": 32776, "Resuming": 32777, power.CRITICAL: 9,
}  # fmt: skip
"""VMState -> EnabledState. Source: Msvm_ComputerSystem."""

_CONDITION = re.compile(r"\s*([A-Za-z_]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|([0-9]+))\s*")


def _fail(shell: Shell, identifier: str, category: str, text: str, code: str) -> CmdletError:
    return CmdletError(
        id=f"{identifier},{faults.class_of(shell.activity)}",
        category=category,
        activity=shell.activity,
        kind="Microsoft.Management.Infrastructure.CimException",
        hresult=(code,),
        text=text,
    )


def _operating_system(session: Session) -> list[Live]:
    free = session.free_memory() // 1024
    values = {
        "Caption": "Microsoft Windows Server 2019 Datacenter",
        "Version": "10.0.17763",
        "BuildNumber": "17763",
        "OSArchitecture": "64-bit",
        "CSName": session.name.upper(),
        "LastBootUpTime": time(session.machine.booted_at),
        "LocalDateTime": time(session.now),
        "FreePhysicalMemory": free,
        "TotalVisibleMemorySize": session.machine.memory // 1024,
        "CurrentTimeZone": 0,
        "Status": "OK",
    }
    return [Values.of(f"{CIMV2}:Win32_OperatingSystem", values)]


def _computer_system(session: Session) -> list[Live]:
    values = {
        "Name": session.name.upper(),
        "Manufacturer": "ec2gw laboratory",
        "Model": "Simulated host",
        "NumberOfLogicalProcessors": session.machine.logical_processors,
        "TotalPhysicalMemory": session.machine.memory,
        "HypervisorPresent": True,
        "PartOfDomain": False,
        "Domain": "WORKGROUP",
    }
    return [Values.of(f"{CIMV2}:Win32_ComputerSystem", values)]


def _systems(session: Session) -> list[Live]:
    host = {
        "Name": session.name.upper(),
        "ElementName": session.name.upper(),
        "Caption": "Hosting Computer System",
        "EnabledState": 2,
        "HealthState": 5,
    }
    found = [Values.of(f"{VIRTUALIZATION}:Msvm_ComputerSystem", host)]
    return found + [_system(session, vm) for vm in session.vms()]


def _busy(session: Session, vm: model.Vm) -> list[int]:
    found = disks.busy(session, vm)
    return [int(named("VMOperationalStatus", found).value)] if found else []


def _system(session: Session, vm: model.Vm) -> Live:
    values = {
        "Name": vm.id.upper(),
        "ElementName": vm.name,
        "Caption": "Virtual Machine",
        "EnabledState": ENABLED_STATES[vm.state],
        "HealthState": 25 if vm.state == power.CRITICAL else 5,
        "OperationalStatus": [2, *_busy(session, vm)],
        "OnTimeInMilliseconds": int(power.uptime(vm, session.now) * 1000),
        "TimeOfLastStateChange": time(vm.changed_at),
        "InstallDate": time(vm.created_at),
        "ProcessID": 0 if not power.working(vm) else int(vm.id[:4], 16) + 1000,
    }
    return Values.of(f"{VIRTUALIZATION}:Msvm_ComputerSystem", values, vm.id)


def _settings(session: Session) -> list[Live]:
    return [_setting(vm) for vm in session.vms()]


def _setting(vm: model.Vm) -> Live:
    values = {
        "InstanceID": f"Microsoft:{vm.id.upper()}",
        "ElementName": vm.name,
        "VirtualSystemIdentifier": vm.id.upper(),
        "VirtualSystemType": "Microsoft:Hyper-V:System:Realized",
        "VirtualSystemSubType": f"Microsoft:Hyper-V:SubType:{vm.generation}",
        "ConfigurationDataRoot": vm.path,
        "Notes": vm.notes.splitlines() or [""],
        "CreationTime": time(vm.created_at),
        "BIOSGUID": vm.bios_guid,
        "BIOSSerialNumber": vm.serial_number,
        "ChassisAssetTag": vm.asset_tag,
        "SecureBootEnabled": vm.generation == 2 and vm.secure_boot == "On",
        "Version": "9.0",
    }
    return Values.of(f"{VIRTUALIZATION}:Msvm_VirtualSystemSettingData", values, vm.id)


def _shutdown_components(session: Session) -> list[Live]:
    """One per working machine: an off machine has no such device."""
    return [_component(session, vm) for vm in session.vms() if power.working(vm)]


def _component(session: Session, vm: model.Vm) -> Live:
    up = power.guest_is_up(vm, session.now)
    values = {
        "SystemName": vm.id.upper(),
        "SystemCreationClassName": "Msvm_ComputerSystem",
        "CreationClassName": "Msvm_ShutdownComponent",
        "DeviceID": f"Microsoft:{vm.id.upper()}\\Shutdown",
        "ElementName": "Shutdown",
        "EnabledState": 2,
        "OperationalStatus": [2] if up else [12],
    }
    return Values.of(f"{VIRTUALIZATION}:Msvm_ShutdownComponent", values, vm.id)


INSTANCES: Mapping[tuple[str, str], Callable[[Session], list[Live]]] = {
    (CIMV2, "Win32_OperatingSystem"): _operating_system,
    (CIMV2, "Win32_ComputerSystem"): _computer_system,
    (VIRTUALIZATION, "Msvm_ComputerSystem"): _systems,
    (VIRTUALIZATION, "Msvm_VirtualSystemSettingData"): _settings,
    (VIRTUALIZATION, "Msvm_ShutdownComponent"): _shutdown_components,
    (VIRTUALIZATION, "Msvm_StorageJob"): copies.storage_jobs,
}


@cmdlet("CimCmdlets\\Get-CimInstance", simulates="ClassName Namespace Filter")
def get_cim_instance(shell: Shell) -> Sequence[Live]:
    namespace = shell.text("Namespace", CIMV2).replace("\\", "/").lower()
    name = shell.text("ClassName")
    found = INSTANCES.get((namespace, name))
    if found is None:
        if tables.wmi(namespace, name) is not None:
            raise faults.not_simulated(shell.activity, f"-ClassName {name}")
        text = f"Invalid class '{namespace}:{name}'"
        raise _fail(shell, "HRESULT 0x80041010", "MetadataError", text, "0x80041010")
    wanted = _conditions(shell, shell.text("Filter"), f"{namespace}:{name}")
    with shell.reading() as session:
        return [one for one in found(session) if _fulfils(one, wanted)]


def _conditions(shell: Shell, text: str, class_name: str) -> list[tuple[str, str]]:
    """Read `Property='value'`, several joined by AND; nothing else of WQL."""
    found: list[tuple[str, str]] = []
    for part in re.split(r"(?i)\bAND\b", text) if text else []:
        match = _CONDITION.fullmatch(part)
        if match is None or match[1] not in known_properties(class_name):
            invalid = f"Invalid query: {text}"
            raise _fail(shell, "HRESULT 0x80041017", "InvalidArgument", invalid, "0x80041017")
        found.append((match[1], next(one for one in match.groups()[1:] if one is not None)))
    return found


def _fulfils(live: Live, wanted: Sequence[tuple[str, str]]) -> bool:
    """WQL compares texts without case."""
    return all(str(live.property(name)).lower() == value.lower() for name, value in wanted)


@cmdlet(
    "CimCmdlets\\Get-CimAssociatedInstance", simulates="InputObject ResultClassName Association"
)
def get_cim_associated_instance(shell: Shell) -> Sequence[Live]:
    source = shell.lives("InputObject")[0]
    wanted = shell.text("ResultClassName")
    known = {
        ("Msvm_ComputerSystem", "Msvm_VirtualSystemSettingData"): _settings,
        ("Msvm_ComputerSystem", "Msvm_ShutdownComponent"): _shutdown_components,
        ("Msvm_VirtualSystemSettingData", "Msvm_ComputerSystem"): _systems,
        ("Msvm_ShutdownComponent", "Msvm_ComputerSystem"): _systems,
    }
    found = known.get((source.class_name.partition(":")[2], wanted))
    if found is None or not source.identity:
        raise faults.not_simulated(shell.activity, f"{source.class_name} -> {wanted or 'any'}")
    with shell.reading() as session:
        return [one for one in found(session) if one.identity == source.identity]


Method = Callable[[Shell, Session, model.Vm, Mapping[str, Any]], int]


def _initiate_shutdown(
    shell: Shell, session: Session, vm: model.Vm, arguments: Mapping[str, Any]
) -> int:
    refused = _guest_refuses(session, vm)
    if refused:
        return refused
    power.shut_down(vm, session.now, session.pace)
    session.went_off(vm, sessions.ASKED)
    return DONE


def _initiate_reboot(
    shell: Shell, session: Session, vm: model.Vm, arguments: Mapping[str, Any]
) -> int:
    refused = _guest_refuses(session, vm)
    if refused:
        return refused
    power.reboot(vm, session.now, session.pace)
    session.will_reboot(vm)
    return DONE


def _guest_refuses(session: Session, vm: model.Vm) -> int:
    if vm.state == "Stopping":
        return IN_PROGRESS
    if vm.state != "Running":
        return INVALID_STATE
    return DONE if power.guest_is_up(vm, session.now) else NOT_READY


def _request_state(
    shell: Shell, session: Session, vm: model.Vm, arguments: Mapping[str, Any]
) -> int:
    """Ask for a state as WMI does: 4096 and no job that anybody would have to wait for."""
    wanted = arguments["RequestedState"]
    running = vm.state == "Running"
    if wanted == 2 and vm.state in (*power.AT_REST, "Paused", power.CRITICAL):
        powering.begin_start(shell, session, vm)
    elif wanted == 3 and vm.state != "Off":
        power.turn_off(vm, session.now, session.pace)
        session.went_off(vm, sessions.TURNED_OFF)
    elif wanted == 6 and running:
        power.save(vm, session.now, session.pace)
    elif wanted == 9 and running:
        power.pause(vm, session.now, session.pace)
    elif wanted == 11 and running:
        vm.guest_os = session.boots(vm)
        power.reset(vm, session.now, session.pace, bool(vm.guest_os))
    else:
        return INVALID_STATE
    return JOB_STARTED


METHODS: Mapping[tuple[str, str], Method] = {
    ("Msvm_ShutdownComponent", "InitiateShutdown"): _initiate_shutdown,
    ("Msvm_ShutdownComponent", "InitiateReboot"): _initiate_reboot,
    ("Msvm_ComputerSystem", "RequestStateChange"): _request_state,
}


@cmdlet("CimCmdlets\\Invoke-CimMethod", simulates="InputObject MethodName Arguments")
def invoke_cim_method(shell: Shell) -> Sequence[Live]:
    target = shell.lives("InputObject")[0]
    namespace, _, class_name = target.class_name.partition(":")
    name = shell.text("MethodName")
    rows = _rows(shell, namespace, class_name, name)
    arguments = _arguments(shell, rows)
    if (class_name, name) == ("Msvm_StorageJob", "RequestStateChange"):
        code = copies.request_state(shell, target.identity[1], arguments)
        return [Values.of("MethodResult", {"ReturnValue": code})]
    method = METHODS.get((class_name, name))
    if method is None or not target.identity:
        raise faults.not_simulated(shell.activity, f"{class_name}.{name}")
    with shell.changing() as session:
        vm = session.vm(target.identity[0])
        if vm is None:
            raise _fail(shell, "HRESULT 0x80041002", "ObjectNotFound", "Not found", "0x80041002")
        code = method(shell, session, vm, arguments)
        if code in (DONE, JOB_STARTED):
            session.put_vm(vm)
    return [Values.of("MethodResult", {"ReturnValue": code})]


def _rows(shell: Shell, namespace: str, class_name: str, name: str) -> dict[str, tuple[str, str]]:
    """The method's parameters: name -> way and type."""
    table = tables.wmi(namespace, class_name)
    if table is None or name not in table["methods"]:
        text = f"Method '{name}' of '{class_name}' does not exist"
        raise _fail(shell, "HRESULT 0x80041055", "InvalidArgument", text, "0x80041055")
    return {one: (way, kind) for one, way, kind in table["methods"][name]}


def _arguments(shell: Shell, rows: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    given = shell.arguments.get("Arguments", {})
    assert isinstance(given, dict)
    found: dict[str, object] = {}
    for name, value in given.items():
        way, kind = rows.get(name, ("", ""))
        width = value.type if isinstance(value, WmiValue) else _own_type(value)
        if "in" not in way or width != kind:
            text = f"The method has no parameter {name} of type {width}"
            raise _fail(shell, "HRESULT 0x80041005", "InvalidType", text, "0x80041005")
        found[name] = value.value if isinstance(value, WmiValue) else value
    missing = [one for one, (way, _) in rows.items() if way == "in" and one not in found]
    if any(one not in ("TimeoutPeriod", "Reason") for one in missing):
        text = f"The method lacks {', '.join(missing)}"
        raise _fail(shell, "HRESULT 0x80041008", "InvalidArgument", text, "0x80041008")
    return found


def _own_type(value: object) -> str:
    """What a plain value is to WMI; a number has no width of its own and fits none."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else type(value).__name__
