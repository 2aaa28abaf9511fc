"""A toy host for the interpreter of frames: just enough Hyper-V for objects, errors, slow calls.

The twin of the world that `tests/agent/prove.py` puts behind a real PowerShell, plus a driver that
speaks frames to an agent the way the link does.
"""

from __future__ import annotations

import datetime as dt
import enum
import itertools
import queue
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ec2gw.lab.agent import powershell
from ec2gw.lab.agent.host import CmdletError, Invoked
from ec2gw.lab.door.process import Process, Starter
from ec2gw.winrm import agent, framing

ROOT = "C:\\ec2gw"
PATIENCE = 10.0

Json = dict[str, object]

ALLOWED: dict[str, list[str]] = {
    "Hyper-V\\Get-VM": ["Id", "Name"],
    "Hyper-V\\New-VM": ["Name", "Generation", "MemoryStartupBytes", "NoVHD", "Path"],
    "Hyper-V\\Set-VM": ["VM", "Notes"],
    "Hyper-V\\Start-VM": ["VM"],
    "Hyper-V\\New-VHD": ["Path", "ParentPath", "Differencing", "SizeBytes"],
    "Hyper-V\\Set-VMDvdDrive": ["VMDvdDrive", "Path"],
    "Hyper-V\\Checkpoint-VM": ["Name"],
    "CimCmdlets\\Get-CimInstance": ["ClassName", "Namespace"],
    "CimCmdlets\\Invoke-CimMethod": ["InputObject", "MethodName", "Arguments"],
    "Agent\\Compress-Journal": ["Tokens", "Damaged"],
    "Agent\\Get-FileState": ["Path", "Hash"],
}
PATHS = {
    "Hyper-V\\New-VM": ["Path"],
    "Hyper-V\\New-VHD": ["Path", "ParentPath"],
    "Hyper-V\\Set-VMDvdDrive": ["Path"],
    "Agent\\Get-FileState": ["Path"],
}


class State(enum.Enum):
    Off = 3
    Running = 2


@dataclass(eq=False)
class Thing:
    """A live object: its properties, by their exact names."""

    properties: dict[str, object]

    def property(self, name: str) -> object:
        return self.properties[name]


