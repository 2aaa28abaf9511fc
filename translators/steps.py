"""What a step may decide, and where steps register: the seam between families and the engine.

A step is a pure function: it compares an intent with a look and says what comes next. It is
asked again after everything that was done, so any step may run twice, or after years.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from translators.hyperv.host import Answer, HostFault, Plan


@dataclass(frozen=True, slots=True)
class Do:
    """Run the plan under a token of its own, then look again."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Rest:
    """The host is as the intent wants it (or never will be): move the row."""

    found: str
    """A finding that the kind's lifecycle knows."""
    reason: tuple[str, str] | None = None
    """EC2's StateReason: code and message."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the kind writes down with it, such as a VM's GUID."""


@dataclass(frozen=True, slots=True)
class Note:
    """Write something down, such as progress, and look again after so long."""

    facts: Mapping[str, object]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; look again after so long. `why` is told to the operator when given."""

    seconds: float
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The VM is not here: `otherwise` holds only once no other host may have it."""

    otherwise: Do | Rest


Decision = Do | Rest | Note | Wait | Elsewhere


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


def step(kind: str, phase: str) -> Callable[[S], S]:
    """Register the function as what drives that phase to rest."""

    def register(function: S) -> S:
        if (kind, phase) in STEPS:
            raise RuntimeError(f"{kind} {phase} has two steps")
        STEPS[kind, phase] = function
        return function

    return register
