"""Everything at once: owners, lost messages, hosts, administrators, clocks, the state, the engine.

What happens is chosen by a seed; how it interleaves is not. When all is calm again every instance
is as its owner asked last, once, and nothing is left of those that ended. EC2GW_STORM_SECONDS
makes it longer, EC2GW_STORM_SEED another one.
"""

from __future__ import annotations

import copy
import datetime as dt
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.engine import driver, service
from ec2gw.lab.console import Console
from ec2gw.lab.world import power
from state import lifecycle, models
from state.store import Store
from tests.faults.rig import SETTINGS, Rig, rig
from translators.errors import Ec2Error

SECONDS = float(os.environ.get("EC2GW_STORM_SECONDS", "6"))
SEED = int(os.environ.get("EC2GW_STORM_SEED", "1"))
HOSTS = ("lab-a", "lab-b", "lab-c")
MOST = 16


class Storm:
    """One thing after the other, and what should be when it is over."""

    def __init__(self, gateway: Rig, chosen: random.Random) -> None:
        self.gateway = gateway
        self.chosen = chosen
        self.wanted: dict[str, lifecycle.Phase] = {}
        self.happened: Counter[str] = Counter()
        self.clock_ahead_by = dt.timedelta(0)
        self.refusals = random.Random(chosen.random())
        self.raging = True
        self.acts: dict[Callable[[], None], float] = {
            self.launch: 3,
            self.start: 4,
            self.stop: 4,
            self.force: 2,
            self.reboot: 3,
            self.terminate: 2,
            self.lose_host: 0.4,
            self.find_hosts: 1,
            self.restart_host: 0.2,
            self.end_agents: 0.6,
            self.carry: 2,
            self.set_clock: 0.4,
            self.restart_engine: 0.4,
            self.rest: 4,
        }

    def rage(self, seconds: float) -> None:
        for number, faults in enumerate(self.gateway.laboratory.faults.values()):
            faults.lose(0.05, seed=SEED + number)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            (act,) = self.chosen.choices(list(self.acts), list(self.acts.values()))
            try:
                act()
                self.happened[act.__name__] += 1
            except Ec2Error as refused:
                self.happened[refused.code] += 1
            time.sleep(self.chosen.random() * 0.05)

    def calm(self) -> None:
        self.raging = False
        self.clock_ahead_by = dt.timedelta(0)
        self.find_hosts()
        for faults in self.gateway.laboratory.faults.values():
            faults.lose(0.0, seed=SEED)

    # -- owners

    def alive(self) -> list[str]:
        return [one for one, phase in self.wanted.items() if phase != "terminated"]

    def some(self) -> str:
        alive = self.alive()
        if not alive:
            self.launch()
            alive = self.alive()
        return self.chosen.choice(alive)

    def launch(self) -> None:
        if len(self.alive()) < MOST:
            for one in self.gateway.launch(self.chosen.randint(1, 3)):
                self.wanted[one] = "running"

    def ask(self, action: str, wanted: lifecycle.Phase | None, **request: Any) -> None:
        one = self.some()
        self.gateway.ask(action, InstanceIds=[one], **request)
        if wanted is not None:
            self.wanted[one] = wanted

    def start(self) -> None:
        self.ask("StartInstances", "running")

    def stop(self) -> None:
        self.ask("StopInstances", "stopped")

    def force(self) -> None:
        self.ask("StopInstances", "stopped", Force=True)

    def reboot(self) -> None:
        self.ask("RebootInstances", None)

    def terminate(self) -> None:
        self.ask("TerminateInstances", "terminated")

    # -- hosts and their administrators

    def lose_host(self) -> None:
        self.gateway.laboratory.faults[self.chosen.choice(HOSTS)].go_down()

    def find_hosts(self) -> None:
        for faults in self.gateway.laboratory.faults.values():
            faults.go_up()

    def restart_host(self) -> None:
        Console(self.gateway.world).reboot_host(self.chosen.choice(HOSTS), down_seconds=0.2)

    def end_agents(self) -> None:
        """Whatever they run ends with them, and nobody is told how."""
        self.gateway.laboratory.faults[self.chosen.choice(HOSTS)].drop_shells()

    def carry(self) -> None:
        """Move a VM that ran before to the other host of its zone; for a moment none has it."""
        known = {row.vm_id for row in self.gateway.rows(models.Instance)}
        source, target = self.chosen.sample(HOSTS[:2], 2)
        with self.gateway.world.changing(source) as session:
            movable = [one for one in session.vms() if one.id in known]
            movable = [one for one in movable if not power.transitional(one)]
            if not movable:
                return
            taken = copy.deepcopy(self.chosen.choice(movable))
            files = [one for one in session.host.files.values() if f"\\{taken.name}" in one.path]
            for file in files:
                session.drop_file(file.path)
            session.drop_vm(taken)
        time.sleep(self.chosen.random() * 0.2)
        with self.gateway.world.changing(target) as session:
            for file in files:
                session.put_file(copy.deepcopy(file))
            session.put_vm(taken)

    # -- the gateway

    def set_clock(self) -> None:
        self.clock_ahead_by = dt.timedelta(hours=self.chosen.choice([-5, -1, 0, 2]))

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC) + self.clock_ahead_by

    def restart_engine(self) -> None:
        self.gateway.stop()
        self.gateway.start()

    def rest(self) -> None:
        time.sleep(self.chosen.random() * 0.3)

    def unsure(self, write: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """A state that now and then refuses the engine, before or after it wrote."""

        def guarded(work: Any) -> Any:
            engine = threading.current_thread() is not threading.main_thread()
            fate = self.refusals.random() if self.raging and engine else 0.5
            if fate > 0.03:
                written = write(work)
                if fate < 0.97:
                    return written
            self.happened["refused writes"] += 1
            raise sa.exc.OperationalError("", None, Exception("disk I/O error"))

        return guarded


@pytest.fixture
def storm(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    with rig(store, tmp_path, SETTINGS) as gateway:
        made = Storm(gateway, random.Random(SEED))
        monkeypatch.setattr(driver, "_FIGURES_SECONDS", 0.0)
        monkeypatch.setattr(service, "now", made.now)
        monkeypatch.setattr(Rig, "now", property(lambda rig: made.now(), lambda rig, value: None))
        monkeypatch.setattr(store, "write", made.unsure(store.write))
        gateway.update(models.Host, gateway.hosts["b"], zone_letter="a")
        gateway.start()
        yield made


def test_after_the_storm_all_is_as_its_owners_asked_last(storm: Storm) -> None:
    gateway = storm.gateway
    storm.rage(SECONDS)
    storm.calm()
    wanted = Counter((one, storm.wanted[one]) for one in storm.alive())
    names = {"Running": "running", "Off": "stopped"}

    def holds() -> bool:
        told = {row.id: row.phase for row in gateway.rows(models.Instance)}
        seen = Counter((vm["name"], names.get(vm["state"])) for vm in gateway.vms())
        return told == storm.wanted and seen == wanted

    gateway.until(holds, f"all is as it was asked for; {dict(storm.happened)}")
    assert {path.split("\\")[3] for path in gateway.leftovers()} == set(storm.alive())
