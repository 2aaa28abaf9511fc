"""What a probe is, and what can come of one. No I/O.

Source: docs/operations.md, "Proving a host".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from translators.hyperv.host import HostFault

if TYPE_CHECKING:
    from ec2gw.doctor.bench import Bench

Verdict = Literal["holds", "does not hold", "not tried"]
HOLDS: Final[Verdict] = "holds"
FAILS: Final[Verdict] = "does not hold"
UNTRIED: Final[Verdict] = "not tried"


class NotSo(Exception):
    """What the probe's sentence says is not so; the text tells what was found instead."""


class NotTried(Exception):
    """The probe could not be tried here; the text tells why."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One statement about a host and how it is tried.

    `run` tells what it found; without one the statement is open, and `why` says what it would
    take. `relied`: ec2gw counts on it; else it copes either way and we want to know. `slow` ones
    wait for minutes and are run on demand only.
    """

    name: str
    sentence: str
    source: str
    run: Callable[[Bench], str] | None = None
    relied: bool = True
    changes: bool = False
    """Whether it makes or changes anything on the host, always something of its own."""
    needs: tuple[str, ...] = ()
    """Probes that must have held before."""
    slow: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a probe; `measured` has a name's number, its unit in the name."""

    probe: Probe
    verdict: Verdict
    found: str
    seconds: float = 0.0
    measured: Mapping[str, float] = field(default_factory=dict)
    errors: tuple[HostFault, ...] = ()
