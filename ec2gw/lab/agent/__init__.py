"""The laboratory's interpreter of frames: what our agent is on a host, without a PowerShell.

`powershell(host)` is the program that the laboratory's door starts; `host` says what it is run
against. It refuses what the agent refuses and tells what it tells.

Source: docs/agent.md; docs/laboratory.md.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence

from ec2gw.lab.agent.host import LabHost
from ec2gw.lab.agent.journal import Journals
from ec2gw.lab.agent.session import Session
from ec2gw.lab.door.process import Output, Process, ProgramNotFound, Starter
from ec2gw.winrm import agent

_SLEEPS = re.compile(r".*-Command \"?Start-Sleep -Seconds ([0-9]{1,4})\"?")
POWERSHELL_VARIABLE = "EC2GW_LAB_POWERSHELL"
"""Names a PowerShell: it then runs the agent itself, in the place of the interpreter."""
SILENCE_SECONDS = 120.0
"""An agent that hears nothing for this long ends: a cut network leaves no orphan."""


def powershell(host: LabHost, *, silence_seconds: float = SILENCE_SECONDS) -> Starter:
    """The Windows PowerShell of a host: it starts our agent, or sleeps, and does nothing else.

    All agents that come of one call share the journals in their folders; call it once per host.
    """
    journals = Journals(host)
    real = _real(host, silence_seconds)

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Process:
        if program.lower() != agent.PROGRAM.lower():
            raise ProgramNotFound(program)
        slept = _SLEEPS.fullmatch(" ".join(arguments))
        if slept:
            return _Sleeper(output, float(slept[1]))
        if not _starts_the_agent(arguments):
            return _Stranger(output)
        if real is not None:
            return real(output)
        session = Session(journals, output, silence_seconds)
        session.start()
        return session

    return start


def _real(host: LabHost, silence_seconds: float) -> Callable[[Output], Process] | None:
    """What starts the agent in a real PowerShell, if the environment names one."""
    program = os.environ.get(POWERSHELL_VARIABLE)
    if not program:
        return None
    from ec2gw.lab.powershell import starter  # here: that room stands on this one

    return starter.Starter(host, program, silence_seconds)


def _starts_the_agent(arguments: Sequence[str]) -> bool:
    """Compare whole lines: PowerShell joins what follows -Command, less quotes around it."""
    *options, loader = agent.arguments()
    line = " ".join(arguments)
    return line in (" ".join([*options, loader]), " ".join([*options, f'"{loader}"']))


class _Sleeper:
    """A PowerShell that reads nothing and ends after a while; what it is sent piles up."""

    def __init__(self, output: Output, seconds: float) -> None:
        self._unread = 0
        self._timer = threading.Timer(seconds, output.exited, (0,))
        self._timer.daemon = True
        self._timer.start()

    def write(self, data: bytes) -> None:
        self._unread += len(data)

    def unread(self) -> int:
        return self._unread

    def close_input(self) -> None: ...

    def kill(self) -> None:
        self._timer.cancel()


class _Stranger:
    """A PowerShell with any other command line: it says that the laboratory has none, and ends."""

    def __init__(self, output: Output) -> None:
        output.stderr(b"The laboratory's powershell.exe starts the agent and nothing else.\n")
        output.exited(1)

    def write(self, data: bytes) -> None: ...

    def unread(self) -> int:
        return 0

    def close_input(self) -> None: ...

    def kill(self) -> None: ...
