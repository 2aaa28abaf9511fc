"""Drives one instance to rest: look, compare, plan, apply, look.

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
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from state import stop_points, store
from translators import steps
from translators.ec2.instances import intents, surveys
from translators.hyperv import host as port
from translators.hyperv import journal, vm
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine.hand")
_LOOK_SECONDS: Final = 30.0
_CHANGE_SECONDS: Final = 120.0
_LATER: Final = 1.0
_NOT_UNDERSTOOD_SECONDS: Final = 5.0
_FORGET_AFTER_SECONDS: Final = 900.0
_FORGET_TOGETHER: Final = 200
_FORGET_AT_MOST: Final = 2000
_REMEMBERED: Final = 10_000
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
    """Works on the instances of one host, each in one thread at a time."""

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
    ) -> None:
        self._store = state
        self._host = host
        self._settings = settings
        self._host_key = host_key
        self._host_name = host_name
        self._now = now
        self._stopping = stopping
        self._resolved: dict[int, str] = {}
        """Instance -> its last token of which this driver knows what became."""
        self._courses: dict[int, _Course] = {}
        self._trouble: dict[int, str] = {}
        self._acknowledged: deque[tuple[float, str]] = deque()
        """When, and of which token, the end was heard; oldest first."""
        self._damaged_since: float | None = None

    def advance(self, key: int) -> Later | AtRest:
        """Drive the instance until it rests or has to wait.

        :raises port.Fenced: a newer driver is at work on this host
        """
        while not self._stopping.is_set():
            with self._store.read() as session:
                intent = intents.load(session, key, self._settings, self._now())
            if intent is None or intent.host_key != self._host_key:  # at rest, or moved away
                self._courses.pop(key, None)
                self._trouble.pop(key, None)
                return AtRest()
            try:
                pause = self._advance_once(self._on_course(intent))
            except (port.Unreachable, port.Busy) as error:
                self._tell(key, intent.id, f"{type(error).__name__}: {error}")
                return Later(_LATER)
            except port.Unknown as error:
                self._tell(key, intent.id, f"unknown outcome: {error}")
                return Later(_LATER)
            except port.Faulty as error:
                self._tell(key, intent.id, f"not understood: {error}")
                return Later(_NOT_UNDERSTOOD_SECONDS)
            except port.Damaged as damaged:
                self._tell(key, intent.id, str(damaged))
                self._mend(damaged)
                return Later(_LATER)
            if pause is not None:
                return pause
        return Later(0)

    def _advance_once(self, intent: intents.Intent) -> Later | AtRest | None:
        attempt = intent.attempt
        if attempt is not None and attempt.token != self._resolved.get(intent.key):
            return self._resolve(intent, attempt)
        sight = self._look(intent)
        decision = steps.STEPS["instance", intent.phase](intent, sight)
        if isinstance(decision, steps.Elsewhere):
            decision = self._search(intent, decision)
        if isinstance(decision, steps.Wait):
            if decision.why is not None:
                self._tell(intent.key, intent.id, decision.why)
            return Later(decision.seconds)
        if isinstance(decision, steps.Rest):
            self._rest(intent, decision)
            return None
        if isinstance(decision, steps.Do):
            return self._do(intent, decision.plan)
        return Later(_LATER)

    def _on_course(self, intent: intents.Intent) -> intents.Intent:
        """Add what was tried, and let the time be told by a clock that nobody sets."""
        course = self._courses.get(intent.key)
        if course is None or course.generation != intent.generation:
            course = _Course(intent.generation, max(0.0, intent.seconds_in_phase))
            self._courses[intent.key] = course
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
            self._damaged_since = None
        return answer

    # -- look

    def _look(self, intent: intents.Intent) -> vm.Sight:
        try:
            answer = self._run(vm.look(intent.vm_id, intent.id), deadline_seconds=_LOOK_SECONDS)
            found = vm.seen(answer)
        except port.Failed as failed:
            if not vm.is_missing(failed.error.id):
                raise port.Unreachable(f"look failed: {failed}") from failed
            found = ()
        folder = True
        if intent.vm_id is None or not found:  # what was found by name may not be ours
            try:
                answer = self._run(vm.look_at_folder(intent.id), deadline_seconds=_LOOK_SECONDS)
            except port.Failed as failed:
                raise port.Unreachable(f"look at folder failed: {failed}") from failed
            folder = bool(answer.results["folder"])
        return vm.Sight(found, folder)

    def _search(self, intent: intents.Intent, elsewhere: steps.Elsewhere) -> steps.Decision:
        """The VM is not where its row says; surveys tell whether another host has it."""
        with self._store.read() as session:
            if surveys.is_gone(session, intent.key, self._settings, self._now()):
                return elsewhere.otherwise
        return steps.Wait(1.0, "its VM is not on its host; whether another has it is not known yet")

    # -- change

    def _do(self, intent: intents.Intent, plan: port.Plan) -> Later | None:
        token = secrets.token_hex(16)
        begun = self._now()
        if not self._store.write(
            lambda session: intents.begin_attempt(session, intent, token, plan.purpose, begun)
        ):
            return None  # the intent changed: read it again
        fence = port.Fence(token, intent.id, intent.generation)
        try:
            answer = self._run(plan, fence=fence, deadline_seconds=_CHANGE_SECONDS)
        except port.Failed as failed:
            self._log("plan-failed", intent, purpose=plan.purpose, error=failed)
            self._note(intent, token, plan.purpose, intent.now, ran=True, error=failed.error)
        except port.Token as known:
            return self._known(intent, token, plan.purpose, intent.now, known)
        except port.Fenced as fenced:
            return self._fenced(intent, fenced)
        except port.Faulty as faulty:
            self._log("plan-not-understood", intent, purpose=plan.purpose, error=faulty)
            error = port.HostFault(id="Faulty", category="ProtocolError", text=str(faulty))
            self._note(intent, token, plan.purpose, intent.now, ran=None, error=error)
        else:
            self._log("plan-done", intent, purpose=plan.purpose, ms=answer.elapsed_ms)
            self._note(intent, token, plan.purpose, intent.now, ran=True, answer=answer)
        return None

    def _resolve(self, intent: intents.Intent, attempt: intents.Attempt) -> Later | None:
        """Find out what became of an attempt that nobody of us remembers.

        No calls under the same token and the present generation: either this burns the token,
        so that it never runs, or the host says what it knows of it.
        """
        fence = port.Fence(attempt.token, intent.id, intent.generation)
        burn = port.Plan("burn", (), changes=True)
        try:
            self._run(burn, fence=fence, deadline_seconds=_LOOK_SECONDS)
        except port.Token as known:
            return self._known(
                intent, attempt.token, attempt.purpose, attempt.begun_at, known, attempt.generation
            )
        except port.Fenced as fenced:
            return self._fenced(intent, fenced)
        self._log("attempt-never-ran", intent, purpose=attempt.purpose)
        self._heard_of(intent, attempt.token)
        if attempt.generation == intent.generation:
            self._note(intent, attempt.token, attempt.purpose, attempt.begun_at, ran=False)
        return None

    def _known(
        self,
        intent: intents.Intent,
        token: str,
        purpose: str,
        at: dt.datetime,
        known: port.Token,
        generation: int | None = None,
    ) -> Later | None:
        self._log("attempt-known", intent, purpose=purpose, word=known.word, outcome=known.outcome)
        if known.word == "running":
            if (intent.now - at).total_seconds() > _CHANGE_SECONDS:
                self._tell(intent.key, intent.id, f"{purpose} has not ended on the host yet")
            return Later(0.5)
        if generation is not None and generation != intent.generation:
            self._heard_of(
                intent, token
            )  # of an older intent: what the look shows is all that counts
            return None
        failed = known.word == "done" and known.outcome == "failed"
        self._note(
            intent,
            token,
            purpose,
            at,
            ran=True if known.word == "done" else None,
            error=_UNHEARD if failed else None,
        )
        return None

    def _fenced(self, intent: intents.Intent, fenced: port.Fenced) -> Later | None:
        if fenced.what == "epoch":
            raise fenced
        with self._store.read() as session:
            now = intents.load(session, intent.key, self._settings, self._now())
        if now is None or now.generation != intent.generation:
            return None
        # Our epoch is the newest, so the state is older than the host: it was put back from a copy.
        if intent.phase == "pending":  # launched once already, and perhaps ended since
            self._tell(intent.key, intent.id, f"the host has seen generation {fenced.seen}")
            return Later(30.0)
        self._store.write(lambda session: intents.catch_up(session, intent, fenced.seen))
        self._log("generation-raised", intent, seen=fenced.seen)
        return None

    def _note(
        self,
        intent: intents.Intent,
        token: str,
        purpose: str,
        at: dt.datetime,
        *,
        ran: bool | None,
        answer: port.Answer | None = None,
        error: port.HostFault | None = None,
    ) -> None:
        self._heard_of(intent, token)
        course = self._courses[intent.key]
        before = course.tried.get(purpose)
        course.tried[purpose] = steps.Last(
            purpose,
            at,
            ran=ran,
            answer=answer,
            error=error,
            tries=before.tries + 1 if before is not None else 1,
        )

    def _heard_of(self, intent: intents.Intent, token: str) -> None:
        if self._resolved.get(intent.key) == token:
            return
        if len(self._resolved) >= _REMEMBERED:  # what is forgotten is asked for again, at worst
            under_way = self._courses.copy()
            known = self._resolved.copy()
            self._resolved = {key: known[key] for key in under_way if key in known}
        self._resolved[intent.key] = token
        self._acknowledged.append((time.monotonic(), token))

    # -- the journal

    def compact(self) -> None:
        """Have the host forget tokens that were heard of long ago.

        Not sooner: a copy of a request may sit in an old agent's pipe, and only its token keeps
        it from running. Agents that hear nothing end after two minutes.
        """
        limit = time.monotonic() - _FORGET_AFTER_SECONDS
        ripe = sum(1 for at, _token in self._acknowledged.copy() if at < limit)
        if ripe < _FORGET_TOGETHER:
            return
        tokens = [self._acknowledged[number][1] for number in range(min(ripe, _FORGET_AT_MOST))]
        try:
            self._host.run(journal.compact(tokens), deadline_seconds=_CHANGE_SECONDS)
        except port.Failed as failed:
            _log.warning("journal-kept", extra={"host": self._host_name, "why": str(failed)})
            return
        for _token in tokens:
            self._acknowledged.popleft()

    def _mend(self, damaged: port.Damaged) -> None:
        """Give up the journal's damaged lines, once what they may have told of has ended.

        From then on the looks alone count for what was under way.
        """
        if self._damaged_since is None:
            self._damaged_since = time.monotonic()
            _log.error("journal-damaged", extra={"host": self._host_name, "lines": damaged.lines})
        if time.monotonic() - self._damaged_since < self._settings.journal_mended_after_seconds:
            return
        self._damaged_since = None
        try:
            plan = journal.compact([], damaged.lines)
            self._host.run(plan, deadline_seconds=_CHANGE_SECONDS)
        except port.HostError as error:
            _log.warning("journal-not-mended", extra={"host": self._host_name, "why": str(error)})
            return
        _log.warning("journal-mended", extra={"host": self._host_name, "lines": damaged.lines})

    # -- rest

    def _rest(self, intent: intents.Intent, rest: steps.Rest) -> None:
        now = self._now()
        settled = self._store.write(lambda session: intents.settle(session, intent, rest, now))
        self._log(rest.found if settled else "intent-changed", intent)
        if settled:
            self._courses.pop(intent.key, None)
            self._trouble.pop(intent.key, None)

    def _tell(self, key: int, instance: str, trouble: str) -> None:
        """Keep a trouble for the operator, once."""
        if self._trouble.get(key) == trouble:
            return
        self._trouble[key] = trouble
        _log.warning(
            "trouble", extra={"instance": instance, "host": self._host_name, "why": trouble}
        )
        self._store.write(lambda session: intents.note_trouble(session, key, trouble))

    def _log(self, event: str, intent: intents.Intent, **fields: object) -> None:
        _log.info(
            event,
            extra={
                "instance": intent.id,
                "host": self._host_name,
                "phase": intent.phase,
                "generation": intent.generation,
                **fields,
            },
        )
