"""Runs qemu-img on one local file at a time: what it is, whether it is whole, made into a VHDX.

The format is always forced, the input always a plain file without backing: nothing that stands in
the file is opened besides it. Whether the file may be looked at at all, `formats` has decided.

Source: qemu-img(1); qemu's "Disk Images" (formats, --image-opts); docs/guests.md, "Import".
"""

from __future__ import annotations

import functools
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ec2gw.intake import sandbox
from ec2gw.intake.refusals import Missing, NoRoom, Refused

MIB: Final = 1024**2
GIB: Final = 1024**3
BLOCK_BYTES: Final = MIB
"""Of the VHDX that is made: small blocks are Microsoft's advice for ext4."""
LARGEST_VHDX_BYTES: Final = 64 * 1024 * GIB

_LOOK_SECONDS: Final = 60.0
_LONG_SECONDS: Final = 3600.0
_SECONDS_PER_GIB: Final = 60.0
"""So long a disk of that size may take, by the clock and of a processor."""
_ENDING_SECONDS: Final = 20.0
_TICK_SECONDS: Final = 0.5
_MEMORY_BYTES: Final = 4 * GIB
_OPEN_FILES: Final = 64
_MOST_SAID: Final = 256 * 1024
_LONGEST_REASON: Final = 300
_PERCENT: Final = re.compile(rb"\(([0-9]{1,3}(?:\.[0-9]+)?)/100%\)")
_DRIVERS: Final[Mapping[str, str]] = {
    "qcow2": "driver=qcow2,backing=",
    "raw": "driver=raw",
    "vmdk": "driver=vmdk",
    "vhd": "driver=vpc,force_size_calc=current_size",  # as Hyper-V reads it: not by geometry
    "vhdx": "driver=vhdx",
}
_FULL: Final = ("No space left", "File too large", "too large for file format")
"""The last is what qemu says of any file that could not grow."""
_NAMED: Final = "\x1a"
"""Stands for the disk's path, which is nobody's business."""
_CHECKED: Final = ("qcow2", "vmdk", "vhdx")

Tick = Callable[[float | None], None]
"""Told the percentage, or None, now and then; what it raises ends the program."""


class Failed(Refused):
    """qemu-img said no; the text is its last line, in short."""


@dataclass(frozen=True, slots=True)
class Info:
    """What the format says of the disk."""

    virtual_bytes: int


def program() -> Path:
    """Find qemu-img.

    :raises Missing: naming what to install
    """
    found = shutil.which("qemu-img")
    if found is None:
        raise Missing(
            "qemu-img is not on the PATH of the gateway: install it (Debian, Ubuntu: qemu-utils; "
            "Fedora, RHEL: qemu-img)"
        )
    return Path(found).resolve()


@functools.cache
def isolation() -> Mapping[str, bool]:
    """Tell what of `network` and `files` can be taken from qemu-img on this machine."""
    done = subprocess.run(
        [*_python(), "--probe"], env={}, capture_output=True, timeout=30, check=False
    )
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def info(source: Path, kind: str, *, tick: Tick) -> Info:
    """Ask what the disk is.

    :raises Refused: for what has a backing file, other files, or a cipher
    """
    said = _run(
        ["info", "--output=json", "--image-opts", _source(source, kind)],
        reads=[source],
        tick=tick,
        seconds=_LOOK_SECONDS,
    )
    try:
        told = json.loads(said)
        size = told["virtual-size"]
        format_ = told["format"]
    except (ValueError, KeyError, TypeError):
        raise Failed("qemu-img said nothing that can be read") from None
    if not isinstance(size, int) or size <= 0:
        raise Refused("the disk has no size")
    if format_ != {"vhd": "vpc"}.get(kind, kind):
        raise Refused(f"the disk is {format_}, not {kind}")
    if told.get("backing-filename") or told.get("full-backing-filename"):
        raise Refused("the disk has a backing file: flatten it before (qemu-img convert)")
    if told.get("encrypted"):
        raise Refused("the disk is encrypted: decrypt it before")
    _check_more(told.get("format-specific", {}).get("data", {}))
    return Info(size)


def _check_more(data: Mapping[str, Any]) -> None:
    if data.get("data-file") or data.get("data-file-raw"):
        raise Refused("the disk keeps its data in another file: flatten it before")
    if data.get("corrupt"):
        raise Refused("the disk is marked as damaged")
    if len(data.get("extents", ())) > 1:
        raise Refused("the disk is spread over several files: make it one (monolithicSparse)")


def check(source: Path, kind: str, virtual_bytes: int, *, tick: Tick) -> None:
    """Find out whether all is there that the disk's tables point at.

    :raises Refused: for what is truncated or damaged
    """
    if kind not in _CHECKED:
        return
    try:
        _run(
            ["check", "-q", "--image-opts", _source(source, kind)],
            reads=[source],
            tick=tick,
            seconds=_patience(virtual_bytes),
            fine=(0, 3),  # 3: clusters that nobody uses
        )
    except NoRoom:
        raise
    except Failed as error:
        raise Refused(f"the disk is truncated or damaged: {error}") from None


