"""Disks as the world has them, made on the spot: small, sparse, with a partition table."""

from __future__ import annotations

import shutil
import struct
import subprocess
import uuid
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

MIB: Final = 1024**2
SECTOR: Final = 512
ESP: Final = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LINUX: Final = "0fc63daf-8483-4772-8e79-3d69d8477de4"
BASIC_DATA: Final = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
MICROSOFT_RESERVED: Final = "e3c9e316-0b5c-4db8-817d-f92df00215ae"

needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed (Debian: qemu-utils)"
)


def nothing(percent: float | None) -> None:
    """What is told how far something is, and does not care."""


def gpt(size: int, parts: Sequence[tuple[str, int, int]]) -> bytearray:
    """Make a disk of that size; a part is type, first sector, last sector."""
    sectors = size // SECTOR
    disk = bytearray(size)
    disk[446:462] = bytes([0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF]) + struct.pack("<II", 1, sectors - 1)
    disk[510:512] = b"\x55\xaa"
    table = bytearray(128 * 128)
    for number, (kind, first, last) in enumerate(parts):
        entry = uuid.UUID(kind).bytes_le + uuid.uuid4().bytes_le
        entry += struct.pack("<QQQ", first, last, 0)
        table[128 * number : 128 * number + len(entry)] = entry
    head = bytearray(
        struct.pack(
            "<8sIIIIQQQQ16sQIII",
            *(b"EFI PART", 0x10000, 92, 0, 0, 1, sectors - 1, 34, sectors - 34),
            *(uuid.uuid4().bytes_le, 2, 128, 128, zlib.crc32(table)),
        )
    )
    head[16:20] = struct.pack("<I", zlib.crc32(head))
    disk[SECTOR : SECTOR + len(head)] = head
    disk[2 * SECTOR : 2 * SECTOR + len(table)] = table
    return disk


def mbr(size: int, parts: Sequence[tuple[int, int, int]]) -> bytearray:
    """Make a disk of that size; a part is type, first sector, how many."""
    disk = bytearray(size)
    disk[:3] = b"\xeb\x63\x90"
    for number, (kind, first, sectors) in enumerate(parts):
        entry = bytes([0x80, 0, 0, 0, kind, 0, 0, 0]) + struct.pack("<II", first, sectors)
        disk[446 + 16 * number : 462 + 16 * number] = entry
    disk[510:512] = b"\x55\xaa"
    return disk


def linux(size: int = 16 * MIB) -> bytearray:
    """Make what a cloud image looks like: an EFI system partition, a root, bytes that compare."""
    end = size // SECTOR - 100
    disk = gpt(size, [(ESP, 2048, 4095), (LINUX, 4096, end)])
    for offset in range(4 * MIB, 6 * MIB, 4096):
        disk[offset : offset + 8] = struct.pack("<Q", offset)
    return disk


def qemu_img(*arguments: object) -> str:
    """Run it as it is, without our sandbox."""
    done = subprocess.run(
        ["qemu-img", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def made(raw: Path, kind: str, target: Path, *options: str) -> Path:
    """Make the raw disk one of another format."""
    words = [word for one in options for word in ("-o", one)]
    qemu_img("convert", "-f", "raw", "-O", kind, *words, raw, target)
    return target
