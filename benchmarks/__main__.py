"""`python -m benchmarks [--quick] [--record]`: prints the figures, and fails where a bar is missed.

The quick form is for every change: it fails where a ratio is half as good as the recorded one, and
is again when all was measured once more. Both fail where something answered is missing.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
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
    outcome = _measured(form, began)
    if options.record:
        report.record(form.name, outcome.rows)
        return 0
    failures = _failures(outcome)
    if failures and options.quick and not outcome.lost:
        # Of few rounds on a busy machine only what happens twice says anything.
        _tell(failures)
        outcome = _measured(form, began)
        again = _failures(outcome)
        kept = {*failures, *outcome.lost}
        failures = {key: why for key, why in again.items() if key in kept}
    _tell(failures)
    return 1 if failures else 0


def _measured(form: run.Form, began: float) -> run.Outcome:
    """Run once, and print what was found."""
    with tempfile.TemporaryDirectory(prefix="ec2gw-benchmark-") as folder:
        outcome = run.run(form, Path(folder), lambda text: _say(text, began))
    print(f"\n{report.table(outcome.against_moto, 'ec2gw', 'moto')}")
    few, many = f"{run.SMALL} instances", f"{run.LARGE} instances"
    print(f"\n{report.table(outcome.flatness, few, many)}\n")
    for remark in outcome.remarks:
        print(f"- {remark}")
    print(f"- {_machine()}")
    print(f"- The run took {time.monotonic() - began:.0f} s.", flush=True)
    return outcome


def _failures(outcome: run.Outcome) -> dict[str, str]:
    """Tell what failed, by what it is about."""
    known = report.recorded(outcome.form.name)
    failed = {
        row.key: f"{row.ratio:.2f}, recorded were {known[row.key]:.2f}"
        for row in outcome.rows
        if row.key in known and row.is_worse_than(known[row.key])
    }
    if outcome.form.name == run.FULL.name:
        failed |= {row.key: "the bar is missed" for row in outcome.rows if not row.reached}
    return failed | {one: "after the storm" for one in outcome.lost}


def _tell(failures: Mapping[str, str]) -> None:
    for key, why in failures.items():
        print(f"benchmarks: {key}: {why}", file=sys.stderr, flush=True)


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
