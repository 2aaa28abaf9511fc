"""The laboratory's consoles: what guests write is there if somebody read it, and lost if not."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import consoles
from ec2gw.lab.world import consoles as world
from tests.unit.lab_host import Bench
from translators.hyperv import console
from translators.hyperv import tasks as scripts

NAME = "i-0a"
PIPE = f"\\\\.\\pipe\\{NAME}"
LONG = 65536


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A host on which one agent lives and a VM is tied to its pipe; the VM is off."""
    bench = Bench(tmp_path / "world.sqlite3")
    vm = bench.create(NAME)
    bench("Set-VMComPort", VM=vm, Number=1, Path=PIPE)
    bench.machine.agents(1)
    yield bench
    bench.world.close()


def watch(bench: Bench, *names: str, others: tuple[str, ...] = ()) -> None:
    bench("Agent\\Watch-Console", Names=list(names), Others=list(others))


def seen(bench: Bench, name: str = NAME) -> bytes | None:
    found = bench("Agent\\Get-Console", Name=name)
    return base64.b64decode(str(found[0].property("Base64"))) if found else None


def boot(bench: Bench) -> None:
    """Let it boot, and read what Hyper-V knows of it then."""
    bench("Start-VM", Name=NAME)
    bench.clock.advance(20)


def test_what_a_guest_writes_while_it_boots_is_there_with_its_age(bench: Bench) -> None:
    watch(bench, NAME)
    assert seen(bench) is None
    boot(bench)
    said = seen(bench)
    assert said is not None
    assert said.startswith(b"Linux version")
    assert said.endswith(b"login: ")
    bench.clock.advance(60)
    assert bench.one("Agent\\Get-Console", Name=NAME).property("AgeSeconds") == 60


def test_what_nobody_reads_is_lost(bench: Bench) -> None:
    watch(bench, "i-another")
    boot(bench)
    watch(bench, NAME)
    assert seen(bench) is None
    bench.console.guest_says("lab-a", NAME, "later\r\n")
    assert seen(bench) == b"later\r\n"
    bench.machine.agents(0)
    bench.console.guest_says("lab-a", NAME, "the link is down\r\n")
    bench.machine.agents(1)
    assert seen(bench) == b"later\r\n"


def test_a_guest_without_a_pipe_writes_to_nobody(bench: Bench) -> None:
    bench.create("i-0b")
    watch(bench, NAME, "i-0b")
    bench("Start-VM", Name="i-0b")
    bench.clock.advance(20)
    assert seen(bench, "i-0b") is None


def test_the_task_reads_on_while_no_agent_lives(bench: Bench) -> None:
    watch(bench, NAME)
    boot(bench)
    before = seen(bench)
    assert before is not None
    assert bench("Agent\\Get-ConsoleReader") == []
    put_script(bench)
    bench("Agent\\Start-ConsoleReader", Version=scripts.console_version())
    bench.machine.agents(0)
    bench.console.guest_says("lab-a", NAME, "the link is down\r\n")
    bench.machine.agents(1)
    assert seen(bench) == before + b"the link is down\r\n"
    reader = bench.one("Agent\\Get-ConsoleReader")
    assert (reader.property("Version"), reader.property("Running")) == (
        scripts.console_version(),
        True,
    )
    bench.console.reader_dies("lab-a")
    assert bench.one("Agent\\Get-ConsoleReader").property("Running") is False
    bench.console.guest_says("lab-a", NAME, "the agent reads again\r\n")
    assert str(seen(bench)).endswith("the agent reads again\\r\\n'")
    bench("Agent\\Stop-ConsoleReader")
    assert bench("Agent\\Get-ConsoleReader") == []
    assert bench("Agent\\Get-FileState", Path=script(bench)) == []


def script(bench: Bench) -> str:
    return "C:\\ec2gw\\" + console.script().replace("/", "\\")


def put_script(bench: Bench) -> None:
    text = scripts.console()
    bench("Agent\\New-Folder", Path="C:\\ec2gw\\tasks")
    bench(
        "Agent\\Write-FileChunk",
        Path=script(bench),
        Offset=0,
        Base64=base64.b64encode(text).decode(),
    )
    bench(
        "Agent\\Complete-File",
        Path=script(bench),
        Sha256=scripts.console_digest(),
        Length=len(text),
    )


def test_a_task_without_its_script_does_not_run(bench: Bench) -> None:
    bench("Agent\\Start-ConsoleReader", Version="0" * 16)
    assert bench.one("Agent\\Get-ConsoleReader").property("Running") is False


def test_the_last_64_kib_are_told_and_a_log_stays_small(bench: Bench) -> None:
    watch(bench, NAME)
    boot(bench)
    for number in range(12):
        bench.console.guest_says("lab-a", NAME, f"{number:x}" * LONG)
    bench.console.guest_says("lab-a", NAME, "end")
    said = seen(bench)
    assert said is not None
    assert len(said) == LONG
    assert said == (b"b" * LONG + b"end")[-LONG:]
    with bench.world.reading("lab-a") as session:
        logs = [one for one in session.children("C:\\ec2gw\\console") if not one.folder]
        assert sum(one.size for one in logs) <= 2 * world.LARGEST_BYTES


def test_a_log_stays_while_its_vm_is_there_and_goes_with_it(bench: Bench) -> None:
    watch(bench, NAME)
    boot(bench)
    watch(bench, others=(NAME,))
    assert seen(bench) is not None
    watch(bench)
    assert seen(bench) is None


@pytest.mark.parametrize("name", ["../x", "I-0A", "a.b", "a" * 65])
def test_an_odd_name_of_a_console_is_refused(bench: Bench, name: str) -> None:
    with pytest.raises(CmdletError, match="BadConsole"):
        watch(bench, name)
    with pytest.raises(CmdletError, match="BadConsole"):
        watch(bench, others=(name,))
    with pytest.raises(CmdletError, match="BadConsole"):
        seen(bench, name)


def test_a_screen_is_scaled_to_what_a_frame_holds(bench: Bench) -> None:
    vm_id = str(bench.one("Get-VM", Name=NAME).property("Id"))

    def shot(width: int = console.WIDTH, height: int = console.HEIGHT) -> tuple[object, ...]:
        found = bench.one("Agent\\Get-Thumbnail", Id=vm_id, Width=width, Height=height)
        data = base64.b64decode(str(found.property("Base64")))
        return found.property("Width"), found.property("Height"), len(data)

    assert shot() == (0, 0, 0), "it is off"
    boot(bench)
    assert shot() == (640, 480, 2 * console.MOST_PIXELS)
    assert shot(64, 64) == (64, 48, 2 * 64 * 48)
    assert consoles.picture(vm_id, 640, 480) != consoles.picture("another", 640, 480)
    with pytest.raises(CmdletError, match="BadThumbnail"):
        bench("Agent\\Get-Thumbnail", Id="' OR 1=1", Width=64, Height=64)
