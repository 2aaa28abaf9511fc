"""Makes a VHDX of a disk that lies somewhere else, and says what machine it is for.

Bytes alone: whose disk it is, and who waits for it, is `tasks`' to know.

Source: docs/guests.md, "Import".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ec2gw.intake import allowed, fetch, formats, partitions, qemu
from ec2gw.intake.refusals import Refused

Stage = Literal["fetching", "looking", "converting", "sealing"]
Report = Callable[[Stage, int, int | None], None]
"""Told how much is done of how much, in bytes; what it raises ends the work."""
BOOT_MODES: Final = ("legacy-bios", "uefi", "uefi-preferred")
_PIECE_BYTES: Final = 4 * 1024**2
_TABLES_SHARE: Final = 64
"""A file may be so much larger than what is in it: its tables take a part of so many."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted; None: as the disk says."""

    format: str | None = None
    bootable: bool = True
    """False: a disk of data, of which nothing is asked but that it is whole."""
    platform: partitions.Platform | None = None
    generation: Literal[1, 2] | None = None
    boot_mode: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    largest_bytes: int
    """Of the disk as its guest sees it."""
    spare_bytes: int

    @property
    def of_file(self) -> fetch.Limits:
        most = self.largest_bytes + self.largest_bytes // _TABLES_SHARE
        return fetch.Limits(most, self.spare_bytes)


@dataclass(frozen=True, slots=True)
class Made:
    """A VHDX in the scratch folder, synced; `guess`: the platform is no more than that."""

    file: Path
    length_bytes: int
    sha256: str
    virtual_bytes: int
    generation: int
    platform: partitions.Platform
    boot_mode: str
    guess: bool
    why: str | None


def bring(url: str, rules: allowed.Rules, folder: Path, limits: Limits, report: Report) -> Path:
    """Fetch a disk into the folder.

    :raises Refused:
    """
    target = folder / "fetched"

    def tick(came: int, total: int | None) -> None:
        report("fetching", came, total)

    fetch.fetch(url, target, rules, limits.of_file, tick)
    return target


def make(source: Path, folder: Path, order: Order, limits: Limits, report: Report) -> Made:
    """Look a file through, and make the VHDX of it in the folder.

    :raises Refused: also for what was ordered of a disk that cannot be so
    """
    if source.is_relative_to(folder):
        path = source
    else:
        path = source.resolve()
    kind = formats.look(path, order.format)
    size = path.stat().st_size

    def looking(percent: float | None) -> None:
        report("looking", 0, None)

    looking(None)
    told = qemu.info(path, kind, tick=looking)
    most = min(limits.largest_bytes, qemu.LARGEST_VHDX_BYTES)
    if told.virtual_bytes > most:
        raise Refused(
            f"the disk has {-(-told.virtual_bytes // qemu.GIB)} GiB; the largest that is taken "
            f"has {most // qemu.GIB}"
        )
    qemu.check(path, kind, told.virtual_bytes, tick=looking)

    def read(offset: int, length: int) -> bytes:
        return qemu.read(path, kind, offset, length, folder, tick=looking)

    # Before all of it is converted: what is refused is refused soon.
    boot = partitions.look(read, told.virtual_bytes) if order.bootable else None
    generation = _generation(order, boot)
    target = folder / "made.vhdx"

    def converting(percent: float | None) -> None:
        if percent is not None:
            report("converting", int(size * percent / 100), size)

    report("converting", 0, size)
    virtual = qemu.convert(
        path,
        kind,
        told.virtual_bytes,
        target,
        spare_bytes=limits.spare_bytes,
        tick=converting,
    )
    length, digest = _seal(target, report)
    platform = order.platform or (boot.platform if boot else "linux")
    return Made(
        target,
        length,
        digest,
        virtual,
        generation,
        platform,
        order.boot_mode or ("uefi" if generation == 2 else "legacy-bios"),
        guess=order.platform is None and boot is not None and boot.why is None,
        why=boot.why if boot and order.platform is None else None,
    )


def _generation(order: Order, boot: partitions.Boot | None) -> int:
    """Choose the VM's generation: a disk with an EFI system partition gets the newer one."""
    if boot is None:
        return order.generation or 2
    wanted = order.generation
    if order.boot_mode in ("uefi", "legacy-bios"):
        wanted = 2 if order.boot_mode == "uefi" else 1
        if order.generation not in (None, wanted):
            raise Refused(f"a VM of generation {order.generation} has no {order.boot_mode}")
    if wanted == 2 and boot.generation == 1:
        raise Refused("the disk has no EFI system partition: a machine with UEFI does not start")
    return wanted or boot.generation


def _seal(file: Path, report: Report) -> tuple[int, str]:
    """See to it that all of it is on the disk; answers its length and its SHA-256."""
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as opened:
        total = os.fstat(opened.fileno()).st_size
        os.fsync(opened.fileno())
        while piece := opened.read(_PIECE_BYTES):
            digest.update(piece)
            done += len(piece)
            report("sealing", done, total)
    return total, digest.hexdigest()


def order_of(asked: dict[str, Any], format_: str) -> Order:
    """Read what EC2's request said, in its words.

    :raises Refused:
    """
    platform: partitions.Platform | None = None
    if told := str(asked.get("Platform") or ""):
        platform = "windows" if told.lower() == "windows" else "linux"
    mode = asked.get("BootMode") or None
    if mode is not None and mode not in BOOT_MODES:
        raise Refused(f"boot modes are {', '.join(BOOT_MODES)}")
    return Order(format=format_ or None, platform=platform, boot_mode=mode)
