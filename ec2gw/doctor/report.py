"""What a doctor found, as a file for people and one for programs. Holds no secret.

Source: docs/operations.md, "Proving a host".
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ec2gw.doctor.probe import FAILS, HOLDS, UNTRIED, Outcome

FORMAT: Final = 1
_KINDS: Final = {True: "relied on", False: "asked"}


@dataclass(frozen=True, slots=True)
class Report:
    """All that came of one run."""

    host: str
    endpoint: str
    transport: str
    label: str
    gateway: str
    """The version of ec2gw."""
    began: dt.datetime
    ended: dt.datetime
    facts: Mapping[str, str]
    outcomes: Sequence[Outcome]

    @property
    def good(self) -> bool:
        """Whether everything that ec2gw relies on holds, as far as it was tried."""
        return not any(one.verdict == FAILS and one.probe.relied for one in self.outcomes)

    def counts(self) -> str:
        """Word how many of which verdict there are."""
        counted = Counter(one.verdict for one in self.outcomes)
        return ", ".join(f"{counted[verdict]} {verdict}" for verdict in (HOLDS, FAILS, UNTRIED))


def as_json(report: Report) -> str:
    """Everything, for a program."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "host": report.host,
        "endpoint": report.endpoint,
        "transport": report.transport,
        "label": report.label,
        "ec2gw": report.gateway,
        "began": report.began.isoformat(timespec="seconds"),
        "ended": report.ended.isoformat(timespec="seconds"),
        "good": report.good,
        "facts": dict(report.facts),
        "probes": [
            {
                "name": one.probe.name,
                "sentence": one.probe.sentence,
                "source": one.probe.source,
                "relied": one.probe.relied,
                "changes": one.probe.changes,
                "verdict": one.verdict,
                "found": one.found,
                "seconds": round(one.seconds, 3),
                "measured": dict(one.measured),
                "errors": [asdict(error) for error in one.errors],
            }
            for one in report.outcomes
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def as_markdown(report: Report) -> str:
    """What an administrator wants to read: first what does not hold."""
    took = (report.ended - report.began).total_seconds()
    lines = [
        f"# Host {report.host}",
        "",
        f"{report.began:%Y-%m-%d %H:%M:%S} UTC, {took:.0f} s: {report.counts()}.",
        "",
        *_table(("fact", ""), ((name, value) for name, value in report.facts.items())),
        *_table(
            ("", ""),
            (
                ("address", f"{report.endpoint}, by {report.transport}"),
                ("label", report.label),
                ("ec2gw", report.gateway),
            ),
            head=False,
        ),
        "",
    ]
    failing = [one for one in report.outcomes if one.verdict == FAILS]
    for relied, title in (
        (True, "Does not hold, and ec2gw relies on it"),
        (False, "Does not hold; ec2gw copes"),
    ):
        chosen = [one for one in failing if one.probe.relied is relied]
        if chosen:
            lines += [f"## {title}", ""]
            lines += [f"- **{one.probe.name}**: {one.probe.sentence} {one.found}" for one in chosen]
            lines.append("")
    lines += ["## All probes", ""]
    rows = (
        (
            one.verdict,
            one.probe.name,
            _KINDS[one.probe.relied],
            one.probe.sentence,
            one.found,
            f"{one.seconds:.2f}",
        )
        for one in report.outcomes
    )
    lines += _table(("verdict", "probe", "", "sentence", "found", "s"), rows)
    measured = [
        (one.probe.name, name, f"{number:g}")
        for one in report.outcomes
        for name, number in one.measured.items()
    ]
    lines += ["", "## Measured", "", *_table(("probe", "what", ""), measured)]
    errors = [
        (
            one.probe.name,
            error.activity,
            error.id,
            error.category,
            " ".join(error.hresult),
            error.text,
        )
        for one in report.outcomes
        for error in one.errors
    ]
    if errors:
        lines += ["", "## Error records", ""]
        lines += _table(("probe", "cmdlet", "id", "category", "codes", "text"), errors)
    return "\n".join(lines) + "\n"


def write(report: Report, base: Path) -> tuple[Path, Path]:
    """Write both files beside each other, for their owner alone; answers with their paths.

    :raises OSError: they cannot be written, or are there already
    """
    made = []
    for ending, text in ((".md", as_markdown(report)), (".json", as_json(report))):
        path = base.with_name(base.name + ending)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        made.append(path)
    return made[0], made[1]


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], *, head: bool = True) -> list[str]:
    top = [_row(names), _row(["---"] * len(names))] if head else []
    return [*top, *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
