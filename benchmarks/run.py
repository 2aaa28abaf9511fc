"""One run: starts the servers, fills them, and measures every case against both in turn."""

from __future__ import annotations

import dataclasses
import shutil
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import cases, measure, processes, rules, seeding, sides, storm
from benchmarks.cases import Counts
from benchmarks.report import Row, compared
from benchmarks.sides import Side
from benchmarks.signing import Signer
from ec2gw import config

DATABASE: Final = "state.sqlite3"
SMALL: Final = 100
LARGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Form:
    """How long a run takes, and so how sure its figures are."""

    name: str
    instances: int
    rounds: int
    starts: int
    counts: Counts
    flat: Counts
    storm: int
    ruled: int
    """Instances whose rules are changed."""


FULL: Final = Form(
    "full",
    instances=1000,
    rounds=5,
    starts=5,
    counts=Counts(
        one=(400, 60),
        page=(10, 1),
        filter=(60, 1),
        tag=(100, 60),
        launch=(10, 10),
        launches=(20, 20),
        many=(1, 1),
        stop=(10, 10),
        mixed=(1600, 160),
        rush=(64, 64),
    ),
    flat=Counts(one=(400, 400), filter=(60, 60), tag=(100, 100)),
    storm=128,
    ruled=50,
)
QUICK: Final = Form(
    "quick",
    instances=200,
    rounds=3,
    starts=2,
    counts=Counts(
        one=(200, 40),
        page=(10, 1),
        filter=(40, 2),
        tag=(50, 30),
        launch=(5, 5),
        launches=(10, 10),
        many=(1, 1),
        stop=(5, 5),
        mixed=(800, 160),
        rush=(32, 32),
    ),
    flat=Counts(one=(200, 200), filter=(40, 40), tag=(50, 50)),
    storm=64,
    ruled=20,
)


@dataclass(slots=True)
class Outcome:
    """What a run found: rows of ec2gw and moto, rows of ec2gw with few and many, remarks."""

    form: Form
    against_moto: list[Row] = field(default_factory=list)
    flatness: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """What was answered and is not so: found after the storm, and on the hosts."""

    @property
    def rows(self) -> list[Row]:
        return [*self.against_moto, *self.flatness]


