"""The task that reads consoles, as `host check` tells of it and as `host remove` takes it away."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.cli import consoles
from ec2gw.winrm import probe
from ec2gw.winrm.checks import READER, Step
from translators.hyperv import tasks

from .scripted import QUICK, ScriptedHost
from .test_probe import NAMES, healthy, serve


def checked(host: ScriptedHost, rows: list[dict[str, Any]]) -> Step:
    """What is told of the task when the host has it so."""
    serve(host, {**healthy(), "Agent\\Get-ConsoleReader": {"reader": rows}})
    steps = probe.probe(host.address(), "C:\\ec2gw", reader=True, limits=QUICK)
    assert [step.name for step in steps] == [*NAMES, READER]
    return steps[-1]


def test_a_task_of_this_release_that_runs_is_well(host: ScriptedHost) -> None:
    step = checked(host, [{"version": tasks.console_version(), "running": True}])
    assert (step.ok, step.found) == (True, f"version {tasks.console_version()} runs")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([], "there is no such task"),
        ([{"version": tasks.console_version(), "running": False}], "which does not run"),
        ([{"version": "0" * 16, "running": True}], "which is not this release's"),
    ],
)
def test_a_task_that_is_not_as_it_should_be_is_told_with_advice(
    host: ScriptedHost, rows: list[dict[str, Any]], found: str
) -> None:
    step = checked(host, rows)
    assert step.ok is False
    assert found in step.found
    assert "ec2gw host console" in step.advice


def test_the_task_goes_with_its_host(host: ScriptedHost) -> None:
    serve(host, {"Agent\\Stop-ConsoleReader": {}})
    told = consoles.take_away(host.address(), "C:\\ec2gw")
    assert told == "its console reader was removed"


def test_a_host_that_does_not_answer_keeps_it_and_its_operator_is_told(
    host: ScriptedHost,
) -> None:
    address = host.address()
    host.door.stop()
    told = consoles.take_away(address, "C:\\ec2gw")
    assert told.startswith("its console reader may still be there (")
    assert "\\ec2gw\\console" in told
