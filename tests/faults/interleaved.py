"""A gateway whose every step somebody else takes: nothing goes on by itself, not even the time.

Actions, state, engine's hands, surveys, agents and the laboratory's hosts are the product's own; in
the place of WinRM stands a wire that loses what it is told to, and in the place of threads whoever
calls. Two hosts of one zone, and a VM of somebody else's on the first.
"""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import pytest
import sqlalchemy as sa

from ec2gw.engine import hand, keeping
from ec2gw.lab import agent
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.console import Console
from ec2gw.lab.world import HostSpec, World
from ec2gw.lab.world.clock import ManualClock
from ec2gw.winrm import framing, reply, request
from state import lifecycle, models
from state.store import Store
from tests.launches import Cloud
from tests.unit import toy_host
from translators import driven
from translators.ec2.instances import findings, surveys
from translators.hyperv import allowed
from translators.hyperv import host as port
from translators.hyperv import survey as looks
from translators.registry import load_families
from translators.settings import InstanceType, Settings

load_families()

DEPLOYMENT: Final = "feedfacefeedface"
ROOT: Final = "C:\\ec2gw"
SETTINGS: Final = Settings(
    instance_types={
        "t3.micro": InstanceType("t3.micro", 2, 1024),
        "t3.small": InstanceType("t3.small", 2, 2048),
    },
    default_instance_type="t3.micro",
    survey_longest_seconds=5,
    stop_deadline_seconds=30,
    reboot_deadline_seconds=30,
    laboratory=True,
)
Fate = Literal["pass", "never sent", "lost on the way", "answer lost", "agent dies"]


class Wire:
    """One driver's way to a host: frames go straight to an agent there, or meet their fate."""

    def __init__(self, start: Callable[[], toy_host.Driver], epoch: int) -> None:
        self._start = start
        self._agent: toy_host.Driver | None = None
        self._ids = itertools.count(1)
        self.epoch = epoch
        self.fates: deque[Fate] = deque()
        self.left = 0
        """So many plans may still be run before the caller has to wait."""
        self.meanwhile: Callable[[], object] | None = None
        """Done once, after a plan has run and before its answer arrives."""

    def run(
        self, plan: port.Plan, *, fence: port.Fence | None = None, deadline_seconds: float = 30
    ) -> port.Answer:
        if self.left <= 0:
            raise port.Busy("enough for now")
        self.left -= 1
        fate = self.fates.popleft() if self.fates else "pass"
        if fate == "never sent":
            raise port.Unreachable("no connection")
        if fate != "lost on the way":
            message = self._exchange(plan, fence)
            if fate == "pass":
                return reply.judge(message, fenced=fence is not None)
            if fate == "agent dies":
                self.end()
        if plan.changes:
            raise port.Unknown("no answer")
        raise port.Unreachable("no answer")

    def _exchange(self, plan: port.Plan, fence: port.Fence | None) -> toy_host.Json:
        number = next(self._ids)
        asked = request.encode(plan, request_id=number, epoch=self.epoch, fence=fence)
        if self._agent is None or self._agent.ended.is_set():  # it ends when it is replaced
            self._agent = self._start()
        self._agent.put(framing.encode(asked))
        message = self._agent.wait(number)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return message

    def end(self) -> None:
        """Whoever connects next finds another agent, and the journal as it was."""
        if self._agent is not None:
            self._agent.process.kill()
            self._agent = None


@dataclass
class Site:
    """A host with the driver that has it, and those that had it before."""

    name: str
    key: int
    start: Callable[[], toy_host.Driver]
    wire: Wire
    worker: hand.Hand
    watch: surveys.Watch
    former: list[tuple[Wire, hand.Hand]] = field(default_factory=list)


