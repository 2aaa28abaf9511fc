"""The doctor without a host: order and verdicts, tokens that outlive it, what a host might say."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from ec2gw.doctor import journal, report, run, way
from ec2gw.doctor.bench import Bench, Patience, Target
from ec2gw.doctor.probe import FAILS, HOLDS, UNTRIED, NotSo, NotTried, Outcome, Probe
from ec2gw.doctor.tokens import Tokens
from ec2gw.winrm import endpoint, pool, session
from translators.hyperv import host as port
from translators.hyperv import trials

NOWHERE = endpoint.HostAddress("https://hv1.invalid:5986/wsman", "ntlm", "op", lambda: "secret")


class Ward(Bench):
    """A bench whose looks are answered here; it knows no host."""

    def __init__(self, folder: Path) -> None:
        target = Target("hv1", NOWHERE, "C:\\ec2gw", "feedfacefeedface")
        super().__init__(target, Tokens(folder / "tokens"), Patience(poll=0, verbs=100))
        self.answers: list[dict[str, list[dict[str, port.Flat]]] | port.HostError] = []

    def look(self, plan: port.Plan) -> port.Answer:
        answer = self.answers.pop(0)
        if isinstance(answer, port.HostError):
            raise answer
        return port.Answer(answer, len(plan.calls))


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return Ward(tmp_path)


def probe(name: str, run_: Callable[[Bench], str] | None, **members: Any) -> Probe:
    return Probe(name, "It is so.", "nowhere", run_, **members)


def fails(error: Exception) -> Callable[[Bench], str]:
    def raise_it(bench: Bench) -> str:
        raise error

    return raise_it


def tried(ward: Ward, probes: Sequence[Probe], **options: Any) -> dict[str, Outcome]:
    return {one.probe.name: one for one in run.prove(ward, probes=probes, **options)}


# -- order and verdicts

FAULT = port.HostFault("InvalidState,X.StopVM", "InvalidOperation", ("0x80131509",), text="no")


@pytest.mark.parametrize(
    ("error", "verdict", "words"),
    [
        (NotSo("it is blue"), FAILS, "it is blue"),
        (NotTried("it is night"), UNTRIED, "it is night"),
        (port.Failed("call", FAULT, 0), FAILS, "InvalidState,X.StopVM (InvalidOperation): no"),
        (port.Unreachable("the breaker is open"), FAILS, "Unreachable: the breaker is open"),
        (port.Fenced("epoch", 9), FAILS, "the host has seen epoch 9"),
        (session.Quota("fault 2150859173"), FAILS, "Quota: fault 2150859173"),
        (KeyError("vm"), FAILS, "an answer that cannot be read"),
    ],
)
def test_whatever_a_probe_meets_is_a_verdict(
    ward: Ward, error: Exception, verdict: str, words: str
) -> None:
    outcome = tried(ward, [probe("it", fails(error))])["it"]
    assert outcome.verdict == verdict
    assert words in outcome.found


def test_a_probe_is_tried_only_if_all_that_it_needs_holds(ward: Ward) -> None:
    outcomes = tried(
        ward,
        [
            probe("good", lambda bench: "yes"),
            probe("bad", fails(NotSo("no"))),
            probe("after", lambda bench: "yes", needs=("good", "bad")),
            probe("later", lambda bench: "yes", needs=("after",)),
            probe("open", None, why="it takes a year"),
            probe("slow", lambda bench: "yes", slow=True),
        ],
    )
    assert {name: (one.verdict, one.found) for name, one in outcomes.items()} == {
        "good": (HOLDS, "yes"),
        "bad": (FAILS, "no"),
        "after": (UNTRIED, "bad: does not hold"),
        "later": (UNTRIED, "after: not tried"),
        "open": (UNTRIED, "it takes a year"),
        "slow": (UNTRIED, "it takes minutes: --slow"),
        "clean-up": (UNTRIED, "leftovers: not tried"),
    }
    assert (
        tried(ward, [probe("slow", lambda bench: "yes", slow=True)], slow=True)["slow"].verdict
        == HOLDS
    )


def test_a_fault_of_our_own_ends_it_after_the_clean_up(ward: Ward) -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError):
        run.prove(
            ward,
            probes=[probe("it", fails(ZeroDivisionError("ours")))],
            tell=lambda outcome: told.append(outcome.probe.name),
        )
    assert told == ["clean-up"]


# -- tokens


def test_tokens_outlive_whoever_sent_them_until_their_end_is_known(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    sent = Tokens(path)
    one, two = f"{1:032x}", f"{2:032x}"
    sent.begin(one)
    sent.begin(two)
    sent.end(one)
    with path.open("a") as file:
        file.write("begun 0000")  # whose writer died in it
    assert Tokens(path).open == {two}
    assert path.stat().st_mode & 0o777 == 0o600
    Tokens(path).forget()
    assert not path.exists()
    assert Tokens(path).open == set()


# -- what only a host would say


class Link:
    """A second agent that answers everything."""

    def __init__(self) -> None:
        self.ran = 0

    def connect(self, deadline_seconds: float) -> None: ...

    def run(self, plan: port.Plan) -> None:
        self.ran += 1

    def close(self) -> None: ...


def processes(**memory_mib: int) -> dict[str, list[dict[str, port.Flat]]]:
    rows: list[dict[str, port.Flat]] = [
        {"id": int(name[1:]), "memory": mib * 1024**2} for name, mib in memory_mib.items()
    ]
    return {"processes": rows}


def test_an_agents_memory_is_that_of_the_process_that_is_new(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = Link()
    monkeypatch.setattr(ward, "another", lambda epoch: cast(pool.HostLink, link))
    before, during = processes(p1=90), processes(p1=90, p2=80)
    [memory] = [one for one in journal.PROBES if one.name == "memory"]
    alone = dataclasses.replace(memory, needs=())
    ward.answers = [before, during, during, processes(p1=90, p2=81)]
    outcome = tried(ward, [alone])["memory"]
    assert (outcome.verdict, link.ran) == (HOLDS, 100)
    assert outcome.measured == {"memory_mib": 81.0, "grown_mib": 1.0}
    ward.answers = [before, during, during, processes(p1=90, p2=100)]
    assert tried(ward, [alone])["memory"].verdict == FAILS  # 20 MiB in 100 requests
    ward.answers = [before, processes(p1=90, p2=80, p3=80)]
    assert tried(ward, [alone])["memory"].verdict == UNTRIED


def limits(**values: str) -> dict[str, list[dict[str, port.Flat]]]:
    return {"limits": [{"name": name, "value": value} for name, value in values.items()]}


def test_quotas_that_are_too_small_are_named(ward: Ward) -> None:
    [shells] = [one for one in way.PROBES if one.name == "shell-limits"]
    alone = dataclasses.replace(shells, needs=())
    ward.answers = [limits(MaxShellsPerUser="2", MaxMemoryPerShellMB="0", MaxShellRunTime="-1")]
    outcome = tried(ward, [alone])["shell-limits"]
    assert (outcome.verdict, outcome.found) == (FAILS, "MaxShellsPerUser is 2, 5 are needed")
    refusal = "System.InvalidOperationException,Microsoft.PowerShell.Commands.GetChildItemCommand"
    ward.answers = [port.Failed("call", port.HostFault(refusal, "InvalidOperation"), 0)]
    assert tried(ward, [alone])["shell-limits"].verdict == UNTRIED
    assert ward.found.facts["account"] == "no administrator"


# -- the report


def test_a_table_of_the_report_keeps_its_columns() -> None:
    fault = port.HostFault("Id,X", "C", ("0x1",), text="two\nlines | a bar")
    outcome = Outcome(probe("it", None), FAILS, "one | two\nthree", errors=(fault,))
    now = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    made = report.Report("hv1", "https://hv1", "ntlm", "doctor-0", "0", now, now, {}, [outcome])
    rows = [line for line in report.as_markdown(made).splitlines() if line.startswith("| does not")]
    assert rows == ["| does not hold | it | relied on | It is so. | one \\| two three | 0.00 |"]
    assert "| two lines \\| a bar |" in report.as_markdown(made)
    assert not made.good


def test_the_folder_of_a_doctor_is_one_that_its_agent_takes() -> None:
    target = Target("hv1", NOWHERE, "C:\\ec2gw", "feedfacefeedface")
    assert target.folder == "C:\\ec2gw\\doctor-feedfacefeedface"
    assert trials.sweep(port.Path(target.label)).calls[0].parameters == {
        "Path": port.Path("doctor-feedfacefeedface")
    }
