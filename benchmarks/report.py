"""Rows of figures: what was measured, against which bar, and the table that shows them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from benchmarks.measure import Metric, Rounds

RECORDED: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.json"
_WORDS: Final[Mapping[Metric, str]] = {
    "cpu_ms": "CPU ms",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "each_ms": "ms each",
    "whole_ms": "CPU ms, all processes",
}
_SLACK: Final = 2.0
"""So much worse than recorded is no noise."""


@dataclass(frozen=True, slots=True)
class Row:
    """A comparison of two figures. `ratio` is the median of those of the rounds."""

    name: str
    unit: str
    left: float
    right: float
    ratios: Sequence[float]
    bar: float | None = None
    better: Literal["more", "less"] = "more"

    @property
    def key(self) -> str:
        return f"{self.name}, {self.unit}"

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def reached(self) -> bool:
        if self.bar is None:
            return True
        return self.ratio >= self.bar if self.better == "more" else self.ratio <= self.bar

    @property
    def is_steady(self) -> bool:
        """Tell whether other work on the machine hardly moves it, as it moves waiting times."""
        return self.unit in (_WORDS["cpu_ms"], _WORDS["whole_ms"], "MiB")

    def is_worse_than(self, recorded: float) -> bool:
        """Tell whether the ratio is half as good as it was."""
        if self.better == "more":
            return self.ratio < recorded / _SLACK
        return self.ratio > recorded * _SLACK


def compared(
    measured: Rounds,
    metric: Metric,
    bar: float | None = None,
) -> Row:
    """Make the row of a case: how many times dearer the right side is."""
    left, right = (
        statistics.median(getattr(burst, metric) for burst in bursts)
        for bursts in (measured.left, measured.right)
    )
    ratios = measured.ratios(metric)
    return Row(measured.case.name, _WORDS[metric], left, right, ratios, bar)


def table(rows: Sequence[Row], left: str, right: str) -> str:
    """Show the rows as Markdown, aligned to be read as it stands."""
    head = ["", "", left, right, "ratio", "rounds", "bar", ""]
    lines = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    aligned = (map(str.ljust, line, widths) for line in lines)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in aligned)


def _cells(row: Row) -> list[str]:
    bar = ""
    if row.bar is not None:
        bar = f"{'at least' if row.better == 'more' else 'at most'} {row.bar:g}"
    return [
        row.name,
        row.unit,
        _figure(row.left),
        _figure(row.right),
        _figure(row.ratio),
        f"{_figure(min(row.ratios))} to {_figure(max(row.ratios))}",
        bar,
        "" if row.bar is None else "reached" if row.reached else "MISSED",
    ]


def _figure(value: float) -> str:
    """Three digits of it, which is all that such a measurement is worth."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def recorded(form: str) -> dict[str, float]:
    """Read the ratios that were recorded for a form of the run."""
    if not RECORDED.exists():
        return {}
    ratios: dict[str, dict[str, float]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return ratios.get(form, {})


def record(form: str, rows: Sequence[Row]) -> None:
    """Keep the steady ratios of this run for later ones to be held against."""
    known = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    known[form] = {row.key: float(_figure(row.ratio)) for row in rows if row.is_steady}
    RECORDED.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
