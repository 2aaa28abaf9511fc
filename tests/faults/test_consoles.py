"""Consoles while hosts are busy, links end and hosts are away: what is answered, kept and lost."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.lab.cmdlets.shell import CMDLETS, Shell
from ec2gw.lab.console import Console
from state import models
from tests.faults.rig import Rig
from tests.faults.test_hosts import HOST, ZONE, launched
from translators.ec2.instances.console import watched
from translators.hyperv import tasks


def asked(gateway: Rig, action: str, instance: str) -> models.Question:
    """Ask, and wait for what the engine writes down."""
    gateway.ask(action, InstanceId=instance)
    newest = gateway.rows(models.Question)[-1]

    def now() -> models.Question:
        found: models.Question = next(
            one for one in gateway.rows(models.Question) if one.key == newest.key
        )
        return found

    gateway.until(lambda: now().phase != "asked", f"{action} is answered", seconds=25)
    return now()


def output(gateway: Rig, instance: str) -> str:
    """What the console is known to have written, once the host was asked."""
    assert asked(gateway, "GetConsoleOutput", instance).phase == "answered"
    return kept(gateway)


def kept(gateway: Rig) -> str:
    return "".join(row.output.decode() for row in gateway.rows(models.Console))


def says(gateway: Rig, instance: str, text: str) -> None:
    Console(gateway.world).guest_says(HOST, instance, f"{text}\r\n")


def lose_the_link(gateway: Rig) -> None:
    """The host cannot be reached, and what we ran there has ended."""
    gateway.laboratory.faults[HOST].end_programs()
    gateway.laboratory.faults[HOST].go_down()

    def nobody_reads() -> bool:
        with gateway.world.reading(HOST) as session:
            return not any(session.machine.agents.values())

    gateway.until(nobody_reads, "the agent has ended")


def link_again(gateway: Rig, instance: str) -> None:
    gateway.laboratory.faults[HOST].go_up()
    gateway.until(
        lambda: asked(gateway, "GetConsoleOutput", instance).phase == "answered", "it answers"
    )


def test_what_is_written_while_the_link_is_gone_is_lost_without_the_task(gateway: Rig) -> None:
    (one,) = launched(gateway)
    says(gateway, one, "before")
    before = output(gateway, one)
    lose_the_link(gateway)
    says(gateway, one, "meanwhile")
    link_again(gateway, one)
    says(gateway, one, "after")
    assert output(gateway, one) == before + "after\r\n"


def test_the_task_reads_on_while_the_link_is_gone(gateway: Rig) -> None:
    (one,) = launched(gateway)
    _turn(gateway, watched.RESIDENT)
    gateway.until(lambda: _reader(gateway) == (tasks.console_version(), True), "the task runs")
    lose_the_link(gateway)
    says(gateway, one, "meanwhile")
    link_again(gateway, one)
    assert output(gateway, one).endswith("meanwhile\r\n")
    _turn(gateway, watched.OFF)
    gateway.until(lambda: _reader(gateway) == ("", False), "the task is gone")
    says(gateway, one, "the agent reads again")
    assert output(gateway, one).endswith("the agent reads again\r\n")


def _turn(gateway: Rig, wanted: str) -> None:
    def work(session: Any) -> None:
        host = session.scalars(sa.select(models.Host).where(models.Host.zone_letter == "a")).one()
        host.options = {**host.options, watched.OPTION: wanted}

    gateway.store.write(work)


def _reader(gateway: Rig) -> tuple[str, bool]:
    with gateway.world.reading(HOST) as session:
        return session.machine.reader_version, session.machine.reader_running


def test_a_log_goes_with_its_instance_and_what_was_seen_of_it_stays(gateway: Rig) -> None:
    (one,) = launched(gateway)
    said = output(gateway, one)
    gateway.ask("TerminateInstances", InstanceIds=[one])
    gateway.wait("terminated", one)

    def logs() -> list[str]:
        return [path for path in gateway.world.snapshot()[HOST]["files"] if path.endswith(".log")]

    gateway.until(lambda: logs() == [], "its log is removed")
    gateway.ask("GetConsoleOutput", InstanceId=one)
    assert kept(gateway) == said


@pytest.fixture
def slow_starts(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Starts of VMs that do not end before the event is set, from when it is cleared."""
    go_on = threading.Event()
    go_on.set()
    start = CMDLETS["Hyper-V\\Start-VM"]

    def slowly(shell: Shell) -> Sequence[object]:
        assert go_on.wait(60)
        return start.run(shell)

    monkeypatch.setitem(CMDLETS, "Hyper-V\\Start-VM", dataclasses.replace(start, run=slowly))
    yield go_on
    go_on.set()


def test_a_screenshot_does_not_wait_behind_launches(
    gateway: Rig, slow_starts: threading.Event
) -> None:
    (one,) = launched(gateway)
    slow_starts.clear()
    others = gateway.launch(6, **ZONE)
    gateway.until(lambda: len(gateway.vms()) >= 3, "two VMs are made, and wait to be started")
    answered = asked(gateway, "GetConsoleScreenshot", one)
    assert answered.phase == "answered"
    assert answered.answer is not None
    assert answered.answer.startswith(b"\xff\xd8\xff")
    assert {gateway.instance(other).phase for other in others} == {"pending"}
    slow_starts.set()
    gateway.wait("running", *others)


def test_a_guest_is_read_from_its_first_boot_on(gateway: Rig, slow_starts: threading.Event) -> None:
    slow_starts.clear()
    (one,) = gateway.launch(1, **ZONE)

    def is_read() -> bool:
        with gateway.world.reading(HOST) as session:
            return any(one in names for names in session.machine.watched.values())

    gateway.until(is_read, "its host reads it before it starts")
    slow_starts.set()
    gateway.wait("running", one)
    gateway.until(lambda: output(gateway, one).endswith("login: "), "it is up")
    assert output(gateway, one).startswith("Linux version")
