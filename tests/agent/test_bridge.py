"""The bridge between a real PowerShell and the laboratory's cmdlets, driven from Python.

What PowerShell says over the socket is said here in its words; `twin.py` stands where it would.

Source: docs/laboratory.md, "The agent itself behind the door".
"""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab import agent as lab_agent
from ec2gw.lab.agent.host import WmiValue
from ec2gw.lab.cmdlets.shell import CMDLETS
from ec2gw.lab.powershell import bridge, proxies, tables, values
from ec2gw.winrm import agent, framing
from tests.agent import syntax
from tests.e2e.test_story_boto3 import QUICK
from tests.gateway import LINUX_IMAGE, Gateway, wait_until
from tests.unit.lab_host import GIB, LINUX, ROOT, Bench

PLACES = values.Places("/lab")
HERE = "/lab/C/ec2gw"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "world.sqlite3")


class Caller:
    """Says what the generated functions say."""

    def __init__(self, served: bridge.Bridge) -> None:
        self.served = served

    def raw(self, line: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.served.port), 10) as connection:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def __call__(self, name: str, **with_: object) -> dict[str, Any]:
        asked = {"key": self.served.key, "name": name, "set": "", "with": with_}
        answer: dict[str, Any] = json.loads(self.raw(json.dumps(asked).encode() + b"\n"))
        return answer

    def one(self, name: str, **with_: object) -> dict[str, Any]:
        answer = self(name, **with_)
        assert "error" not in answer, answer
        [found] = answer["objects"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def call(bench: Bench) -> Iterator[Caller]:
    names = {do.rpartition("\\")[2]: do for do in CMDLETS}
    served = bridge.Bridge(bench.machine, names, PLACES)
    yield Caller(served)
    served.close()


def ref(told: dict[str, Any]) -> dict[str, Any]:
    return {values.REF: told[values.REF]}


def test_a_launch_goes_over_the_socket_with_live_objects_by_their_numbers(
    bench: Bench, call: Caller
) -> None:
    folder, disk = f"{HERE}/instances/i-1", f"{HERE}/instances/i-1/root.vhdx"
    call("Get-FileState", Path=folder)
    assert call("New-Folder", Path=folder) == {"objects": [], "warnings": []}
    call.one("New-VHD", Path=[disk], ParentPath=f"{HERE}/images/ec2gw-lab-linux.vhdx")
    vm = call.one("New-VM", Name="i-1", Generation=2, MemoryStartupBytes=GIB, NoVHD=True)
    assert vm["#type"] == ["Lab.VirtualMachineBase", "Lab.VirtualMachine"]
    drive = call.one(
        "Add-VMHardDiskDrive", VM=[ref(vm)], ControllerType="SCSI", Path=disk, Passthru=True
    )
    assert drive["Path"] == disk, "a path is one of the caller's machine"
    template = "MicrosoftUEFICertificateAuthority"
    call(
        "Set-VMFirmware", VM=[ref(vm)], SecureBootTemplate=template, FirstBootDevice=[ref(drive)][0]
    )
    nasty = "a'b\"c`$(Get-Date)\n\tü世\u2028"
    call("Set-VM", VM=[ref(vm)], Notes=nasty)
    assert call("Start-VM", VM=[ref(vm)])["warnings"] == []
    assert len(call("Start-VM", VM=[ref(vm)])["warnings"]) == 1
    bench.clock.advance(30)
    seen = call.one("Get-VM", Id=vm["Id"])
    assert (seen["State"], seen["Notes"], seen["Name"]) == ("Running", nasty, "i-1")
    assert seen["Uptime"]["TotalSeconds"] > 20
    assert bench.one("Get-VM", Name="i-1").property("Notes") == nasty


def test_a_number_of_wmi_keeps_its_width_and_a_plain_one_has_none(
    bench: Bench, call: Caller
) -> None:
    bench.start("i-1")
    component = call.one(
        "Get-CimInstance", Namespace="root/virtualization/v2", ClassName="Msvm_ShutdownComponent"
    )
    assert component["#type"] == ["Lab.CimInstance"]
    asked = {"Force": True, "Reason": "test"}
    answer = call.one(
        "Invoke-CimMethod",
        InputObject=ref(component),
        MethodName="InitiateShutdown",
        Arguments=asked,
        **{"#kinds": {"Force": "System.Boolean", "Reason": "System.String"}},
    )
    assert answer["ReturnValue"] == 0
    taken = values.Objects().arguments(
        {
            "Arguments": {"a": 1, "b": [1, 2], "c": 3, "d": True},
            "#kinds": {"a": "System.UInt16", "b": "System.UInt32[]", "c": "System.Int64"},
        }
    )["Arguments"]
    assert taken == {
        "a": WmiValue("uint16", 1),
        "b": WmiValue("uint32[]", [1, 2]),
        "c": 3,
        "d": True,
    }


def test_an_error_record_comes_with_its_codes_as_dotnet_has_them(call: Caller) -> None:
    error = call("Get-VM", Name="nobody")["error"]
    assert error["id"] == "InvalidParameter,Microsoft.HyperV.PowerShell.Commands.GetVM"
    assert (error["category"], error["target"]) == ("InvalidArgument", "nobody")
    assert error["activity"] == "Get-VM"
    assert error["codes"] == [0x80131509 - (1 << 32)]
    missing = call("Get-VM", Name="x", Zzz=1)["error"]
    assert missing["id"].startswith("NamedParameterNotFound")
    assert "error" in call("Get-NoSuchThing")


def test_only_who_knows_the_key_is_heard_and_odd_lines_end_nothing(call: Caller) -> None:
    for odd in (b"5\n", b"null\n", b'{"name": "Get-VM"}\n', b'{"key": 5}\n', b'{"key": "x"}\n'):
        assert json.loads(call.raw(odd))["error"]["id"] == "LabKey"
    for noise in (b"\n", b"{", b"\xff\xfe\n", b""):
        assert call.raw(noise) == b""
    assert "error" in call("Set-VM", VM=[{"#ref": 99}], Notes="x")
    assert "error" in call("Set-VM", VM=[{"#ref": "1"}], Notes="x")
    assert call("Get-VMHost")["objects"]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (r"C:\ec2gw", HERE),
        (r"C:\ec2gw\instances\i-1\root.vhdx", f"{HERE}/instances/i-1/root.vhdx"),
        ("D:\\", "/lab/D"),
        ("plain text", "plain text"),
        (r"root\virtualization\v2", r"root\virtualization\v2"),
        (r"WSMan:\localhost\Shell", r"WSMan:\localhost\Shell"),
    ],
)
def test_a_path_of_the_host_is_one_of_this_machine_and_back(there: str, here: str) -> None:
    assert PLACES.here(there) == here
    assert PLACES.there(here) in (there, there.rstrip("\\") + "\\")
    assert PLACES.there("/lab/elsewhere/x") == "/lab/elsewhere/x"


