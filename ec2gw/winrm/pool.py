"""The link to one host: implements the port with a worker that is started, replaced and recycled.

Whoever calls `run` waits here; a keeper thread starts workers, so that a slow start outlives one
caller's deadline and serves the next. What a worker's end leaves unanswered goes to its successor,
with the same token: unknown is not failed.

Source: docs/architecture.md, "The host link".
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from ec2gw.winrm import (
    agent,
    breaker,
    checks,
    endpoint,
    exchange,
    framing,
    ledger,
    reply,
    request,
    session,
    shell,
    sweep,
    timing,
    worker,
)
from translators.hyperv import host
from translators.hyperv.host import Answer, Fence, Host, Plan

log = logging.getLogger("ec2gw.winrm")

_MOST_WORKERS_FOR_A_READ = 3
"""A read that ended so many agents is not tried on another one."""


class HostLink(Host):
    """Thread-safe. Nothing is connected before the first `run`, `connect` or `check`.

    `name` is what log lines call the host. With `epoch` None it speaks with the epoch that the
    host has seen, and may only read. `shells`: where its shells are noted; what is noted there of
    an earlier link is given back.
    `on_event` gets what is logged, an event and its fields, from any thread: it takes note and
    returns at once, without asking anything of the link.
    """

    def __init__(
        self,
        address: endpoint.HostAddress,
        *,
        root: str,
        modules: Sequence[str],
        allowed: Mapping[str, Sequence[str]],
        paths: Mapping[str, Sequence[str]],
        epoch: int | None,
        name: str | None = None,
        shells: ledger.Ledger | None = None,
        limits: timing.Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_event: Callable[[str, Mapping[str, object]], None] | None = None,
    ) -> None:
        self._address = address
        self._name = name
        self._epoch = epoch
        self._limits = limits or timing.Timing()
        self._on_event = on_event
        setup = {"root": root, "modules": modules, "allowed": allowed, "paths": paths}
        self._bootstrap = shell.Bootstrap(
            program=agent.PROGRAM,
            arguments=agent.arguments(),
            input=agent.first_line() + framing.encode(setup),
        )
        self._ids = itertools.count(1)
        self._breaker = breaker.Breaker(clock)
        self._shells = shells or ledger.Ledger()
        self._sweeper = sweep.Sweeper(
            address,
            self._limits,
            self._shells,
            in_use=self._shells_in_use,
            gave_back=lambda count: self._tell("shells-given-back", count=count),
        )
        self._lock = threading.Condition()
        self._worker: worker.Worker | None = None
        self._retired: list[worker.Worker] = []
        self._starting: worker.Worker | None = None
        self._hello: reply.Hello | None = None
        self._cause: session.LinkError | None = None
        self._attempts = 0
        self._wanted = 0
        self._waiting = 0
        self._keeper: threading.Thread | None = None
        self._closed = False

    # ---- the port

    def run(
        self, plan: Plan, *, fence: Fence | None = None, deadline_seconds: float = 30
    ) -> Answer:
        """Run the plan; see `Host`.

        A token that still runs is asked for again until the deadline, and is then
        `Token("running", None)`. A read is repeated on any loss: it is never Unknown.
        """
        if fence is None and plan.changes:
            raise AssertionError(f"{plan.purpose}: a plan that changes travels with a fence")
        if fence is not None and self._epoch is None:
            raise AssertionError(f"{plan.purpose}: a link without an epoch may only read")
        limit = time.monotonic() + deadline_seconds
        with self._lock:
            if self._waiting >= timing.MAX_WAITING:
                raise host.Busy("too many requests wait for this host")
            self._waiting += 1
        try:
            return self._run(plan, fence, limit)
        finally:
            with self._lock:
                self._waiting -= 1

    def _run(self, plan: Plan, fence: Fence | None, limit: float) -> Answer:
        # Encoded before anything is waited for, unless the epoch is still to be heard.
        one = None if self._epoch is None else self._exchange(plan, fence)
        while True:
            carrier = self._carrier(one, limit)
            if one is None:
                one = self._exchange(plan, fence)
            if not carrier.submit(one):
                continue
            one.wait(limit - time.monotonic())
            carrier.withdraw(one)
            if one.reply is not None:
                return reply.judge(one.reply, fenced=one.fenced)
            if carrier.cause is None or time.monotonic() >= limit:
                raise _too_late(one)
            if not one.fenced and one.workers >= _MOST_WORKERS_FOR_A_READ:
                raise host.Unreachable(f"{plan.purpose}: {one.workers} agents ended over it")

    def _exchange(self, plan: Plan, fence: Fence | None) -> exchange.Exchange:
        epoch = self._epoch
        if epoch is None:
            epoch = self._hello.epoch if self._hello else 0
        body = request.encode(plan, request_id=next(self._ids), epoch=epoch, fence=fence)
        try:
            frame = framing.encode(body)
        except framing.TooLarge as error:
            raise host.Faulty(f"{plan.purpose}: {error}") from error
        # Without a token it changes nothing, so that it may be repeated as a read is.
        fenced = fence is not None and fence.token is not None
        return exchange.Exchange(int(str(body["id"])), frame, fenced=fenced)

    def _carrier(self, one: exchange.Exchange | None, limit: float) -> worker.Worker:
        """A worker that takes requests, waiting for one.

        What may have left us already is waited for to the deadline; what has not gives up as soon
        as the breaker opens.
        """
        committed = one is not None and one.fenced and one.copies > 0
        with self._lock:
            before = self._attempts
            self._wanted += 1
            self._keep_going()
            try:
                while True:
                    if self._closed:
                        raise _closed(committed)
                    if self._worker is not None and self._worker.usable:
                        return self._worker
                    if not committed and not self._breaker.admits():
                        raise self._refusal(tried=self._attempts > before)
                    left = limit - time.monotonic()
                    if left <= 0:
                        raise _too_late(one)
                    self._lock.wait(left)
            finally:
                self._wanted -= 1

    def _refusal(self, *, tried: bool) -> host.HostError:
        why = f"{self._breaker.reason}; tried again in {self._breaker.wait_seconds():.0f} s"
        if isinstance(self._cause, session.Quota) or not tried:
            return host.Busy(why)
        return host.Unreachable(why)

    # ---- what else a caller may ask

    @property
    def hello(self) -> reply.Hello | None:
        """What the latest agent told of itself and the host."""
        return self._hello

    @property
    def cause(self) -> session.LinkError | None:
        """What the latest failure to reach the agent was."""
        return self._cause

    def connect(self, deadline_seconds: float = 60) -> reply.Hello:
        """Start a worker if there is none.

        :raises HostError: Unreachable or Busy
        """
        self._carrier(None, time.monotonic() + deadline_seconds)
        if self._hello is None:
            raise host.Unreachable("no agent")
        return self._hello

    def check(self, switches: Sequence[str] = (), *, reader: bool = False) -> list[checks.Step]:
        """Say step by step, from PowerShell to the switches, what holds on the host.

        :raises HostError: there is no agent to ask
        """
        return checks.check(self, self.connect(), switches, reader=reader)

    def close(self) -> None:
        """End all workers and threads; who still waits is told at once. Takes seconds at most."""
        with self._lock:
            self._closed = True
            known = (*self._retired, self._worker, self._starting)
            keeper = self._keeper
            self._lock.notify_all()
        workers = [one for one in known if one is not None]
        for one in workers:
            one.stop()
        limit = time.monotonic() + 2 * self._limits.farewell_seconds
        for one in workers:
            one.join(limit)
        if keeper is not None:
            keeper.join(2 * self._limits.farewell_seconds)
        self._sweeper.stop(self._limits.farewell_seconds)

    # ---- the keeper

    def _keep_going(self) -> None:
        """Have a keeper, and wake it; with the lock held."""
        if self._keeper is None and not self._closed:
            self._keeper = threading.Thread(target=self._keep, name="winrm-keeper", daemon=True)
            self._keeper.start()
        self._lock.notify_all()

    def _keep(self) -> None:
        while self._await_work():
            try:
                self._start_worker()
            except Exception as error:  # whatever it was, the thread goes on: callers count on it
                self._failed_to_start(session.Lost(f"a fault of ours: {type(error).__name__}"))
            with self._lock:  # so that a host that refuses at once is not hammered
                self._lock.wait_for(
                    lambda: self._closed or self._worker is not None,
                    0.05 + 0.2 * random.random(),
                )

    def _await_work(self) -> bool:
        """Wait until a worker is to be started; false when the link is closed."""
        with self._lock:
            while not self._closed:
                current = self._worker
                if current is not None and current.cause is not None:
                    self._bury(current)
                    continue
                self._retired = [old for old in self._retired if not old.finished]
                pause = None
                if current is None and self._wanted:
                    if self._breaker.try_begin():
                        return True
                    pause = max(0.01, self._breaker.wait_seconds())
                elif current is not None:
                    if current.worn and self._breaker.try_begin():
                        return True
                    pause = max(1.0, self._limits.recycle_seconds - current.age_seconds)
                self._lock.wait(pause)
            return False

    def _bury(self, dead: worker.Worker) -> None:
        self._worker = None
        self._retired.append(dead)
        cause = dead.cause or session.Gone("ended")
        self._cause = cause
        self._tell("worker-ended", error=type(cause).__name__, cause=str(cause))
        # An agent that ended by itself tells nothing about the way to it, unless it just started.
        if isinstance(cause, session.Denied):
            self._denied(cause)
        elif not isinstance(cause, session.Gone) or dead.age_seconds < self._limits.ping_seconds:
            self._breaker.failure(str(cause))

    def _start_worker(self) -> None:
        fresh = worker.Worker(
            shell.Shell(self._address, self._limits, self._shells),
            self._limits,
            ping=self._exchange(Plan("ping", ()), None),
            tell=self._tell,
            changed=self._wake_keeper,
        )
        with self._lock:
            self._starting = fresh
            if self._closed:
                return
        began = time.monotonic()
        try:
            hello = fresh.start(self._bootstrap)
            _check(hello)
        except session.LinkError as error:
            if isinstance(error, session.Quota) and self._sweeper.hurry():
                return self._start_worker()
            self._failed_to_start(error)
            fresh.stop()
            fresh.join(time.monotonic() + self._limits.farewell_seconds)
        else:
            self._tell(
                "worker-started",
                ms=int((time.monotonic() - began) * 1000),
                powershell=hello.version,
                epoch=hello.epoch,
                damaged=hello.damaged,
                missing=len(hello.missing),
            )
            self._install(fresh, hello)
            self._sweeper.begin()

    def _shells_in_use(self) -> set[str]:
        with self._lock:
            known = (*self._retired, self._worker, self._starting)
        return {one.shell_id for one in known if one is not None and not one.finished}

    def _install(self, fresh: worker.Worker, hello: reply.Hello) -> None:
        with self._lock:
            old, self._worker, self._starting = self._worker, fresh, None
            self._hello = hello
            self._cause = None
            self._attempts += 1
            self._breaker.success()
            closed = self._closed
            if old is not None:
                self._retired.append(old)
                old.retire()
            self._lock.notify_all()
        if closed:
            fresh.stop()
            fresh.join(time.monotonic() + self._limits.farewell_seconds)

    def _failed_to_start(self, error: session.LinkError) -> None:
        self._tell("start-failed", error=type(error).__name__, code=error.code, cause=str(error))
        with self._lock:
            self._starting = None
            self._cause = error
            self._attempts += 1
            if isinstance(error, session.Denied):
                self._denied(error)
            elif isinstance(error, session.Quota):
                self._breaker.exhausted(str(error))
            else:
                self._breaker.failure(str(error))
            self._lock.notify_all()

    def _denied(self, error: session.LinkError) -> None:
        self._breaker.denied(f"sign-in refused ({error})")
        self._tell("sign-in-refused", pause_seconds=int(breaker.DENIED_SECONDS))

    def _wake_keeper(self) -> None:
        with self._lock:
            self._lock.notify_all()

    def _tell(self, event: str, /, **fields: object) -> None:
        level = logging.WARNING if event in _ALARMS else logging.INFO
        told = {"host": self._name, "link": self._address.endpoint, **fields}
        shown = {key: str(value)[:_LONGEST] for key, value in told.items() if value is not None}
        log.log(level, event, extra=shown)
        if self._on_event is not None:
            self._on_event(event, told)


_LONGEST = 300
_ALARMS = {"sign-in-refused", "start-failed", "worker-fault"}


def _check(hello: reply.Hello) -> None:
    if hello.mode != "FullLanguage":
        raise session.Forbidden(
            f"PowerShell runs in {hello.mode} there (WDAC or AppLocker): the agent cannot work"
        )
    if hello.agent.lower() != agent.digest():
        raise session.Lost("the agent's text arrived changed")


def _too_late(one: exchange.Exchange | None) -> host.HostError:
    if one is None or one.copies == 0:
        return host.Unreachable("the deadline passed before it was sent")
    if not one.fenced:
        return host.Unreachable("no answer within the deadline")
    if one.running:
        return host.Token("running", None)
    return host.Unknown("no answer within the deadline")


def _closed(committed: bool) -> host.HostError:
    return host.Unknown("the link is closed") if committed else host.Unreachable("closed")
