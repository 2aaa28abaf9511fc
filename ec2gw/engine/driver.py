"""The driver of one host: takes its lock, raises its epoch, surveys it and hands out its work.

Source: docs/architecture.md, "One driver per host", "Fencing", "Survey".
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from ec2gw.engine import consoles, hand, lock, recovery, standing
from state import models, recovering, store
from translators import driven
from translators.ec2.instances import findings, strays, surveys
from translators.ec2.instances import recovery as recovered
from translators.hyperv import host as port
from translators.hyperv import survey as looks
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine.driver")
_HANDS: Final = 4
_EYES: Final = 2
"""For what only looks, so that a question never waits behind four launches."""
_POLL_SECONDS: Final = 1.0
_SURVEY_SECONDS: Final = 300.0
_FIGURES_SECONDS: Final = 10.0
"""A host's figures are written so often when nothing else changed."""
_PAUSE_SECONDS: Final = 2.0
_LONGEST_PAUSE_SECONDS: Final = 60.0
_CALM_SECONDS: Final = 300.0
"""A driver that held its host for so long had it for itself."""
_EPOCH_STRIDE: Final = 2**16
"""Two gateways with copies of one database must never come to the same epoch."""


class Deposed(Exception):
    """The host has seen a newer epoch: another driver is at work there, or was."""


@dataclass(frozen=True, slots=True)
class Given:
    """What every driver is given."""

    state: store.Store
    settings: Settings
    run_folder: Path
    make_link: Callable[[int, int], standing.Link]
    """(host's key, epoch) -> its link."""
    now: Callable[[], dt.datetime]
    recovery: recovery.Recovery


@dataclass(frozen=True, slots=True)
class _Busy:
    lane: str
    future: Future[hand.Later | hand.AtRest]


