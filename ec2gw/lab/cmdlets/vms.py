"""Virtual machines: Get-, New-, Set-, Rename- and Remove-VM, processor and memory; the VM object.

Source: learn.microsoft.com/powershell/module/hyper-v; the class VirtualMachine as recorded.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ec2gw.lab.cmdlets import drives, dvds, faults, identity, nics
from ec2gw.lab.cmdlets.objects import Live, Values, named, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, paths, power
from ec2gw.lab.world import session as sessions

MIB = 1024**2
MINIMUM_MEMORY = 32 * MIB


@dataclass(frozen=True, slots=True)
class At:
    """A machine in the session in which it was read."""

    vm: model.Vm
    session: sessions.Session


def _status(at: At) -> list[Any]:
    secondary = _secondary(at)
    return [named("VMOperationalStatus", "Ok"), *([secondary] if secondary else [])]


def _secondary(at: At) -> Any:
    busy = disks.busy(at.session, at.vm)
    return named("VMOperationalStatus", busy) if busy else None


BUSY = {"": "", "CreatingSnapshot": "Creating checkpoint", "MergingDisks": "Merging disks"}


def _busy_text(at: At) -> str:
    return BUSY[disks.busy(at.session, at.vm)]


def _heartbeat(at: At) -> object:
    name = power.heartbeat(at.vm, at.session.now)
    return None if name is None else named("VMHeartbeatStatus", name)


def _assigned(at: At) -> int:
    return at.vm.memory_startup if power.working(at.vm) else 0


VM: Mapping[str, Callable[[At], object]] = {
    "Id": lambda at: uuid.UUID(at.vm.id),
    "Name": lambda at: at.vm.name,
    "State": lambda at: named("VMState", at.vm.state),
    "Notes": lambda at: at.vm.notes,
    "Generation": lambda at: at.vm.generation,
    "Path": lambda at: at.vm.path,
    "ConfigurationLocation": lambda at: at.vm.path,
    "SnapshotFileLocation": lambda at: at.vm.path,
    "SmartPagingFilePath": lambda at: at.vm.path,
    "SmartPagingFileInUse": lambda at: False,
    "CreationTime": lambda at: time(at.vm.created_at),
    "Uptime": lambda at: datetime.timedelta(seconds=power.uptime(at.vm, at.session.now)),
    "Heartbeat": _heartbeat,
    "OperationalStatus": _status,
    "PrimaryOperationalStatus": lambda at: named("VMOperationalStatus", "Ok"),
    "SecondaryOperationalStatus": _secondary,
    "Status": lambda at: _busy_text(at) or "Operating normally",
    "StatusDescriptions": lambda at: ["Operating normally", *filter(None, [_busy_text(at)])],
    "PrimaryStatusDescription": lambda at: "Operating normally",
    "SecondaryStatusDescription": _busy_text,
    "CPUUsage": lambda at: 0,
    "MemoryAssigned": _assigned,
    "MemoryDemand": _assigned,
    "MemoryStatus": lambda at: "",
    "MemoryStartup": lambda at: at.vm.memory_startup,
    "MemoryMinimum": lambda at: at.vm.memory_minimum,
    "MemoryMaximum": lambda at: at.vm.memory_maximum,
    "DynamicMemoryEnabled": lambda at: at.vm.dynamic_memory,
    "ProcessorCount": lambda at: at.vm.processors,
    "AutomaticStartAction": lambda at: named("StartAction", at.vm.start_action),
    "AutomaticStartDelay": lambda at: at.vm.start_delay,
    "AutomaticStopAction": lambda at: named("StopAction", at.vm.stop_action),
    "CheckpointType": lambda at: named("CheckpointType", at.vm.checkpoint_type),
    "AutomaticCheckpointsEnabled": lambda at: at.vm.automatic_checkpoints,
    "IntegrationServicesState": lambda at: "",
    "ReplicationState": lambda at: named("VMReplicationState", "Disabled"),
    "ReplicationMode": lambda at: named("VMReplicationMode", "None"),
    "ResourceMeteringEnabled": lambda at: False,
    "IsClustered": lambda at: False,
    "IsDeleted": lambda at: at.session.vm(at.vm.id) is None,
    "ComputerName": lambda at: at.session.name,
    "Version": lambda at: "9.0",
    "ParentSnapshotId": lambda at: uuid.UUID(at.vm.snapshots[-1].id) if at.vm.snapshots else None,
    "ParentSnapshotName": lambda at: at.vm.snapshots[-1].name if at.vm.snapshots else None,
    "HardDrives": lambda at: [drives.disk_object(at.session, at.vm, one) for one in at.vm.disks],
    "DVDDrives": lambda at: [dvds.dvd_object(at.session, at.vm, one) for one in at.vm.dvds],
    "NetworkAdapters": lambda at: [nics.nic_object(at.session, at.vm, n) for n in at.vm.nics],
    "AutomaticCriticalErrorAction": lambda at: named(
        "CriticalErrorAction", str(at.vm.settings.get("AutomaticCriticalErrorAction", "Pause"))
    ),
    "AutomaticCriticalErrorActionTimeout": lambda at: at.vm.settings.get(
        "AutomaticCriticalErrorActionTimeout", 30
    ),
    "LockOnDisconnect": lambda at: named(
        "OnOffState", str(at.vm.settings.get("LockOnDisconnect", "Off"))
    ),
    "BatteryPassthroughEnabled": lambda at: False,
    "GuestControlledCacheTypes": lambda at: at.vm.settings.get("GuestControlledCacheTypes", False),
    "NumaAligned": lambda at: None,
    "SizeOfSystemFiles": lambda at: sum(
        file.size for name in _own_files(at.vm) if (file := at.session.file(name))
    ),
}


def vm_object(session: sessions.Session, vm: model.Vm) -> Live:
    return Live("VirtualMachine", VM, At(vm, session), (vm.id,))


def _own_files(vm: model.Vm) -> list[str]:
    folder = paths.join(vm.path, "Virtual Machines")
    return [paths.join(folder, f"{vm.id.upper()}{end}") for end in (".vmcx", ".vmrs")]


@cmdlet("Hyper-V\\Get-VM", simulates="Name Id")
def get_vm(shell: Shell) -> Sequence[Live]:
    chosen = shell.has("Name") or shell.has("Id")
    ids = shell.vm_ids() if chosen else None
    with shell.reading() as session:
        if ids is None:
            return [vm_object(session, vm) for vm in session.vms()]
        return [vm_object(session, vm) for one in ids if (vm := session.vm(one))]


@cmdlet(
    "Hyper-V\\New-VM",
    simulates="Name MemoryStartupBytes Generation NoVHD Path SwitchName VHDPath BootDevice Force",
)
def new_vm(shell: Shell) -> Sequence[Live]:
    generation = shell.number("Generation", 1)
    memory = shell.number("MemoryStartupBytes", model.GIB)
    name = shell.text("Name", "New Virtual Machine")
    _check_memory(shell, memory, generation)
    with shell.changing() as session:
        vm_id = str(uuid.uuid4())
        folder = shell.text("Path", r"C:\ProgramData\Microsoft\Windows\Hyper-V")
        vm = model.Vm(
            id=vm_id,
            name=name,
            generation=generation,
            path=paths.join(paths.canonical(folder), name),
            created_at=session.now,
            changed_at=session.now,
            memory_startup=memory,
            bios_guid=f"{{{uuid.uuid4()}}}".upper(),
            serial_number=identity.new_number(),
            asset_tag=identity.new_number(),
        )
        vm.nics.append(
            nics.new_nic(shell, session, "Network Adapter", shell.text("SwitchName") or None)
        )
        if generation == 1:
            vm.dvds.append(model.Dvd("IDE", 1, 0))
        if shell.has("VHDPath"):
            kind = "IDE" if generation == 1 else "SCSI"
            drives.attach(shell, session, vm, kind, 0, 0, shell.text("VHDPath"))
        if shell.has("BootDevice"):
            vm.startup_order.insert(0, shell.text("BootDevice"))
        session.make_folders(paths.join(vm.path, "Virtual Machines"), sessions.SYSTEM)
        for path in _own_files(vm):
            session.put_file(
                model.File(path, False, sessions.SYSTEM, size=64 * 1024, created_at=session.now)
            )
        session.put_vm(vm)
        return [vm_object(session, vm)]


def _check_memory(shell: Shell, memory: int, generation: int) -> None:
    if not MINIMUM_MEMORY <= memory <= sessions.MAXIMUM_MEMORY[generation] or memory % (2 * MIB):
        text = "The memory must lie in the supported range and be a multiple of 2 MB."
        raise faults.invalid_parameter(shell.activity, text, str(memory))


SHOWN = {
    "Notes": "notes",
    "AutomaticStartAction": "start_action",
    "AutomaticStartDelay": "start_delay",
    "AutomaticStopAction": "stop_action",
    "CheckpointType": "checkpoint_type",
    "AutomaticCheckpointsEnabled": "automatic_checkpoints",
}
"""Parameters of Set-VM that a running machine accepts too -> field of the record."""
KEPT = ("AutomaticCriticalErrorAction", "AutomaticCriticalErrorActionTimeout", "LockOnDisconnect")
POWERED_OFF = {
    "ProcessorCount",
    "StaticMemory",
    "DynamicMemory",
    "MemoryStartupBytes",
    "MemoryMinimumBytes",
    "MemoryMaximumBytes",
    "GuestControlledCacheTypes",
}


@cmdlet(
    "Hyper-V\\Set-VM",
    simulates="VM Name Notes AutomaticStartAction AutomaticStartDelay AutomaticStopAction "
    "CheckpointType AutomaticCheckpointsEnabled AutomaticCriticalErrorAction "
    "AutomaticCriticalErrorActionTimeout LockOnDisconnect GuestControlledCacheTypes "
    "ProcessorCount StaticMemory DynamicMemory MemoryStartupBytes MemoryMinimumBytes "
    "MemoryMaximumBytes NewVMName",
)
def set_vm(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if power.transitional(vm) or disks.busy(session, vm) == "CreatingSnapshot":
                raise faults.invalid_state(shell.activity, vm.name)
            if power.working(vm) and POWERED_OFF & set(shell.arguments):
                raise faults.invalid_state(shell.activity, vm.name)
            for parameter, field in SHOWN.items():
                if shell.has(parameter):
                    setattr(vm, field, shell.arguments[parameter])
            for parameter in (*KEPT, "GuestControlledCacheTypes"):
                value = shell.arguments.get(parameter)
                if isinstance(value, str | int):
                    vm.settings[parameter] = value
            if shell.has("NewVMName"):
                vm.name = shell.text("NewVMName")
            if shell.has("ProcessorCount"):
                _set_processors(shell, vm, shell.number("ProcessorCount"))
            _set_memory(
                shell,
                vm,
                dynamic=shell.flag("DynamicMemory")
                or (vm.dynamic_memory and not shell.flag("StaticMemory")),
                startup=shell.number("MemoryStartupBytes", vm.memory_startup),
                minimum=shell.number("MemoryMinimumBytes", vm.memory_minimum),
                maximum=shell.number("MemoryMaximumBytes", vm.memory_maximum),
            )
            session.put_vm(vm)
            changed.append(vm_object(session, vm))
    return changed if shell.flag("Passthru") else []


def _set_processors(shell: Shell, vm: model.Vm, count: int) -> None:
    if not 1 <= count <= sessions.MAXIMUM_PROCESSORS[vm.generation]:
        text = "The number of virtual processors is out of range."
        raise faults.invalid_parameter(shell.activity, text, str(count))
    vm.processors = count


def _set_memory(
    shell: Shell, vm: model.Vm, *, dynamic: bool, startup: int, minimum: int, maximum: int
) -> None:
    if startup != vm.memory_startup:
        _check_memory(shell, startup, vm.generation)
    if dynamic and not minimum <= startup <= maximum:
        text = "The startup memory must lie between the minimum and the maximum."
        raise faults.invalid_parameter(shell.activity, text, str(startup))
    vm.dynamic_memory = dynamic
    vm.memory_startup, vm.memory_minimum, vm.memory_maximum = startup, minimum, maximum


@cmdlet("Hyper-V\\Set-VMProcessor", simulates="VM VMName Count")
def set_vm_processor(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if shell.has("Count"):
                if power.working(vm):
                    raise faults.invalid_state(shell.activity, vm.name)
                _set_processors(shell, vm, shell.number("Count"))
            session.put_vm(vm)
            changed.append(processor_object(session, vm))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Get-VMProcessor", simulates="VM VMName")
def get_vm_processor(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [processor_object(session, shell.vm(session, one)) for one in ids]


def processor_object(session: sessions.Session, vm: model.Vm) -> Live:
    values = {
        "Count": vm.processors,
        "Maximum": 100,
        "Reserve": 0,
        "RelativeWeight": 100,
        **_component(session, vm),
    }
    return Values.of("VMProcessor", values, vm.id)


@cmdlet(
    "Hyper-V\\Set-VMMemory",
    simulates="VM VMName DynamicMemoryEnabled StartupBytes MinimumBytes MaximumBytes",
)
def set_vm_memory(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if power.working(vm):
                raise faults.invalid_state(shell.activity, vm.name)
            _set_memory(
                shell,
                vm,
                dynamic=bool(shell.arguments.get("DynamicMemoryEnabled", vm.dynamic_memory)),
                startup=shell.number("StartupBytes", vm.memory_startup),
                minimum=shell.number("MinimumBytes", vm.memory_minimum),
                maximum=shell.number("MaximumBytes", vm.memory_maximum),
            )
            session.put_vm(vm)
            changed.append(memory_object(session, vm))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Get-VMMemory", simulates="VM VMName")
def get_vm_memory(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    with shell.reading() as session:
        return [memory_object(session, shell.vm(session, one)) for one in ids]


def memory_object(session: sessions.Session, vm: model.Vm) -> Live:
    values = {
        "Startup": vm.memory_startup,
        "Minimum": vm.memory_minimum,
        "Maximum": vm.memory_maximum,
        "DynamicMemoryEnabled": vm.dynamic_memory,
        **_component(session, vm),
    }
    return Values.of("VMMemory", values, vm.id)


def _component(session: sessions.Session, vm: model.Vm) -> dict[str, object]:
    return {
        "VMId": uuid.UUID(vm.id),
        "VMName": vm.name,
        "ComputerName": session.name,
        "IsDeleted": False,
    }


@cmdlet("Hyper-V\\Rename-VM", simulates="VM Name NewName")
def rename_vm(shell: Shell) -> Sequence[Live]:
    changed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            vm.name = shell.text("NewName")  # its folders keep the old one
            session.put_vm(vm)
            changed.append(vm_object(session, vm))
    return changed if shell.flag("Passthru") else []


@cmdlet("Hyper-V\\Remove-VM", simulates="VM Name Force")
def remove_vm(shell: Shell) -> Sequence[Live]:
    """Remove the machine and its configuration; virtual disks and folders stay.

    What its checkpoints held apart goes on to merge after it.
    """
    removed: list[Live] = []
    for vm_id in shell.vm_ids():
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if power.working(vm) or disks.busy(session, vm) == "CreatingSnapshot":
                raise faults.invalid_state(shell.activity, vm.name)
            disks.remove(session, vm, vm.snapshots)
            for path in _own_files(vm):
                if session.file(path):
                    session.drop_file(path)
            session.outlive(vm)
            session.drop_vm(vm)
            removed.append(vm_object(session, vm))
    return removed if shell.flag("Passthru") else []
