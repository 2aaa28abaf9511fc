"""`python -m benchmarks [--quick] [--record]`: prints the figures, and fails where a bar is missed.

The quick form is for every change: it fails where a ratio is half as good as the recorded one.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import report, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer instances and rounds")
    parser.add_argument("--record", action="store_true", help="keep the ratios for later runs")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    form = run.QUICK if options.quick else run.FULL
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ec2gw-benchmark-") as folder:
        outcome = run.run(form, Path(folder), lambda text: _say(text, began))
    print(f"\n{report.table(outcome.against_moto, 'ec2gw', 'moto')}")
    few, many = f"{run.SMALL} instances", f"{run.LARGE} instances"
    print(f"\n{report.table(outcome.flatness, few, many)}\n")
    for remark in outcome.remarks:
        print(f"- {remark}")
    print(f"- {_machine()}")
    print(f"- The run took {time.monotonic() - began:.0f} s.")
    if options.record:
        report.record(form.name, outcome.rows)
        return 0
    return _verdict(form.name, outcome.rows)


def _verdict(form: str, rows: Sequence[report.Row]) -> int:
    missed = [f"{row.key}: the bar is missed" for row in rows if not row.reached]
    known = report.recorded(form)
    fallen = [
        f"{row.key}: {row.ratio:.2f}, recorded were {known[row.key]:.2f}"
        for row in rows
        if row.key in known and row.is_worse_than(known[row.key])
    ]
    # Of few rounds on a busy machine only the large differences say anything.
    failures = fallen if form == run.QUICK.name else [*missed, *fallen]
    for failure in failures:
        print(f"benchmarks: {failure}", file=sys.stderr)
    return 1 if failures else 0


def _machine() -> str:
    load = os.getloadavg()[0]
    python = platform.python_version()
    return (
        f"{os.cpu_count()} CPUs, load {load:.1f} at the end, Python {python}, {platform.system()}."
    )


def _say(text: str, began: float) -> None:
    print(f"{time.monotonic() - began:4.0f} s: {text}", file=sys.stderr, flush=True)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)  # so that every server is ended on the way out


if __name__ == "__main__":
    sys.exit(main())