def run(form: Form, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Measure everything; takes minutes, and the machine should do little else."""
    outcome = Outcome(form)
    names = ("data", "few", "many", "calm", "held")
    data, few, many, calm, held = (folder / name for name in names)
    say("first start of ec2gw, and the launch that is copied later")
    signer = _first_start(folder, data, outcome)
    for copy in (few, many):
        shutil.copytree(data, copy)
        config.save(dataclasses.replace(config.resolved(copy), data=copy))
    say(f"{form.starts} starts of each")
    _starts(folder, data, signer, outcome)
    say(f"{form.rounds} rounds with {form.instances} instances each")
    _against_moto(folder, data, signer, outcome)
    say(f"{form.rounds} rounds with {SMALL} and with {LARGE} instances")
    _flatness(folder, few, many, signer, outcome)
    say(f"{form.storm} launches over {cases.CONNECTIONS} connections, and `kill -9`")
    with sides.ec2gw(folder, calm) as start:
        raised = storm.raised(start.side, calm, form.storm)
    outcome.remarks.append(raised.told)
    outcome.lost += raised.wrong
    say(f"{form.ruled * rules.RULES} rules on {form.ruled} instances")
    with sides.ec2gw(folder, held) as start:
        changed = rules.changed(start.side, held, form.ruled)
    outcome.remarks.append(changed.told)
    outcome.lost += changed.wrong
    return outcome


def _first_start(folder: Path, data: Path, outcome: Outcome) -> Signer:
    with sides.ec2gw(folder, data) as start:
        side = start.side
        side.fetch("RunInstances", {"ImageId": side.image_id, **seeding.launch()})
        cases.settle(data / DATABASE)
        outcome.remarks.append(
            f"The first start of ec2gw, with a new database and laboratory, took "
            f"{start.ready_seconds:.1f} s until all was ready."
        )
        return side.signer


def _starts(folder: Path, data: Path, signer: Signer, outcome: Outcome) -> None:
    seconds: dict[str, list[float]] = {"ec2gw": [], "moto": []}
    memory: dict[str, list[float]] = {"ec2gw": [], "moto": []}
    for number in range(outcome.form.starts):
        for name in ("ec2gw", "moto") if number % 2 == 0 else ("moto", "ec2gw"):
            begun = sides.moto(folder) if name == "moto" else sides.ec2gw(folder, data, signer)
            with begun as start:
                seconds[name].append(start.seconds)
                memory[name].append(_memory_mib(start.side))
    outcome.against_moto += [
        _row("start to first signed answer", "s", seconds),
        _row("memory, idle", "MiB", memory),
    ]


def _against_moto(folder: Path, data: Path, signer: Signer, outcome: Outcome) -> None:
    form = outcome.form
    size, counts = form.instances, form.counts
    ours = seeding.by_rows(data / DATABASE, size - 1)
    with sides.ec2gw(folder, data, signer) as start, sides.moto(folder) as started:
        side, moto = start.side, started.side
        ids = {"ec2gw": ours, "moto": seeding.through_api(moto, size)}
        reading = [
            cases.one(ids, counts),
            cases.page(size, counts),
            cases.page_after_change(size, ids, counts),
            cases.filtered(counts),
        ]
        one, page, changed, filtered = measure.rounds(reading, side, moto, form.rounds)
        memory = {"ec2gw": [_memory_mib(side)], "moto": [_memory_mib(moto)]}
        _tell_memory(side, outcome)
        writing = [
            cases.launch(counts, data / DATABASE),
            cases.launches(counts, data / DATABASE),
            cases.tag(ids, counts),
            cases.many(counts, data / DATABASE),
            cases.stop(counts, data / DATABASE),
        ]
        launch, launches, tag, many, stop = measure.rounds(writing, side, moto, form.rounds)
        at_once = [cases.mixed(ids, counts), cases.rush(counts, data / DATABASE)]
        mixed, rush = measure.rounds(at_once, side, moto, form.rounds)
    outcome.against_moto += [
        _row(f"memory, {size} instances", "MiB", memory),
        compared(one, "cpu_ms", 10),
        compared(one, "p50_ms"),
        compared(page, "cpu_ms", 30),
        compared(page, "p50_ms", 30),
        compared(changed, "cpu_ms"),
        compared(filtered, "cpu_ms"),
        compared(launch, "p50_ms", 1),
        compared(launch, "cpu_ms"),
        compared(launches, "p50_ms"),
        compared(launches, "whole_ms"),
        compared(tag, "p50_ms"),
        compared(tag, "cpu_ms"),
        compared(many, "p50_ms"),
        compared(many, "cpu_ms"),
        compared(stop, "p50_ms"),
        compared(stop, "cpu_ms"),
        compared(mixed, "each_ms"),
        compared(mixed, "p99_ms"),
        compared(mixed, "cpu_ms"),
        compared(rush, "each_ms"),
        compared(rush, "p99_ms"),
        compared(rush, "cpu_ms"),
    ]
    fairness = statistics.median(burst.p99_ms / burst.p50_ms for burst in rush.left)
    outcome.remarks.append(
        f"Of {cases.CONNECTIONS} who launch at once, the slowest in a hundred waits "
        f"{fairness:.1f} times as long as the median."
    )
    sizes = [rounds[-1].size_bytes / size / 1000 for rounds in (page.left, page.right)]
    outcome.remarks.append(
        f"An instance in a page takes {sizes[0]:.1f} kB of ec2gw's answer, {sizes[1]:.1f} kB of "
        "moto's."
    )


def _flatness(folder: Path, few: Path, many: Path, signer: Signer, outcome: Outcome) -> None:
    form = outcome.form
    ids = {
        data.name: seeding.by_rows(data / DATABASE, count - 1)
        for data, count in ((few, SMALL), (many, LARGE))
    }
    with (
        sides.api_alone(folder, few, signer) as left,
        sides.api_alone(folder, many, signer) as right,
    ):
        asked = [
            cases.one(ids, form.flat),
            cases.filtered(form.flat),
            cases.tag(ids, form.flat),
        ]
        one, filtered, tag = measure.rounds(asked, left, right, form.rounds)
        right.fetch("DescribeInstances")
        outcome.remarks.append(
            f"ec2gw's API alone holds {_memory_mib(left):.0f} MiB with {SMALL} instances, "
            f"{_memory_mib(right):.0f} MiB with {LARGE}, once all of them were asked for."
        )
    outcome.flatness += [
        _growth(compared(one, "cpu_ms", 1.25)),
        _growth(compared(filtered, "cpu_ms")),
        _growth(compared(tag, "cpu_ms")),
    ]


def _growth(row: Row) -> Row:
    """Read a comparison of few with many: the less it grows, the better."""
    return dataclasses.replace(row, name=f"growth of {row.name}", better="less")


def _row(name: str, unit: str, figures: Mapping[str, list[float]]) -> Row:
    ours, theirs = figures["ec2gw"], figures["moto"]
    ratios = [right / left for left, right in zip(ours, theirs, strict=True)]
    return Row(name, unit, statistics.median(ours), statistics.median(theirs), ratios)


def _memory_mib(side: Side) -> float:
    return sum(processes.pss_mib(pid) for pid in side.pids.values())


def _tell_memory(side: Side, outcome: Outcome) -> None:
    parts = {name: processes.pss_mib(pid) for name, pid in side.pids.items()}
    shown = ", ".join(f"{name} {mib:.0f}" for name, mib in parts.items())
    outcome.remarks.append(
        f"ec2gw's memory with {outcome.form.instances} instances, by process, in MiB: {shown}."
    )
