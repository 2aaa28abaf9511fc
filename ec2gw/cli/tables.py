"""How tables are printed, whole and as they stand. What is in them is the commands'.

Source: https://rich.readthedocs.io/en/stable/tables.html, .../markup.html
"""

from __future__ import annotations

import rich.console
import rich.measure
import rich.style
import rich.table
import rich.text

_WIDEST_CELLS = 10_000


class Table(rich.table.Table):
    """Cells are shown as they stand: accounts choose names such as `[/red]`."""

    def __init__(self, *headings: str) -> None:
        # Folded, for an id that is cut off is of no use to anybody.
        super().__init__(*(rich.table.Column(one, overflow="fold") for one in headings))

    def add_row(
        self,
        *cells: rich.console.RenderableType | None,
        style: str | rich.style.Style | None = None,
        end_section: bool = False,
    ) -> None:
        """Add a row; what a terminal would obey becomes blanks."""
        shown = (plain(cell) if isinstance(cell, str) else cell for cell in cells)
        super().add_row(*shown, style=style, end_section=end_section)


def plain(text: str) -> rich.text.Text:
    """Show what a user wrote as it stands: no markup, nothing that a terminal would obey."""
    return rich.text.Text("".join(one if one.isprintable() else " " for one in text))


def show(table: rich.table.Table, *, stderr: bool = False) -> None:
    """Print the table as wide as the terminal; for a file or a program, as wide as it is."""
    console = rich.console.Console(stderr=stderr)
    if not console.is_terminal:
        wide = console.options.update(max_width=_WIDEST_CELLS)
        console.width = rich.measure.Measurement.get(console, wide, table).maximum
    console.print(table)
