"""What a step may decide, and where steps register: the seam between families and the engine.

A step is a pure function: it compares an intent with a look and says what comes next. It is
asked again after everything that was done, so any step may run twice, or after years.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from state import lifecycle
from translators.hyperv.host import Answer, HostFault, Plan


@dataclass(frozen=True, slots=True)
class Do:
    """Run the plan under a token of its own, then look again."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Rest:
    """The host is as the intent wants it (or never will be): move the row."""

    found: lifecycle.Found
    reason: tuple[str, str] | None = None
    """EC2's StateReason: code and message."""
    vm_id: str | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; look again after so long. `why` is told to the operator when given."""

    seconds: float
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The VM is not here: `otherwise` holds only once no other host may have it."""

    otherwise: Do | Rest


Decision = Do | Rest | Wait | Elsewhere


@dataclass(frozen=True, slots=True)
class Last:
    """What became of the last plan of one purpose for the present intent.

    Neither `answer` nor `error`: nobody heard how it ended.
    """

    purpose: str
    at: dt.datetime
    ran: bool | None = None
    """Whether it surely ran; None: nobody knows."""
    answer: Answer | None = None
    error: HostFault | None = None
    tries: int = 1
    """How often a plan of this purpose has now been tried for this intent."""


Step = Callable[[Any, Any], Decision]
S = TypeVar("S", bound=Step)
STEPS: Final[dict[tuple[str, str], Step]] = {}
"""(kind of resource, phase) -> step."""


def step(kind: str, phase: lifecycle.Phase) -> Callable[[S], S]:
    """Register the function as what drives that phase to rest."""

    def register(function: S) -> S:
        if (kind, phase) in STEPS:
            raise RuntimeError(f"{kind} {phase} has two steps")
        STEPS[kind, phase] = function
        return function

    return register
