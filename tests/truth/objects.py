"""What every simulated cmdlet brings back, and whether it is what the recorded classes have.

Holds a world in which each cmdlet has something to tell, one call of each, and the check of an
object with all that it holds; no test.

Source: ec2gw/lab/binding/data/README.md (classes of Hyper-V by reflection, WMI of live hosts).
"""

from __future__ import annotations

import base64
import datetime
import enum
import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ec2gw.lab.agent.host import CmdletError, WmiValue
from ec2gw.lab.binding import tables
from ec2gw.lab.binding.values import WIDTHS, isa
from ec2gw.lab.cmdlets.objects import Live
from tests.unit.lab_host import LINUX, ROOT, Bench

GIB: Final = 1024**3
HERE: Final = rf"{ROOT}\instances\i-1"
VIRTUALIZATION: Final = "root/virtualization/v2"
_VERSION: Final = "a" * 16
_WORKERS: Final = "Microsoft-Windows-Hyper-V-Worker-Admin"

SILENT: Final = frozenset(
    (
        *("Agent\\Move-File", "Agent\\New-Folder", "Agent\\Remove-Transfer", "Agent\\Remove-Tree"),
        *("Agent\\Set-VMIdentity", "Agent\\Start-ConsoleReader", "Agent\\Start-Transfer"),
        *("Agent\\Stop-ConsoleReader", "Agent\\Watch-Console"),
    )
)
"""What brings nothing back, as docs/agent.md has it; every cmdlet of Hyper-V brings something."""

PLAIN: Final[Mapping[str, type]] = {
    "string": str,
    "bool": bool,
    "boolean": bool,
    "guid": uuid.UUID,
    "timespan": datetime.timedelta,
    "datetime": datetime.datetime,
    "number": int,
    "sint16": int,
}


