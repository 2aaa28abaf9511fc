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
