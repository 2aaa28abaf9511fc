"""Shells that a killed process left on a host: given back by the next, when nothing runs there."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from ec2gw.lab.door.limits import Limits
from ec2gw.winrm import agent, framing, ledger, pool, session
from translators.hyperv.host import Busy

from .conftest import Linked, Opened
from .scripted import QUICK, ScriptedHost, fence, look, work
from .test_workers import until

SETUP: dict[str, object] = {"root": "C:\\ec2gw", "modules": [], "allowed": {}, "paths": {}}


@pytest.fixture
def noted(tmp_path: Path) -> Path:
    return tmp_path / "shells.json"


def killed(host: ScriptedHost, noted: Path) -> str:
    """Do what a process does that is killed while it has an agent; answer its shell."""
    connection = session.Connection(host.address(), QUICK)
    shell = connection.create_shell()
    command = connection.start(shell, agent.PROGRAM, agent.arguments())
    connection.send(shell, command, agent.first_line() + framing.encode(SETUP))
    ledger.Ledger(noted).opened(shell, command)
    connection.close()
    return shell


def shells(host: ScriptedHost) -> int:
    return len(host.door.service.shells)


def test_shells_of_earlier_lives_are_given_back(
    host: ScriptedHost, linked: Linked, noted: Path
) -> None:
    for _ in range(3):
        killed(host, noted)
    link = linked(host, shells=ledger.Ledger(noted))
    link.run(look())
    worker = link._worker
    assert worker is not None
    until(lambda: list(json.loads(noted.read_text())) == [worker.shell_id])
    assert [process.ended.is_set() for process in host.agents] == [True, True, True, False]
    assert shells(host) == 1
    link.run(work(), fence=fence(1))


def test_where_they_are_all_that_a_host_admits_they_are_given_back_first(
    opened: Opened, linked: Linked, noted: Path
) -> None:
    host = opened(limits=Limits(max_shells_per_user=3))
    for _ in range(3):
        killed(host, noted)
    linked(host, shells=ledger.Ledger(noted)).run(look(), deadline_seconds=5)
    assert shells(host) == 1


def test_what_still_runs_in_one_is_not_cut_off(
    host: ScriptedHost, linked: Linked, noted: Path
) -> None:
    killed(host, noted)
    [process] = host.agents
    host.lingers_seconds = 1.5
    linked(host, shells=ledger.Ledger(noted)).run(look())
    time.sleep(0.7)
    assert shells(host) == 2
    assert not process.ended.is_set()
    until(lambda: shells(host) == 1)


def test_a_busy_shell_is_kept_even_where_it_costs_the_start(
    opened: Opened, linked: Linked, noted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ec2gw.winrm.sweep._QUICK_SECONDS", 1)
    host = opened(limits=Limits(max_shells_per_user=1))
    killed(host, noted)
    host.lingers_seconds = 20
    link = linked(host, shells=ledger.Ledger(noted))
    with pytest.raises(Busy):
        link.run(look(), deadline_seconds=10)
    assert not host.agents[0].ended.is_set()


def test_what_nobody_noted_is_left_alone(host: ScriptedHost, linked: Linked, noted: Path) -> None:
    theirs = session.Connection(host.address(), QUICK)
    theirs.create_shell()
    killed(host, noted)
    linked(host, shells=ledger.Ledger(noted)).run(look())
    until(lambda: noted.exists() and len(json.loads(noted.read_text())) == 1)
    assert shells(host) == 2
    theirs.close()


def test_a_shell_that_could_not_be_removed_at_its_end_is_given_back_later(
    host: ScriptedHost, linked: Linked
) -> None:
    """Its process died while the host was out of reach."""
    events: list[tuple[str, Mapping[str, object]]] = []
    link = linked(host, events=events)
    link.run(look())
    host.faults.go_down()
    host.agents[0].end(3)
    until(lambda: link._worker is None, 15)
    assert shells(host) == 1
    host.faults.go_up()
    until(lambda: reached(link))
    until(lambda: shells(host) == 1)
    assert len(host.agents) == 2
    assert "shells-given-back" in [event for event, _ in events]


def reached(link: pool.HostLink) -> bool:
    try:
        link.run(look(), deadline_seconds=1)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("text", ["", "[]", '{"a": ', "null", '{"\u00fc": 1}'])
def test_a_spoilt_note_is_as_good_as_none(noted: Path, text: str) -> None:
    noted.write_text(text, encoding="utf-8")
    known = ledger.Ledger(noted)
    assert known.shells() == {}
    known.opened("s", "c")
    assert ledger.Ledger(noted).shells() == {"s": "c"}
    assert noted.stat().st_mode & 0o077 == 0
