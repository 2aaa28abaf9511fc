"""Every plan binds on every Windows, whoever made it; one thing changed in it, and it does not.

Source: ec2gw/lab/binding/data/README.md (tables of cmdlets, classes and WMI).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from ec2gw.lab import binding
from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.binding import bind_plan, tables
from ec2gw.lab.cmdlets import machine
from tests.agent import plans as builders
from tests.truth import sent
from tests.truth.ledger import Ledger
from tests.unit import test_binding, test_trials
from tests.unit.lab_host import Bench
from translators.hyperv import allowed, trials
from translators.hyperv.host import Plan

CMDLETS = "6 tables of cmdlets, 2016 to 2025"
CLASSES = "recorded classes of Hyper-V and WMI"


@pytest.fixture(autouse=True)
def every_plan_binds() -> None:
    """Not here: some plans are made of arguments that are no more than of their type."""


def note(ledger: Ledger, who: str, plans: Iterable[Plan], exceptions: int = 0) -> None:
    """Count the calls that were bound, and the property paths and calls of WMI among them."""
    calls = [call for plan in plans for call in plan.calls]
    taken = sum(len(call.take or {}) for call in calls)
    wmi = sum(call.cmdlet.startswith("CimCmdlets") for call in calls)
    ledger.note(f"plans {who}: calls", CMDLETS, checked=len(calls), exceptions=exceptions)
    ledger.note(f"plans {who}: properties brought back", CLASSES, checked=taken)
    ledger.note(f"plans {who}: calls of WMI", "WMI of 2019 and 23H2", checked=wmi)


def test_every_plan_that_end_to_end_tests_sent_binds(ledger: Ledger) -> None:
    frames = sent.frames()
    assert sent.problems(frames) == []
    note(ledger, "sent end to end", frames.values())


def test_every_plan_that_can_be_made_binds(ledger: Ledger) -> None:
    made = builders.samples()
    failing = {name for name, plan in made.items() if bind_plan(plan)}
    assert failing == set(sent.MADE_UP), "made-up arguments; not needed any more, or new"
    real = {name: plan for name, plan in made.items() if name not in sent.MADE_UP}
    note(ledger, "of every function", real.values(), exceptions=len(sent.MADE_UP))


def test_every_plan_of_real_arguments_binds(ledger: Ledger) -> None:
    real = {
        f"{number}": plan for number, plan in enumerate([*test_binding.PLANS, *test_trials.PLANS])
    }
    assert sent.problems(real) == []
    note(ledger, "of real arguments", real.values())


def test_every_call_that_is_allowed_is_in_some_plan_of_these() -> None:
    plans = [*builders.samples().values(), *test_binding.PLANS, *test_trials.PLANS]
    called = {call.cmdlet for plan in plans for call in plan.calls}
    assert {*allowed.ALLOWED, *trials.ALLOWED} - called == set()


# -- reviewed lists


def test_what_one_version_lacks_is_reviewed_and_nothing_else_is(ledger: Ledger) -> None:
    found = sent.lacking()
    assert found == set(sent.LACKING), "new, or not needed any more"
    assert all(one.why for one in sent.LACKING)
    used = sum(len(one) + 1 for one in trials.ALLOWED.values())
    ledger.note(
        "plans: cmdlets and parameters in use", CMDLETS, checked=used, exceptions=len(found)
    )


def test_what_a_version_lacks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(allowed.ALLOWED, "Hyper-V\\Set-VM", ("VM", "AutomaticCheckpointsEnabled"))
    [found] = sent.lacking()
    assert (found.parameter, found.version) == ("AutomaticCheckpointsEnabled", "recorded 2016")
    monkeypatch.setitem(allowed.ALLOWED, "Hyper-V\\Set-VMs", ())
    assert len(sent.lacking()) == 1 + len(binding.VERSIONS)


def test_what_is_bound_by_hand_is_reviewed(ledger: Ledger) -> None:
    assert sent.by_hand() == set(sent.BY_HAND)
    ledger.note(
        "plans: cmdlets bound by hand", "documentation", checked=1, unknown=len(sent.BY_HAND)
    )


def test_no_cmdlet_of_a_cluster_is_used() -> None:
    """Else the recording of FailoverClusters has to be among the tables."""
    modules = {do.partition("\\")[0] for do in trials.ALLOWED}
    assert modules == {
        "Agent",
        "CimCmdlets",
        "Hyper-V",
        "Microsoft.PowerShell.Diagnostics",
        "Microsoft.PowerShell.Management",
    }


# -- the laboratory binds what other processes send


def test_a_laboratory_of_tests_takes_what_binds_everywhere_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "world.sqlite3")
    vm = bench.create("i-1")
    bench("Set-VM", VM=vm, AutomaticCheckpointsEnabled=False)
    monkeypatch.setenv(machine.VARIABLE, "yes")
    with pytest.raises(CmdletError, match="no parameter -AutomaticCheckpointsEnabled"):
        bench("Set-VM", VM=vm, AutomaticCheckpointsEnabled=False)
    bench("Set-VM", VM=vm, Notes="x")


# -- trials: each change of a plan is told


@pytest.mark.parametrize("name", sent.CHANGES)
def test_each_change_of_a_plan_is_told(name: str, ledger: Ledger) -> None:
    plans = [*sent.frames().values(), *test_binding.PLANS, *test_trials.PLANS]
    tried = list(sent.changed(plans, sent.CHANGES[name]))
    silent = [plan.calls for plan in tried if not bind_plan(plan, [tables.LABORATORY])]
    assert silent == []
    assert tried
    ledger.note("trials: plans changed", "spoilt on purpose", checked=len(tried))
