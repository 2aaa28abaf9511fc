"""qemu-img behind its walls: disks come out the same, broken ones and greedy ones do not."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ec2gw.intake import qemu, sandbox
from ec2gw.intake.refusals import Cancelled, Missing, NoRoom, Refused
from tests.gateway import is_alive, wait_until
from tests.unit.outside_disks import MIB, SECTOR, linux, made, needs_qemu_img, nothing, qemu_img

pytestmark = needs_qemu_img
FORMS = [
    ("raw", "raw", ()),
    ("qcow2", "qcow2", ()),
    ("vmdk", "vmdk", ("subformat=monolithicSparse",)),
    ("vmdk", "vmdk", ("subformat=streamOptimized",)),
    ("vpc", "vhd", ("subformat=dynamic", "force_size=on")),
    ("vpc", "vhd", ("subformat=fixed", "force_size=on")),
    ("vhdx", "vhdx", ("subformat=dynamic",)),
    ("vhdx", "vhdx", ("subformat=fixed",)),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    file = tmp_path / "disk, a=b.raw"  # what qemu's options would take for more of them
    file.write_bytes(linux(16 * MIB) + b"\x11" * SECTOR * 3)  # no whole number of MiB
    return file


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir(mode=0o700)
    return folder


def passes(source: Path, kind: str) -> int:
    told = qemu.info(source, kind, tick=nothing)
    qemu.check(source, kind, told.virtual_bytes, tick=nothing)
    return told.virtual_bytes


@pytest.mark.parametrize(("own", "kind", "options"), FORMS)
def test_every_form_becomes_a_vhdx_with_the_same_content(
    raw: Path, scratch: Path, tmp_path: Path, own: str, kind: str, options: tuple[str, ...]
) -> None:
    source = raw if own == "raw" else made(raw, own, tmp_path / "given.img", *options)
    size = passes(source, kind)
    assert size == raw.stat().st_size
    target = scratch / "made.vhdx"
    assert qemu.convert(source, kind, size, target, spare_bytes=0, tick=nothing) == 17 * MIB
    assert target.stat().st_mode & 0o077 == 0
    told = json.loads(qemu_img("info", "--output=json", "-f", "vhdx", target))
    assert told["virtual-size"] == 17 * MIB
    assert struct.unpack_from("<I", target.read_bytes(), _block_size_at(target))[0] == MIB
    qemu_img("check", "-q", "-f", "vhdx", target)
    qemu_img("compare", "-q", "-f", own, "-F", "vhdx", source, target)
    read = qemu.read(target, "vhdx", 4 * MIB, 8192, scratch, tick=nothing)
    assert read == raw.read_bytes()[4 * MIB : 4 * MIB + 8192]
    assert list(scratch.iterdir()) == [target]


def _block_size_at(vhdx: Path) -> int:
    content = vhdx.read_bytes()
    item = content.index(bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b"))
    place: int = struct.unpack_from("<I", content, item + 16)[0]
    return content.rindex(b"metadata", 0, item) + place


@pytest.mark.parametrize(("own", "kind", "options"), FORMS[1:])
def test_a_truncated_disk_is_refused_in_one_line(
    raw: Path, tmp_path: Path, own: str, kind: str, options: tuple[str, ...]
) -> None:
    file = made(raw, own, tmp_path / "given.img", *options)
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size * 4 // 10 // 512 * 512)
    with pytest.raises(Refused) as caught:
        passes(file, kind)
    said = str(caught.value)
    assert "truncated" in said or own == "vpc"  # of whose end our own look tells
    assert "\n" not in said
    assert len(said) < 400
    assert str(tmp_path) not in said


def test_a_format_is_never_guessed(raw: Path, tmp_path: Path) -> None:
    qcow2 = made(raw, "qcow2", tmp_path / "a.qcow2")
    assert qemu.info(qcow2, "raw", tick=nothing).virtual_bytes == qcow2.stat().st_size
    with pytest.raises(Refused):
        qemu.info(raw, "qcow2", tick=nothing)


def test_qemu_is_asked_again_what_our_own_look_has_let_through(raw: Path, tmp_path: Path) -> None:
    base = made(raw, "qcow2", tmp_path / "base.qcow2")
    over, apart = tmp_path / "over.qcow2", tmp_path / "apart.qcow2"
    qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2", over)
    data = tmp_path / "apart.data"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", apart, "16M")
    for one in (over, apart):
        with pytest.raises(Refused):
            passes(one, "qcow2")


def test_a_claim_of_500_tib_costs_nothing_to_look_at(tmp_path: Path) -> None:
    claim = tmp_path / "claim.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", "cluster_size=2M", claim, "500T")
    began = time.monotonic()
    assert qemu.info(claim, "qcow2", tick=nothing).virtual_bytes == 500 * 1024**4
    assert time.monotonic() - began < 20


def test_nothing_but_the_file_can_be_read_and_nothing_but_the_folder_written(
    raw: Path, scratch: Path, tmp_path: Path
) -> None:
    if not qemu.isolation()["files"]:
        pytest.skip("this kernel has no Landlock")
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret".ljust(4096))
    with pytest.raises(Refused, match="Permission denied"):
        qemu._run(
            ["convert", "-f", "raw", "-O", "raw", str(secret), "stolen"],
            reads=[raw],
            writes=scratch,
            tick=nothing,
            seconds=20,
            file_bytes=MIB,
        )
    outside = tmp_path / "outside"
    with pytest.raises(Refused, match="Permission denied"):
        qemu._run(
            ["create", "-f", "raw", str(outside), "1M"],
            reads=[raw],
            writes=scratch,
            tick=nothing,
            seconds=20,
            file_bytes=MIB,
        )
    assert not outside.exists()


def test_there_is_no_network_behind_the_walls() -> None:
    if not qemu.isolation()["network"]:
        pytest.skip("this machine forbids namespaces of one's own")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"nbd://127.0.0.1:{listening.getsockname()[1]}/disk"
        with pytest.raises(Refused, match="unreachable"):
            qemu._run(["info", "-f", "raw", address], tick=nothing, seconds=20)


def _becomes(code: str, **limits: int) -> subprocess.CompletedProcess[str]:
    """Run a Python program where qemu-img would run."""
    own = Path(sys.base_prefix)
    order = {"read": [str(own)], "write": [], "limits": limits}
    program = str(Path(sys.executable).resolve())
    return subprocess.run(
        [
            *(sys.executable, "-I", "-S", sandbox.__file__, str(os.getpid()), json.dumps(order)),
            *(program, "-I", "-S", "-c", code),
        ],
        env={},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_limits_hold_and_nothing_is_handed_on() -> None:
    code = (
        "import os, resource as r\n"
        "print([r.getrlimit(one)[0] for one in (r.RLIMIT_CORE, r.RLIMIT_NOFILE, r.RLIMIT_FSIZE)])\n"
        "print(oct(os.umask(0)), sorted({*os.environ} - {'LC_CTYPE'}))\n"
        "for number in range(3, 64):\n"
        "    try: print('open', number, os.fstat(number))\n"
        "    except OSError: pass\n"
    )
    with socket.socket() as ours:
        ours.set_inheritable(True)
        done = _becomes(code, RLIMIT_NOFILE=64, RLIMIT_FSIZE=4096)
    assert done.stdout.splitlines() == ["[0, 64, 4096]", "0o77 []"], done.stderr


def test_a_program_that_wants_more_memory_than_it_may_have_gets_none() -> None:
    done = _becomes("bytearray(2 << 30)", RLIMIT_AS=1 << 30)
    assert done.returncode != 0
    assert "MemoryError" in done.stderr


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    order = {"read": [str(Path(sys.base_prefix))], "write": [str(tmp_path)], "limits": {}}
    program = str(Path(sys.executable).resolve())
    inner = f"import os, time; open({str(told)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        "import os, subprocess, sys, time;"
        f"subprocess.Popen([sys.executable, '-I', '-S', {sandbox.__file__!r}, str(os.getpid()),"
        f" {json.dumps(order)!r}, {program!r}, '-I', '-S', '-c', {inner!r}],"
        " start_new_session=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        try:
            wait_until(lambda: told.exists() and told.read_text() != "", 10)
            child = int(told.read_text())
            assert is_alive(child)
        finally:
            process.kill()
    wait_until(lambda: not is_alive(child), 10)


def test_a_cancelled_conversion_ends_at_once_and_leaves_no_process(
    raw: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "bin" / "qemu-img"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\necho '    (12.50/100%)'\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    heard: list[float | None] = []

    def tick(percent: float | None) -> None:
        heard.append(percent)
        if percent is not None:
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        qemu._run(["convert"], reads=[slow.parent], writes=scratch, tick=tick, seconds=60)
    assert heard[-1] == 12.5
    assert time.monotonic() - began < 10


def test_what_outgrows_its_limit_is_said_to_have_no_room(scratch: Path) -> None:
    with pytest.raises(NoRoom):
        qemu._run(
            ["create", "-f", "raw", "-o", "preallocation=full", "large", "80M"],
            writes=scratch,
            tick=nothing,
            seconds=30,
            file_bytes=0,
        )


def test_no_conversion_begins_or_goes_on_without_room(
    raw: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoRoom):
        qemu.convert(raw, "raw", MIB, scratch / "a.vhdx", spare_bytes=2**62, tick=nothing)
    assert not list(scratch.iterdir())


def test_a_machine_without_qemu_img_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match="qemu-utils"):
        qemu.program()


def test_what_it_says_is_kept_within_bounds(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loud = tmp_path / "bin" / "qemu-img"
    loud.parent.mkdir()
    loud.write_text(
        "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' x\necho >&2\necho no >&2\nexit 1\n"
    )
    loud.chmod(0o755)
    monkeypatch.setenv("PATH", f"{loud.parent}:{os.environ['PATH']}")
    threads = threading.active_count()
    with pytest.raises(Refused) as caught:
        qemu._run(["info"], reads=[loud.parent], writes=scratch, tick=nothing, seconds=30)
    assert str(caught.value) in ("no", f"qemu-img was ended by {signal.SIGPIPE.name}")
    assert threading.active_count() == threads


@pytest.mark.parametrize("way", ["exec sleep 60", "exec sleep 60 >&- 2>&-"])
def test_who_does_not_come_to_an_end_is_ended(
    way: str, scratch: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent = tmp_path / "bin" / "qemu-img"
    silent.parent.mkdir()
    silent.write_text(f"#!/bin/sh\n{way}\n")
    silent.chmod(0o755)
    monkeypatch.setenv("PATH", f"{silent.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(qemu, "_ENDING_SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(Refused, match="does not come to an end"):
        qemu._run(["info"], reads=[silent.parent], writes=scratch, tick=nothing, seconds=1)
    assert time.monotonic() - began < 10
