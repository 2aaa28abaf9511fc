"""The world: what is written stays, time goes on without anybody looking."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab import console as consoles
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import HostSpec, World
from ec2gw.lab.world import paths as windows
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench, fails


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "world.sqlite3")
    yield made
    made.world.close()


def test_a_machine_goes_on_while_no_process_has_the_world_open(tmp_path: Path) -> None:
    first = Bench(tmp_path / "world.sqlite3")
    vm = first.create("i-1")
    first("Start-VM", VM=vm)
    first.world.close()
    second = Bench(tmp_path / "world.sqlite3")
    second.clock.advance(first.clock.now() - second.clock.now() + 10)
    (seen,) = second("Get-VM")
    assert seen.property("Id") == vm.property("Id")
    assert second.show(seen, "State", "Heartbeat") == ["Running", "OkApplicationsUnknown"]
    second.world.close()


def test_the_default_world_has_three_hosts_in_three_zones(tmp_path: Path) -> None:
    world = World(tmp_path / "world.sqlite3")
    assert world.hosts == ("lab-a", "lab-b", "lab-c")
    ids = {LabMachine(world, name).host_id for name in world.hosts}
    assert len(ids) == 3
    world.close()
    again = World(tmp_path / "world.sqlite3")
    assert {LabMachine(again, name).host_id for name in again.hosts} == ids
    again.close()


def test_only_its_owner_may_read_the_worlds_file(bench: Bench) -> None:
    assert bench.path.stat().st_mode & 0o077 == 0


WRITER = """
import sys
from ec2gw.lab.world import World
from ec2gw.lab.cmdlets import LabMachine
host = LabMachine(World(sys.argv[1]), "lab-a")
for number in range(10_000):
    host.invoke("Agent\\\\New-Folder", {"Path": f"C:\\\\ec2gw\\\\instances\\\\{number}"})
    print(number, flush=True)
