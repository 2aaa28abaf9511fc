"""Reads what a real VHDX file says of itself, for disks that the laboratory did not make.

Bounded whatever the file holds: structures of fixed size, and the block table piece by piece. The
log is not replayed: what it holds changes nothing that is read here.

Source: [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format", sections 2.1 to 2.6.
"""

from __future__ import annotations

import array
import struct
import sys
import uuid
from dataclasses import dataclass
from typing import BinaryIO, Final

IDENTIFIER: Final = b"vhdxfile"
_KIB: Final = 1024
_MIB: Final = 1024**2
_HEADERS: Final = (64 * _KIB, 128 * _KIB)
_REGION_TABLES: Final = (192 * _KIB, 256 * _KIB)
_HEADER_BYTES: Final = 4 * _KIB
_TABLE_BYTES: Final = 64 * _KIB
_MOST_ENTRIES: Final = 2047
_MOST_BYTES: Final = 64 * 1024**4
_PRESENT: Final = 6
"""State of a block whose bytes are in the file."""
_PIECE_BYTES: Final = 1024 * _KIB
_BAT: Final = uuid.UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA: Final = uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS: Final = uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_SIZE: Final = uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_DISK_ID: Final = uuid.UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_LOGICAL: Final = uuid.UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_PHYSICAL: Final = uuid.UUID("cda348c7-445d-4471-9cc9-e9885251c556")
_BOOT_BYTES: Final = 1024


class Foreign(Exception):
    """The file is no VHDX at all."""


class Damaged(Exception):
    """It says that it is one, and is not whole."""


@dataclass(frozen=True, slots=True)
class Vhdx:
    """The header, and the first bytes of the disk; those are empty where nothing was written."""

    size: int
    type: str
    """As VhdType names it: Dynamic, Fixed or Differencing."""
    identifier: str
    block_size: int
    logical_sector: int
    physical_sector: int
    boot: bytes

    @property
    def generations(self) -> list[int]:
        """The generations of VMs that find something to start from, as far as two sectors tell."""
        has_record = self.boot[510:512] == b"\x55\xaa"
        has_table = self.boot[512:520] == b"EFI PART"
        code = any(self.boot[:440])
        return [number for number, boots in ((1, has_record and code), (2, has_table)) if boots]


def read(file: BinaryIO, length: int) -> Vhdx:
    """Read a file of that many bytes.

    :raises Foreign: it does not begin as a VHDX does
    :raises Damaged: a structure is missing or contradicts another one, or blocks lie behind its end
    """
    if _at(file, 0, len(IDENTIFIER), length, Foreign) != IDENTIFIER:
        raise Foreign
    if not any(_is_header(file, offset, length) for offset in _HEADERS):
        raise Damaged("neither header is whole")
    regions = _regions(file, length)
    items = _items(file, regions[_METADATA], length)
    block_size, flags = struct.unpack("<II", _item(items, _PARAMETERS, 8))
    (size,) = struct.unpack("<Q", _item(items, _SIZE, 8))
    (logical,) = struct.unpack("<I", _item(items, _LOGICAL, 4))
    (physical,) = struct.unpack("<I", _item(items, _PHYSICAL, 4))
    if logical not in (512, 4096) or physical not in (512, 4096):
        raise Damaged("its sectors are of no known size")
    if not 0 < size <= _MOST_BYTES or size % logical:
        raise Damaged("its size is none")
    if not _MIB <= block_size <= 256 * _MIB or block_size & (block_size - 1):
        raise Damaged("its blocks are of no known size")
    has_parent = bool(flags & 2)
    first = _check_blocks(file, regions[_BAT], length, size, block_size, logical, has_parent)
    return Vhdx(
        size=size,
        type="Differencing" if has_parent else "Fixed" if flags & 1 else "Dynamic",
        identifier=str(uuid.UUID(bytes_le=_item(items, _DISK_ID, 16))).upper(),
        block_size=block_size,
        logical_sector=logical,
        physical_sector=physical,
        boot=_at(file, first, _BOOT_BYTES, length) if first else b"",
    )


