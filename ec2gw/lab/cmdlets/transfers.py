"""The agent's functions for disks that go from host to host; the tasks they make run in `porter`.

Source: docs/architecture.md, "The host link"; `ec2gw/winrm/agent/transfer.ps1`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import model

_FORMS = {
    "Name": "[a-z0-9-]{1,64}",
    "Direction": "Send|Receive",
    "Url": r"https://[A-Za-z0-9.:\[\]-]+/files/[0-9]+",
    "Certificate": "[0-9a-f]{64}",
    "Token": "[0-9a-f]{64}",
    "Sha256": "[0-9a-f]{64}|",
}


@cmdlet(
    "Agent\\Start-Transfer",
    simulates="Name Generation Direction Path Url Certificate Token Length Sha256",
)
def start_transfer(shell: Shell) -> Sequence[Live]:
    for name, form in _FORMS.items():
        if not re.fullmatch(form, shell.text(name)):
            raise CmdletError(
                id=f"BadTransfer,{shell.activity}",
                category="InvalidArgument",
                activity=shell.activity,
                kind="System.ArgumentException",
                hresult=(faults.INVALID_PARAMETER,),
                text=f"{name} is not what it should be.",
            )
    task = model.Task(
        name=shell.text("Name"),
        generation=shell.number("Generation"),
        direction=shell.text("Direction"),
        path=shell.text("Path"),
        url=shell.text("Url"),
        certificate=shell.text("Certificate"),
        token=shell.text("Token"),
        length=shell.number("Length") if shell.has("Length") else None,
        sha256=shell.text("Sha256") or None,
    )
    with shell.changing() as session:
        session.machine.tasks = [one for one in session.machine.tasks if one.name != task.name]
        session.machine.tasks.append(task)
        session.put_machine()
    return []


@cmdlet("Agent\\Get-Transfer", simulates="Name")
def get_transfer(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        return [
            Values.of(
                "Transfer",
                {
                    "Generation": task.generation,
                    "State": task.state,
                    "Done": task.done,
                    "Error": task.error,
                },
            )
            for task in session.machine.tasks
            if task.name == shell.text("Name")
        ]


@cmdlet("Agent\\Remove-Transfer", simulates="Name")
def remove_transfer(shell: Shell) -> Sequence[Live]:
    with shell.changing() as session:
        name = shell.text("Name")
        for one in session.machine.tasks:
            if (one.name, one.direction) == (name, "Receive") and session.file(f"{one.path}.part"):
                session.drop_file(f"{one.path}.part")
        session.machine.tasks = [one for one in session.machine.tasks if one.name != name]
        session.put_machine()
    return []
