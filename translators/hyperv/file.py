"""Files below a host's root: what is there, and the plans that put and remove one.

Small files only (a seed of a few hundred KB): images never travel this way.

Source: docs/architecture.md, "The host link"; the agent's own functions, in files.ps1.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final

from translators.hyperv.host import Answer, Call, Path, Plan

CHUNK_BYTES: Final = 48 * 1024
"""64 KB of Base64: a plan of one chunk fits into one Send."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as a look found it; `sha256` in lower-case hex, None where it was not asked for."""

    length: int
    is_directory: bool
    sha256: str | None


def look(path: Path, *, digest: bool = False) -> Plan:
    """Look at a file; one that is not there is no error."""
    take = {"length": "Length:int", "directory": "IsDirectory:bool"}
    if digest:
        take["sha256"] = "Sha256:text"
        call = Call("Agent\\Get-FileState", {"Path": path, "Hash": True}, keep="file", take=take)
    else:
        call = Call("Agent\\Get-FileState", {"Path": path}, keep="file", take=take)
    return Plan("look-file", (call,))


def seen(answer: Answer) -> FileState | None:
    """Read what `look` brought back."""
    rows = answer.results["file"]
    if not rows:
        return None
    length, digest = rows[0]["length"], rows[0].get("sha256")
    return FileState(
        length=length if isinstance(length, int) else 0,
        is_directory=rows[0]["directory"] is True,
        sha256=str(digest).lower() if digest else None,
    )


def is_whole(state: FileState | None, content: bytes) -> bool:
    """Tell whether the file on the host is this content; needs a look with its digest."""
    return (
        state is not None
        and state.length == len(content)
        and state.sha256 == hashlib.sha256(content).hexdigest()
    )


def put(path: Path, content: bytes) -> list[Plan]:
    """Write a file: chunks beside it, then the check of its digest and the rename over it.

    Each plan may run any number of times; readers see the old file or the whole new one.

    :raises ValueError: for no content: PowerShell binds no empty text to a mandatory parameter
    """
    if not content:
        raise ValueError("an empty file is not put")
    plans = [
        Plan(
            "put-chunk",
            (
                Call(
                    "Agent\\Write-FileChunk",
                    {
                        "Path": path,
                        "Offset": offset,
                        "Base64": base64.b64encode(content[offset : offset + CHUNK_BYTES]).decode(),
                    },
                ),
            ),
            changes=True,
        )
        for offset in range(0, len(content), CHUNK_BYTES)
    ]
    done = Call(
        "Agent\\Complete-File",
        {"Path": path, "Sha256": hashlib.sha256(content).hexdigest(), "Length": len(content)},
    )
    return [*plans, Plan("put-done", (done,), changes=True)]


def make_folder(path: Path) -> Plan:
    """Make a folder and those above it; one that is there is no error."""
    return Plan("make-folder", (Call("Agent\\New-Folder", {"Path": path}),), changes=True)


def remove(path: Path) -> Plan:
    """Remove a file or a folder with what is in it; nothing there is no error."""
    return Plan("remove-file", (Call("Agent\\Remove-Tree", {"Path": path}),), changes=True)