"""


def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "world.sqlite3"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(25)]
        os.kill(writer.pid, signal.SIGKILL)
        told += writer.stdout.readlines()
    last = int(told[-1])
    world = World(path)
    kept = world.snapshot()["lab-a"]["files"]
    assert all(rf"{ROOT}\instances\{number}" in kept for number in range(last + 1))
    assert rf"{ROOT}\instances\{last + 2}" not in kept
    world.close()


def test_two_openings_of_one_world_see_each_others_changes(bench: Bench) -> None:
    other = World(bench.path, clock=bench.clock)
    vm = bench.create("i-1")
    elsewhere = LabMachine(other, bench.host)
    (seen,) = elsewhere.invoke("Hyper-V\\Get-VM", {"Name": "i-1"}).objects
    elsewhere.invoke("Hyper-V\\Rename-VM", {"VM": [seen], "NewName": "renamed"})
    assert bench.show(vm, "Name") == ["renamed"]
    other.close()


def test_a_cmdlet_that_fails_half_way_leaves_nothing(bench: Bench) -> None:
    before = bench.world.snapshot()
    with fails("ObjectNotFound"):
        bench("New-VM", Name="i-1", MemoryStartupBytes=GIB, SwitchName="no such switch")
    assert bench.world.snapshot() == before
    assert bench("Get-VM") == []


def test_the_file_of_faults_changes_the_pace_at_run_time(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = tmp_path / "faults.json"
    monkeypatch.setenv("EC2GW_LAB_FAULTS", str(faults))
    vm = bench.create("i-1")
    started = bench.clock.now()
    bench("Start-VM", VM=vm)
    at_first = bench.clock.now() - started
    bench("Stop-VM", VM=vm, TurnOff=True)
    faults.write_text(json.dumps({"pace": 0.01}))
    started = bench.clock.now()
    bench("Start-VM", VM=vm)
    assert bench.clock.now() - started == pytest.approx(at_first / 100, rel=0.01)


def test_a_host_restart_honours_what_each_machine_says(bench: Bench) -> None:
    vms = {name: bench.create(name) for name in ("resumes", "rests", "always", "delayed")}
    bench("Set-VM", VM=vms["resumes"], AutomaticStopAction="Save")
    bench("Set-VM", VM=vms["rests"], AutomaticStopAction="ShutDown", AutomaticStartAction="Nothing")
    bench("Set-VM", VM=vms["always"], AutomaticStartAction="Start")
    bench("Set-VM", VM=vms["delayed"], AutomaticStopAction="TurnOff", AutomaticStartDelay=30)
    for name in ("resumes", "rests", "delayed"):
        bench("Start-VM", VM=vms[name])
    bench.clock.advance(10)
    before = bench.machine.boot_time
    bench.console.reboot_host(bench.host)
    assert bench.machine.boot_time > before
    assert [bench.state(vms[name]) for name in vms] == ["Starting", "Off", "Starting", "Off"]
    bench.clock.advance(20)
    assert [bench.state(vms[name]) for name in vms] == ["Running", "Off", "Running", "Off"]
    bench.clock.advance(20)
    assert bench.show(vms["delayed"], "State", "Heartbeat") == ["Running", "OkApplicationsUnknown"]


def test_a_machine_that_waits_for_its_delayed_start_can_be_kept_off(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench("Set-VM", VM=vm, AutomaticStopAction="TurnOff", AutomaticStartDelay=30)
    bench.console.reboot_host(bench.host)
    bench("Stop-VM", VM=vm, TurnOff=True, Force=True)
    bench.clock.advance(60)
    assert bench.state(vm) == "Off"


def test_a_guest_that_shuts_itself_down_is_told_apart_in_the_log(bench: Bench) -> None:
    vm = bench.start("i-1")
    bench.console.guest_shuts_down(bench.host, "i-1")
    bench.clock.advance(10)
    assert bench.state(vm) == "Off"
    (event,) = bench(
        "Microsoft.PowerShell.Diagnostics\\Get-WinEvent",
        FilterHashtable={
            "LogName": "Microsoft-Windows-Hyper-V-Worker-Admin",
            "Id": [18502, 18504, 18508],
        },
        MaxEvents=5,
    )
    assert event.property("Id") == 18508
    words = event.property("Properties")
    assert isinstance(words, list)
    assert [one.property("Value") for one in words] == [
        "i-1",
        str(vm.property("Id")).upper(),
    ]


def test_the_log_knows_only_how_it_ended_not_what_was_tried(bench: Bench) -> None:
    vm = bench.start("i-1")
    assert bench.ask(vm, "InitiateShutdown") == 0
    bench("Stop-VM", VM=vm, TurnOff=True)
    bench.clock.advance(60)
    events = bench(
        "Microsoft.PowerShell.Diagnostics\\Get-WinEvent",
        FilterHashtable={"LogName": "Microsoft-Windows-Hyper-V-Worker-Admin"},
    )
    assert [event.property("Id") for event in events] == [18502]


def test_an_empty_log_is_an_error_as_get_winevent_has_it(bench: Bench) -> None:
    with fails("NoMatchingEventsFound", "ObjectNotFound"):
        bench(
            "Microsoft.PowerShell.Diagnostics\\Get-WinEvent",
            FilterHashtable={"LogName": "Microsoft-Windows-Hyper-V-Worker-Admin"},
        )


def test_the_console_is_a_program_too(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(bench.path), "add-foreign-vm", bench.host, "theirs"]
    assert consoles.main(arguments) == 0
    vm_id = capsys.readouterr().out.strip()
    assert bench.one("Get-VM", Name="theirs").property("Path") == r"C:\Hyper-V\theirs"
    assert consoles.main([str(bench.path), "edit-notes", bench.host, vm_id, "mine"]) == 0
    assert bench.world.snapshot()[bench.host]["vms"][0]["notes"] == "mine"
    assert consoles.main([str(bench.path), "remove", bench.host, "nobody"]) == 1
    assert consoles.main([str(bench.path), "_invoke", bench.host]) == 2


def test_a_hosts_disk_fills_up(bench: Bench) -> None:
    bench.console.press_disk(bench.host, 100)
    with fails("OperationFailed", "NotSpecified", "0x80070070"):
        bench("New-VHD", Path=ROOT + r"\a.vhdx", ParentPath=LINUX, Differencing=True)


def test_a_world_of_another_version_opens(tmp_path: Path) -> None:
    path = tmp_path / "world.sqlite3"
    World(path, hosts=(HostSpec("lab-a", "a"),)).close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        (text,) = raw.execute("SELECT record FROM machines").fetchone()
        record = json.loads(text)
        del record["memory_pressure"]
        record["of_tomorrow"] = 1
        raw.execute("UPDATE machines SET record = ?", (json.dumps(record),))
        raw.commit()
    world = World(path, hosts=(HostSpec("lab-a", "a"), HostSpec("lab-b", "b")))
    assert world.hosts == ("lab-a", "lab-b")
    with world.reading("lab-a") as session:
        assert session.machine.memory_pressure == 0
    world.close()


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (r"C:\ec2gw\a", r"C:\ec2gw\a"),
        ("c:/ec2gw//a/./b/../c", r"C:\ec2gw\a\c"),
        (r"C:\ec2gw\name. .", r"C:\ec2gw\name"),
        ("C:\\..\\..\\x", r"C:\x"),
    ],
)
def test_paths_take_windows_canonical_form(given: str, canonical: str) -> None:
    assert windows.canonical(given) == canonical


@pytest.mark.parametrize(
    "given", [r"\\server\share", r"\\?\C:\x", "relative", "C:x", "C:\\a*b", "C:\\a\0b", ""]
)
def test_paths_elsewhere_are_refused(given: str) -> None:
    with pytest.raises(windows.BadPath):
        windows.canonical(given)


def test_names_that_differ_in_case_are_one_file(bench: Bench) -> None:
    bench("Agent\\New-Folder", Path=ROOT + r"\Instances\ABC")
    (found,) = bench("Agent\\Get-FileState", Path=ROOT + r"\instances\abc")
    assert found.property("IsDirectory") is True
