"""What the laboratory writes down of a request when a test asks it to.

Source: ec2gw/lab/agent/recorder.py; tests/agent/record.py, which reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ec2gw.lab.agent import recorder
from ec2gw.lab.agent.host import CmdletError, Invoked
from ec2gw.lab.agent.request import Request, read_setup
from tests.unit.lab_host import ROOT, Bench

SETUP = read_setup({"root": ROOT, "modules": [], "allowed": {}, "paths": {}})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "world.sqlite3")


def told(folder: Path) -> list[dict[str, Any]]:
    [file] = folder.glob("*.jsonl")
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_request_is_told_with_what_was_bound_and_the_properties_that_were_read(
    bench: Bench, tmp_path: Path
) -> None:
    bench.start("i-1")
    calls: list[object] = [
        {
            "do": "Hyper-V\\Get-VM",
            "with": {"Name": "i-1"},
            "as": "vm",
            "take": {"state": "State:text", "up": "Uptime.TotalSeconds:int"},
        },
        {"do": "Hyper-V\\Get-VM", "with": {"Id": {"$ref": "vm", "at": 0, "property": "Id"}}},
        {"do": "Hyper-V\\Get-VM", "with": {"Name": "nobody"}},
    ]
    record = recorder.Recorder(tmp_path, Request(1, 1, calls, "a" * 32, "i-1", 3), bench_of(bench))
    [vm] = record.invoke("Hyper-V\\Get-VM", {"Name": "i-1"}).objects
    record.invoke("Hyper-V\\Set-VM", {"VM": [vm], "Notes": "x"})
    with pytest.raises(CmdletError):
        record.invoke("Hyper-V\\Get-VM", {"Name": "nobody"})
    record.close(SETUP, {"ok": False, "done": 2})
    [line] = told(tmp_path)
    assert line["request"]["token"] == "a" * 32
    assert line["answer"] == {"ok": False, "done": 2}
    first, second, third = line["bound"]
    assert first["with"] == {"Name": ["i-1"]}, "as bound: a list, since the parameter is one"
    [seen] = first["objects"]
    assert seen.keys() == {"#ref", "#class", "Id", "State", "Uptime"}
    assert seen["State"] == "Running"
    assert seen["Uptime"].keys() == {"TotalSeconds"}
    assert second["with"]["VM"] == [{"#ref": seen["#ref"]}]
    assert third["error"]["category"] == "InvalidArgument"
    assert third["with"] == {"Name": ["nobody"]}


def bench_of(bench: Bench) -> recorder.Invoke:
    def invoke(do: str, arguments: dict[str, object]) -> Invoked:
        return bench.machine.invoke(do, arguments)

    return invoke


def test_what_does_not_bind_is_told_without_values(bench: Bench, tmp_path: Path) -> None:
    request = Request(1, 1, [{"do": "Hyper-V\\Set-VM", "with": {}}], None, None, None)
    record = recorder.Recorder(tmp_path, request, bench_of(bench))
    with pytest.raises(CmdletError):
        record.invoke("Hyper-V\\Set-VM", {"Zzz": 1})
    record.close(SETUP, {"ok": False})
    [call] = told(tmp_path)[0]["bound"]
    assert "with" not in call
    assert call["error"]["id"].startswith("NamedParameterNotFound")


def test_nothing_is_written_unless_a_test_asks(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Request(1, 1, [], None, None, None)
    monkeypatch.delenv(recorder.VARIABLE, raising=False)
    assert recorder.recorder(request, bench_of(bench)) is None
    monkeypatch.setenv(recorder.VARIABLE, str(tmp_path))
    assert recorder.recorder(request, bench_of(bench)) is not None
