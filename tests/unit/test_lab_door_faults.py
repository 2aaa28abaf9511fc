"""Faults strike the messages that were planned, by a seed, or as a followed file says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ec2gw.lab.door.faults import Fate, Faults, Moment


class Listener:
    """Notes what faults do to a door."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def refuse_connections(self) -> None:
        self.said.append("refuse")

    def accept_connections(self) -> None:
        self.said.append("accept")

    def restart_service(self) -> None:
        self.said.append("restart")

    def end_programs(self) -> None:
        self.said.append("end programs")

    def let_pass(self, seconds: float) -> None:
        self.said.append(f"{seconds} pass")


def test_the_nth_message_of_a_kind_is_struck_and_no_other() -> None:
    faults = Faults()
    faults.plan("after", "Send", nth=2)
    kinds = ("Send", "Receive", "Send", "Send")
    assert [faults.arrived(kind).what for kind in kinds] == [None, None, "after", None]


def test_a_fault_may_strike_several_times_and_any_kind() -> None:
    faults = Faults()
    faults.plan("fault", times=2, code=995)
    fates = [faults.arrived(kind) for kind in ("Create", "Send", "Send")]
    assert fates == [Fate("fault", 995), Fate("fault", 995), Fate()]


def test_loss_is_the_same_for_the_same_seed_and_of_both_kinds() -> None:
    runs = []
    for _ in range(2):
        faults = Faults()
        faults.lose(0.3, seed=7)
        runs.append([faults.arrived("Send").what for _ in range(200)])
    assert runs[0] == runs[1]
    lost = [what for what in runs[0] if what]
    assert {"before", "after"} == set(lost)
    assert 30 < len(lost) < 90


def test_stop_points_are_told_around_each_message_that_is_processed() -> None:
    faults, told = Faults(), list[tuple[Moment, str]]()
    faults.around_message = lambda moment, kind: told.append((moment, kind))
    faults.plan("before", "Receive")
    for kind in ("Send", "Receive"):
        if faults.arrived(kind).what != "before":
            faults.processed(kind)
    assert told == [("before", "Send"), ("after", "Send")]


def test_a_host_goes_down_and_comes_back_once_each() -> None:
    faults, door = Faults(), Listener()
    faults.attach(door)
    faults.go_down()
    faults.go_down()
    faults.drop_shells()
    faults.clear()
    assert door.said == ["refuse", "restart", "accept"]


def test_a_door_that_opens_while_its_host_is_down_refuses_at_once() -> None:
    faults, door = Faults(), Listener()
    faults.go_down()
    faults.attach(door)
    assert door.said == ["refuse"]


def write(path: Path, text: str, *, second: int) -> None:
    path.write_text(text)
    os.utime(path, (second, second))


def test_a_followed_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path, door, faults = tmp_path / "faults.json", Listener(), Faults("host-1")
    faults.attach(door)
    faults.follow(path)  # not there yet
    assert faults.arrived("Send") == Fate()

    write(path, json.dumps({"loss": 1.0, "seed": 1, "down": ["host-1"], "delay_ms": 1}), second=1)
    faults.refresh()
    assert faults.arrived("Send").what in ("before", "after")
    assert faults.delay_seconds == 0.001
    assert door.said == ["refuse"]

    write(path, '{"loss": 0', second=2)  # half written: what was said stays
    faults.refresh()
    assert faults.arrived("Send").what is not None

    write(path, json.dumps({"down": ["host-2"]}), second=3)
    faults.refresh()
    assert faults.arrived("Send") == Fate()
    assert door.said == ["refuse", "accept"]

    write(path, json.dumps({"loss": 1.0}), second=4)
    faults.refresh()
    path.unlink()
    faults.refresh()
    assert faults.arrived("Send") == Fate()


def test_a_key_that_a_followed_file_cannot_have_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "faults.json"
    path.write_text('{"lost": 0.5}')
    Faults().follow(path)
    assert "lost" in caplog.text