@dataclass
class ToyHost:
    name: str = "hv-1"
    host_id: str = "6f0c6c5e-6ab6-4b0d-9a53-000000000001"
    boot_time: dt.datetime = dt.datetime(2026, 11, 1, 8, 30, 15, 250000, dt.UTC)
    module_versions: Mapping[str, str] = field(
        default_factory=lambda: {"Hyper-V": "2.0.0.0", "CimCmdlets": "1.0.0.0"}
    )
    journal: bytes = b""
    broken_disk: bool = False
    unreadable: bool = False
    calls: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    vms: list[Thing] = field(default_factory=list)
    slow: threading.Event = field(default_factory=threading.Event)
    """Set: Checkpoint-VM returns at once; clear: it waits."""
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released for each Checkpoint-VM that has started."""

    def rooted(self, root: str) -> ToyHost:
        return self

    def knows(self, do: str) -> bool:
        return do != "CimCmdlets\\Get-CimInstance" or "CimCmdlets" in self.module_versions

    def invoke(self, do: str, arguments: Mapping[str, object]) -> Invoked:
        if do != "Agent\\New-Folder":
            self.calls.append((do, dict(arguments)))
        return CMDLETS.get(do, _nothing)(self, arguments)

    def agents(self, alive: int) -> None: ...

    def journal_read(self) -> bytes:
        if self.unreadable:
            raise OSError("the journal is locked by another program")
        return self.journal

    def journal_size(self) -> int:
        if self.unreadable:
            raise OSError("the journal is locked by another program")
        return len(self.journal)

    def journal_append(self, data: bytes) -> None:
        if self.broken_disk:
            raise OSError("the disk does not take it")
        self.journal += data

    def journal_replace(self, data: bytes) -> None:
        if self.broken_disk:
            raise OSError("the disk does not take it")
        self.journal = data

    def ran(self, do: str) -> list[Mapping[str, object]]:
        return [arguments for name, arguments in self.calls if name.endswith("\\" + do)]


Arguments = Mapping[str, object]


def _nothing(host: ToyHost, arguments: Arguments) -> Invoked:
    return Invoked()


def _new_vm(host: ToyHost, arguments: Arguments) -> Invoked:
    vm = Thing(
        {
            "Id": uuid.uuid4(),
            "Name": arguments["Name"],
            "State": State.Off,
            "Notes": "",
            "Path": arguments.get("Path", ROOT),
            "Uptime": dt.timedelta(seconds=0.5),
            "Addresses": [],
            "Nothing": None,
            "Created": dt.datetime(2026, 11, 2, 12, 0, 0, 1, dt.timezone(dt.timedelta(hours=2))),
        }
    )
    host.vms.append(vm)
    return Invoked([vm])


def _get_vm(host: ToyHost, arguments: Arguments) -> Invoked:
    wanted = str(arguments.get("Id", ""))
    found = [vm for vm in host.vms if wanted in ("", str(vm.properties["Id"]))]
    if wanted and not found:
        raise CmdletError(
            "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM",
            "InvalidArgument",
            "Hyper-V konnte keinen virtuellen Computer finden: ü",
            activity="Get-VM",
            hresult=("0x80070057",),
        )
    return Invoked(found)


def _set_vm(host: ToyHost, arguments: Arguments) -> Invoked:
    for vm in _list(arguments["VM"]):
        vm.properties["Notes"] = arguments.get("Notes", "")
    return Invoked()


def _start_vm(host: ToyHost, arguments: Arguments) -> Invoked:
    for vm in _list(arguments["VM"]):
        if vm.properties["State"] is State.Running:
            return Invoked(warnings=["The virtual machine is already in the specified state."])
        vm.properties["State"] = State.Running
        vm.properties["Uptime"] = dt.timedelta(seconds=12.25)
        vm.properties["Addresses"] = ["10.0.0.7"]
    return Invoked()


def _checkpoint_vm(host: ToyHost, arguments: Arguments) -> Invoked:
    host.entered.release()
    assert host.slow.wait(PATIENCE)
    return Invoked()


def _get_cim_instance(host: ToyHost, arguments: Arguments) -> Invoked:
    return Invoked([Thing({"Name": "vmms"})])


def _list(value: object) -> list[Thing]:
    return [one for one in (value if isinstance(value, list) else [value]) if type(one) is Thing]


CMDLETS: dict[str, Callable[[ToyHost, Arguments], Invoked]] = {
    "Hyper-V\\New-VM": _new_vm,
    "Hyper-V\\Get-VM": _get_vm,
    "Hyper-V\\Set-VM": _set_vm,
    "Hyper-V\\Start-VM": _start_vm,
    "Hyper-V\\Checkpoint-VM": _checkpoint_vm,
    "CimCmdlets\\Get-CimInstance": _get_cim_instance,
}


class Driver:
    """Talks to one agent: keeps what it says, hands out answers by their id."""

    def __init__(self, starter: Starter, *, setup: Json | None = None, greet: bool = True) -> None:
        self._ids = itertools.count(1)
        self._decoder = framing.Decoder()
        self._said: queue.Queue[object] = queue.Queue()
        self._kept: list[Json] = []
        self.errors = b""
        self.code: int | None = None
        self.ended = threading.Event()
        self.process: Process = starter(agent.PROGRAM, agent.arguments(), {}, self)
        if greet:
            self.process.write(agent.first_line() + framing.encode(setup or setup_frame()))
            self.hello = self.read()

    def stdout(self, data: bytes) -> None:
        for message in self._decoder.feed(data):
            self._said.put(message)

    def stderr(self, data: bytes) -> None:
        self.errors += data

    def exited(self, code: int) -> None:
        self.code = code
        self.ended.set()

    def put(self, data: bytes) -> None:
        self.process.write(data)

    def read(self) -> Json:
        message = self._said.get(timeout=PATIENCE)
        assert isinstance(message, dict), message
        return message

    def silent(self) -> bool:
        return self._said.empty()

    def send(self, calls: list[Json], epoch: int = 1, **fence: object) -> int:
        its_id = next(self._ids)
        self.put(framing.encode({"id": its_id, "epoch": epoch, "calls": calls, **fence}))
        return its_id

    def wait(self, its_id: int) -> Json:
        while True:
            for one in self._kept:
                if one.get("id") == its_id:
                    self._kept.remove(one)
                    return one
            self._kept.append(self.read())

    def ask(self, calls: list[Json], epoch: int = 1, **fence: object) -> Json:
        return self.wait(self.send(calls, epoch, **fence))

    def wait_for_end(self) -> int | None:
        assert self.ended.wait(PATIENCE)
        return self.code


def setup_frame(**changed: object) -> Json:
    return {
        "root": ROOT,
        "modules": ["Hyper-V", "CimCmdlets"],
        "allowed": ALLOWED,
        "paths": PATHS,
        **changed,
    }


def rows(answer: Json, name: str) -> list[Json]:
    results = answer["results"]
    assert isinstance(results, dict)
    found = results[name]
    assert isinstance(found, list)
    return found


def token(number: int) -> str:
    return f"{number:032x}"


def call(
    do: str,
    with_: Mapping[str, object] | None = None,
    as_: str | None = None,
    take: Mapping[str, object] | None = None,
) -> Json:
    made: Json = {"do": do if "\\" in do else "Hyper-V\\" + do, "with": with_ or {}}
    if as_:
        made["as"] = as_
    if take:
        made["take"] = take
    return made


def start(host: ToyHost, **changed: float) -> Driver:
    return Driver(powershell(host, **changed))
