"""One simulated host as the agent's interpreter sees it: calls to cmdlets, and the journal.

Source: docs/architecture.md, "The laboratory".
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import os
import sqlite3
from collections.abc import Mapping
from typing import Final

from ec2gw.lab import binding
from ec2gw.lab.agent.host import CmdletError, Invoked
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import time
from ec2gw.lab.cmdlets.shell import CMDLETS, Shell
from ec2gw.lab.world import World, consoles, paths
from ec2gw.lab.world.session import Session

for _room in (
    "vms",
    "powering",
    "transfers",
    "vhds",
    "drives",
    "dvds",
    "nics",
    "acls",
    "firmware",
    "integration",
    "identity",
    "comports",
    "checkpoints",
    "hosts",
    "cim",
    "files",
    "copies",
    "consoles",
    "transfers",
):
    importlib.import_module(f"ec2gw.lab.cmdlets.{_room}")

JOURNAL = "journal"
VARIABLE: Final = "EC2GW_LAB_BINDS_EVERYWHERE"
"""Set by tests: a call must bind on every version of Windows, not on this host's alone."""


class LabMachine:
    """A `LabHost` over one host of a world. Thread-safe."""

    def __init__(self, world: World, name: str, root: str = "") -> None:
        """`root`: the folder of the agents that see it; the configured one without."""
        self._world = world
        self._name = name
        self._root = root

    def rooted(self, root: str) -> LabMachine:
        return LabMachine(self._world, self._name, root)

    @property
    def name(self) -> str:
        return self._name

    @property
    def host_id(self) -> str:
        with self._world.reading(self._name) as session:
            return session.machine.id

    @property
    def boot_time(self) -> datetime.datetime:
        with self._world.reading(self._name) as session:
            return time(session.machine.booted_at)

    @property
    def module_versions(self) -> Mapping[str, str]:
        with self._world.reading(self._name) as session:
            return dict(session.machine.modules)

    def knows(self, do: str) -> bool:
        with self._world.reading(self._name) as session:
            return do in CMDLETS and do not in session.machine.lacks

    def invoke(self, do: str, arguments: Mapping[str, object]) -> Invoked:
        """Bind and run one cmdlet; its effect is on the disk before this returns.

        :raises CmdletError: as PowerShell or the cmdlet would fail
        """
        activity = do.rpartition("\\")[2]
        with self._world.reading(self._name) as session:
            root = self._root or session.machine.root
            lacks, denies = session.machine.lacks, session.machine.denies
        simulated = CMDLETS.get(do)
        if simulated is None or do in lacks:
            raise CmdletError(
                id="CommandNotFoundException",
                category="ObjectNotFound",
                target=do,
                kind="System.Management.Automation.CommandNotFoundException",
                text=f"The term '{do}' is not recognized as the name of a cmdlet.",
            )
        bound = _bind(do, activity, arguments)
        for name in bound.arguments:
            if name not in simulated.parameters:
                raise faults.not_simulated(activity, f"-{name}")
        if do in denies:
            raise faults.access_denied(activity)
        self._check_places(do, bound.arguments, root)
        shell = Shell(self._world, self._name, activity, bound.set_name, bound.arguments, root=root)
        word, _, code = self._injected(do).partition(":")
        if word == "before":
            raise _wanted(activity, code)
        shell.injected = word
        try:
            objects = list(simulated.run(shell))
        except paths.BadPath as bad:
            text = f"The path '{bad}' is not valid."
            raise faults.invalid_parameter(activity, text, str(bad)) from None
        if shell.fails_after is not None:
            raise shell.fails_after
        if word == "after":
            raise _wanted(activity, code)
        return Invoked(objects, list(shell.warnings))

    def _check_places(self, do: str, arguments: Mapping[str, object], root: str) -> None:
        """Refuse what leads out of the root, as the agent does.

        Its own functions work below the root alone; no path goes through a reparse point there.
        """
        with self._world.reading(self._name) as session:
            for name in ("Path", "Source", "Destination"):
                path = arguments.get(name)
                # The root itself is made at the agent's start, and never removed.
                at_root = do != "Agent\\Remove-Tree" and str(path).lower() == root.lower()
                outside = path is not None and not at_root and not _is_below(str(path), root)
                if do.startswith("Agent\\") and outside:
                    raise _unauthorised(f"not below the root: {path}")
            for value in arguments.values():
                for at in value if isinstance(value, list) else [value]:
                    while isinstance(at, str) and _is_below(at, root):
                        file = session.file(at)
                        if file is not None and file.reparse:
                            raise _unauthorised(f"a reparse point: {at}")
                        at = paths.parent(at)

    def _injected(self, do: str) -> str:
        """What a test wants of this call; it is used up."""
        with self._world.reading(self._name) as session:
            if not any(one.cmdlet == do for one in session.machine.injected):
                return ""
        with self._world.changing(self._name) as session:
            waiting = session.machine.injected
            one = next((one for one in waiting if one.cmdlet == do), None)
            if one is None:
                return ""
            one.times -= 1
            session.machine.injected = [each for each in waiting if each.times > 0]
            session.put_machine()
            return one.what

    def agents(self, alive: int) -> None:
        # A laboratory that ends kills its agents when the world may be closed already.
        with (
            contextlib.suppress(sqlite3.ProgrammingError),
            self._world.changing(self._name) as session,
        ):
            machine = session.machine
            root = (self._root or machine.root).lower()
            if machine.agents.get(root, 0) != alive:
                consoles.settle(session)
                machine.agents[root] = alive
                session.put_machine()

    # -- the journal, a file below the root like any other

    def _journal(self, session: Session) -> str:
        return paths.join(self._root or session.machine.root, JOURNAL)

    def journal_read(self) -> bytes:
        with self._world.reading(self._name) as session:
            path = self._journal(session)
            return session.content(path) if session.file(path) else b""

    def journal_size(self) -> int:
        with self._world.reading(self._name) as session:
            file = session.file(self._journal(session))
            return file.size if file else 0

    def journal_append(self, data: bytes) -> None:
        with self._world.changing(self._name) as session:
            if len(data) > session.free_disk():
                raise OSError("the disk is full")
            session.append(self._journal(session), data)

    def journal_replace(self, data: bytes) -> None:
        with self._world.changing(self._name) as session:
            path = self._journal(session)
            session.empty(path)
            session.write_chunk(path, 0, data)


def _wanted(activity: str, code: str) -> CmdletError:
    return faults.operation_failed(activity, "As a test wants", code or faults.UNSPECIFIED)


def _is_below(text: str, root: str) -> bool:
    try:
        return paths.below(text, root)
    except paths.BadPath:
        return False


def _unauthorised(text: str) -> CmdletError:
    return CmdletError(
        id=text,
        category="OperationStopped",
        target=text,
        kind="System.UnauthorizedAccessException",
        hresult=(faults.ACCESS_DENIED,),
        text=text,
    )


def _bind(do: str, activity: str, arguments: Mapping[str, object]) -> binding.BoundCall:
    everywhere = binding.VERSIONS if os.environ.get(VARIABLE) else ()
    try:
        for version in everywhere:
            binding.bind(do, arguments, version)
        return binding.bind(do, arguments, binding.LABORATORY)
    except binding.BindingError as error:
        raise CmdletError(
            id=f"{error.identifier},{faults.class_of(activity)}",
            category=error.category,
            activity=activity,
            target="",
            kind=error.kind,
            hresult=("0x80131501",),
            text=error.text,
        ) from None