def test_every_simulated_cmdlet_has_a_function_that_parses(tmp_path: Path) -> None:
    rows = tables.rows(CMDLETS)
    names = {f"{row['module']}\\{row['name']}" for row in rows}
    assert names == set(CMDLETS), "each is in the tables"
    left = [row for row in rows if row["module"] in proxies.BUILT_IN]
    assert {row["name"] for row in left} == {"Get-ChildItem"}
    assert proxies.write(rows, tmp_path) == len(rows) - len(left)
    for module in tmp_path.glob("*/*.psm1"):
        text = module.read_text(encoding="utf-8")
        functions, _, exported = text.rpartition("Export-ModuleMember -Function ")
        # The grammar takes a list of bare words for an error, PowerShell does not.
        assert syntax.read(functions).faults == [], module
        defined = set(re.findall(r"^function ([\w-]+) \{", functions, re.MULTILINE))
        listed = set(exported.partition(" ")[0].strip().split(","))
        assert listed == defined
        assert text.isascii()
    home = (tmp_path / "Hyper-V" / "Hyper-V.psm1").read_text()
    own = sorted(do.partition("\\")[2] for do in CMDLETS if do.startswith("Agent\\"))
    assert sorted(re.findall(r"^Set-Alias -Name (\S+) ", home, re.MULTILINE)) == own
    assert f"-Alias {','.join(sorted(own))}" in home
    assert "Compress-Journal" not in home, "the agent's own journal is the agent's own affair"


