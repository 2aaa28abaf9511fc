"""What a disk's partition table says of the machine that it is for: how it boots, which system.

Reads what a stranger made: nothing in it is believed before it was held against the disk's size,
and only so many partitions are looked into. Knows no file and no program: `read` brings bytes.

Source: UEFI 2.10, chapter 5 (GPT, MBR); systemd, "Discoverable Partitions Specification"; on-disk
formats of ext4, XFS, Btrfs and NTFS.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from ec2gw.intake.refusals import Refused

Read = Callable[[int, int], bytes]
"""Offset and length, whole sectors -> what the guest would see there."""
Platform = Literal["linux", "windows"]

SECTOR: Final = 512
_FIRST_BYTES: Final = 64 * 1024
_MOST_ENTRIES: Final = 128
_LOOKED_INTO: Final = 8
_SUPERBLOCK_BYTES: Final = 4096
_BTRFS_AT: Final = 65536

_ESP: Final = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
_WINDOWS: Final = frozenset(
    uuid.UUID(one)
    for one in (
        "e3c9e316-0b5c-4db8-817d-f92df00215ae",  # Microsoft reserved
        "de94bba4-06d1-4d40-a16a-bfd50179d6ac",  # Windows recovery
        "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3",  # LDM metadata
        "af9b60a0-1431-4f62-bc68-3311714a69ad",  # LDM data
    )
)
_LINUX: Final = frozenset(
    uuid.UUID(one)
    for one in (
        "0fc63daf-8483-4772-8e79-3d69d8477de4",  # Linux file system
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",  # root, x86-64
        "e6d6d379-f507-44c2-a23c-238f2a3df928",  # LVM
        "a19d880f-05fc-4d3b-a006-743f0f84911e",  # RAID
        "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f",  # swap
        "bc13c2ff-59e6-4262-a352-b275fd6f7172",  # /boot
        "21686148-6449-6e6f-744e-656564454649",  # BIOS boot: GRUB's
    )
)
_MBR_LINUX: Final = frozenset({0x82, 0x83, 0x8E, 0xFD})
_MBR_PROTECTIVE: Final = 0xEE
_MBR_ESP: Final = 0xEF


@dataclass(frozen=True, slots=True)
class Boot:
    """What was found; `why` says by what the platform was known, None when it is a guess."""

    generation: int
    platform: Platform
    why: str | None


@dataclass(frozen=True, slots=True)
class _Partition:
    first: int  # in sectors
    sectors: int
    kind: uuid.UUID | int


def look(read: Read, virtual_bytes: int) -> Boot:
    """Say how a disk of that size boots.

    :raises Refused: when nothing can boot from it, or it is shorter than its own table says
    """
    head = read(0, min(_FIRST_BYTES, virtual_bytes - virtual_bytes % SECTOR))
    if len(head) < 2 * SECTOR or head[510:512] != b"\x55\xaa":
        raise Refused("the disk has no partition table: no machine starts from it")
    found = list(_mbr(head))
    guid = any(one.kind == _MBR_PROTECTIVE for one in found)
    if head[SECTOR : SECTOR + 8] == b"EFI PART":
        found = list(_gpt(head, read, virtual_bytes))
    elif head[4096:4104] == b"EFI PART":
        raise Refused("the disk is made for sectors of 4096 bytes")
    elif guid:
        raise Refused("the disk's partition table is damaged")
    sectors = virtual_bytes // SECTOR
    for one in found:
        if one.first >= sectors or one.sectors > sectors - one.first:
            raise Refused("the disk is truncated: its partitions reach beyond its end")
    if not found and not any(head[:440]):
        raise Refused("the disk has no partitions: no machine starts from it")
    generation = 2 if any(one.kind in (_ESP, _MBR_ESP) for one in found) else 1
    platform, why = _platform(found, read)
    return Boot(generation, platform, why)


def _mbr(head: bytes) -> Iterator[_Partition]:
    for number in range(4):
        entry = head[446 + 16 * number : 462 + 16 * number]
        kind = entry[4]
        first, sectors = struct.unpack_from("<II", entry, 8)
        if kind == _MBR_PROTECTIVE:
            # How far it reaches was never told in the same way by any two programs.
            yield _Partition(1, 1, kind)
        elif kind and sectors:
            yield _Partition(first, sectors, kind)


def _gpt(head: bytes, read: Read, virtual_bytes: int) -> Iterator[_Partition]:
    fields = struct.unpack_from("<QQQQ", head, SECTOR + 24)
    _current, alternate, _first_usable, last_usable = fields
    table, count, size = struct.unpack_from("<QII", head, SECTOR + 72)
    if max(alternate, last_usable) >= virtual_bytes // SECTOR:
        raise Refused("the disk is truncated: its partition table is for a larger one")
    if not 128 <= size <= 4096 or size % 128 or not 2 <= table < virtual_bytes // SECTOR:
        raise Refused("the disk's partition table is damaged")
    length = -(-min(count, _MOST_ENTRIES) * size // SECTOR) * SECTOR
    entries = read(table * SECTOR, length)
    for offset in range(0, len(entries) - 127, size):
        kind = uuid.UUID(bytes_le=entries[offset : offset + 16])
        first, last = struct.unpack_from("<QQ", entries, offset + 32)
        if kind.int and last >= first:
            yield _Partition(first, last - first + 1, kind)


def _platform(found: list[_Partition], read: Read) -> tuple[Platform, str | None]:
    kinds = {one.kind for one in found}
    if kinds & _WINDOWS:
        return "windows", "partitions that Windows makes"
    if kinds & _LINUX or kinds & _MBR_LINUX:
        return "linux", "partitions that Linux makes"
    system: Platform | None = None
    for one in found[:_LOOKED_INTO]:
        match _file_system(one, read):
            case "ntfs":
                system = "windows"
            case None:
                continue
            case name:
                return "linux", name
    return ("windows", "ntfs") if system else ("linux", None)


def _file_system(one: _Partition, read: Read) -> str | None:
    if one.sectors * SECTOR < _BTRFS_AT + _SUPERBLOCK_BYTES:
        return None
    start = one.first * SECTOR
    head = read(start, _SUPERBLOCK_BYTES)
    if head[3:11] == b"NTFS    ":
        return "ntfs"
    if head[1024 + 56 : 1024 + 58] == b"\x53\xef":
        return "ext4"
    if head[:4] == b"XFSB":
        return "xfs"
    if read(start + _BTRFS_AT, _SUPERBLOCK_BYTES)[64:72] == b"_BHRfS_M":
        return "btrfs"
    return None
