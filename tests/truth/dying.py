"""An agent of a laboratory that is killed at a place of its choice, as `kill -9` does it.

Usage: ``python -m tests.truth.dying WORLD PLACE``: runs one plan with a token, and dies there. The
places are between the durable writes of a token, and in the middle of each.

Source: docs/agent.md, "Nothing runs twice, nobody old runs".
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from ec2gw.lab.agent import powershell
from ec2gw.lab.agent.host import Invoked
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import World
from tests.unit.toy_host import Driver, Json, call, setup_frame, token
from translators.hyperv import allowed

PLACES: Final[Mapping[str, str]] = {
    "before its begin": "runs",
    "in its begin": "runs",
    "after its begin": "begun",
    "after its call": "begun",
    "in its end": "begun",
    "after its end": "done",
}
"""Where the agent dies -> what becomes of the token when it is sent again."""
TOKEN: Final = token(1)
MACHINE: Final = call(
    "Hyper-V\\New-VM",
    {
        "Name": "i-1",
        "Generation": 2,
        "MemoryStartupBytes": 1024**3,
        "NoVHD": True,
        "Path": {"$path": "instances"},
    },
)


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("alive")


class Dying(LabMachine):
    """A host whose agents die at a place."""

    def __init__(self, world: World, name: str, place: str, root: str = "") -> None:
        super().__init__(world, name, root)
        self._parts = world, name, place

    def rooted(self, root: str) -> LabMachine:
        return Dying(*self._parts, root)

    def invoke(self, do: str, arguments: Mapping[str, object]) -> Invoked:
        if (do, self._parts[2]) == (MACHINE["do"], "after its begin"):
            die()
        invoked = super().invoke(do, arguments)
        if (do, self._parts[2]) == (MACHINE["do"], "after its call"):
            die()
        return invoked

    def journal_append(self, data: bytes) -> None:
        line = next((kind for kind in (b"B ", b"E ") if kind + TOKEN.encode() in data), b"")
        what = {b"B ": "begin", b"E ": "end"}.get(line)
        if self._parts[2] == f"before its {what}":
            die()
        if self._parts[2] == f"in its {what}":
            super().journal_append(data[: data.index(line + TOKEN.encode()) + 20])
            die()
        super().journal_append(data)
        if self._parts[2] == f"after its {what}" and what == "end":
            die()


class Starts:
    """Starts agents that live on one host at the same time."""

    def __init__(self, host: LabMachine) -> None:
        self._starter = powershell(host)

    def __call__(self) -> Driver:
        table = {name: list(parameters) for name, parameters in allowed.ALLOWED.items()}
        paths = {name: list(parameters) for name, parameters in allowed.PATHS.items()}
        modules = list(allowed.MODULES)
        setup: Json = setup_frame(modules=modules, allowed=table, paths=paths)
        return Driver(self._starter, setup=setup)


def main(path: Path, place: str) -> None:
    world = World(path)
    driver = Starts(Dying(world, world.hosts[0], place))()
    driver.ask([MACHINE], epoch=3, token=TOKEN, subject="i-1", generation=2)
    print("nobody died")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
