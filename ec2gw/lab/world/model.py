"""What the simulated hosts hold: VMs, their devices, files, switches, as plain records.

Times are seconds since the epoch by the world's clock; a time that lies ahead is a transition
that is under way (`power.py` moves records on). Nothing here knows cmdlets, storage or threads.

Source: docs/architecture.md, "The laboratory".
"""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

GIB = 1024**3
T = TypeVar("T")


@dataclass
class Step:
    """A state that a VM takes at a time to come."""

    at: float
    state: str


@dataclass
class Said:
    """What a guest writes to its serial console at a time."""

    at: float
    text: str


@dataclass
class Guest:
    """How the operating system inside behaves; tests set it per VM."""

    boots: bool = True
    shutdown: str = "obeys"
    """`obeys`; `ignores`: stays up; `hangs`: begins to go down, never gets there."""
    boot_seconds: float = 5.0
    addresses_seconds: float = 1.0
    """From the first heartbeat to the first addresses."""
    shutdown_seconds: float = 3.0
    reports_addresses: bool = True
    vss: bool = True
    """Whether it can hold its file systems still for a production checkpoint."""
    says: str = "Linux version 6.1.0-cloud-amd64\r\nCommand line: console=ttyS0,115200\r\n"
    """What it writes to its serial console when it begins to boot."""
    says_up: str = "\r\nlogin: "
    """And when it is up."""


@dataclass
class Acl:
    """A rule of an adapter's port; `ANY` where it says nothing."""

    direction: str
    action: str
    weight: int
    local_address: str = "ANY"
    remote_address: str = "ANY"
    local_port: str = "ANY"
    remote_port: str = "ANY"
    protocol: str = "ANY"
    stateful: bool = False
    idle_seconds: int = 0
    isolation_id: int = 0


@dataclass
class Nic:
    id: str
    name: str
    switch: str | None = None
    mac: str = "000000000000"
    dynamic_mac: bool = True
    mac_spoofing: str = "Off"
    dhcp_guard: str = "Off"
    router_guard: str = "Off"
    device_naming: str = "Off"
    vlan_mode: str = "Untagged"
    vlan_id: int = 0
    native_vlan_id: int = 0
    allowed_vlans: str = ""
    maximum_bandwidth: int = 0
    legacy: bool = False
    acls: list[Acl] = field(default_factory=list)


@dataclass
class Disk:
    """A hard disk drive: `path` is None for a drive without a disk."""

    controller_type: str
    number: int
    location: int
    path: str | None
    maximum_iops: int = 0
    minimum_iops: int = 0


@dataclass
class Dvd:
    controller_type: str
    number: int
    location: int
    path: str | None = None


@dataclass
class Snapshot:
    id: str
    name: str
    created_at: float
    kind: str = "Standard"
    parent_id: str | None = None
    disks: list[Disk] = field(default_factory=list)
    """The drives with the files that it froze."""
    with_memory: bool = False
    """Taken of a running machine without its guest's help: its memory lies beside it."""


@dataclass
class Vm:
    id: str
    name: str
    generation: int
    path: str
    """The folder of its configuration: New-VM's -Path plus the name it had then."""
    created_at: float
    memory_startup: int = GIB
    memory_minimum: int = 512 * 1024**2
    memory_maximum: int = 1024 * GIB
    dynamic_memory: bool = False
    processors: int = 1
    notes: str = ""
    start_action: str = "StartIfRunning"
    start_delay: int = 0
    stop_action: str = "Save"
    checkpoint_type: str = "Production"
    automatic_checkpoints: bool = False
    secure_boot: str = "On"
    secure_boot_template: str = "MicrosoftWindows"
    bios_guid: str = ""
    """In braces, as are the next two what the guest finds in its firmware's tables (SMBIOS)."""
    serial_number: str = ""
    asset_tag: str = ""
    com_ports: list[str] = field(default_factory=lambda: ["", ""])
    """The pipes that its two COM ports are tied to."""
    boot_order: list[str] = field(default_factory=list)
    startup_order: list[str] = field(
        default_factory=lambda: ["CD", "IDE", "LegacyNetworkAdapter", "Floppy"]
    )
    settings: dict[str, str | int | bool] = field(default_factory=dict)
    """Settings that change nothing in the model, by the property that shows them."""
    disks: list[Disk] = field(default_factory=list)
    dvds: list[Dvd] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    state: str = "Off"
    changed_at: float = 0.0
    steps: list[Step] = field(default_factory=list)
    started_at: float | None = None
    """Since when the virtual machine is powered; None when it is not."""
    heartbeat_at: float | None = None
    """When the guest first answered or will; None: never."""
    addresses_at: float | None = None
    silent_from: float | None = None
    """Since when the guest has not answered any more: hung or crashed."""
    released_at: float = 0.0
    """When the files of its last run are closed."""
    release_seconds: float = 0.0
    guest_os: str = ""
    """What it was started from: `linux`, `windows` or nothing that boots."""
    said: list[Said] = field(default_factory=list)
    """What it has written to its console, or will, and nobody has read or missed yet."""
    guest: Guest = field(default_factory=Guest)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """What the guest reports per adapter id, where a test has said so."""


