"""One simulated host with a clock that stands, and short words for what is done to it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from ec2gw.lab.agent.host import CmdletError, Invoked, WmiValue
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.console import Console
from ec2gw.lab.world import HostSpec, World
from ec2gw.lab.world.clock import ManualClock

ROOT = r"C:\ec2gw"
LINUX = ROOT + r"\images\ec2gw-lab-linux.vhdx"
GIB = 1024**3


class Bench:
    """A world of one small host, driven by cmdlets: ``bench("Get-VM", Name="x")``."""

    host = "lab-a"

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock()
        spec = HostSpec(self.host, "a", logical_processors=8, memory=16 * GIB, disk=100 * GIB)
        self.path = path
        self.world = World(path, hosts=(spec,), clock=self.clock)
        self.machine = LabMachine(self.world, self.host)
        self.console = Console(self.world)

    def invoke(self, cmdlet: str, **arguments: object) -> Invoked:
        module = "" if "\\" in cmdlet else "Hyper-V\\"
        return self.machine.invoke(module + cmdlet, arguments)

    def __call__(self, cmdlet: str, **arguments: object) -> list[Live]:
        return cast(list[Live], list(self.invoke(cmdlet, **arguments).objects))

    def one(self, cmdlet: str, **arguments: object) -> Live:
        (found,) = self(cmdlet, **arguments)
        return found

    def create(
        self, name: str, *, generation: int = 2, memory: int = GIB, image: str = LINUX
    ) -> Live:
        """Make a machine that boots, as a launch does; not started."""
        folder = rf"{ROOT}\instances\{name}"
        self("Agent\\New-Folder", Path=folder)
        disk = folder + r"\root.vhdx"
        self("New-VHD", Path=disk, ParentPath=image, Differencing=True)
        vm = self.one(
            "New-VM",
            Name=name,
            Generation=generation,
            MemoryStartupBytes=memory,
            NoVHD=True,
            Path=rf"{ROOT}\instances",
        )
        kind = "IDE" if generation == 1 else "SCSI"
        self(
            "Add-VMHardDiskDrive",
            VM=vm,
            ControllerType=kind,
            ControllerNumber=0,
            ControllerLocation=0,
            Path=disk,
        )
        if generation == 2:
            template = "MicrosoftUEFICertificateAuthority"
            self("Set-VMFirmware", VM=vm, SecureBootTemplate=template)
        return vm

    def start(self, name: str) -> Live:
        """Make a machine and wait until its guest answers."""
        vm = self.create(name)
        self("Start-VM", VM=vm)
        self.clock.advance(10)
        return vm

    def look(self, vm: Live) -> Live:
        return self.one("Get-VM", Id=str(vm.property("Id")))

    def show(self, vm: Live, *names: str) -> list[str]:
        """Read properties as the agent flattens enumerations: by name."""
        found = self.look(vm)
        values = [found.property(name) for name in names]
        return [str(getattr(value, "name", value)) for value in values]

    def state(self, vm: Live) -> str:
        return self.show(vm, "State")[0]

    def ask(self, vm: Live, method: str) -> object:
        """Ask the guest as the gateway does; answers the return value."""
        component = self.one(
            "CimCmdlets\\Get-CimInstance",
            Namespace=r"root\virtualization\v2",
            ClassName="Msvm_ShutdownComponent",
            Filter=f"SystemName='{str(vm.property('Id')).upper()}'",
        )
        arguments = {"Force": WmiValue("boolean", True), "Reason": "test"}
        answer = self.one(
            "CimCmdlets\\Invoke-CimMethod",
            InputObject=component,
            MethodName=method,
            Arguments=arguments,
        )
        return answer.property("ReturnValue")


@contextmanager
def fails(identifier: str, category: str = "", hresult: str = "") -> Iterator[None]:
    """Expect an error record with this first part of the id."""
    with pytest.raises(CmdletError) as caught:
        yield
    error = caught.value
    assert error.id.split(",")[0] == identifier, str(error)
    assert category in ("", error.category), str(error)
    assert not hresult or hresult in error.hresult, error.hresult


def guid() -> str:
    return str(uuid.uuid4())
