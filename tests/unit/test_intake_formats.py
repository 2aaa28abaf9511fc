"""What a file from outside is taken for, and what is refused before any program reads it."""

from __future__ import annotations

import contextlib
import os
import random
import struct
from pathlib import Path

import pytest

from ec2gw.intake import formats
from ec2gw.intake.refusals import Refused
from tests.unit.outside_disks import MIB, linux, made, needs_qemu_img, qemu_img


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    file = tmp_path / "disk.raw"
    file.write_bytes(linux())
    return file


def why(path: Path, word: str | None = None) -> str:
    with pytest.raises(Refused) as caught:
        formats.look(path, word)
    return str(caught.value)


def patched(source: Path, offset: int, piece: bytes) -> Path:
    content = bytearray(source.read_bytes())
    content[offset : offset + len(piece)] = piece
    source.write_bytes(content)
    return source


@needs_qemu_img
@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("qcow2", (), "qcow2"),
        ("qcow2", ("compat=0.10",), "qcow2"),
        ("vmdk", ("subformat=monolithicSparse",), "vmdk"),
        ("vmdk", ("subformat=streamOptimized",), "vmdk"),
        ("vpc", ("subformat=dynamic",), "vhd"),
        ("vpc", ("subformat=fixed",), "vhd"),
        ("vhdx", (), "vhdx"),
    ],
)
def test_a_file_is_known_by_its_bytes_whatever_it_is_called(
    raw: Path, tmp_path: Path, kind: str, options: tuple[str, ...], expected: str
) -> None:
    file = made(raw, kind, tmp_path / "called.raw", *options)
    assert formats.look(file) == expected
    assert formats.look(file, expected.upper()) == expected
    if expected != "raw":
        assert why(file, "raw") == f"the file is {expected}, not raw"


def test_a_raw_disk_is_known_by_its_partition_table(raw: Path) -> None:
    assert formats.look(raw) == "raw"
    assert why(raw, "qcow2") == "the file is raw, not qcow2"


def test_a_raw_disk_without_a_table_is_taken_on_somebodys_word_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.img"
    file.write_bytes(b"\xa5" * MIB)
    assert formats.look(file, "RAW") == "raw"
    assert "no partition table" in why(file)
    file.write_bytes(b"\xa5" * 1000)
    assert "no whole number of sectors" in why(file, "raw")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b'# Disk DescriptorFile\nRW 1 FLAT "/etc/passwd" 0\n'.ljust(1024), "names other files"),
        (b"PK\x03\x04".ljust(1024), "zip"),
        (b"\x1f\x8b".ljust(1024), "gzip"),
        (b"\xfd7zXZ\x00".ljust(1024), "xz"),
        ((b"disk.ovf".ljust(257, b"\0") + b"ustar").ljust(1024), "OVA"),
        (b"LUKS\xba\xbe".ljust(1024), "encrypted"),
        (b"COWD".ljust(1024), "several files"),
    ],
)
def test_what_is_no_disk_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(content)
    assert said in why(file)


