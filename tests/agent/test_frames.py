"""The recorded frames: young enough, levelled, and held by the laboratory's own interpreter.

`replay.py` holds the agent in a real PowerShell to the same frames, where there is one.

Source: docs/agent.md, "How it is held true".
"""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.winrm import agent
from tests.agent import plans, record, replay
from translators.hyperv import allowed

RENEW = "renew them: scripts/test record-frames"
TWIN = [sys.executable, "-m", "tests.agent.twin"]
UNMET = {"Agent\\Compress-Journal": "works on the agent's own journal: prove.py"}
"""Cmdlets that no recorded frame calls, each with the reason."""


@pytest.fixture(scope="module")
def held() -> dict[str, Any]:
    return replay.load()


@pytest.fixture(autouse=True)
def every_plan_binds() -> None:
    """Not here: plans of made-up arguments are only told apart, and need not make sense."""


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


def test_the_frames_are_as_young_as_the_agent(held: dict[str, Any]) -> None:
    assert held["agent"] == agent.digest(), f"the agent's text changed since; {RENEW}"


def test_the_frames_are_as_young_as_the_plans(held: dict[str, Any]) -> None:
    now = plans.digests()
    changed = {one for one in {*now, *held["plans"]} if now.get(one) != held["plans"].get(one)}
    assert not changed, f"changed since: {sorted(changed)}; {RENEW}"


def test_another_plan_has_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    before = plans.digests()
    assert before == plans.digests()
    from translators.hyperv import vm

    monkeypatch.setitem(vm.VM_PROPERTIES, "state", "Status:text")
    after = plans.digests()
    changed = {name for name in before if before[name] != after[name]}
    assert {"survey.look/least", "vm.look/least"} <= changed
    assert not any(name.startswith("host_checks") for name in changed)


def test_every_cmdlet_of_the_allow_list_was_met_or_says_why_not(held: dict[str, Any]) -> None:
    met = {one["do"] for frame in held["frames"] for one in frame["bound"]}
    assert set(allowed.ALLOWED) - met - set(UNMET) == set()
    assert met & set(UNMET) == set(), "met since"
    assert len(held["frames"]) > 30


def test_the_frames_hold_no_id_of_the_run_that_they_are_from(held: dict[str, Any]) -> None:
    text = json.dumps(held["frames"])
    for pattern, levelled in (
        (r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}", r"0{8}-0000-[04]000-[08]000-.*"),
        (r"(?<![a-z])[a-z]{1,12}-[0-9a-f]{17}(?![0-9a-f])", r"[a-z]+-0{12}[0-9a-f]{5}"),
        (r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}Z", r"2026-11-01T08:30:15.2500000Z"),
    ):
        odd = {one for one in re.findall(pattern, text) if not re.fullmatch(levelled, one)}
        assert not odd


def replayed(held: dict[str, Any]) -> Iterator[tuple[replay.Frame, list[str]]]:
    return replay.replay(TWIN, held, "recorded 2019")


def test_the_laboratorys_interpreter_binds_and_answers_every_frame_as_recorded(
    held: dict[str, Any],
) -> None:
    wrong = [(frame.held["request"], said) for frame, said in replayed(held) if said]
    assert wrong == []


def launch(held: dict[str, Any]) -> dict[str, Any]:
    frame = next(
        one
        for one in held["frames"]
        if one["answer"]["ok"] and any(call["do"] == "Hyper-V\\New-VM" for call in one["bound"])
    )
    return copy.deepcopy(frame)


def bound(frame: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in frame["bound"] if one["do"].endswith(name))
    return found


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "another value": lambda it: bound(it, "New-VM")["with"].update(Generation=1),
    "a value of another type": lambda it: bound(it, "New-VM")["with"].update(Generation="2"),
    "a parameter less": lambda it: bound(it, "New-VM")["with"].pop("NoVHD"),
    "another object": lambda it: bound(it, "Set-VMProcessor")["with"].update(VM=[{"#ref": 99}]),
    "another set": lambda it: bound(it, "New-VM").update(set="New VHD"),
    "another path": lambda it: bound(it, "New-VM")["with"].update(Path="C:\\ec2gw\\elsewhere"),
    "a call more": lambda it: it["bound"].append(copy.deepcopy(it["bound"][-1])),
    "a call less": lambda it: it["bound"].pop(),
    "calls in another order": lambda it: it["bound"].insert(0, it["bound"].pop()),
    "another property": lambda it: bound(it, "New-VM")["objects"][0].update(Id="another"),
    "another result": lambda it: it["answer"].update(results={"vm": []}),
    "fewer calls done": lambda it: it["answer"].update(done=1),
    "a warning": lambda it: it["answer"].update(warnings=["careful"]),
    "a failure": lambda it: it["answer"].update(ok=False, stage="call"),
}


