"""Our own look at a file from outside, before anything else reads it: what it is, what it refuses.

Reads headers alone, a bounded part of them, and follows nothing that they say. What is let through
is one of `KINDS` and complete in itself; everything else is refused in a sentence.

Source: qemu, "Qcow2 Image File Format"; VMware, "Virtual Disk Format 5.0"; Microsoft, "Virtual Hard
Disk Image Format Specification" and [MS-VHDX].
"""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path
from typing import BinaryIO, Final

from ec2gw.intake.refusals import Refused

KINDS: Final = ("qcow2", "raw", "vmdk", "vhd", "vhdx")
_ALSO: Final = {"vpc": "vhd", "img": "raw"}
_SECTOR: Final = 512
_MOST_DESCRIPTOR_BYTES: Final = 64 * 1024
_MAGIC: Final = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"KDMV", "vmdk"),
    (0, b"vhdxfile", "vhdx"),
    (0, b"conectix", "vhd"),
)
_OTHERS: Final = (
    (0, b"# Disk Descriptor", "a vmdk descriptor that names other files: make it one file before"),
    (0, b"COWD", "a vmdk of several files: make it one (monolithicSparse) before"),
    (257, b"ustar", "an archive, such as an OVA: unpack it, and import the disk in it"),
    (0, b"PK\x03\x04", "a zip archive: unpack it before"),
    (0, b"\x1f\x8b", "compressed (gzip): unpack it before"),
    (0, b"\xfd7zXZ\x00", "compressed (xz): unpack it before"),
    (0, b"BZh", "compressed (bzip2): unpack it before"),
    (0, b"\x28\xb5\x2f\xfd", "compressed (zstd): unpack it before"),
    (0, b"LUKS\xba\xbe", "encrypted: decrypt it before"),
    (0, b"QED\x00", "a qed disk: make it qcow2 before"),
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox disk: make it vhd or vmdk before"),
)
_SINGLE_VMDKS: Final = ("monolithicSparse", "streamOptimized")
_EXTENT: Final = re.compile(r"^(?:RW|RDONLY|NOACCESS)\s+[0-9]+\s+(\w+)", re.MULTILINE)
_HAS_PARENT: Final = 2
_REGIONS: Final = 192 * 1024
_METADATA_REGION: Final = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_FILE_PARAMETERS: Final = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")


def said(word: str | None) -> str | None:
    """Answer the kind that somebody's word for a format means; None where there is none.

    :raises Refused: for a word that is no format of ours
    """
    if not word:
        return None
    kind = _ALSO.get(word.lower(), word.lower())
    if kind == "ova":
        raise Refused("an OVA is not taken: unpack it, and import the disk in it")
    if kind not in KINDS:
        raise Refused(f"a disk is one of {', '.join(KINDS)}")
    return kind


def look(path: Path, word: str | None = None) -> str:
    """Answer the file's kind, one of KINDS, when it is fit to be read any further.

    :raises Refused: also when it is something else than `word` says
    """
    wanted = said(word)
    with _opened(path) as file:
        length = os.fstat(file.fileno()).st_size
        if length == 0:
            raise Refused("the file is empty")
        kind = _kind(file, length)
        if kind is None:
            kind = _raw(file, length, sure=wanted == "raw")
        if wanted not in (None, kind):
            raise Refused(f"the file is {kind}, not {wanted}")
        if check := _CHECKS.get(kind):
            check(file, length)
    return kind