def test_pipes_devices_folders_and_dangling_links_are_not_even_waited_for(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for place in (pipe, link, Path("/dev/zero"), tmp_path):
        assert why(place, "raw") == "this is no plain file"
    link.unlink()
    link.symlink_to(tmp_path / "nowhere")
    assert "cannot be read" in why(link)


def test_a_link_to_a_plain_file_is_that_file(raw: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(raw)
    assert formats.look(link) == "raw"


@needs_qemu_img
def test_a_qcow2_that_needs_other_files_or_a_key_is_refused(raw: Path, tmp_path: Path) -> None:
    base = made(raw, "qcow2", tmp_path / "base.qcow2")
    over = tmp_path / "over.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2", over)
    assert "backing file" in why(over)
    apart = tmp_path / "apart.qcow2"
    data = tmp_path / "apart.data"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", apart, "16M")
    assert "another file" in why(apart)
    locked = patched(made(raw, "qcow2", tmp_path / "locked"), 32, struct.pack(">I", 2))
    assert "encrypted" in why(locked)
    broken = patched(made(raw, "qcow2", tmp_path / "broken"), 72, struct.pack(">Q", 2))
    assert "damaged" in why(broken)


@needs_qemu_img
def test_a_vmdk_whose_descriptor_names_other_files_is_refused(raw: Path, tmp_path: Path) -> None:
    flat = made(raw, "vmdk", tmp_path / "flat.vmdk", "subformat=monolithicFlat")
    assert "names other files" in why(flat)
    sparse = made(raw, "vmdk", tmp_path / "sparse.vmdk", "subformat=monolithicSparse")
    content = sparse.read_bytes()
    evil = content.replace(b'SPARSE "sparse.vmdk"', b'FLAT "/etc/passwd" 0')
    assert evil != content
    sparse.write_bytes(evil)
    assert "names other files" in why(sparse)
    sparse.write_bytes(content.replace(b"parentCID=ffffffff", b"parentCID=0000dead"))
    assert "backing file" in why(sparse)
    # With no capacity qemu would take the file for a mere descriptor.
    sparse.write_bytes(content[:12] + bytes(8) + content[20:])
    assert "a part of a vmdk" in why(sparse)


@needs_qemu_img
def test_differencing_disks_of_hyper_v_are_refused(raw: Path, tmp_path: Path) -> None:
    vhd = made(raw, "vpc", tmp_path / "a.vhd")
    foot = len(vhd.read_bytes()) - 512
    patched(vhd, foot + 60, struct.pack(">I", 4))
    assert "differencing" in why(vhd)
    vhdx = made(raw, "vhdx", tmp_path / "a.vhdx")
    content = vhdx.read_bytes()
    item = content.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    table = content.rindex(b"metadata", 0, item)
    place = table + struct.unpack_from("<I", content, item + 16)[0]
    patched(vhdx, place + 4, struct.pack("<I", 2))
    assert "differencing" in why(vhdx)


@needs_qemu_img
@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
def test_a_vhd_whose_end_is_missing_is_truncated(raw: Path, tmp_path: Path, subformat: str) -> None:
    vhd = made(raw, "vpc", tmp_path / "a.vhd", f"subformat={subformat}")
    content = vhd.read_bytes()
    vhd.write_bytes(content[: len(content) // 2 // 512 * 512])
    said = why(vhd, "vhd")
    assert "truncated" in said or said == "the file is raw, not vhd"


def test_every_byte_of_a_header_may_lie_and_nothing_but_a_refusal_comes_of_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lies"
    for magic in (b"QFI\xfb", b"KDMV", b"vhdxfile", b"conectix"):
        for filler in (b"\0", b"\xff", b"\x7f"):
            for length in (len(magic), 511, 4096, 300 * 1024):
                file.write_bytes(magic.ljust(length, filler))
                try:
                    kind = formats.look(file)
                except Refused:
                    continue
                assert kind in formats.KINDS


@needs_qemu_img
def test_no_number_in_a_header_leads_anywhere_but_to_an_answer_or_a_refusal(
    raw: Path, tmp_path: Path
) -> None:
    chance = random.Random(7)
    for kind in ("qcow2", "vmdk", "vpc", "vhdx"):
        path = made(raw, kind, tmp_path / kind)
        length = path.stat().st_size
        with path.open("r+b", buffering=0) as file:
            for _ in range(150):
                near = chance.choice([0, 192 * 1024, 2 * MIB, length - 512]) % length
                offset = min(near + chance.randrange(0, 512, 4), length - 8)
                value = chance.choice([2**64 - 1, 2**63, 2**55, 0, chance.randrange(2**64)])
                sound = os.pread(file.fileno(), 8, offset)
                os.pwrite(file.fileno(), struct.pack(chance.choice("<>") + "Q", value), offset)
                with contextlib.suppress(Refused):
                    assert formats.look(path) in formats.KINDS
                os.pwrite(file.fileno(), sound, offset)


@pytest.mark.parametrize("word", ["ova", "OVA", "iso", "../raw"])
def test_words_that_are_no_format_are_refused(word: str) -> None:
    with pytest.raises(Refused):
        formats.said(word)
