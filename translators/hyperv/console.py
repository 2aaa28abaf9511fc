"""What a VM shows and says: a picture of its screen, the tail of its serial console.

The serial port of every VM is a named pipe of the host; somebody there has to read it, or what the
guest writes is lost: the agent while it lives, or a scheduled task that outlives the link. Both
append to one log for each VM below our root, and both are told here whose pipes to read.

Source: Hyper-V WMI provider (V2), Msvm_VirtualSystemManagementService
GetVirtualSystemThumbnailImage, Msvm_VideoHead; Set-VMComPort; console.ps1 of the agent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from translators.hyperv import tasks
from translators.hyperv.host import Answer, Argument, Call, Path, Plan

MOST_PIXELS: Final = 640 * 480
"""Of a picture: a frame of the link always holds so many."""
WIDTH: Final = 1024
HEIGHT: Final = 768
OUTPUT_BYTES: Final = 64 * 1024
"""Of the serial console, the last ones."""
_PIXEL_BYTES: Final = 2


class NotAsAsked(ValueError):
    """What came back is not what was asked for: no Base64, or of another size than it says."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Rows from the top, two bytes a pixel: RGB565, the lower byte first."""

    width: int
    height: int
    pixels: bytes


@dataclass(frozen=True, slots=True)
class Output:
    """The tail of a console's log, and how long ago something was last added to it."""

    data: bytes
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Reader:
    """The scheduled task that reads consoles: which version of it, and whether it runs."""

    version: str
    running: bool


# -- the screen


def thumbnail(vm_id: str) -> Plan:
    """Take a picture of a VM's screen, made smaller where it has to be."""
    with_: dict[str, Argument] = {"Id": vm_id, "Width": WIDTH, "Height": HEIGHT}
    take = {"width": "Width:int", "height": "Height:int", "pixels": "Base64:text"}
    return Plan("look-screen", (Call("Agent\\Get-Thumbnail", with_, keep="picture", take=take),))


def read_thumbnail(answer: Answer) -> Picture | None:
    """Read what `thumbnail` brought back; None: the VM has no screen, since it is off.

    :raises NotAsAsked:
    """
    for row in answer.results["picture"]:
        width, height = row["width"], row["height"]
        if not isinstance(width, int) or not isinstance(height, int):
            raise NotAsAsked("it has no size")
        if (width, height) == (0, 0):
            return None
        if not (0 < width <= WIDTH and 0 < height <= HEIGHT and width * height <= MOST_PIXELS):
            raise NotAsAsked(f"{width} by {height} pixels")
        pixels = _bytes(row["pixels"])
        if len(pixels) != width * height * _PIXEL_BYTES:
            raise NotAsAsked(f"{len(pixels)} bytes are not {width} by {height} pixels")
        return Picture(width, height, pixels)
    return None


# -- the serial console


def output(name: str) -> Plan:
    """Read the end of the log of a VM's console."""
    take = {"data": "Base64:text", "age": "AgeSeconds:int"}
    call = Call("Agent\\Get-Console", {"Name": name}, keep="console", take=take)
    return Plan("look-console", (call,))


def read_output(answer: Answer) -> Output | None:
    """Read what `output` brought back; None: nothing was read of that VM yet.

    :raises NotAsAsked: it is longer than asked for, or no Base64
    """
    for row in answer.results["console"]:
        data, age = _bytes(row["data"]), row["age"]
        if len(data) > OUTPUT_BYTES:
            raise NotAsAsked(f"{len(data)} bytes of a console")
        return Output(data, float(age) if isinstance(age, int) and age > 0 else 0.0)
    return None


def watch(names: Collection[str], others: Collection[str]) -> Plan:
    """Say whose consoles are read from now on, and of which others the logs are kept.

    Logs of VMs that are in neither are removed. The same again changes nothing.
    """
    call = Call("Agent\\Watch-Console", {"Names": sorted(names), "Others": sorted(others)})
    return Plan("watch-consoles", (call,))


# -- the reader that outlives the link

_PIECE_BYTES: Final = 32 * 1024


def script() -> str:
    """Where this release's script lies below the root; a version has a file of its own."""
    return f"tasks/console-{tasks.console_version()}.ps1"


def start_reader() -> Plan:
    """Put the script where it is run from, and have the task run it; again without harm."""
    text = tasks.console()
    place = Path(script())
    pieces = tuple(
        Call(
            "Agent\\Write-FileChunk",
            {
                "Path": place,
                "Offset": at,
                "Base64": base64.b64encode(text[at : at + _PIECE_BYTES]).decode("ascii"),
            },
        )
        for at in range(0, len(text), _PIECE_BYTES)
    )
    return Plan(
        "start-console-reader",
        (
            Call("Agent\\New-Folder", {"Path": Path("tasks")}),
            *pieces,
            Call(
                "Agent\\Complete-File",
                {"Path": place, "Sha256": tasks.console_digest(), "Length": len(text)},
            ),
            Call("Agent\\Start-ConsoleReader", {"Version": tasks.console_version()}),
        ),
    )


def stop_reader() -> Plan:
    """Remove the task and its scripts; what was read stays. Without a task: nothing happens."""
    return Plan("stop-console-reader", (Call("Agent\\Stop-ConsoleReader"),))


def reader() -> Plan:
    """Ask for the task."""
    take = {"version": "Version:text", "running": "Running:bool"}
    return Plan(
        "look-console-reader", (Call("Agent\\Get-ConsoleReader", keep="reader", take=take),)
    )


def read_reader(answer: Answer) -> Reader | None:
    """Read what `reader` brought back; None: there is no such task."""
    for row in answer.results["reader"]:
        return Reader(str(row["version"] or ""), row["running"] is True)
    return None


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(str(value or ""), validate=True)
    except binascii.Error as error:
        raise NotAsAsked(str(error)) from None
