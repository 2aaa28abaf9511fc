"""The agent's functions for what a VM shows and says, and the task that reads consoles.

Source: `console.ps1` of the agent; Msvm_VirtualSystemManagementService
GetVirtualSystemThumbnailImage.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import consoles, paths, power

SCREEN = (1024, 768)
MOST_PIXELS = 640 * 480
TAIL_BYTES = 64 * 1024
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VERSION = re.compile(r"[0-9a-f]{16}")
_BARS = 8


def _refused(shell: Shell, identifier: str, text: str) -> CmdletError:
    return CmdletError(
        id=f"{identifier},{shell.activity}",
        category="InvalidArgument",
        activity=shell.activity,
        kind="System.ArgumentException",
        hresult=(faults.INVALID_PARAMETER,),
        text=text,
    )


# -- the screen


@cmdlet("Agent\\Get-Thumbnail", simulates="Id Width Height")
def get_thumbnail(shell: Shell) -> Sequence[Live]:
    most = shell.number("Width"), shell.number("Height")
    if not _GUID.fullmatch(shell.text("Id")) or min(most) < 16:
        raise _refused(shell, "BadThumbnail", "no GUID, or no size")
    with shell.reading() as session:
        vm = session.vm(shell.text("Id").lower())
        if vm is None or not power.working(vm):
            return [Values.of("Thumbnail", {"Width": 0, "Height": 0, "Base64": ""})]
    width, height = _scaled(SCREEN, most)
    pixels = base64.b64encode(picture(vm.id, width, height)).decode("ascii")
    return [Values.of("Thumbnail", {"Width": width, "Height": height, "Base64": pixels})]


def _scaled(size: tuple[int, int], most: tuple[int, int]) -> tuple[int, int]:
    wide, high = size
    scale = min(1, most[0] / wide, most[1] / high, math.sqrt(MOST_PIXELS / (wide * high)))
    return max(4, math.floor(wide * scale / 4) * 4), max(1, math.floor(high * scale))


def picture(vm_id: str, width: int, height: int) -> bytes:
    """Bars in colours that are the VM's own, RGB565."""
    colours = hashlib.sha256(vm_id.encode("ascii")).digest()
    row = b"".join(
        colours[2 * bar : 2 * bar + 2] for bar in (x * _BARS // width for x in range(width))
    )
    return row * height


# -- the serial console


def _names(shell: Shell, parameter: str) -> list[str]:
    names = shell.texts(parameter)
    if not all(_NAME.fullmatch(name) for name in names):
        raise _refused(shell, "BadConsole", "no name of a console")
    return names


@cmdlet("Agent\\Watch-Console", simulates="Names Others")
def watch_console(shell: Shell) -> Sequence[Live]:
    names, others = _names(shell, "Names"), _names(shell, "Others")
    with shell.changing() as session:
        consoles.settle(session)
        session.machine.watched[shell.root.lower()] = names
        session.put_machine()
        folder = paths.join(shell.root, consoles.FOLDER)
        session.make_folders(folder)
        for file in session.children(folder):
            name, _, ending = paths.name(file.path).partition(".")
            if ending.startswith("log") and name not in (*names, *others):
                session.drop_file(file.path)
    return []


@cmdlet("Agent\\Get-Console", simulates="Name")
def get_console(shell: Shell) -> Sequence[Live]:
    [name] = _names(shell, "Name")
    with shell.changing() as session:
        consoles.settle(session)
        path = consoles.log(shell.root, name)
        found = [one for one in (path + ".old", path) if session.file(one) is not None]
        data = b"".join(session.content(one) for one in found)[-TAIL_BYTES:]
        if not data:
            return []
        changed = max(one.changed_at for one in map(session.file, found) if one is not None)
        values = {
            "Base64": base64.b64encode(data).decode("ascii"),
            "AgeSeconds": int(max(session.now - changed, 0)),
        }
        return [Values.of("ConsoleOutput", values)]


# -- the task


@cmdlet("Agent\\Start-ConsoleReader", simulates="Version")
def start_console_reader(shell: Shell) -> Sequence[Live]:
    version = shell.text("Version")
    if not _VERSION.fullmatch(version):
        raise _refused(shell, "BadConsole", "no version")
    with shell.changing() as session:
        consoles.settle(session)
        script = paths.join(session.machine.root, "tasks", f"console-{version}.ps1")
        session.machine.reader_version = version
        session.machine.reader_running = session.file(script) is not None  # it ends at once without
        session.put_machine()
    return []


@cmdlet("Agent\\Get-ConsoleReader", simulates="")
def get_console_reader(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        machine = session.machine
        if not machine.reader_version:
            return []
        values = {"Version": machine.reader_version, "Running": machine.reader_running}
        return [Values.of("ConsoleReader", values)]


@cmdlet("Agent\\Stop-ConsoleReader", simulates="")
def stop_console_reader(shell: Shell) -> Sequence[Live]:
    with shell.changing() as session:
        consoles.settle(session)
        session.machine.reader_version, session.machine.reader_running = "", False
        session.put_machine()
        for file in session.children(paths.join(session.machine.root, "tasks")):
            if re.fullmatch(r"console-.*\.ps1", paths.name(file.path)):
                session.drop_file(file.path)
    return []
