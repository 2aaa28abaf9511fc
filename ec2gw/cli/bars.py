"""How far a command's long work is: a bar on a terminal, lines where there is none.

Source: rich, "Progress Display".
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Self

import rich.console
import rich.filesize
import rich.progress

_LINE_EVERY_SECONDS: Final = 10.0


class Bars:
    """One line a stage, on stderr. Told the same stage again it goes on. Thread-safe."""

    def __init__(self) -> None:
        self._console = rich.console.Console(stderr=True)
        self._bars: rich.progress.Progress | None = None
        if self._console.is_terminal:
            self._bars = rich.progress.Progress(
                rich.progress.TextColumn("{task.description:<10}"),
                rich.progress.BarColumn(),
                rich.progress.DownloadColumn(binary_units=True),
                rich.progress.TransferSpeedColumn(),
                rich.progress.TimeRemainingColumn(),
                console=self._console,
            )
        self._stage: str | None = None
        self._task: rich.progress.TaskID | None = None
        self._said = self._began = 0.0

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            if kind is None:
                self._end_stage()
            self._bars.stop()

    def tell(self, stage: str, done: int, total: int | None) -> None:
        """Show that so many bytes of a stage are done; `total` None: nobody knows of how many."""
        if self._bars is None:
            self._say(stage, done, total)
            return
        if stage != self._stage or self._task is None:
            self._end_stage()
            self._stage = stage
            self._task = self._bars.add_task(stage, total=total)
        self._bars.update(self._task, completed=done, total=total)

    def _end_stage(self) -> None:
        if self._bars is None or self._task is None:
            return
        for one in self._bars.tasks:
            if one.id == self._task:
                whole = one.total or one.completed or 1
                self._bars.update(self._task, completed=whole, total=whole)

    def _say(self, stage: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._began, self._said = stage, now, now
            print(stage, file=sys.stderr)
        elif now - self._said >= _LINE_EVERY_SECONDS:
            self._said = now
            print(f"{stage}: {_figures(done, total, now - self._began)}", file=sys.stderr)


def _figures(done: int, total: int | None, seconds: float) -> str:
    """Say how much is done, how fast, and how long the rest takes.

    >>> _figures(3_000_000, 12_000_000, 1.0)
    '3.0 MB of 12.0 MB, 3.0 MB/s, 3 s left'
    """
    shown = rich.filesize.decimal
    rate = done / seconds if seconds > 0 else 0.0
    if total is None:
        return f"{shown(done)}, {shown(int(rate))}/s"
    left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
    return f"{shown(done)} of {shown(total)}, {shown(int(rate))}/s{left}"
