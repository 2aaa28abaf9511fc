"""What was held against what: each part of the suite notes its counts, and its end shows a table.

A note travels with its test's report, so that it also comes back from another process.

Source: pytest, "record_property".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

PROPERTY: Final = "truth"
FILES: Final = (
    ("tests/unit/test_agent_l", "agent: its text, tests", "PowerShell 5.1, .NET 4.6.2"),
    ("tests/unit/test_binding", "plans: binding itself, tests", "its tables"),
    ("tests/unit/test_lab_door", "door: rules, tests", "WS-Management, WinRM's quotas"),
    ("tests/unit/test_lab_agent", "agent: rules, tests", "docs/agent.md"),
    ("tests/agent/", "agent: recorded frames, tests", "the agent, the plans, an interpreter"),
)
"""Tests that belong to the suite and note nothing: they are counted by where they are."""
HEADS: Final = ("held", "against", "checked", "exceptions", "unknown")


@dataclass(frozen=True, slots=True)
class Row:
    """What one part has proved. `unknown` is what nothing on record speaks of."""

    part: str
    against: str
    checked: int
    exceptions: int = 0
    unknown: int = 0


class Ledger:
    """Notes rows with the test that runs."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def note(
        self, part: str, against: str, *, checked: int, exceptions: int = 0, unknown: int = 0
    ) -> None:
        """Note once a part that something was held; rows of the same name are added up."""
        assert checked > 0, f"nothing was held against {against}"
        row = (part, against, checked, exceptions, unknown)
        self._node.user_properties.append((PROPERTY, row))


def noted(reports: Iterable[object]) -> list[Row]:
    """Add up what the reports of tests bring, in their order."""
    rows: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        if getattr(report, "when", None) != "call":
            continue
        for name, value in getattr(report, "user_properties", ()):
            if name != PROPERTY:
                continue
            part, against, *counts = value
            sums = rows.setdefault((part, against), [0, 0, 0])
            sums[:] = [before + more for before, more in zip(sums, counts, strict=True)]
    return [Row(part, against, *sums) for (part, against), sums in rows.items()]


def counted(reports: Iterable[object]) -> list[Row]:
    """Count the tests that passed and note nothing; those that were skipped prove nothing here."""
    found: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        where, outcome = getattr(report, "nodeid", ""), getattr(report, "outcome", "")
        called = getattr(report, "when", None) == "call"
        for start, part, against in FILES:
            if where.startswith(start) and (called or outcome == "skipped"):
                sums = found.setdefault((part, against), [0, 0])
                sums[0] += outcome == "passed"
                sums[1] += outcome == "skipped"
    return [
        Row(part, against, passed, unknown=skipped)
        for (part, against), (passed, skipped) in found.items()
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """Lay the rows out as lines of text."""
    cells = [HEADS] + [
        (row.part, row.against, *map(str, (row.checked, row.exceptions, row.unknown)))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADS))]
    return [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    ]
