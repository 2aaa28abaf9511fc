"""How the laboratory starts the agent in a real PowerShell: where, on what, by what command.

Source: docs/laboratory.md, "The agent itself behind the door".
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from ec2gw.lab import agent as agent_room
from ec2gw.lab.agent.host import LabHost
from ec2gw.lab.cmdlets.shell import CMDLETS
from ec2gw.lab.door.process import Output
from ec2gw.lab.powershell import process, proxies, tables
from ec2gw.winrm import agent

_PATH: Final = "$env:PSModulePath=$env:PROXIES;\n"


class Starter:
    """Starts the agent for one host. What it keeps on a disk is the host's: it stays."""

    def __init__(self, host: LabHost, program: str, silence_seconds: float) -> None:
        """Prepare the folder of the host.

        :raises OSError: there is no such program, or no place for the host's files
        """
        found = shutil.which(program)
        if found is None:
            raise FileNotFoundError(f"{agent_room.POWERSHELL_VARIABLE}: no program {program}")
        self._host = host
        self._program = found
        folder = Path(tempfile.gettempdir()) / f"ec2gw-lab-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or folder.is_symlink():
            raise PermissionError(f"{folder} is somebody else's")
        self._base = folder / host.host_id
        self._proxies = self._base / "proxies"
        self._cmdlets = {do.rpartition("\\")[2]: do for do in CMDLETS}
        proxies.write(tables.rows(CMDLETS), self._proxies)
        self._script = self._base / "agent.ps1"
        silence = f" -Silence {int(silence_seconds)}"
        self._script.write_text(f"{_PATH}{agent.loader()}{silence}\n", encoding="utf-8")

    def __call__(self, output: Output) -> process.PowerShell:
        options = ("-NoLogo", "-NoProfile", "-NonInteractive", "-File")
        command = [self._program, *options, str(self._script)]
        return process.PowerShell(
            command, self._host, self._cmdlets, self._base, self._proxies, output
        )
