"""Agents are killed wherever a token is written, and two of them share what is left.

Each is the laboratory's interpreter in a process of its own, over the journal of a simulated host;
`tests/agent/prove.py` states the same of the agent itself, where there is a PowerShell.

Source: docs/agent.md, "Nothing runs twice, nobody old runs".
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import World
from tests.truth import dying
from tests.truth.ledger import Ledger
from tests.unit.toy_host import Driver, call, rows, token

ROOT = Path(__file__).parents[2]
VMS = call("Hyper-V\\Get-VM", {"Name": "i-*"}, "vms", {"name": "Name:text"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "world.sqlite3"


@pytest.fixture
def world(path: Path) -> Iterator[World]:
    made = World(path)
    yield made
    made.close()


def killed(path: Path, place: str) -> None:
    command = [sys.executable, "-m", "tests.truth.dying", str(path), place]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode() + done.stdout.decode()


def agents(world: World, count: int = 2) -> list[Driver]:
    start = dying.Starts(LabMachine(world, world.hosts[0]))
    return [start() for _ in range(count)]


def made(driver: Driver) -> int:
    return len(rows(driver.ask([VMS], epoch=3), "vms"))


@pytest.mark.parametrize("place", dying.PLACES)
def test_a_token_whose_agent_was_killed_runs_once_or_is_told(
    place: str, path: Path, ledger: Ledger
) -> None:
    killed(path, place)
    world = World(path)
    try:
        first, second = agents(world)
        assert (first.hello["damaged"], second.hello["damaged"]) == (0, 0), "torn is no damage"
        fence = {"token": dying.TOKEN, "subject": "i-1", "generation": 2}
        there = made(first)
        answers = [one.ask([dying.MACHINE], epoch=3, **fence) for one in (first, second)]
        told = [one.get("refused", "runs") for one in answers]
        expected = dying.PLACES[place]
        assert told == [expected, "done" if expected == "runs" else expected]
        assert made(second) == (1 if expected == "runs" else there) <= 1
        # Whatever was cut, what is written afterwards is whole.
        assert second.ask([dying.MACHINE], epoch=2)["refused"] == "epoch"
        assert first.ask([], epoch=3, token=token(9), subject="i-1", generation=3)["ok"]
        assert (
            second.ask([], epoch=3, token=token(8), subject="i-1", generation=2)["refused"]
            == "generation"
        )
    finally:
        world.close()
    ledger.note("agent: places where it is killed", "docs/agent.md", checked=1)


def test_a_line_that_was_changed_is_damage_and_a_cut_one_is_not(
    path: Path, world: World, ledger: Ledger
) -> None:
    host = LabMachine(world, world.hosts[0])
    [first] = agents(world, 1)
    assert first.ask([], epoch=3, token=token(1))["ok"]
    first.process.kill()
    whole = host.journal_read()
    cut = damaged = 0
    start = whole.index(b"B " + token(1).encode())
    for at in range(start + 1, len(whole), 3):
        host.journal_replace(whole[:at])
        [one] = agents(world, 1)
        assert one.hello["damaged"] == 0, at
        one.process.kill()
        cut += 1
    for at in range(start, len(whole), 5):
        changed = bytes([whole[at] ^ 1])
        host.journal_replace(whole[:at] + changed + whole[at + 1 :])
        [one] = agents(world, 1)
        answer = one.ask([dying.MACHINE], epoch=3, token=token(1))
        assert answer["refused"] in ("done", "begun", "damaged"), at
        if one.hello["damaged"]:
            assert one.ask([dying.MACHINE], epoch=3, token=token(2))["refused"] == "damaged"
            damaged += 1
        one.process.kill()
    assert damaged > 10
    ledger.note("agent: journals cut and changed", "docs/agent.md", checked=cut + damaged)


def test_two_agents_that_are_sent_the_same_run_each_token_once(
    world: World, ledger: Ledger
) -> None:
    drivers = agents(world)
    count = 20
    for number in range(count):
        plan = {**dying.MACHINE, "with": {**_arguments(), "Name": f"i-{number}"}}
        for driver in drivers:
            driver.send([plan], epoch=3, token=token(number), subject="i-1", generation=1)
    said = [driver.read() for driver in drivers for _ in range(count)]
    assert sum(answer["ok"] is True for answer in said) == count
    told = {str(answer["refused"]) for answer in said if answer["ok"] is not True}
    assert told <= {"running", "done"}
    assert made(drivers[0]) == count
    ledger.note("agent: tokens sent to two of them", "docs/agent.md", checked=count)


def _arguments() -> dict[str, object]:
    given = dying.MACHINE["with"]
    assert isinstance(given, dict)
    return given
