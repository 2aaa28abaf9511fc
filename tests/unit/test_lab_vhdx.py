"""What the laboratory reads in a real VHDX: the truth of a whole one, and why another is none."""

from __future__ import annotations

import contextlib
import io
import random
import struct
from pathlib import Path

import pytest

from ec2gw.lab.world import vhdx
from tests import disk_files
from tests.disk_files import BAT, BLOCK, METADATA, MIB

WHOLE = disk_files.vhdx()
ITEMS = METADATA + 64 * 1024
"""Where the values of the metadata lie, 64 bytes apart: parameters, size, id, sectors."""


def read(content: bytes) -> vhdx.Vhdx:
    return vhdx.read(io.BytesIO(content), len(content))


def spoilt(offset: int, value: bytes, content: bytes = WHOLE) -> bytes:
    return content[:offset] + value + content[offset + len(value) :]


def test_the_checksum_is_the_one_that_all_the_world_checks() -> None:
    assert vhdx._crc32c(b"123456789") == 0xE3069283
    assert disk_files.crc32c(b"123456789") == 0xE3069283


def test_a_whole_one_is_read() -> None:
    found = read(WHOLE)
    assert (found.size, found.type, found.block_size) == (16 * MIB, "Dynamic", MIB)
    assert found.identifier == str(disk_files.IDENTIFIER).upper()
    assert (found.logical_sector, found.physical_sector) == (512, 4096)
    assert found.generations == [1, 2]


@pytest.mark.parametrize(("flags", "type_"), [(0, "Dynamic"), (1, "Fixed"), (2, "Differencing")])
def test_its_type_is_told(flags: int, type_: str) -> None:
    assert read(disk_files.vhdx(flags=flags)).type == type_


def test_a_disk_that_nobody_wrote_to_boots_nowhere() -> None:
    found = read(disk_files.vhdx(bootable=False))
    assert (found.boot, found.generations) == (b"", [])


@pytest.mark.parametrize(
    "options",
    [("subformat=dynamic", "block_size=1M"), ("subformat=dynamic",), ("subformat=fixed",)],
)
def test_what_qemu_img_makes_is_read(tmp_path: Path, options: tuple[str, ...]) -> None:
    made = disk_files.converted(tmp_path, *options)
    with made.open("rb") as file:
        found = vhdx.read(file, made.stat().st_size)
        assert (found.size, found.generations) == (40 * MIB, [1, 2])
        assert found.type == ("Fixed" if options[0].endswith("fixed") else "Dynamic")
        with pytest.raises(vhdx.Damaged):
            vhdx.read(file, made.stat().st_size - 1)


@pytest.mark.parametrize("content", [b"", b"vhdx", b"conectix" * 64, bytes(5 * MIB)])
def test_what_does_not_begin_so_is_none(content: bytes) -> None:
    with pytest.raises(vhdx.Foreign):
        read(content)


@pytest.mark.parametrize(
    "content",
    [
        WHOLE[:8],
        WHOLE[: 200 * 1024],
        WHOLE[:METADATA],
        WHOLE[:BAT],
        WHOLE[:-1],
        spoilt(128 * 1024 + 70, b"\xff", spoilt(64 * 1024 + 70, b"\xff")),
        spoilt(256 * 1024 + 30, b"\xff", spoilt(192 * 1024 + 30, b"\xff")),
        spoilt(METADATA, b"metadats"),
        spoilt(METADATA + 10, struct.pack("<H", 65535)),
        spoilt(METADATA + 10, struct.pack("<H", 2)),
        spoilt(METADATA + 32 + 16, struct.pack("<I", 2 * MIB)),
        spoilt(ITEMS, struct.pack("<I", 3 * MIB)),
        spoilt(ITEMS, struct.pack("<I", 512 * MIB)),
        spoilt(ITEMS + 64, struct.pack("<Q", 0)),
        spoilt(ITEMS + 64, struct.pack("<Q", 500 * 1024**4)),
        spoilt(ITEMS + 64, struct.pack("<Q", 64 * 1024**4)),
        spoilt(ITEMS + 64, struct.pack("<Q", 1000)),
        spoilt(ITEMS + 192, struct.pack("<I", 520)),
        spoilt(BAT, struct.pack("<Q", BLOCK + MIB | 6)),
    ],
    ids=[
        *("ends after its name", "ends in its tables", "ends before metadata", "ends before table"),
        *("ends in a block", "no header", "no regions", "no metadata", "too many items"),
        *("too few items", "item outside", "odd blocks", "huge blocks", "no size", "500 TiB"),
        *("table too short", "half a sector", "odd sectors", "block outside"),
    ],
)
def test_one_that_is_not_whole_is_told_as_damaged(content: bytes) -> None:
    with pytest.raises(vhdx.Damaged):
        read(content)


def test_one_good_header_and_one_good_table_are_enough() -> None:
    one = spoilt(192 * 1024 + 30, b"\xff", spoilt(64 * 1024 + 70, b"\xff"))
    assert read(one) == read(WHOLE)


def test_noise_is_read_or_refused_and_nothing_else() -> None:
    dice = random.Random(7)
    for _ in range(60):
        content = bytearray(WHOLE)
        for _ in range(dice.randrange(1, 6)):
            part = dice.choice((64 * 1024, 192 * 1024, METADATA, ITEMS, BAT))
            content[part + dice.randrange(256)] = dice.randrange(256)
        with contextlib.suppress(vhdx.Foreign, vhdx.Damaged):
            assert read(bytes(content)).size > 0