class Driver:
    """Drives one host until told to stop; begins again after whatever ends it."""

    def __init__(self, given: Given, host_key: int, host_name: str) -> None:
        self._given = given
        self.host_key = host_key
        self.host_name = host_name
        self.surveyed = threading.Event()
        """Set after the first survey, whatever came of it."""
        self._stopping = threading.Event()
        self._bell = threading.Event()
        self._survey_bell = threading.Event()
        self._epoch_seen = 0
        self._thread = threading.Thread(target=self._run, name=f"driver-{host_name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._bell.set()

    def stop(self, wait_seconds: float) -> None:
        """End; what is under way on the host goes on there and is found again later."""
        self._stopping.set()
        self._bell.set()
        self._survey_bell.set()
        self._thread.join(wait_seconds)

    def _run(self) -> None:
        deposed = -1
        while not self._stopping.is_set():
            began, pause = time.monotonic(), _PAUSE_SECONDS
            try:
                self._hold()
            except lock.Taken:
                self._log(logging.INFO, "driver-elsewhere")
            except Deposed:
                self._log(logging.ERROR, "driver-deposed", seen=self._epoch_seen)
                # Whoever comes last has the host; two that take it from each other do so seldom.
                deposed = 0 if time.monotonic() - began > _CALM_SECONDS else deposed + 1
                pause = min(0.5 * 4.0**deposed, _LONGEST_PAUSE_SECONDS)
            except Exception as error:  # the thread's boundary: say it, begin again
                self._log(logging.ERROR, "driver-ended", error=f"{type(error).__name__}: {error}")
                _log.debug("driver-ended", exc_info=True)
            self.surveyed.set()
            self._stopping.wait(pause)

    def _hold(self) -> None:
        held = lock.FileLock(self._given.run_folder / f"driver-{self.host_key}.lock")
        try:
            before, epoch = self._given.state.write(self._raise_epoch)
            self._log(logging.INFO, "driver-begins", epoch=epoch)
            link = self._given.make_link(self.host_key, epoch)
            ours = standing.Standing(
                self._given.state, self._given.recovery, self.host_name, before
            )
            try:
                self._drive(link, ours)
            finally:
                link.close()
        finally:
            held.release()

    def _raise_epoch(self, session: Session) -> tuple[int, int]:
        host = session.get_one(models.Host, self.host_key)
        before = host.epoch
        host.epoch = max(before, self._epoch_seen) + 1 + secrets.randbelow(_EPOCH_STRIDE)
        return before, host.epoch

    def _drive(self, link: standing.Link, ours: standing.Standing) -> None:
        deposed = threading.Event()
        worker = hand.Hand(
            self._given.state,
            link,
            self._given.settings,
            host_key=self.host_key,
            host_name=self.host_name,
            now=self._given.now,
            stopping=self._stopping,
            outdated=ours.is_old,
        )
        watch = threading.Thread(
            target=self._survey_for_ever,
            args=(link, worker, deposed, ours),
            name=f"survey-{self.host_name}",
            daemon=True,
        )
        watch.start()
        read = consoles.Consoles(
            self._given.state, link, self.host_key, self.host_name, self._stopping
        )
        try:
            self._hand_out(worker, read, deposed, ours)
        finally:
            deposed.set()
            self._survey_bell.set()
            watch.join(5)
        if not self._stopping.is_set():
            raise Deposed

    # -- work

    def _hand_out(
        self,
        worker: hand.Hand,
        read: consoles.Consoles,
        deposed: threading.Event,
        ours: standing.Standing,
    ) -> None:
        telling: Future[None] | None = None
        busy: dict[hand.Which, _Busy] = {}
        later: dict[hand.Which, tuple[float, int]] = {}
        with (
            ThreadPoolExecutor(_HANDS, f"hand-{self.host_name}") as hands,
            ThreadPoolExecutor(_EYES, f"eye-{self.host_name}") as eyes,
        ):
            while not self._stopping.is_set() and not deposed.is_set():
                self._bell.clear()
                if self._collect(busy, later, deposed):
                    ours.changed.set()
                due = self._due() if ours.confirmed.is_set() else {}
                free = telling is None or telling.done()
                if free and ours.confirmed.is_set() and read.is_behind():
                    telling = eyes.submit(read.tell)
                wait = _POLL_SECONDS
                for which in later.keys() - due.keys():
                    del later[which]
                lanes = {one.lane for one in busy.values()}
                for which, one in due.items():
                    if which in busy or one.lane in lanes:
                        continue
                    at, known = later.get(which, (0.0, one.generation))
                    left = at - time.monotonic()
                    if left > 0 and known == one.generation:
                        wait = min(wait, left)
                        continue
                    later[which] = (0.0, one.generation)
                    lanes.add(one.lane)
                    pool = eyes if driven.KINDS[which[0]].only_looks else hands
                    future = pool.submit(worker.advance, which)
                    busy[which] = _Busy(one.lane, future)
                    future.add_done_callback(lambda _done: self._bell.set())
                self._bell.wait(max(wait, 0.01))

    def _due(self) -> dict[hand.Which, driven.Due]:
        """All that is to be driven here; of one lane, whatever its kind's row waited longest."""
        now = self._given.now()
        with self._given.state.read() as session:
            if recovering.is_on(session):
                return {}
            return {
                (name, one.key): one
                for name, kind in driven.KINDS.items()
                for one in kind.due(session, self.host_key, now)
            }

    def _collect(
        self,
        busy: dict[hand.Which, _Busy],
        later: dict[hand.Which, tuple[float, int]],
        deposed: threading.Event,
    ) -> bool:
        """Take what has ended; tell whether a row came to rest, so that something is new."""
        rested = False
        for which in [which for which, one in busy.items() if one.future.done()]:
            try:
                outcome = busy.pop(which).future.result()
            except port.Fenced as fenced:
                self._epoch_seen = max(self._epoch_seen, fenced.seen)
                deposed.set()
                return rested
            except Exception as error:  # one instance's fault must not hold up the others
                told = f"{type(error).__name__}: {error}"
                self._log(logging.ERROR, "hand-failed", kind=which[0], key=which[1], error=told)
                _log.debug("hand-failed", exc_info=True)
                outcome = hand.Later(5.0)
            if isinstance(outcome, hand.Later):
                _at, generation = later.get(which, (0.0, 0))
                later[which] = (time.monotonic() + outcome.seconds, generation)
            else:
                later.pop(which, None)
                if not driven.KINDS[which[0]].only_looks:
                    rested = True
                    self._survey_bell.set()
        return rested

    # -- surveys

    def _survey_for_ever(
        self,
        link: standing.Link,
        worker: hand.Hand,
        deposed: threading.Event,
        ours: standing.Standing,
    ) -> None:
        watch = surveys.Watch(self.host_key, ours.deployment, self._given.settings)
        written = 0.0
        while not self._stopping.is_set() and not deposed.is_set():
            self._survey_bell.clear()
            began = time.monotonic()
            unsettled = False
            try:
                if not ours.confirmed.is_set():
                    ours.confirm(link)
                    self._bell.set()
                report, wrote = self._survey(link, watch, ours, time.monotonic() - written)
                written = time.monotonic() if wrote else written
                unsettled = report.unsettled
                worker.compact()
                ours.beat(link)
            except port.Fenced as fenced:
                self._epoch_seen = max(self._epoch_seen, fenced.seen)
                deposed.set()
                self._bell.set()
            except Exception as error:  # the thread's boundary: a survey must not be the last
                self._failed(error, deposed)
            self.surveyed.set()
            self._pause(time.monotonic() - began, unsettled)

    def _failed(self, error: Exception, deposed: threading.Event) -> None:
        """Tell why there was no survey; not of a link that we have let go of ourselves."""
        if self._stopping.is_set() or deposed.is_set():
            return
        if isinstance(error, port.HostError):
            try:
                self._out_of_reach(error)
                return
            except Exception as another:  # the same boundary: the state may be out of reach too
                error = another
        self._log(logging.ERROR, "survey-failed", error=f"{type(error).__name__}: {error}")
        _log.debug("survey-failed", exc_info=error)

    def _pause(self, took: float, unsettled: bool) -> None:
        settings = self._given.settings
        least = min(5 * took, settings.survey_longest_seconds)
        pause = min(
            max(5 * took, settings.survey_shortest_seconds), settings.survey_longest_seconds
        )
        if unsettled:
            pause = max(least, settings.survey_shortest_seconds / 4)
        # Sooner after a change, but never so often that surveys are all that the host does.
        soonest = min(pause, max(least, settings.survey_shortest_seconds / 4))
        if not self._stopping.wait(soonest):
            self._survey_bell.wait(pause - soonest)

    def _survey(
        self, link: port.Host, watch: surveys.Watch, ours: standing.Standing, age: float
    ) -> tuple[surveys.Report, bool]:
        with self._given.state.read() as session:
            watch.begin(session)
            held = recovering.is_on(session)
        # Before the look: what it has heard of late shows in what is seen.
        floors = self._given.recovery.ask(link) if held else {}
        started = self._given.now()
        seen = looks.read(link.run(looks.look(), deadline_seconds=_SURVEY_SECONDS), started)
        addresses = self._addresses(link) if seen.vms else {}
        with self._given.state.read() as session:
            report = watch.compare(session, seen, addresses)
            host = session.get_one(models.Host, self.host_key)
            back = not host.reachable
            news = None if held else strays.is_news(session, self.host_key, report.strays)
            known = [stray["name"] for stray in host.strays]
        if news is not None:
            ours.is_old(f"no instance is known for its VM {news}")
            report.unsettled = True
            return report, False
        endings: dict[str, tuple[looks.Ending, dt.datetime]] = {}
        if report.ended:
            endings = self._endings(link)
        told = sorted(one.name for one in report.strays) == known
        if not (held or back or report.says_something() or age > _FIGURES_SECONDS or not told):
            return report, False

        def write(session: Session) -> list[findings.Moved]:
            moved = findings.apply(
                session, self.host_key, report, seen, endings, addresses, self._given.now()
            )
            if not recovering.is_on(session):
                strays.note(session, self.host_key, report.strays, addresses)
            return moved

        moved = self._given.state.write(write)
        for instance, found in moved:
            self._log(logging.INFO, found, instance=instance)
        for one in () if held or told else report.strays:
            self._log(logging.WARNING, "stray-vm", vm=one.name)
        if held:
            whole = recovered.Seen(seen, floors, addresses)
            report.unsettled = not self._given.recovery.report(self.host_key, whole)
        if moved or back or held:
            self._bell.set()
        return report, True

    def _addresses(self, link: port.Host) -> dict[str, list[str]]:
        try:
            return looks.read_addresses(link.run(looks.addresses(), deadline_seconds=60))
        except port.Failed as failed:  # a VM went away meanwhile: what was known of others holds
            self._log(logging.INFO, "no-addresses", error=failed.error.id)
            return {}

    def _endings(self, link: port.Host) -> dict[str, tuple[looks.Ending, dt.datetime]]:
        try:
            return looks.read_endings(link.run(looks.endings(), deadline_seconds=60))
        except port.Failed as failed:
            if failed.error.identifier != looks.NO_EVENTS:
                self._log(logging.WARNING, "no-event-log", error=failed.error.id)
            return {}

    def _out_of_reach(self, error: Exception) -> None:
        trouble = f"{type(error).__name__}: {error}"[:500]

        def note(session: Session) -> bool:
            host = session.get_one(models.Host, self.host_key)
            changed = host.reachable or host.trouble != trouble
            host.reachable, host.trouble = False, trouble
            return changed

        if self._given.state.write(note):
            self._log(logging.WARNING, "host-out-of-reach", why=trouble)

    def _log(self, level: int, event: str, **fields: object) -> None:
        _log.log(level, event, extra={"host": self.host_name, **fields})