def _opened(path: Path) -> BinaryIO:
    """Open a plain file; a device or a pipe is not even waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"the file cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused("this is no plain file")
    return os.fdopen(descriptor, "rb")


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    """Read there; zeros where the file has ended: a header may name any place."""
    if not 0 <= offset < os.fstat(file.fileno()).st_size:
        return bytes(length)
    file.seek(offset)
    return file.read(length).ljust(length, b"\0")


def _kind(file: BinaryIO, length: int) -> str | None:
    head = _at(file, 0, 4096)
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if length > _SECTOR and _at(file, length - _SECTOR, 8) == b"conectix":
        return "vhd"
    for offset, magic, what in _OTHERS:
        if head.startswith(magic, offset):
            raise Refused(f"the file is {what}")
    return None


def _raw(file: BinaryIO, length: int, *, sure: bool) -> str:
    if length % _SECTOR:
        raise Refused("the file is no disk: no known format, and no whole number of sectors")
    if not sure:
        if _at(file, 0x8001, 5) == b"CD001":
            raise Refused("the file is a disc to install from, not a disk")
        if _at(file, 510, 2) != b"\x55\xaa":
            raise Refused("the file is no disk: no known format, and no partition table")
    return "raw"


def _check_qcow2(file: BinaryIO, length: int) -> None:
    head = _at(file, 0, 104)
    version, backing = struct.unpack_from(">IQ", head, 4)
    cipher = struct.unpack_from(">I", head, 32)[0]
    if version not in (2, 3):
        raise Refused("the disk is qcow of another version: make it qcow2 before")
    if backing:
        raise Refused("the disk has a backing file: flatten it before (qemu-img convert)")
    if cipher:
        raise Refused("the disk is encrypted: decrypt it before")
    features = struct.unpack_from(">Q", head, 72)[0] if version == 3 else 0
    if features & 0b100:
        raise Refused("the disk keeps its data in another file: flatten it before")
    if features & 0b10:
        raise Refused("the disk is marked as damaged")


def _check_vmdk(file: BinaryIO, length: int) -> None:
    head = _at(file, 0, _SECTOR)
    capacity = struct.unpack_from("<Q", head, 12)[0]
    offset, sectors = struct.unpack_from("<QQ", head, 28)
    if not capacity or not offset or not sectors:
        raise Refused("the file is a part of a vmdk: make it one file before")
    size = min(sectors * _SECTOR, _MOST_DESCRIPTOR_BYTES)
    text = _at(file, offset * _SECTOR, size).split(b"\0")[0].decode("utf-8", "replace")
    made = re.search(r'^createType\s*=\s*"(\w+)"', text, re.MULTILINE)
    if made is None or made.group(1) not in _SINGLE_VMDKS or _EXTENT.findall(text) != ["SPARSE"]:
        raise Refused("the vmdk names other files: make it one (monolithicSparse) before")
    parent = re.search(r"^parentCID\s*=\s*(\w+)", text, re.MULTILINE)
    if "parentFileNameHint" in text or (parent and parent.group(1).lower() != "f" * 8):
        raise Refused("the disk has a backing file: flatten it before (qemu-img convert)")


def _check_vhd(file: BinaryIO, length: int) -> None:
    foot = _at(file, length - _SECTOR, _SECTOR)
    if not foot.startswith(b"conectix"):
        raise Refused("the disk is truncated: its end is not there")
    kind = struct.unpack_from(">I", foot, 60)[0]
    if kind == 4:
        raise Refused("the disk is a differencing disk: merge it with its parent before")
    if kind not in (2, 3):
        raise Refused("the disk is damaged: no kind of vhd")
    if kind == 2 and struct.unpack_from(">Q", foot, 48)[0] > length - _SECTOR:
        raise Refused("the disk is truncated")


def _check_vhdx(file: BinaryIO, length: int) -> None:
    region = _entry(_at(file, _REGIONS, 64 * 1024), b"regi", 8, 16, _METADATA_REGION)
    if region is None:
        return  # qemu-img will not read it either, and says why
    place = struct.unpack_from("<Q", region, 16)[0]
    item = _entry(_at(file, place, 64 * 1024), b"metadata", 10, 32, _FILE_PARAMETERS)
    if item is None:
        return
    flags = struct.unpack("<I", _at(file, place + struct.unpack_from("<I", item, 16)[0] + 4, 4))[0]
    if flags & _HAS_PARENT:
        raise Refused("the disk is a differencing disk: merge it with its parent before")


def _entry(table: bytes, magic: bytes, counted: int, first: int, wanted: bytes) -> bytes | None:
    """Find an entry of 32 bytes by the GUID that it begins with."""
    if not table.startswith(magic):
        return None
    count = struct.unpack_from("<H", table, counted)[0]
    for number in range(min(count, 2047)):
        entry = table[first + 32 * number : first + 32 * number + 32]
        if entry.startswith(wanted):
            return entry
    return None


_CHECKS: Final = {
    "qcow2": _check_qcow2,
    "vmdk": _check_vmdk,
    "vhd": _check_vhd,
    "vhdx": _check_vhdx,
}
