"""Small disks in files: a VHDX made by hand, part by part, so that each part can be spoilt.

Source: [MS-VHDX], sections 2.2 to 2.6.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import uuid
from pathlib import Path

import pytest

MIB = 1024**2
IDENTIFIER = uuid.UUID("12345678-9abc-4def-8123-456789abcdef")
METADATA, BAT, BLOCK = 2 * MIB, 3 * MIB, 4 * MIB
"""Where the parts of `vhdx` lie; it is 5 MiB long."""


def vhdx(size: int = 16 * MIB, *, flags: int = 0, bootable: bool = True) -> bytes:
    """A dynamic VHDX with blocks of 1 MiB, of which only the first is there."""
    made = bytearray(5 * MIB)
    made[:8] = b"vhdxfile"
    for number, offset in enumerate((64 * 1024, 128 * 1024)):
        header = bytearray(4096)
        header[:4] = b"head"
        struct.pack_into("<Q", header, 8, number + 1)
        struct.pack_into("<HHIQ", header, 64, 0, 1, MIB, MIB)
        _seal(header)
        made[offset : offset + 4096] = header
    regions = bytearray(64 * 1024)
    regions[:4] = b"regi"
    struct.pack_into("<I", regions, 8, 2)
    for at, (name, offset) in enumerate(
        (
            ("2dc27766-f623-4200-9d64-115e9bfd4a08", BAT),
            ("8b7ca206-4790-4b9a-b8fe-575f050f886e", METADATA),
        )
    ):
        entry = (uuid.UUID(name).bytes_le, offset, MIB, 1)
        struct.pack_into("<16sQII", regions, 16 + 32 * at, *entry)
    _seal(regions)
    for offset in (192 * 1024, 256 * 1024):
        made[offset : offset + len(regions)] = regions
    items = {
        "caa16737-fa36-4d43-b3b6-33f0aa44e76b": struct.pack("<II", MIB, flags),
        "2fa54224-cd1b-4876-b211-5dbed83bf4b8": struct.pack("<Q", size),
        "beca12ab-b2e6-4523-93ef-c309e000c746": IDENTIFIER.bytes_le,
        "8141bf1d-a96f-4709-ba47-f233a8faab5f": struct.pack("<I", 512),
        "cda348c7-445d-4471-9cc9-e9885251c556": struct.pack("<I", 4096),
    }
    made[METADATA : METADATA + 8] = b"metadata"
    struct.pack_into("<H", made, METADATA + 10, len(items))
    for at, (name, value) in enumerate(items.items()):
        offset = 64 * 1024 + 64 * at
        entry_of = (uuid.UUID(name).bytes_le, offset, len(value), 4)
        struct.pack_into("<16sIII", made, METADATA + 32 + 32 * at, *entry_of)
        made[METADATA + offset : METADATA + offset + len(value)] = value
    if bootable:
        struct.pack_into("<Q", made, BAT, BLOCK | 6)
        made[BLOCK] = 0xEB
        made[BLOCK + 510 : BLOCK + 520] = b"\x55\xaaEFI PART"
    return bytes(made)


def _seal(block: bytearray) -> None:
    struct.pack_into("<I", block, 4, crc32c(bytes(block)))


def crc32c(data: bytes) -> int:
    """The checksum, bit by bit: slower than the one that is tested, and not the same code."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0x82F63B78 * (value & 1)
    return value ^ 0xFFFFFFFF


def converted(folder: Path, *options: str, size: int = 40 * MIB) -> Path:
    """A bootable VHDX as qemu-img makes one; skips where there is none."""
    qemu = shutil.which("qemu-img")
    if qemu is None:
        pytest.skip("qemu-img is not installed")
    raw, made = folder / "disk.raw", folder / "disk.vhdx"
    with raw.open("wb") as file:
        file.write(b"\xeb" + bytes(509) + b"\x55\xaaEFI PART")
        file.truncate(size)
    told = ["-o", ",".join(options)] if options else []
    command = [qemu, "convert", "-f", "raw", "-O", "vhdx", *told, str(raw), str(made)]
    subprocess.run(command, check=True, timeout=60)
    return made