def test_each_difference_turns_a_replay_red(held: dict[str, Any]) -> None:
    frames = []
    for change in CHANGES.values():
        frame = launch(held)
        change(frame)
        frames.append(frame)
    told = [said for _frame, said in replayed({**held, "frames": [*frames, launch(held)]})]
    silent = [name for name, said in zip(CHANGES, told, strict=False) if not said]
    assert silent == []
    assert told[-1] == [], "and what is whole holds, after all of them"


def test_a_width_of_wmi_and_each_part_of_an_error_count() -> None:
    width: dict[str, Any] = {"answer": {}, "request": {}}
    call = {
        "do": "CimCmdlets\\Invoke-CimMethod",
        "set": "CimInstanceComputerSet",
        "with": {"Arguments": {"Kind": {"$cim": "", "#cim": "uint16", "value": 3}}},
        "objects": [],
        "warnings": [],
    }
    for kind, said in (("System.UInt16", 0), ("System.Int64", 1)):
        frame = replay.Frame({**width, "bound": [call]}, "/x")
        sent = {"Arguments": {"Kind": 3}, "#kinds": {"Kind": kind}}
        frame.call("Invoke-CimMethod", "CimInstanceComputerSet", sent)
        assert len(frame.wrong) == said, frame.wrong
    error = {
        "id": "A,B",
        "category": "InvalidArgument",
        "activity": "Get-VM",
        "target": "x",
        "hresult": ["0x80131509"],
        "text": "C:\\ec2gw",
    }
    failed = {"do": "Hyper-V\\Get-VM", "set": "Name", "with": {}, "error": error}
    held = {"bound": [failed], "answer": {"ok": False, "results": {}, "error": error}}
    for name in (None, *error):
        frame = replay.Frame({**held, "request": {}}, "/x")
        told = frame.call("Get-VM", "Name", {})["error"]
        assert told["codes"] == [0x80131509 - (1 << 32)]
        answer = {"ok": False, "results": {}, "error": {**error, "text": "/x/ec2gw"}}
        if name:
            answer["error"] = {**error, "text": "/x/ec2gw", name: "else"}
        assert len(frame.judge(answer)) == (name is not None), name


def line(**changed: Any) -> dict[str, Any]:
    made = {
        "setup": {"root": "C:\\ec2gw"},
        "request": {
            "epoch": 7,
            "calls": [{"do": "Hyper-V\\Get-VM", "with": {"Name": "i-0123456789abcdef0"}}],
            "token": "a" * 32,
            "subject": "i-0123456789abcdef0",
            "generation": 3,
        },
        "bound": [],
        "answer": {"ok": True, "done": 1, "results": {}, "warnings": [], "ms": 5},
    }
    return {**made, **changed}


def test_a_recording_keeps_the_shortest_of_a_kind_and_levels_its_ids() -> None:
    other = line()
    other["request"]["calls"][0]["with"]["Name"] = "i-0123456789abcdef0 and much more"
    failed = line(answer={"ok": False, "stage": "call", "error": {"id": "X"}, "results": {}})
    found = record.frames(iter([other, line(), line(), failed]))
    assert len(found) == 2, "another end is another kind"
    held = record.shape(found)
    assert held["setups"] == [{"root": "C:\\ec2gw"}]
    kept = held["frames"][-1] if held["frames"][-1]["answer"]["ok"] else held["frames"][0]
    assert kept["request"] == {
        "calls": [{"do": "Hyper-V\\Get-VM", "with": {"Name": "i-00000000000000001"}}],
        "token": True,
        "subject": "i-00000000000000001",
    }
    assert record.frames(iter([failed, line(), other, line()])) == record.frames(
        iter([line(), failed, other])
    ), "whichever came first"
    own = line()
    own["request"]["calls"][0]["do"] = "Agent\\Compress-Journal"
    assert record.frames(iter([own])) == []
