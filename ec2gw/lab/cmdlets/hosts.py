"""The host itself: Get-VMHost, Get-VMSwitch, Get-WinEvent on the log of the workers, its quotas.

Source: learn.microsoft.com/powershell/module/hyper-v/get-vmhost, get-vmswitch; Get-WinEvent
(Microsoft.PowerShell.Diagnostics).
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values, named, time
from ec2gw.lab.cmdlets.shell import Shell, cmdlet, matches
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.world.session import Session

WORKERS = "Microsoft-Windows-Hyper-V-Worker-Admin"

HOST: Mapping[str, Callable[[Session], object]] = {
    "Name": lambda session: session.name.upper(),
    "ComputerName": lambda session: session.name.upper(),
    "FullyQualifiedDomainName": lambda session: f"{session.name}.laboratory",
    "LogicalProcessorCount": lambda session: session.machine.logical_processors,
    "MemoryCapacity": lambda session: session.machine.memory,
    "MacAddressMinimum": lambda session: f"{session.machine.mac_prefix}00",
    "MacAddressMaximum": lambda session: f"{session.machine.mac_prefix}FF",
    "VirtualHardDiskPath": lambda session: r"C:\Users\Public\Documents\Hyper-V\Virtual Hard Disks",
    "VirtualMachinePath": lambda session: r"C:\ProgramData\Microsoft\Windows\Hyper-V",
    "NumaSpanningEnabled": lambda session: True,
    "IovSupport": lambda session: False,
    "MaximumStorageMigrations": lambda session: 2,
    "MaximumVirtualMachineMigrations": lambda session: 2,
    "VirtualMachineMigrationEnabled": lambda session: False,
    "EnableEnhancedSessionMode": lambda session: False,
    "SupportedVmVersions": lambda session: ["5.0", "6.2", "7.0", "7.1", "8.0", "8.1", "8.2", "9.0"],
    "ResourceMeteringSaveInterval": lambda session: datetime.timedelta(hours=1),
    "IsDeleted": lambda session: False,
}


@cmdlet("Hyper-V\\Get-VMHost", simulates="")
def get_vm_host(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        return [Live("VMHost", HOST, session, (session.name,))]


@cmdlet("Hyper-V\\Get-VMSwitch", simulates="Name Id SwitchType")
def get_vm_switch(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        name, ids = shell.text("Name", "*"), shell.texts("Id")
        found = [
            one
            for one in session.machine.switches
            if matches(name, one.name)
            and (not ids or one.id in ids)
            and (not shell.has("SwitchType") or one.type in shell.texts("SwitchType"))
        ]
        if not found and shell.has("Name") and not any(sign in name for sign in "*?["):
            text = f"Hyper-V was unable to find a virtual switch with name '{name}'."
            raise faults.invalid_parameter(shell.activity, text, name)
        return [
            Values.of(
                "VMSwitch",
                {
                    "Name": one.name,
                    "Id": uuid.UUID(one.id),
                    "SwitchType": named("VMSwitchType", one.type),
                    "Notes": "",
                    "AllowManagementOS": False,
                    "NetAdapterInterfaceDescription": "Laboratory Ethernet Adapter",
                    "ComputerName": session.name,
                    "IsDeleted": False,
                },
                one.name,
            )
            for one in found
        ]


@cmdlet("Microsoft.PowerShell.Diagnostics\\Get-WinEvent", simulates="FilterHashtable MaxEvents")
def get_win_event(shell: Shell) -> Sequence[Live]:
    """Read the log of the workers: how machines went off, newest first."""
    asked = shell.arguments["FilterHashtable"]
    tables = asked if isinstance(asked, list) else [asked]
    if len(tables) != 1 or not isinstance(tables[0], dict):
        raise faults.not_simulated(shell.activity, "-FilterHashtable with several tables")
    table = tables[0]
    if table.get("LogName") != WORKERS or not set(table) <= {"LogName", "Id"}:
        raise faults.not_simulated(shell.activity, f"-FilterHashtable {table}")
    wanted = table.get("Id", [])
    numbers = wanted if isinstance(wanted, list) else [wanted]
    with shell.reading() as session:
        found = [one for one in session.events() if not numbers or one.number in numbers]
    if not found:
        text = "No events were found that match the specified selection criteria."
        raise CmdletError(
            id="NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand",
            category="ObjectNotFound",
            activity=shell.activity,
            kind="System.Exception",
            hresult=("0x80131500",),
            text=text,
        )
    return [
        Values.of(
            "EventLogRecord",
            {
                "Id": one.number,
                "TimeCreated": time(one.at),
                "LogName": WORKERS,
                "Properties": [
                    Values.of("EventProperty", {"Value": one.vm_name}),
                    Values.of("EventProperty", {"Value": one.vm_id.upper()}),
                ],
            },
        )
        for one in found[: shell.number("MaxEvents", len(found))]
    ]


@cmdlet("Microsoft.PowerShell.Management\\Get-ChildItem", simulates="Path")
def get_child_item(shell: Shell) -> Sequence[Live]:
    """List the quotas of remote shells, as the door keeps them; no other place has a model."""
    if shell.texts("Path") != ["WSMan:\\localhost\\Shell"]:
        raise faults.not_simulated(shell.activity, f"-Path {', '.join(shell.texts('Path'))}")
    limits = Limits()
    values = {
        "IdleTimeout": int(limits.shell_idle_seconds * 1000),
        "MaxProcessesPerShell": limits.max_processes_per_shell,
        "MaxShellsPerUser": limits.max_shells_per_user,
    }
    return [
        Values.of("WSManConfigLeafElement", {"Name": name, "Value": str(value)}, name)
        for name, value in values.items()
    ]