class Stage(Cloud):
    """The whole of it; `close` it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.clock = ManualClock()
        super().__init__(store, SETTINGS)
        self._patched = pytest.MonkeyPatch()
        stands = types.SimpleNamespace(monotonic=self.clock.now, time=self.clock.now)
        for module in (hand, keeping, surveys):
            self._patched.setattr(module, "time", stands)
        hosts = (HostSpec("host-a", "a"), HostSpec("host-b", "a"))
        self.world = World(folder / "world.sqlite3", hosts=hosts, clock=self.clock)
        self.console = Console(self.world)
        self.stranger = self.console.add_foreign_vm("host-a", "payroll")
        self.console.start("host-a", self.stranger)
        store.write(self._begin)
        self.sites = [
            self._site(name, self.hosts[letter]) for name, letter in zip(*SITES, strict=True)
        ]
        self.outdated: list[str] = []
        for number in range(len(self.sites)):
            self.survey(number)

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.clock.now(), dt.UTC)

    @now.setter
    def now(self, value: dt.datetime) -> None:
        """The time is the world's."""

    def _begin(self, session: Any) -> None:
        made = models.Deployment(id=DEPLOYMENT, created_at=self.now, confirmed=True)
        session.add(made)
        for host in session.scalars(sa.select(models.Host)):
            host.laboratory, host.reachable, host.surveyed_at = True, False, None
            host.name = f"host-{host.zone_letter}"
            host.state = "active" if host.zone_letter in "ab" else "removed"
            host.zone_letter = "a"
        for image in session.scalars(sa.select(models.Image)):
            image.file_name = "ec2gw-lab-linux.vhdx"
            image.size_gib = 8
        for disk in session.scalars(sa.select(models.Snapshot)):
            disk.file_name = "images/ec2gw-lab-linux.vhdx"
        # Every move of a phase, each by itself: what comes and goes within a step is seen, too.
        session.connection().exec_driver_sql(
            "CREATE TABLE moved (id TEXT, before TEXT, after TEXT)"
        )
        session.connection().exec_driver_sql(
            "CREATE TRIGGER moved AFTER UPDATE OF phase ON instance WHEN old.phase != new.phase "
            "BEGIN INSERT INTO moved VALUES (new.id, old.phase, new.phase); END"
        )

    def _site(self, name: str, key: int) -> Site:
        powershell = agent.powershell(LabMachine(self.world, name), silence_seconds=3600)
        setup: toy_host.Json = {
            "root": ROOT,
            "modules": allowed.MODULES,
            "allowed": allowed.ALLOWED,
            "paths": allowed.PATHS,
        }

        def start() -> toy_host.Driver:
            return toy_host.Driver(powershell, setup=setup)

        return Site(name, key, start, *self._driver(name, key, start))

    def _driver(
        self, name: str, key: int, start: Callable[[], toy_host.Driver]
    ) -> tuple[Wire, hand.Hand, surveys.Watch]:
        def raise_epoch(session: Any) -> int:
            host = session.get_one(models.Host, key)
            host.epoch += 1
            return int(host.epoch)

        wire = Wire(start, self.store.write(raise_epoch))
        worker = hand.Hand(
            self.store,
            wire,
            self.settings,
            host_key=key,
            host_name=name,
            now=lambda: self.now,
            stopping=threading.Event(),
            outdated=lambda why: self.outdated.append(why),
        )
        return wire, worker, surveys.Watch(key, DEPLOYMENT, self.settings)

    def close(self) -> None:
        for site in self.sites:
            for wire in (site.wire, *(one[0] for one in site.former)):
                wire.end()
        self._patched.undo()
        self.world.close()

    # -- the engine

    def replace_driver(self, number: int) -> None:
        """Start the engine anew; the one before does not know that it is not wanted any more."""
        site = self.sites[number]
        site.former.append((site.wire, site.worker))
        site.wire, site.worker, site.watch = self._driver(site.name, site.key, site.start)

    def due(self, number: int) -> list[hand.Which]:
        """What that host's driver has to do."""
        with self.store.read() as session:
            return [
                (name, one.key)
                for name, kind in driven.KINDS.items()
                for one in kind.due(session, self.sites[number].key, self.now)
            ]

    def advance(self, number: int, which: hand.Which, plans: int) -> None:
        """Drive a row for as long as it may run so many plans."""
        site = self.sites[number]
        site.wire.left = plans
        site.worker.advance(which)

    def survey(self, number: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Survey a host as its driver does; `meanwhile` between the look and what is made of it."""
        site = self.sites[number]
        site.wire.left = 3
        with self.store.read() as session:
            site.watch.begin(session)
        started = self.now
        try:
            seen = looks.read(site.wire.run(looks.look()), started)
        except port.HostError:
            return
        meanwhile()
        with self.store.read() as session:
            report = site.watch.compare(session, seen, {})
        endings = {}
        if report.ended:
            try:
                endings = looks.read_endings(site.wire.run(looks.endings()))
            except port.HostError:
                endings = {}
        self.store.write(
            lambda session: findings.apply(session, site.key, report, seen, endings, {}, self.now)
        )

    def settle(self) -> None:
        """Let all go on undisturbed until nothing is to be done any more."""
        for site in self.sites:
            site.wire.fates.clear()
        calm = 0
        for _ in range(200):
            self.clock.advance(3)
            for number in range(len(self.sites)):
                for which in self.due(number):
                    self.advance(number, which, 20)
                self.survey(number)
            calm = 0 if self.working() else calm + 1
            if calm > 4:  # surveys conclude nothing from one look
                return
        raise AssertionError(f"never at rest: {self.working()}")

    def working(self) -> list[tuple[str, lifecycle.Phase]]:
        return [
            (row.id, row.phase)
            for row in self.rows(models.Instance)
            if row.phase in lifecycle.WORKING
        ]

    # -- what is

    def moves(self) -> list[tuple[str, lifecycle.Phase, lifecycle.Phase]]:
        """Every move of a phase since it was last asked, in order."""

        def take(session: Any) -> list[Any]:
            connection = session.connection()
            found = connection.exec_driver_sql("SELECT * FROM moved ORDER BY rowid").all()
            connection.exec_driver_sql("DELETE FROM moved")
            return [tuple(row) for row in found]

        return self.store.write(take)

    def vms(self) -> list[dict[str, Any]]:
        """Every VM of every host, with its host's name as `host`."""
        hosts = self.world.snapshot()
        return [{**vm, "host": name} for name, host in hosts.items() for vm in host["vms"]]

    def owners_of_files(self) -> set[str]:
        """Whose files are below any host's instances folder; whoever moves VMs leaves folders."""
        return {
            path.split("\\")[3]
            for host in self.world.snapshot().values()
            for path, file in host["files"].items()
            if path.lower().startswith("c:\\ec2gw\\instances\\") and not file["folder"]
        }


SITES: Final = (("host-a", "host-b"), ("a", "b"))
