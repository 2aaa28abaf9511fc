"""What the engine drives to rest: kinds of resources, their intents, and where they register.

A family says here how its rows become intents and how findings are written back; what to do next
its steps say (`translators.steps`). The engine knows kinds and plans, and no EC2 word.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

import abc
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from sqlalchemy.orm import Session

from state import models
from translators.hyperv.host import Answer, Plan
from translators.settings import Settings
from translators.steps import Last, Rest


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last token that was written down for an intent, sent or not."""

    token: str
    purpose: str
    generation: int
    begun_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be driven. Of one `lane` the engine drives one row at a time.

    What touches a VM is in the lane of its instance, so that no two plans meet there.
    """

    key: int
    generation: int
    lane: str


def vm_lane(instance_key: int) -> str:
    """Where everything that touches an instance's VM waits for its turn."""
    return f"instance-{instance_key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A row as its owner wants it; each kind adds what its steps need to know."""

    key: int
    id: str
    host_key: int
    phase: str
    generation: int
    since: dt.datetime
    now: dt.datetime
    attempt: Attempt | None
    settings: Settings
    tried: Mapping[str, Last] = field(default_factory=dict)
    """Purpose -> what became of the last plan of it."""

    @property
    def subject(self) -> str:
        """What the host keeps the generation by: the id, unless an id has two intents."""
        return self.id

    @property
    def seconds_in_phase(self) -> float:
        return (self.now - self.since).total_seconds()

    def left_of(self, pause_seconds: float, last: Last) -> float:
        """What is left of a pause since then; nothing when the clock was set back meanwhile."""
        passed = (self.now - last.at).total_seconds()
        return pause_seconds - passed if passed >= 0 else 0.0


I = TypeVar("I", bound=Intent)  # noqa: E741 - the intent of a kind
Run = Callable[[Plan], Answer]
"""Runs a plan that changes nothing on the intent's host."""


class Kind(abc.ABC, Generic[I]):
    """How rows of one kind are read and written."""

    name: str
    """Also the first word of its steps."""
    only_looks: bool = False
    """Its steps change nothing on hosts and are done soon: they do not wait for those that do."""

    @abc.abstractmethod
    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[Due]:
        """List all rows that are to be driven on the host, the longest waiting first."""

    @abc.abstractmethod
    def load(self, session: Session, key: int, settings: Settings, now: dt.datetime) -> I | None:
        """Read a row's intent; None when there is nothing (left) to drive."""

    @abc.abstractmethod
    def look(self, intent: I, run: Run) -> Any:
        """See on the host what the kind's steps compare the intent with.

        :raises HostError: the host was not seen; nothing is decided on a guess
        """

    @abc.abstractmethod
    def is_still(self, session: Session, intent: I) -> bool:
        """Tell whether the row still wants what it wanted when the intent was read."""

    @abc.abstractmethod
    def settle(self, session: Session, intent: I, rest: Rest, now: dt.datetime) -> None:
        """Move the row, which is still as it was, as the host was found."""

    @abc.abstractmethod
    def catch_up(self, session: Session, intent: I, seen: int) -> bool:
        """Raise the row's generation above what its host has seen; False: that is not right."""

    def note(self, session: Session, intent: I, facts: Mapping[str, object]) -> None:
        """Write down, in a row that is still as it was, what a step wants remembered."""
        raise TypeError(f"steps of {self.name} have nothing to note")

    def is_gone(self, session: Session, intent: I, now: dt.datetime) -> bool:
        """Tell whether what is not on the intent's host is on no other one either."""
        return False


KINDS: Final[dict[str, Kind[Any]]] = {}


def register(kind: Kind[Any]) -> None:
    """Let the engine drive the kind."""
    if kind.name in KINDS:
        raise RuntimeError(f"{kind.name} is registered twice")
    KINDS[kind.name] = kind


# -- the attempt under way, kept alike for every kind


def attempt(session: Session, kind: str, key: int) -> Attempt | None:
    """Read the last attempt that was written down."""
    work = session.get(models.Work, (kind, key))
    if work is None or work.token is None or work.purpose is None or work.begun_at is None:
        return None
    return Attempt(work.token, work.purpose, work.generation, work.begun_at)


def begin_attempt(
    session: Session, kind: Kind[I], intent: I, token: str, purpose: str, now: dt.datetime
) -> bool:
    """Write down the token of a new attempt; False when the intent changed meanwhile."""
    if not kind.is_still(session, intent):
        return False
    work = _work(session, kind.name, intent.key)
    work.token, work.purpose, work.begun_at = token, purpose, now
    work.generation = intent.generation
    return True


def note_trouble(session: Session, kind: Kind[I], intent: I, trouble: str) -> None:
    """Keep for the operator why a row does not get on, until it comes to rest."""
    if kind.is_still(session, intent):
        _work(session, kind.name, intent.key).trouble = trouble


def settle(session: Session, kind: Kind[I], intent: I, rest: Rest, now: dt.datetime) -> bool:
    """Move the row as the host was found; False when the intent changed meanwhile."""
    if not kind.is_still(session, intent):
        return False
    work = session.get(models.Work, (kind.name, intent.key))
    if work is not None:
        work.trouble = None
    kind.settle(session, intent, rest, now)
    return True


def _work(session: Session, kind: str, key: int) -> models.Work:
    work = session.get(models.Work, (kind, key))
    if work is None:
        work = models.Work(kind=kind, key=key)
        session.add(work)
    return work
