"""What a running VM shows and says, by the product's own plans: its screen, its serial console.

Source: docs/guests.md, "Console"; Msvm_VirtualSystemManagementService
GetVirtualSystemThumbnailImage, Msvm_VideoHead; Set-VMComPort.
"""

from __future__ import annotations

from typing import Final

from ec2gw.doctor.bench import Bench
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from translators.hyperv import console


def _screen(bench: Bench) -> str:
    made = bench.found.machines[2]

    def shown() -> console.Picture | None:
        try:
            return console.read_thumbnail(bench.look(console.thumbnail(made.vm_id)))
        except console.NotAsAsked as error:
            raise NotSo(str(error)) from None

    seen = bench.until("a picture", shown, bench.patience.state)
    return f"{seen.width} by {seen.height} pixels, {len(set(seen.pixels))} values of bytes"


def _blank(bench: Bench) -> str:
    made = bench.found.machines[2]
    if (state := bench.sight(made).state) != "Off":
        raise NotTried(f"it is {state}")
    try:
        seen = console.read_thumbnail(bench.look(console.thumbnail(made.vm_id)))
    except console.NotAsAsked as error:
        raise NotSo(str(error)) from None
    if seen is not None:
        raise NotSo(f"a picture of {seen.width} by {seen.height} pixels")
    return "no picture"


def _written(bench: Bench) -> str:
    made = bench.found.machines[2]
    if not made.has_guest:
        raise NotTried(
            "only a guest writes to its console: name an image of generation 2 by --image"
        )

    def read() -> console.Output | None:
        try:
            return console.read_output(bench.look(console.output(made.name)))
        except console.NotAsAsked as error:
            raise NotSo(str(error)) from None

    seen = bench.until("a word", read, bench.patience.guest)
    return f"{len(seen.data)} bytes, the last {seen.age_seconds:.0f} s ago"


RUNNING: Final = (
    Probe(
        "screen",
        "A picture of a running VM's screen is as large as asked for.",
        "Msvm_VirtualSystemManagementService.GetVirtualSystemThumbnailImage, Msvm_VideoHead",
        _screen,
        relied=False,
        needs=("start-2",),
    ),
    Probe(
        "serial-console",
        "What a guest writes to its first COM port is read from the port's pipe.",
        "Set-VMComPort; a guest whose kernel has console=ttyS0",
        _written,
        relied=False,
        needs=("start-2",),
    ),
)

OFF: Final = (
    Probe(
        "screen-off",
        "A VM that is off has no screen.",
        "derived; Msvm_VideoHead",
        _blank,
        relied=False,
        needs=("power-cut",),
    ),
)