def _at(
    file: BinaryIO, offset: int, count: int, length: int, why: type[Exception] = Damaged
) -> bytes:
    if offset + count > length:
        raise why("it ends too early")
    file.seek(offset)
    found = file.read(count)
    if len(found) != count:
        raise why("it ends too early")
    return found


def _is_whole(block: bytes, signature: bytes) -> bool:
    """Tell whether a block with a checksum at byte 4 is as it was written."""
    (checksum,) = struct.unpack_from("<I", block, 4)
    return block[:4] == signature and _crc32c(block[:4] + bytes(4) + block[8:]) == checksum


def _is_header(file: BinaryIO, offset: int, length: int) -> bool:
    block = _at(file, offset, _HEADER_BYTES, length)
    return _is_whole(block, b"head") and struct.unpack_from("<H", block, 66) == (1,)


def _regions(file: BinaryIO, length: int) -> dict[uuid.UUID, tuple[int, int]]:
    """Region -> offset and length."""
    for offset in _REGION_TABLES:
        block = _at(file, offset, _TABLE_BYTES, length)
        (count,) = struct.unpack_from("<I", block, 8)
        if not _is_whole(block, b"regi") or count > _MOST_ENTRIES:
            continue
        found: dict[uuid.UUID, tuple[int, int]] = {}
        for number in range(count):
            name, begin, size, required = struct.unpack_from("<16sQII", block, 16 + 32 * number)
            region = uuid.UUID(bytes_le=name)
            if region not in (_BAT, _METADATA):
                if required & 1:
                    raise Damaged("it needs what nobody knows")
                continue
            if begin < _MIB or begin % _MIB or begin + size > length:
                raise Damaged("a region lies outside of it")
            found[region] = begin, size
        if len(found) != 2:
            raise Damaged("a region is missing")
        return found
    raise Damaged("neither region table is whole")


def _items(file: BinaryIO, region: tuple[int, int], length: int) -> dict[uuid.UUID, bytes]:
    """The known items of the metadata, none longer than 16 bytes."""
    begin, size = region
    block = _at(file, begin, _TABLE_BYTES, length)
    (count,) = struct.unpack_from("<H", block, 10)
    if block[:8] != b"metadata" or count > _MOST_ENTRIES:
        raise Damaged("its metadata are none")
    found: dict[uuid.UUID, bytes] = {}
    for number in range(count):
        name, offset, item = struct.unpack_from("<16sII", block, 32 + 32 * number)
        if offset < _TABLE_BYTES or offset + item > size:
            if item:
                raise Damaged("an item of its metadata lies outside of them")
            continue
        found[uuid.UUID(bytes_le=name)] = _at(file, begin + offset, min(item, 16), length)
    return found


def _item(items: dict[uuid.UUID, bytes], name: uuid.UUID, count: int) -> bytes:
    found = items.get(name, b"")
    if len(found) != count:
        raise Damaged("an item of its metadata is missing")
    return found


def _check_blocks(
    file: BinaryIO,
    region: tuple[int, int],
    length: int,
    size: int,
    block_size: int,
    logical: int,
    has_parent: bool,
) -> int:
    """See that all blocks lie within the file; answer where the first one lies, 0 for nowhere."""
    begin, bat_bytes = region
    ratio = 2**23 * logical // block_size
    blocks = -(-size // block_size)
    entries = -(-blocks // ratio) * (ratio + 1) if has_parent else blocks + (blocks - 1) // ratio
    if entries * 8 > bat_bytes:
        raise Damaged("its block table is too short")
    first = 0
    for done in range(0, entries * 8, _PIECE_BYTES):
        piece = array.array(
            "Q", _at(file, begin + done, min(_PIECE_BYTES, entries * 8 - done), length)
        )
        if sys.byteorder == "big":
            piece.byteswap()
        if done == 0 and piece[0] & 7 == _PRESENT:
            first = piece[0] >> 20 << 20
        last = max((entry >> 20 for entry in piece if entry & 7 == _PRESENT), default=0)
        if last * _MIB + block_size > length and last:
            raise Damaged("a block lies behind its end")
    return first


def _table() -> tuple[int, ...]:
    made = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        made.append(number)
    return tuple(made)


_CRC: Final = _table()


def _crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ 0xFFFFFFFF
