"""What a simulated cmdlet works with: its bound call, its host, its warnings; and the registry.

Source: docs/laboratory.md.
"""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.world import World, model
from ec2gw.lab.world.session import Session

Simulation = Callable[["Shell"], Sequence[object]]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A cmdlet of the laboratory, and the parameters that it has a model of."""

    run: Simulation
    parameters: frozenset[str]


CMDLETS: dict[str, Simulated] = {}
NEUTRAL = frozenset({"Confirm", "Passthru", "OperationTimeoutSec"})
"""Parameters that need no model: they ask nobody, and the answer is there in time."""


def cmdlet(qualified: str, simulates: str) -> Callable[[Simulation], Simulation]:
    """Register a simulated cmdlet with the names of the parameters that it honours."""

    def register(run: Simulation) -> Simulation:
        assert qualified not in CMDLETS, qualified
        CMDLETS[qualified] = Simulated(run, frozenset(simulates.split()) | NEUTRAL)
        return run

    return register


@dataclass
class Shell:
    """One running cmdlet."""

    world: World
    host: str
    activity: str
    set_name: str
    arguments: Mapping[str, object]
    warnings: list[str] = field(default_factory=list)
    root: str = ""
    """The folder of the agent that runs it."""
    injected: str = ""
    """What a test wants of this very call."""
    fails_after: CmdletError | None = None
    """An error that is told although what was changed stays."""

    def reading(self) -> contextlib.AbstractContextManager[Session]:
        return self.world.reading(self.host)

    def changing(self) -> contextlib.AbstractContextManager[Session]:
        return self.world.changing(self.host)

    def has(self, name: str) -> bool:
        return name in self.arguments

    def flag(self, name: str) -> bool:
        return self.arguments.get(name) is True

    def text(self, name: str, default: str = "") -> str:
        value = self.arguments.get(name, default)
        assert isinstance(value, str), name
        return value

    def number(self, name: str, default: int = 0) -> int:
        value = self.arguments.get(name, default)
        assert isinstance(value, int), name
        return value

    def texts(self, name: str) -> list[str]:
        value = self.arguments.get(name, [])
        return [str(one) for one in (value if isinstance(value, list) else [value])]

    def lives(self, name: str) -> list[Live]:
        value = self.arguments.get(name, [])
        found = value if isinstance(value, list) else [value]
        return [one for one in found if isinstance(one, Live)]

    def wait_until(self, at: float) -> None:
        """Let the world's time pass, outside of any transaction."""
        remaining = at - self.world.clock.now()
        if remaining > 0:
            self.world.clock.sleep(remaining)

    def vm_ids(self) -> list[str]:
        """The machines that -VM, -VMName, -Name or -Id mean, by id.

        :raises CmdletError: when one of them is not there
        """
        return self.vm_ids_of("VM", "VMName" if self.has("VMName") else "Name", "Id")

    def vm_ids_of(self, objects: str, texts: str, guid: str = "") -> list[str]:
        if self.has(objects):
            return [live.identity[0] for live in self.lives(objects)]
        with self.reading() as session:
            if guid and self.has(guid):
                wanted = self.texts(guid)[0]
                if session.vm(wanted) is None:
                    raise faults.vm_not_found(self.activity, wanted)
                return [wanted]
            found = [vm for name in self.texts(texts) for vm in self._named(session, name)]
        return [vm.id for vm in found]

    def _named(self, session: Session, name: str) -> list[model.Vm]:
        found = [vm for vm in session.vms() if matches(name, vm.name)]
        if not found and not any(sign in name for sign in "*?["):
            raise faults.vm_not_found(self.activity, name)
        return found

    def vm(self, session: Session, vm_id: str) -> model.Vm:
        """Find the machine that an object stands for, unless it was removed meanwhile."""
        found = session.vm(vm_id)
        if found is None:
            text = "Hyper-V encountered an error trying to access an object: it was not found."
            raise faults.not_found(self.activity, text, vm_id)
        return found


def matches(pattern: str, name: str) -> bool:
    """PowerShell's wildcards, which know no case."""
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())
