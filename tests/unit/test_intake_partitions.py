"""What a partition table says of the machine, and what of it is not believed."""

from __future__ import annotations

import random
import struct

import pytest

from ec2gw.intake import partitions
from ec2gw.intake.refusals import Refused
from tests.unit.outside_disks import (
    BASIC_DATA,
    ESP,
    LINUX,
    MIB,
    MICROSOFT_RESERVED,
    SECTOR,
    gpt,
    linux,
    mbr,
)

SIZE = 16 * MIB


def look(disk: bytes | bytearray, size: int | None = None) -> partitions.Boot:
    def read(offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length <= 2 * MIB
        assert offset % SECTOR == length % SECTOR == 0
        return bytes(disk[offset : offset + length])

    return partitions.look(read, len(disk) if size is None else size)


def why(disk: bytes | bytearray, size: int | None = None) -> str:
    with pytest.raises(Refused) as caught:
        look(disk, size)
    return str(caught.value)


def test_an_efi_system_partition_makes_generation_2() -> None:
    assert look(linux()) == partitions.Boot(2, "linux", "partitions that Linux makes")
    assert look(gpt(SIZE, [(LINUX, 2048, 9000)])).generation == 1
    assert look(mbr(SIZE, [(0x83, 2048, 9000)])).generation == 1
    assert look(mbr(SIZE, [(0xEF, 2048, 2048), (0x83, 4096, 9000)])).generation == 2


def test_windows_is_known_by_its_partitions_and_by_ntfs() -> None:
    reserved = [(ESP, 2048, 4095), (MICROSOFT_RESERVED, 4096, 8191), (BASIC_DATA, 8192, 20000)]
    assert look(gpt(SIZE, reserved)).platform == "windows"
    old = mbr(SIZE, [(0x07, 2048, 20000)])
    old[2048 * SECTOR + 3 : 2048 * SECTOR + 11] = b"NTFS    "
    assert look(old) == partitions.Boot(1, "windows", "ntfs")


@pytest.mark.parametrize(
    ("at", "magic", "name"),
    [(1080, b"\x53\xef", "ext4"), (0, b"XFSB", "xfs"), (65536 + 64, b"_BHRfS_M", "btrfs")],
)
def test_linux_is_known_by_its_file_systems_even_beside_ntfs(
    at: int, magic: bytes, name: str
) -> None:
    disk = gpt(SIZE, [(BASIC_DATA, 2048, 6000), (BASIC_DATA, 8192, 20000)])
    disk[2048 * SECTOR + 3 : 2048 * SECTOR + 11] = b"NTFS    "
    start = 8192 * SECTOR + at
    disk[start : start + len(magic)] = magic
    assert look(disk) == partitions.Boot(1, "linux", name)


def test_what_nothing_speaks_for_is_linux_and_said_to_be_a_guess() -> None:
    assert look(gpt(SIZE, [(BASIC_DATA, 2048, 9000)])) == partitions.Boot(1, "linux", None)


def test_a_disk_shorter_than_its_table_says_is_truncated() -> None:
    whole = linux()
    assert "truncated" in why(whole[: SIZE // 2])
    assert "truncated" in why(mbr(SIZE, [(0x83, 2048, 40000)]))
    longer = linux() + bytearray(MIB)  # a disk may well be larger than what is on it
    assert look(longer).generation == 2


@pytest.mark.parametrize(
    "disk", [b"", b"\0" * 512, b"\0" * MIB, b"\xff" * MIB, mbr(MIB, [])[:446].ljust(MIB, b"\0")]
)
def test_what_nothing_boots_from_is_refused(disk: bytes) -> None:
    assert why(disk)


def test_a_table_for_large_sectors_or_a_lost_one_is_refused() -> None:
    disk = linux()
    head = bytes(disk[SECTOR : SECTOR + 92])
    disk[SECTOR : SECTOR + 92] = bytes(92)
    assert "damaged" in why(disk)
    disk[4096 : 4096 + 92] = head
    assert "4096" in why(disk)


@pytest.mark.parametrize(
    ("offset", "form", "value"),
    [
        (72, "<Q", 2**63),  # where the table is
        (72, "<Q", 0),
        (80, "<I", 2**32 - 1),  # how many entries
        (84, "<I", 0),  # how large each is
        (84, "<I", 2**31),
        (84, "<I", 130),
        (32, "<Q", 2**64 - 1),  # where the other header is
    ],
)
def test_a_header_that_lies_moves_nobody(offset: int, form: str, value: int) -> None:
    disk = linux()
    struct.pack_into(form, disk, SECTOR + offset, value)
    try:
        found = look(disk)
    except Refused:
        return
    assert found.generation in (1, 2)


def test_noise_gives_an_answer_or_a_refusal_and_nothing_else() -> None:
    chance = random.Random(5)
    for _ in range(300):
        disk = linux(4 * MIB)
        for _ in range(chance.randrange(1, 200)):
            disk[chance.randrange(SECTOR * 40)] = chance.randrange(256)
        disk[510:512] = b"\x55\xaa"
        try:
            found = look(disk)
        except Refused:
            continue
        assert found.generation in (1, 2)
