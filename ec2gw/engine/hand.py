"""Drives one row to rest: look, compare, plan, apply, look.

Every change goes out under a token that was written down before; whatever stops us, the next
hand first finds out what became of that token.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.orm import Session

from ec2gw.engine import keeping
from state import recovering, stop_points, store
from translators import driven, steps
from translators.hyperv import host as port
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine.hand")
AnyKind = driven.Kind[Any]
_WORDS: Final = {"i": "instance", "vol": "volume", "snap": "snapshot", "eni": "interface"}
"""Prefix of an id -> what a log line calls it."""
_LOOK_SECONDS: Final = 30.0
_CHANGE_SECONDS: Final = 120.0
_LATER: Final = 1.0
_NOT_UNDERSTOOD_SECONDS: Final = 5.0
_REMEMBERED: Final = 10_000
_MOST_WARNINGS: Final = 10
_LONGEST_WARNING: Final = 300
Which = tuple[str, int]
"""A kind's name and the key of a row of it."""
_UNHEARD: Final = port.HostFault(id="Unheard", category="NotSpecified")


@dataclass(frozen=True, slots=True)
class Later:
    """Come back to it after so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AtRest:
    """Nothing more to do for this intent."""


@dataclass(slots=True)
class _Course:
    """What is remembered of one intent; it ends with the process."""

    generation: int
    age_seconds: float
    """How old the intent was by the wall clock when we met it; from then on that counts no more."""
    met_at: float = field(default_factory=time.monotonic)
    tried: dict[str, steps.Last] = field(default_factory=dict)


class Hand:
    """Works on the rows of one host, each in one thread at a time."""

    def __init__(
        self,
        state: store.Store,
        host: port.Host,
        settings: Settings,
        *,
        host_key: int,
        host_name: str,
        now: Callable[[], dt.datetime],
        stopping: threading.Event,
        outdated: Callable[[str], None],
    ) -> None:
        """`outdated` is told when the host has heard of a later wish than the row has."""
        self._outdated = outdated
        self._fenced_off: set[tuple[Which, int]] = set()
        self._store = state
        self._host = host
        self._settings = settings
        self._host_key = host_key
        self._host_name = host_name
        self._now = now
        self._stopping = stopping
        self._resolved: dict[Which, str] = {}
        """Row -> its last token of which this driver knows what became."""
        self._courses: dict[Which, _Course] = {}
        self._trouble: dict[Which, str] = {}
        self._journal = keeping.Keeper(host, settings, host_name)

    def compact(self) -> None:
        """Have the host forget tokens that were heard of long ago."""
        self._journal.compact()

    def advance(self, which: Which) -> Later | AtRest:
        """Drive the row until it rests or has to wait.

        :raises port.Fenced: a newer driver is at work on this host
        """
        name, key = which
        kind = driven.KINDS[name]
        while not self._stopping.is_set():
            with self._store.read() as session:
                if recovering.is_on(session):
                    return Later(_LATER)
                intent = kind.load(session, key, self._settings, self._now())
            if intent is None or intent.host_key != self._host_key:  # at rest, or moved away
                self._courses.pop(which, None)
                self._trouble.pop(which, None)
                return AtRest()
            try:
                pause = self._advance_once(kind, self._on_course(which, intent))
            except (port.Unreachable, port.Busy) as error:
                self._tell(kind, intent, f"{type(error).__name__}: {error}")
                return Later(_LATER)
            except port.Unknown as error:
                self._tell(kind, intent, f"unknown outcome: {error}")
                return Later(_LATER)
            except port.Faulty as error:
                self._tell(kind, intent, f"not understood: {error}")
                return Later(_NOT_UNDERSTOOD_SECONDS)
            except port.Damaged as damaged:
                self._tell(kind, intent, str(damaged))
                self._journal.mend(damaged)
                return Later(_LATER)
            if pause is not None:
                return pause
        return Later(0)

    def _advance_once(self, kind: AnyKind, intent: driven.Intent) -> Later | AtRest | None:
        attempt = intent.attempt
        if attempt is not None and attempt.token != self._resolved.get((kind.name, intent.key)):
            return self._resolve(kind, intent, attempt)
        sight = kind.look(intent, self._see)
        decision = steps.STEPS[kind.name, intent.phase](intent, sight)
        if isinstance(decision, steps.Elsewhere):
            decision = self._search(kind, intent, decision)
        if isinstance(decision, steps.Wait):
            if decision.why is not None:
                self._tell(kind, intent, decision.why)
            return Later(decision.seconds)
        if isinstance(decision, steps.Note):
            return self._write_down(kind, intent, decision)
        if isinstance(decision, steps.Rest):
            self._rest(kind, intent, decision)
            return None
        if isinstance(decision, steps.Do):
            return self._do(kind, intent, decision.plan)
        return Later(_LATER)

    def _on_course(self, which: Which, intent: driven.Intent) -> driven.Intent:
        """Add what was tried, and let the time be told by a clock that nobody sets."""
        course = self._courses.get(which)
        if course is None or course.generation != intent.generation:
            course = _Course(intent.generation, max(0.0, intent.seconds_in_phase))
            self._courses[which] = course
        age = course.age_seconds + time.monotonic() - course.met_at
        now = intent.since + dt.timedelta(seconds=age)
        return dataclasses.replace(intent, now=now, tried=dict(course.tried))

    def _run(
        self, plan: port.Plan, *, fence: port.Fence | None = None, deadline_seconds: float
    ) -> port.Answer:
        stop_points.reach(f"engine before {plan.purpose}")
        answer = self._host.run(plan, fence=fence, deadline_seconds=deadline_seconds)
        stop_points.reach(f"engine after {plan.purpose}")
        if fence is not None:
            self._journal.is_whole()
        return answer

    # -- look

    def _see(self, plan: port.Plan) -> port.Answer:
        return self._run(plan, deadline_seconds=_LOOK_SECONDS)

    def _search(
        self, kind: AnyKind, intent: driven.Intent, elsewhere: steps.Elsewhere
    ) -> steps.Decision:
        """It is not where its row says; surveys tell whether another host has it."""
        with self._store.read() as session:
            if kind.is_gone(session, intent, self._now()):
                return elsewhere.otherwise
        return steps.Wait(1.0, "its VM is not on its host; whether another has it is not known yet")

    # -- change

    def _do(self, kind: AnyKind, intent: driven.Intent, plan: port.Plan) -> Later | None:
        token = secrets.token_hex(16)
        begun = self._now()

        def begin(session: Session) -> bool:
            if recovering.is_on(session):
                return False
            return driven.begin_attempt(session, kind, intent, token, plan.purpose, begun)

        if not self._store.write(begin):
            return None  # the intent changed: read it again
        fence = port.Fence(token, intent.subject, intent.generation)
        try:
            answer = self._run(plan, fence=fence, deadline_seconds=_CHANGE_SECONDS)
        except port.Failed as failed:
            self._log("plan-failed", intent, purpose=plan.purpose, error=failed)
            self._note(kind, intent, token, plan.purpose, intent.now, ran=True, error=failed.error)
        except port.Token as known:
            return self._known(kind, intent, token, plan.purpose, intent.now, known)
        except port.Fenced as fenced:
            return self._fenced(kind, intent, fenced)
        except port.Faulty as faulty:
            self._log("plan-not-understood", intent, purpose=plan.purpose, error=faulty)
            error = port.HostFault(id="Faulty", category="ProtocolError", text=str(faulty))
            self._note(kind, intent, token, plan.purpose, intent.now, ran=None, error=error)
        else:
            self._log("plan-done", intent, purpose=plan.purpose, ms=answer.elapsed_ms)
            for told in answer.warnings[:_MOST_WARNINGS]:
                self._log(
                    "host-warned", intent, purpose=plan.purpose, warning=told[:_LONGEST_WARNING]
                )
            self._note(kind, intent, token, plan.purpose, intent.now, ran=True, answer=answer)
        return None

    def _resolve(
        self, kind: AnyKind, intent: driven.Intent, attempt: driven.Attempt
    ) -> Later | None:
        """Find out what became of an attempt that nobody of us remembers.

        No calls under the same token and the present generation: either this burns the token,
        so that it never runs, or the host says what it knows of it.
        """
        fence = port.Fence(attempt.token, intent.subject, intent.generation)
        burn = port.Plan("burn", (), changes=True)
        try:
            self._run(burn, fence=fence, deadline_seconds=_LOOK_SECONDS)
        except port.Token as known:
            return self._known(
                kind,
                intent,
                attempt.token,
                attempt.purpose,
                attempt.begun_at,
                known,
                attempt.generation,
            )
        except port.Fenced as fenced:
            return self._fenced(kind, intent, fenced)
        self._log("attempt-never-ran", intent, purpose=attempt.purpose)
        self._heard_of(kind, intent, attempt.token)
        if attempt.generation == intent.generation:
            self._note(kind, intent, attempt.token, attempt.purpose, attempt.begun_at, ran=False)
        return None

    def _known(
        self,
        kind: AnyKind,
        intent: driven.Intent,
        token: str,
        purpose: str,
        at: dt.datetime,
        known: port.Token,
        generation: int | None = None,
    ) -> Later | None:
        self._log("attempt-known", intent, purpose=purpose, word=known.word, outcome=known.outcome)
        if known.word == "running":
            if (intent.now - at).total_seconds() > _CHANGE_SECONDS:
                self._tell(kind, intent, f"{purpose} has not ended on the host yet")
            return Later(0.5)
        if generation is not None and generation != intent.generation:
            self._heard_of(kind, intent, token)  # of an older intent: only the look counts
            return None
        failed = known.word == "done" and known.outcome == "failed"
        self._note(
            kind,
            intent,
            token,
            purpose,
            at,
            ran=True if known.word == "done" else None,
            error=_UNHEARD if failed else None,
        )
        return None

    def _fenced(self, kind: AnyKind, intent: driven.Intent, fenced: port.Fenced) -> Later | None:
        if fenced.what == "epoch":
            raise fenced
        # Our epoch is the newest: either the intent is older than the row, which is read again, or
        # the state is older than the host, because it was put back from a copy.
        with self._store.read() as session:
            if not kind.is_still(session, intent):
                return None
        why = f"the host has seen generation {fenced.seen}"
        which = (kind.name, intent.key), intent.generation
        if which not in self._fenced_off:
            self._fenced_off.add(which)
            self._outdated(f"{intent.subject}: {why} and not {intent.generation}")
            return Later(_LATER)
        self._tell(kind, intent, why)  # the recovery did not say what is to become of it
        return Later(30.0)

    def _note(
        self,
        kind: AnyKind,
        intent: driven.Intent,
        token: str,
        purpose: str,
        at: dt.datetime,
        *,
        ran: bool | None,
        answer: port.Answer | None = None,
        error: port.HostFault | None = None,
    ) -> None:
        self._heard_of(kind, intent, token)
        course = self._courses[kind.name, intent.key]
        before = course.tried.get(purpose)
        course.tried[purpose] = steps.Last(
            purpose,
            at,
            ran=ran,
            answer=answer,
            error=error,
            tries=before.tries + 1 if before is not None else 1,
        )

    def _heard_of(self, kind: AnyKind, intent: driven.Intent, token: str) -> None:
        which = (kind.name, intent.key)
        if self._resolved.get(which) == token:
            return
        if len(self._resolved) >= _REMEMBERED:  # what is forgotten is asked for again, at worst
            under_way = self._courses.copy()
            known = self._resolved.copy()
            self._resolved = {key: known[key] for key in under_way if key in known}
        self._resolved[which] = token
        self._journal.heard_of(token)

    # -- rest

    def _rest(self, kind: AnyKind, intent: driven.Intent, rest: steps.Rest) -> None:
        now = self._now()
        settled = self._store.write(lambda session: driven.settle(session, kind, intent, rest, now))
        self._log(rest.found if settled else "intent-changed", intent)
        if settled:
            self._courses.pop((kind.name, intent.key), None)
            self._trouble.pop((kind.name, intent.key), None)

    def _write_down(self, kind: AnyKind, intent: driven.Intent, note: steps.Note) -> Later | None:
        def work(session: Session) -> None:
            if kind.is_still(session, intent):
                kind.note(session, intent, note.facts)

        self._store.write(work)
        return Later(note.seconds) if note.seconds > 0 else None

    def _tell(self, kind: AnyKind, intent: driven.Intent, trouble: str) -> None:
        """Keep a trouble for the operator, once."""
        which = (kind.name, intent.key)
        if self._trouble.get(which) == trouble:
            return
        self._trouble[which] = trouble
        _log.warning("trouble", extra={**self._named(intent), "why": trouble})
        self._store.write(lambda session: driven.note_trouble(session, kind, intent, trouble))

    def _log(self, event: str, intent: driven.Intent, **fields: object) -> None:
        _log.info(
            event,
            extra={
                **self._named(intent),
                "phase": intent.phase,
                "generation": intent.generation,
                **fields,
            },
        )

    def _named(self, intent: driven.Intent) -> dict[str, object]:
        word = _WORDS.get(intent.id.partition("-")[0], "subject")
        return {word: intent.id, "host": self._host_name}