def convert(
    source: Path, kind: str, virtual_bytes: int, target: Path, *, spare_bytes: int, tick: Tick
) -> int:
    """Make a dynamic VHDX of it in the target's folder; answers its size for the guest.

    That is a whole number of MiB: the disk's own, and zeros up to it.

    :raises NoRoom: before `spare_bytes` of that folder's disk would be used
    """
    size = -(-virtual_bytes // MIB) * MIB
    folder = target.parent

    def room(percent: float | None) -> None:
        if _free(folder) < spare_bytes:
            raise NoRoom("the gateway's disk is full: the disk does not fit there")
        tick(percent)

    room(None)
    options = f"subformat=dynamic,block_size={BLOCK_BYTES}"
    _run(
        ["create", "-q", "-f", "vhdx", "-o", options, target.name, str(size)],
        writes=folder,
        tick=room,
        seconds=_LOOK_SECONDS,
        file_bytes=size,
    )
    said = [
        *("convert", "-p", "-n", "--target-is-zero", "-O", "vhdx"),
        *("--image-opts", _source(source, kind), target.name),
    ]
    _run(said, reads=[source], writes=folder, tick=room, seconds=_patience(size), file_bytes=size)
    return size


def read(source: Path, kind: str, offset: int, length: int, scratch: Path, *, tick: Tick) -> bytes:
    """Read what the guest would see there; shorter at the end. Whole sectors only."""
    if offset % 512 or length % 512:
        raise ValueError("no whole sectors")
    piece = scratch / "piece"
    try:
        _run(
            [
                *("dd", "--image-opts", "-O", "raw", "bs=512"),
                *(f"skip={offset // 512}", f"count={(offset + length) // 512}"),
                *(f"if={_source(source, kind)}", f"of={piece.name}"),
            ],
            reads=[source],
            writes=scratch,
            tick=tick,
            seconds=_LOOK_SECONDS,
            file_bytes=length,
        )
        with piece.open("rb") as file:
            return file.read(length)
    finally:
        piece.unlink(missing_ok=True)


def _source(path: Path, kind: str) -> str:
    """Say which file, and that it is one: a comma is doubled, all else is taken as it stands."""
    return f"{_DRIVERS[kind]},file.driver=file,file.locking=off,file.filename={_escaped(path)}"


def _escaped(path: Path) -> str:
    return str(path.absolute()).replace(",", ",,")


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _patience(virtual_bytes: int) -> float:
    return _LONG_SECONDS + _SECONDS_PER_GIB * (virtual_bytes // GIB)


def _python() -> list[str]:
    return [sys.executable, "-I", "-S", str(Path(sandbox.__file__).resolve())]


def _run(
    arguments: Sequence[str],
    *,
    reads: Sequence[Path] = (),
    writes: Path | None = None,
    tick: Tick,
    seconds: float,
    file_bytes: int = 0,
    fine: Sequence[int] = (0,),
) -> str:
    """Run qemu-img; answers what it said.

    :raises Failed: with its own reason
    :raises NoRoom:
    """
    limits = {
        "RLIMIT_AS": _MEMORY_BYTES,
        # A VHDX has tables and a log besides its blocks.
        "RLIMIT_FSIZE": file_bytes + file_bytes // 512 + 64 * MIB,
        "RLIMIT_NOFILE": _OPEN_FILES,
        "RLIMIT_CPU": int(seconds),
    }
    order = {
        "limits": limits,
        "read": [str(one.absolute()) for one in reads],
        "write": [str(writes)] if writes else [],
    }
    process = subprocess.Popen(
        [*_python(), str(os.getpid()), json.dumps(order), str(program()), *arguments],
        cwd=writes or "/",
        env={},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, complaint = _follow(process, tick, seconds)
        status = process.wait(_ENDING_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failed("qemu-img does not come to an end") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    if status in fine:
        return said.decode(errors="replace")
    words = (complaint or said).decode(errors="replace")
    for path in reads:
        for shown in (_escaped(path), str(path.absolute())):
            words = words.replace(shown, _NAMED)
    raise _failed(status, words, writing=writes is not None)


def _failed(status: int, complaint: str, *, writing: bool) -> Refused:
    # Where nothing is written, a header has said that something is too large.
    if status == -signal.SIGXFSZ or (writing and any(one in complaint for one in _FULL)):
        return NoRoom("the gateway's disk is full: the disk does not fit there")
    if status == -signal.SIGXCPU:
        return Failed("it takes longer than any sound disk of its size")
    if status < 0:
        return Failed(f"qemu-img was ended by {signal.Signals(-status).name}")
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    last = lines[-1].removeprefix("qemu-img: ") if lines else f"qemu-img ended with {status}"
    last = re.sub(rf"(driver=[^ ]*file\.filename=)?{_NAMED}", "the disk", last).replace("'", "")
    last = re.sub(r"^(Could not open the disk: )+", "Could not open the disk: ", last)
    if last == "Could not open the disk: Invalid argument":  # so it speaks of tables cut off
        last = "the disk is truncated or damaged: it could not be opened"
    shown = "".join(one if one.isprintable() else "?" for one in last)
    return Failed(shown[:_LONGEST_REASON])


def _follow(process: subprocess.Popen[bytes], tick: Tick, seconds: float) -> tuple[bytes, bytes]:
    """Take what it says until it closes both, keep so much of it, tell how far it is."""
    deadline = time.monotonic() + seconds
    kept: dict[str, bytearray] = {"out": bytearray(), "error": bytearray()}
    percent: float | None = None
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("out", process.stdout), ("error", process.stderr)):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ, name)
        ticked = time.monotonic()
        while selector.get_map():
            for key, _ in selector.select(_TICK_SECONDS):
                piece = os.read(key.fd, 65536)
                if not piece:
                    selector.unregister(key.fileobj)
                    continue
                found = _PERCENT.findall(piece) if key.data == "out" else []
                percent = float(found[-1]) if found else percent
                kept[key.data] += piece
                del kept[key.data][:-_MOST_SAID]
            now = time.monotonic()
            if now > deadline:
                raise Failed("qemu-img does not come to an end")
            if now - ticked >= _TICK_SECONDS:
                ticked = now
                tick(percent)
    return bytes(kept["out"]), bytes(kept["error"])
