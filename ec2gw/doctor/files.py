"""Small files on the host: put whole or not at all, replaced, removed, and never outside.

Source: docs/agent.md, "Functions that no cmdlet offers"; System.IO.File.Replace.
"""

from __future__ import annotations

import time
from typing import Final

from ec2gw.doctor.bench import SUBJECT, Bench
from ec2gw.doctor.probe import NotSo, Probe
from ec2gw.engine import files
from translators.hyperv import file
from translators.hyperv import host as port

_PLACE: Final = port.Path("files/seed.iso")
_CONTENT: Final = bytes(number % 251 for number in range(3 * file.CHUNK_BYTES + 17))
_OUTSIDE: Final = ("..\\x", "C:\\x", "files\\..\\..\\x")


def _put(bench: Bench) -> str:
    bench.change(file.make_folder(port.Path("files")))
    began = time.monotonic()
    files.put(bench, _PLACE, _CONTENT, subject=SUBJECT, generation=1)
    bench.measure("put_ms", time.monotonic() - began)
    if file.seen(bench.look(file.look(port.Path("files/seed.iso.part")))) is not None:
        raise NotSo("a part is left beside it")
    rate = len(_CONTENT) / 1024 / max(time.monotonic() - began, 0.001)
    return f"{len(_CONTENT)} bytes in {bench.measured['put_ms']:.0f} ms, {rate:.0f} KiB/s"


def _replace(bench: Bench) -> str:
    files.put(bench, _PLACE, b"another", subject=SUBJECT, generation=1)
    return "7 bytes over the larger file"


def _remove(bench: Bench) -> str:
    for _ in range(2):
        files.remove(bench, _PLACE, subject=SUBJECT, generation=1)
    return "removed, and once more without an error"


def _outside(bench: Bench) -> str:
    """Send what our own side would never let out: as text, where the agent wants a place."""
    for path in _OUTSIDE:
        call = port.Call("Agent\\Get-FileState", {"Path": path})
        try:
            bench.look(port.Plan("look-outside", (call,)))
        except port.Failed as failed:
            if failed.stage != "check":
                raise NotSo(f"{path} came as far as a cmdlet") from None
        else:
            raise NotSo(f"{path} was looked at")
    return f"{len(_OUTSIDE)} ways out refused before any call"


PROBES: Final = (
    Probe(
        "file-put",
        "A file arrives whole, in pieces, and nothing else is left of it.",
        "docs/agent.md, Write-FileChunk, Complete-File",
        _put,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "file-replace",
        "A file takes another's place at once.",
        "System.IO.File.Replace",
        _replace,
        changes=True,
        needs=("file-put",),
    ),
    Probe(
        "file-remove",
        "A file is removed, and removing nothing is no error.",
        "docs/agent.md, Remove-Tree",
        _remove,
        changes=True,
        needs=("file-put",),
    ),
    Probe(
        "outside",
        "No path leads out of the folder.",
        "docs/agent.md, Frames",
        _outside,
        needs=("versions",),
    ),
)