class Sink:
    """Where a process writes, as the door has it."""

    def __init__(self) -> None:
        self.decoder = framing.Decoder()
        self.messages: list[Any] = []
        self.errors = b""
        self.code: int | None = None
        self.changed = threading.Condition()

    def stdout(self, data: bytes) -> None:
        with self.changed:
            self.messages += self.decoder.feed(data)
            self.changed.notify_all()

    def stderr(self, data: bytes) -> None:
        self.errors += data

    def exited(self, code: int) -> None:
        with self.changed:
            self.code = code
            self.changed.notify_all()

    def wait(self, holds: Callable[[Sink], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: holds(self), 20), (self.messages, self.errors)


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that takes the options of `pwsh`, and a folder of our own for its hosts."""
    script = tmp_path / "pwsh"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m tests.agent.twin "$@"\n', encoding="utf-8"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", root)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv(lab_agent.POWERSHELL_VARIABLE, str(script))
    return script


SETUP = {
    "root": ROOT,
    "modules": ["Hyper-V"],
    "allowed": {"Hyper-V\\Get-VHD": ["Path"], "Agent\\Get-FileState": ["Path"]},
    "paths": {"Hyper-V\\Get-VHD": ["Path"], "Agent\\Get-FileState": ["Path"]},
}


def test_the_process_runs_frames_of_the_host_on_paths_of_this_machine(
    bench: Bench, twin: Path, tmp_path: Path
) -> None:
    sink = Sink()
    start = lab_agent.powershell(bench.machine)
    process = start(agent.PROGRAM, agent.arguments(), {}, sink)
    data = agent.first_line() + framing.encode(SETUP)
    for at in range(0, len(data), 10_000):  # cut anywhere
        process.write(data[at : at + 10_000])
    sink.wait(lambda it: len(it.messages) == 1)
    hello = sink.messages[0]
    assert hello["host"] == bench.machine.host_id
    assert hello["modules"] == {"Hyper-V": "2.0.0.0"}
    path = {"$path": "images/ec2gw-lab-linux.vhdx"}
    calls = [
        {"do": "Hyper-V\\Get-VHD", "with": {"Path": path}, "as": "d", "take": {"p": "Path:text"}},
        {
            "do": "Agent\\Get-FileState",
            "with": {"Path": {"$ref": "d", "at": 0, "property": "Path"}},
        },
    ]
    process.write(framing.encode({"id": 1, "epoch": 1, "token": "a" * 32, "calls": calls}))
    sink.wait(lambda it: len(it.messages) == 2)
    assert sink.messages[1]["results"] == {"d": [{"p": LINUX}]}, sink.messages[1]
    base = tmp_path / f"ec2gw-lab-{os.getuid()}" / bench.machine.host_id
    assert b"B " + b"a" * 32 in (base / "C" / "ec2gw" / "journal").read_bytes()
    assert stat.S_IMODE((tmp_path / f"ec2gw-lab-{os.getuid()}").stat().st_mode) == 0o700
    assert process.unread() == 0
    process.close_input()
    sink.wait(lambda it: it.code is not None)
    assert sink.code == 0, sink.errors


def test_a_killed_process_is_gone_and_a_setup_that_cannot_be_ends_one(
    bench: Bench, twin: Path
) -> None:
    first, second = Sink(), Sink()
    start = lab_agent.powershell(bench.machine)
    process = start(agent.PROGRAM, agent.arguments(), {}, first)
    process.write(agent.first_line() + framing.encode(SETUP))
    first.wait(lambda it: len(it.messages) == 1)
    process.kill()
    first.wait(lambda it: it.code is not None)
    assert first.code == -9
    process.write(b"nobody reads this\n")
    process.kill()
    process = start(agent.PROGRAM, agent.arguments(), {}, second)
    process.write(agent.first_line() + framing.encode({**SETUP, "root": "no path"}))
    second.wait(lambda it: it.code is not None)
    assert second.messages[0]["bad"] == "setup"
    assert second.code == 1


def test_a_program_that_is_not_there_is_said_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(lab_agent.POWERSHELL_VARIABLE, "/nowhere/pwsh")
    with pytest.raises(FileNotFoundError, match="EC2GW_LAB_POWERSHELL: no program /nowhere/pwsh"):
        lab_agent.powershell(bench.machine)


def test_an_endless_first_line_ends_the_process(bench: Bench, twin: Path) -> None:
    sink = Sink()
    process = lab_agent.powershell(bench.machine)(agent.PROGRAM, agent.arguments(), {}, sink)
    for _ in range(40):
        process.write(b"x" * 32768)
    sink.wait(lambda it: it.code is not None)
    assert sink.code == -9


def test_a_gateway_runs_an_instance_through_the_bridge(tmp_path: Path, twin: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('{"pace": 0.02}')
    environ = {
        lab_agent.POWERSHELL_VARIABLE: str(twin),
        "EC2GW_LAB_FAULTS": str(faults),
        "EC2GW_SETTINGS_SURVEY_SHORTEST_SECONDS": "0.2",
    }
    with Gateway(tmp_path / "data", environ=environ) as gateway:
        ec2 = gateway.client()
        asked = {"ImageId": LINUX_IMAGE, "InstanceType": "t3.small", "MinCount": 2, "MaxCount": 2}
        ids = [one["InstanceId"] for one in ec2.run_instances(**asked)["Instances"]]
        for act, waiter in (
            (None, "instance_running"),
            (ec2.stop_instances, "instance_stopped"),
            (ec2.start_instances, "instance_running"),
            (ec2.terminate_instances, "instance_terminated"),
        ):
            if act:
                act(InstanceIds=ids)
            ec2.get_waiter(waiter).wait(InstanceIds=ids, WaiterConfig=QUICK)
        ec2.close()
        journals = list((tmp_path / f"ec2gw-lab-{os.getuid()}").glob("*/C/ec2gw/journal"))
        wait_until(lambda: any(b"\nE " in one.read_bytes() for one in journals), 5)