@dataclass
class Vhd:
    """What the header of a virtual disk says."""

    format: str
    type: str
    size: int
    identifier: str
    parent: str | None = None
    block_size: int = 32 * 1024**2
    logical_sector: int = 512
    physical_sector: int = 4096
    guest: str = ""
    """What would boot from it: `linux`, `windows` or nothing."""
    generations: list[int] = field(default_factory=list)
    stamp: int = 0
    """Raised by whatever writes into it; a child knows the one that its parent had."""
    parent_stamp: int = 0
    data: list[str] = field(default_factory=list)
    """What guests have written into this very file, in words that tests choose."""


@dataclass
class File:
    """A file or a folder; bytes of small files are kept beside it by the store."""

    path: str
    folder: bool
    owner: str
    size: int = 0
    created_at: float = 0.0
    changed_at: float = 0.0
    reparse: bool = False
    read_only: bool = False
    locked_until: float = 0.0
    """Something besides a machine, a backup say, holds it open until then."""
    vhd: Vhd | None = None


@dataclass
class Switch:
    id: str
    name: str
    type: str = "External"


@dataclass
class Job:
    """A copy of a disk that the host's management service makes by itself."""

    id: str
    source: str
    destination: str
    bytes: int
    """What the finished file has."""
    began_at: float
    ends_at: float | None
    """None: it never ends."""
    outcome: str = "Completed"
    """Or `CompletedWithWarnings`, `Exception`."""
    error: str = ""
    percent: int = 100
    """How far it will have got."""
    ended: bool = False

    def progress(self, now: float) -> int:
        """Percent of the way."""
        if self.ended:
            return self.percent
        if self.ends_at is None:
            return 0
        way = (now - self.began_at) / max(self.ends_at - self.began_at, 1e-6)
        return max(min(int(way * self.percent), self.percent), 0)


@dataclass
class Task:
    """A scheduled task that sends a disk to the depot, or fetches one from there."""

    name: str
    generation: int
    direction: str
    path: str
    url: str
    certificate: str
    token: str
    length: int | None = None
    sha256: str | None = None
    state: str = "Running"
    done: int = 0
    error: str = ""


@dataclass
class Merge:
    """Children that go into their parents, the last first: a checkpoint was removed."""

    vm_id: str
    pairs: list[list[str]]
    """Child and parent, of each disk."""
    began_at: float
    ends_at: float | None


@dataclass
class Making:
    """A checkpoint that is on its way."""

    vm_id: str
    id: str
    name: str
    ends_at: float
    with_memory: bool = False


@dataclass
class Injected:
    """What a test lets a cmdlet do the next times."""

    cmdlet: str
    what: str
    times: int = 1


@dataclass
class Machine:
    """A host without its VMs and files."""

    name: str
    zone: str
    id: str
    booted_at: float
    logical_processors: int = 64
    memory: int = 512 * GIB
    disk: int = 4096 * GIB
    memory_pressure: int = 0
    """Bytes that something else on the host holds."""
    disk_pressure: int = 0
    down_until: float = 0.0
    root: str = r"C:\ec2gw"
    mac_prefix: str = "00155D000A"
    next_mac: int = 0
    switches: list[Switch] = field(default_factory=list)
    modules: dict[str, str] = field(default_factory=dict)
    lacks: list[str] = field(default_factory=list)
    """Cmdlets that are not installed there."""
    denies: list[str] = field(default_factory=list)
    """Cmdlets that the account has no right to."""
    file_system: str = "NTFS"
    build: int = 20348
    """Of Windows: 20348 is Server 2022, 26100 Server 2025."""
    disk_rate: int = 400 * 1024**2
    """Bytes a second of a copy or a merge; 0: none ever ends."""
    jobs: list[Job] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
    makings: list[Making] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)
    agents: dict[str, int] = field(default_factory=dict)
    """Root in lower case -> how many agents of it live: they read consoles."""
    watched: dict[str, list[str]] = field(default_factory=dict)
    """Root in lower case -> the consoles that are to be read, by the names of their pipes."""
    reader_version: str = ""
    """Of the task that reads consoles for the configured root; empty: there is none."""
    reader_running: bool = False
    injected: list[Injected] = field(default_factory=list)


@dataclass
class Host:
    """A host with all it holds. Files are keyed by their path in lower case."""

    machine: Machine
    vms: dict[str, Vm] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)


def encode(record: Any) -> dict[str, Any]:
    return dataclasses.asdict(record)


def decode(kind: type[T], row: dict[str, Any]) -> T:
    """Build a record, and the records inside it, from what the store wrote of them.

    A field that the row lacks takes its default, so a world of an older laboratory opens.
    """
    hints = _hints(kind)
    known = {name: _value(hints[name], value) for name, value in row.items() if name in hints}
    return kind(**known)


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]


def _value(hint: Any, value: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if value is None:
        return None
    if typing.get_origin(hint) is list and dataclasses.is_dataclass(typing.get_args(hint)[0]):
        return [decode(typing.get_args(hint)[0], one) for one in value]
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return decode(hint, value)
    return value