class Stage:
    """A host with a running machine, one that is off, and whatever else cmdlets speak of."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        _read_consoles(bench)
        self.on = bench.create("i-1")
        bench("Set-VMComPort", VM=self.on, Number=1, Path=r"\\.\pipe\i-1")
        bench("Start-VM", VM=self.on)
        bench.clock.advance(10)
        self.off = bench.create("i-2")
        self.old = bench.create("i-3", generation=1)
        for vm in (self.on, self.off):
            bench("Add-VMDvdDrive", VM=vm)
            bench("Add-VMNetworkAdapter", VM=vm, Name="eni-1", SwitchName="ec2gw")
        self.nic = self._nic(self.off)
        for nic in (self.nic, self._nic(self.on)):
            bench(
                "Add-VMNetworkAdapterExtendedAcl",
                VMNetworkAdapter=nic,
                Action="Deny",
                Direction="Inbound",
                Weight=1,
            )
        bench("Checkpoint-VM", VM=self.off)
        self.disk = rf"{HERE}\data.vhdx"
        bench("New-VHD", Path=self.disk, SizeBytes=GIB, Dynamic=True)
        bench("Agent\\Start-DiskCopy", Source=LINUX, Destination=rf"{HERE}\copy.vhdx")
        self.spare = rf"{HERE}\spare.vhdx"
        bench("New-VHD", Path=self.spare, SizeBytes=GIB, Dynamic=True)
        bench("Agent\\Write-FileChunk", Path=rf"{ROOT}\tmp\a", Offset=0, Base64=_text(b"a"))
        went = bench.start("i-4")
        bench("Stop-VM", VM=went, TurnOff=True)
        bench.clock.advance(60)

    def _nic(self, vm: Live) -> Live:
        return self.bench("Get-VMNetworkAdapter", VM=vm, Name="eni-1")[0]

    def drive(self, noun: str, vm: Live) -> Live:
        return self.bench(f"Get-VM{noun}", VM=vm)[0]

    def cim(self, class_name: str) -> list[Live]:
        namespace = "root/cimv2" if class_name.startswith("Win32") else VIRTUALIZATION
        named = {"ClassName": class_name, "Namespace": namespace}
        return self.bench("CimCmdlets\\Get-CimInstance", **named)

    def machine(self, vm: Live) -> Live:
        wanted = str(vm.property("Id")).upper()
        return next(
            one for one in self.cim("Msvm_ComputerSystem") if one.property("Name") == wanted
        )


def _read_consoles(bench: Bench) -> None:
    """Let the task that reads consoles run, and be told whose."""
    for folder in ("tasks", "tmp"):
        bench("Agent\\New-Folder", Path=rf"{ROOT}\{folder}")
    script = rf"{ROOT}\tasks\console-{_VERSION}.ps1"
    bench("Agent\\Write-FileChunk", Path=script, Offset=0, Base64=_text(b"a"))
    digest = hashlib.sha256(b"a").hexdigest()
    bench("Agent\\Complete-File", Path=script, Sha256=digest, Length=1)
    bench("Agent\\Watch-Console", Names=["i-1"], Others=[])
    bench("Agent\\Start-ConsoleReader", Version=_VERSION)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


Arguments = Callable[[Stage], Mapping[str, object]]


def _given(**arguments: object) -> Arguments:
    return lambda stage: arguments


def _of(noun: str = "off", **arguments: object) -> Arguments:
    """Of one of the machines of the stage; what changes something also tells it."""
    return lambda stage: {"VM": getattr(stage, noun), **arguments}


def _told(noun: str = "off", **arguments: object) -> Arguments:
    return _of(noun, Passthru=True, **arguments)


def _nic(**arguments: object) -> Arguments:
    return lambda stage: {"VMNetworkAdapter": stage.nic, **arguments}


def _transfer(**arguments: object) -> Mapping[str, object]:
    return {
        "Generation": 1,
        "Direction": "Send",
        "Path": LINUX,
        "Url": "https://127.0.0.1:8774/files/1",
        "Certificate": "a" * 64,
        "Token": "b" * 64,
        **arguments,
    }


CALLS: Final[Mapping[str, Arguments]] = {
    "Agent\\Write-FileChunk": _given(Path=rf"{ROOT}\tmp\b", Offset=0, Base64=_text(b"b")),
    "Agent\\Complete-File": _given(
        Path=rf"{ROOT}\tmp\a", Sha256=hashlib.sha256(b"a").hexdigest(), Length=1
    ),
    "Agent\\Get-FileState": _given(Path=rf"{ROOT}\tasks\console-{_VERSION}.ps1", Hash=True),
    "Agent\\Move-File": _given(Path=rf"{ROOT}\tmp\a", Destination=rf"{ROOT}\tmp\c"),
    "Agent\\New-Folder": _given(Path=rf"{ROOT}\tmp\folder"),
    "Agent\\Test-Root": _given(),
    "Agent\\Start-DiskCopy": _given(Source=LINUX, Destination=rf"{HERE}\again.vhdx"),
    "Agent\\Start-Transfer": lambda stage: _transfer(Name="transfer-1"),
    "Agent\\Get-Transfer": _given(Name="transfer-1"),
    "Agent\\Remove-Transfer": _given(Name="transfer-1"),
    "Agent\\Get-Thumbnail": lambda stage: {
        "Id": str(stage.on.property("Id")),
        "Width": 640,
        "Height": 480,
    },
    "Agent\\Watch-Console": _given(Names=["i-1"], Others=[]),
    "Agent\\Start-ConsoleReader": _given(Version=_VERSION),
    "Agent\\Get-ConsoleReader": _given(),
    "Agent\\Get-Console": _given(Name="i-1"),
    "Agent\\Stop-ConsoleReader": _given(),
    "Agent\\Set-VMIdentity": lambda stage: {
        "Id": str(stage.off.property("Id")),
        "AssetTag": "ec2gw",
    },
    "CimCmdlets\\Get-CimInstance": _given(
        ClassName="Msvm_ComputerSystem", Namespace=VIRTUALIZATION
    ),
    "CimCmdlets\\Get-CimAssociatedInstance": lambda stage: {
        "InputObject": stage.machine(stage.on),
        "ResultClassName": "Msvm_VirtualSystemSettingData",
    },
    "CimCmdlets\\Invoke-CimMethod": lambda stage: {
        "InputObject": stage.machine(stage.on),
        "MethodName": "RequestStateChange",
        "Arguments": {"RequestedState": WmiValue("uint16", 2)},
    },
    "Hyper-V\\Get-VM": _given(),
    "Hyper-V\\Get-VMHost": _given(),
    "Hyper-V\\Get-VMSwitch": _given(),
    "Hyper-V\\Get-VHD": lambda stage: {"Path": [LINUX, stage.disk, rf"{HERE}\root.vhdx"]},
    "Hyper-V\\Get-VMBios": _of("old"),
    "Hyper-V\\Get-VMComPort": _of(),
    "Hyper-V\\Get-VMDvdDrive": _of(),
    "Hyper-V\\Get-VMFirmware": _of(),
    "Hyper-V\\Get-VMHardDiskDrive": _of(),
    "Hyper-V\\Get-VMIntegrationService": _of("on"),
    "Hyper-V\\Get-VMMemory": _of(),
    "Hyper-V\\Get-VMNetworkAdapter": _of("on"),
    "Hyper-V\\Get-VMNetworkAdapterExtendedAcl": _nic(),
    "Hyper-V\\Get-VMNetworkAdapterVlan": _nic(),
    "Hyper-V\\Get-VMProcessor": _of(),
    "Hyper-V\\Get-VMSnapshot": _of(),
    "Hyper-V\\New-VHD": _given(Path=rf"{HERE}\new.vhdx", SizeBytes=GIB),
    "Hyper-V\\New-VM": _given(
        Name="i-9", Generation=2, MemoryStartupBytes=GIB, NoVHD=True, Path=rf"{ROOT}\instances"
    ),
    "Hyper-V\\Add-VMDvdDrive": _told(),
    "Hyper-V\\Add-VMHardDiskDrive": lambda stage: {
        "VM": stage.off,
        "ControllerType": "SCSI",
        "Path": stage.disk,
        "Passthru": True,
    },
    "Hyper-V\\Add-VMNetworkAdapter": _told(Name="eni-2", StaticMacAddress="02AABBCCDDEE"),
    "Hyper-V\\Add-VMNetworkAdapterExtendedAcl": _nic(
        Action="Allow", Direction="Outbound", Weight=2, Passthru=True
    ),
    "Hyper-V\\Checkpoint-VM": _told(SnapshotName="snap-1"),
    "Hyper-V\\Connect-VMNetworkAdapter": _nic(SwitchName="ec2gw", Passthru=True),
    "Hyper-V\\Disconnect-VMNetworkAdapter": _nic(Passthru=True),
    "Hyper-V\\Rename-VM": _told("old", NewName="i-5"),
    "Hyper-V\\Rename-VMNetworkAdapter": _nic(NewName="eni-1", Passthru=True),
    "Hyper-V\\Resize-VHD": lambda stage: {
        "Path": stage.spare,
        "SizeBytes": 2 * GIB,
        "Passthru": True,
    },
    "Hyper-V\\Set-VHD": lambda stage: {
        "Path": stage.spare,
        "ResetDiskIdentifier": True,
        "Force": True,
        "Passthru": True,
    },
    "Hyper-V\\Test-VHD": _given(Path=LINUX),
    "Hyper-V\\Set-VM": _told(Notes="x"),
    "Hyper-V\\Set-VMBios": _told(
        "old", StartupOrder=["IDE", "CD", "LegacyNetworkAdapter", "Floppy"]
    ),
    "Hyper-V\\Set-VMComPort": _told(Number=1, Path=r"\\.\pipe\i-2"),
    "Hyper-V\\Set-VMDvdDrive": lambda stage: {
        "VMDvdDrive": stage.drive("DvdDrive", stage.off),
        "Path": None,
        "Passthru": True,
    },
    "Hyper-V\\Set-VMFirmware": _told(EnableSecureBoot="Off"),
    "Hyper-V\\Set-VMHardDiskDrive": lambda stage: {
        "VMHardDiskDrive": stage.drive("HardDiskDrive", stage.off),
        "MaximumIOPS": 100,
        "Passthru": True,
    },
    "Hyper-V\\Set-VMMemory": _told(StartupBytes=GIB),
    "Hyper-V\\Set-VMNetworkAdapter": _nic(DhcpGuard="On", Passthru=True),
    "Hyper-V\\Set-VMNetworkAdapterVlan": _nic(Access=True, VlanId=7, Passthru=True),
    "Hyper-V\\Set-VMProcessor": _told(Count=2),
    "Hyper-V\\Start-VM": _told(),
    "Hyper-V\\Suspend-VM": _told("on"),
    "Hyper-V\\Resume-VM": _told("on"),
    "Hyper-V\\Save-VM": _told("on"),
    "Hyper-V\\Restart-VM": _told(Force=True),
    "Hyper-V\\Stop-VM": _told(TurnOff=True),
    "Microsoft.PowerShell.Diagnostics\\Get-WinEvent": _given(FilterHashtable={"LogName": _WORKERS}),
    "Microsoft.PowerShell.Management\\Get-ChildItem": _given(Path=r"WSMan:\localhost\Shell"),
    "Hyper-V\\Remove-VMNetworkAdapterExtendedAcl": _nic(
        Direction="Inbound", Weight=1, Passthru=True
    ),
    "Hyper-V\\Remove-VMNetworkAdapter": _nic(Passthru=True),
    "Hyper-V\\Remove-VMDvdDrive": lambda stage: {
        "VMDvdDrive": stage.drive("DvdDrive", stage.off),
        "Passthru": True,
    },
    "Hyper-V\\Remove-VMHardDiskDrive": lambda stage: {
        "VMHardDiskDrive": stage.drive("HardDiskDrive", stage.old),
        "Passthru": True,
    },
    "Hyper-V\\Remove-VMSnapshot": lambda stage: {
        "VMSnapshot": stage.drive("Snapshot", stage.off),
        "Passthru": True,
    },
    "Hyper-V\\Remove-VM": _told("old", Force=True),
    "Agent\\Remove-Tree": _given(Path=rf"{ROOT}\tmp\folder"),
}
"""One call of each simulated cmdlet, in an order in which each has something to tell."""


def ask(stage: Stage, qualified: str) -> list[Any]:
    """Make the call; time passes after it."""
    found = list(stage.bench.invoke(qualified, **CALLS[qualified](stage)).objects)
    stage.bench.clock.advance(60)
    return found


# -- the check


@dataclass
class Held:
    """What was looked at. `refused` names properties that the laboratory has no model of."""

    classes: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def recorded(class_name: str) -> Mapping[str, str]:
    """The properties of a class as they were recorded: name -> type."""
    if ":" in class_name:
        table = tables.wmi(*class_name.split(":", 1))
        properties: Mapping[str, str] = table["properties"] if table else {}
        return properties
    return tables.properties(class_name) or {}


def hold(objects: Iterable[object], held: Held) -> None:
    """Look at objects and at all that they hold; one property less or of another type is wrong."""
    for live in _all(objects):
        held.classes.add(live.class_name)
        kinds = recorded(live.class_name)
        for name in live.modelled() - kinds.keys():
            held.wrong.append(f"{live.class_name} has no {name}")
        for name, kind in kinds.items():
            _hold_property(live, name, kind, held)


def _hold_property(live: Live, name: str, kind: str, held: Held) -> None:
    path = f"{live.class_name}.{name}"
    try:
        value = live.property(name)
    except CmdletError as refused:
        if refused.id != "NotSimulated" or path not in refused.text:
            held.wrong.append(f"{path} fails: {refused}")
        held.refused.add(path)
        return
    except KeyError:
        held.wrong.append(f"{path} is missing")
        return
    held.shown.add(path)
    if not is_a(value, kind):
        held.wrong.append(f"{path} is {value!r}, not {kind}")


def _all(objects: Iterable[object]) -> Iterator[Live]:
    """Objects and what they hold, each once: some hold each other."""
    waiting, seen = list(objects), set[tuple[str, tuple[str, ...]]]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        if not isinstance(one, Live) or (one.identity and (one.class_name, one.identity) in seen):
            continue
        seen.add((one.class_name, one.identity))
        yield one
        waiting += [one.property(name) for name in one.modelled() & one.known()]


def is_a(value: object, kind: str) -> bool:
    """Whether a value is of a recorded type; enumerations are members by name."""
    base = kind.removesuffix("?")
    if value is None:
        # .NET texts and objects may be null, as whatever the table marks so.
        return kind.endswith("?") or base == "string"
    if base.endswith("[]"):
        return isinstance(value, list) and all(is_a(one, base[:-2]) for one in value)
    if base in tables.enums():
        return isinstance(value, enum.Enum) and value.name in tables.enums()[base]
    if base in WIDTHS:
        low, high = WIDTHS[base]
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and low <= int(str(value)) <= high
    if base in PLAIN:
        return isinstance(value, PLAIN[base])
    if base == "object":
        return True
    return isinstance(value, Live) and isa(value.class_name, base)
