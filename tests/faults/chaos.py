"""Owners' orders by the hundred while everything that may befall the way to a host befalls it.

The engine is a process of its own that is killed again and again; the laboratory and the actions
are in this process, so that every fault can be planned and every effect be counted. A seed chooses
what happens; how it interleaves it does not. When all is quiet the laboratory's world is held
against what was ordered last.

`python -m tests.faults.chaos [--count N] [--seed N]`; `scripts/test chaos [SEED]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from ec2gw import config
from ec2gw.lab.console import Console
from ec2gw.lab.door.faults import Faults, What
from ec2gw.lab.door.limits import Limits
from state import lifecycle, models, schema
from state.store import Store
from tests.faults.mishaps import Mishaps
from tests.faults.rig import SETTINGS, Rig
from translators.errors import Ec2Error
from translators.settings import InstanceType

HOSTS: Final = ("lab-a", "lab-b", "lab-c")
MOST: Final = 18
"""Instances at a time."""
QUIET_SECONDS: Final = 150.0
"""How long everything is given to come to rest when nothing befalls it any more."""
_LIMITS: Final = Limits(max_shells_per_user=8, connection_idle_seconds=2.5)
_LARGE: Final = InstanceType("m5.large", 4, 3 * 1024)
_SETTINGS: Final = dataclasses.replace(
    SETTINGS,
    instance_types={**SETTINGS.instance_types, _LARGE.name: _LARGE},
    reboot_deadline_seconds=8,
)
_FAILURES: Final = (
    ("Hyper-V\\New-VHD", "OperationFailed", "0x80070020"),
    ("Hyper-V\\New-VM", "OperationFailed", "0x80004005"),
    ("Hyper-V\\Add-VMNetworkAdapter", "OperationFailed", "0x80004005"),
    ("Hyper-V\\Connect-VMNetworkAdapter", "ObjectNotFound", "0x80131509"),
    ("Hyper-V\\Add-VMHardDiskDrive", "OperationFailed", "0x80070020"),
    ("Hyper-V\\Set-VMFirmware", "OperationFailed", "0x80004005"),
    ("Hyper-V\\Start-VM", "OperationFailed", "0x80070020"),
    ("Hyper-V\\Stop-VM", "InvalidState", "0x80070015"),
    ("Hyper-V\\Remove-VM", "InvalidState", "0x80070015"),
    ("Hyper-V\\Get-VM", "ObjectNotFound", "0x80131509"),
    ("Agent\\Remove-Tree", "FileInUse", "0x80070020"),
)


class Separate(Rig):
    """A rig whose engine is a process of its own."""

    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.data / "run" / "engine.ready").unlink(missing_ok=True)
        with (self.data / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ec2gw.engine", "--data", str(self.data)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.until(lambda: (self.data / "run" / "engine.ready").exists(), "the engine is ready")

    def kill(self) -> None:
        """End the engine as a loss of power does."""
        assert self.process is not None
        assert self.process.poll() is None, f"the engine ended by itself: {self.process.returncode}"
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


@dataclasses.dataclass(slots=True)
class Verdict:
    """What came of a run."""

    seed: int
    seconds: float
    quiet_seconds: float
    orders: Counter[str]
    refused: Counter[str]
    befell: Counter[str]
    messages_lost: int
    plans: int
    twice: list[str]
    unresolved: list[str]

    @property
    def is_good(self) -> bool:
        return not self.twice and not self.unresolved

    def __str__(self) -> str:
        def counted(counts: Mapping[str, int]) -> str:
            return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))

        return "\n".join(
            [
                f"seed {self.seed}: {self.orders.total()} orders in {self.seconds:.0f} s, "
                f"quiet {self.quiet_seconds:.0f} s later",
                f"  orders: {counted(self.orders)}",
                f"  refused: {counted(self.refused) or 'none'}",
                f"  befell: {counted(self.befell)}; messages lost {self.messages_lost}",
                f"  plans that ran under a token: {self.plans}",
                f"  ran twice: {len(self.twice)}",
                f"  unresolved: {len(self.unresolved)}",
                *(f"    twice: {one}" for one in self.twice),
                *(f"    unresolved: {one}" for one in self.unresolved),
            ]
        )


class Chaos:
    """One run: `rage`, then `verdict`."""

    def __init__(self, gateway: Separate, mishaps: Mishaps, seed: int) -> None:
        self.gateway = gateway
        self.mishaps = mishaps
        self.seed = seed
        self.chosen = random.Random(seed)
        self.wanted: dict[str, lifecycle.Phase] = {}
        self.asked_to_reboot: Counter[str] = Counter()
        self.orders: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.befell: Counter[str] = Counter()
        self.began = time.monotonic()
        self._orders: dict[Callable[[], str], float] = {
            self.launch: 4,
            self.start: 4,
            self.stop: 2,
            self.force: 3,
            self.reboot: 4,
            self.resize: 1,
            self.terminate: 3,
        }
        self._weather: dict[Callable[[], None], float] = {
            self.end_agents: 4,
            self.restart_service: 3,
            self.idle_out: 2,
            self.lose_host: 2,
            self.restart_host: 1.5,
            self.spoil_message: 6,
            self.doubt_send: 3,
            self.fail_cmdlet: 6,
            self.exceed_operations: 1,
            self.kill_engine: 2,
        }
        self._seldom: tuple[Callable[[], None], ...] = (self.exceed_shells, self.swallow)
        """Once in so many orders: each holds a host up for half a minute, or ten seconds."""

    def rage(self, count: int) -> None:
        """Give so many orders that are taken, with what befalls between them."""
        mishaps = self.mishaps
        mishaps.german = True
        for number, faults in enumerate(self._faults.values()):
            faults.lose(0.04, seed=self.seed * 10 + number)
        seldom = set(self.chosen.sample(range(count), max(2, count // 150)))
        while (given := self.orders.total()) < count:
            if given in seldom:
                seldom.discard(given)
                self._happen(self.chosen.choice(self._seldom))
            elif self.chosen.random() < 0.2:
                self._happen(*self.chosen.choices(*_weighed(self._weather)))
            (order,) = self.chosen.choices(*_weighed(self._orders))
            try:
                self.orders[order()] += 1
            except Ec2Error as refused:
                self.refused[refused.code] += 1
            time.sleep(self.chosen.random() * 0.06)

    def verdict(self) -> Verdict:
        """Let it be quiet, wait for rest, and hold the world against what was ordered."""
        raged = time.monotonic() - self.began
        for faults in self._faults.values():
            faults.clear()
        self.mishaps.forget()
        limit = time.monotonic() + QUIET_SECONDS
        while (unresolved := self._unresolved()) and time.monotonic() < limit:
            time.sleep(0.2)
        return Verdict(
            self.seed,
            raged,
            time.monotonic() - self.began - raged,
            self.orders,
            self.refused,
            self.befell,
            sum(faults.lost for faults in self._faults.values()),
            len(self.mishaps.ran),
            self._twice(),
            unresolved,
        )

    # -- what is seen

    def _unresolved(self) -> list[str]:
        """What is not as it was ordered last, in the state or in the world."""
        told = {row.id: row.phase for row in self.gateway.rows(models.Instance)}
        names = {"Running": "running", "Off": "stopped"}
        seen: dict[str, list[str]] = {}
        for vm in self.gateway.vms():
            seen.setdefault(vm["name"], []).append(names.get(vm["state"], vm["state"]))
        found = []
        for one, wanted in self.wanted.items():
            should = [] if wanted == "terminated" else [wanted]
            if told[one] != wanted or seen.pop(one, []) != should:
                found.append(f"{one}: wanted {wanted}, told {told[one]}, seen {seen.get(one)}")
        found += [f"{name}: nobody ordered it" for name in seen]
        folders = {path.split("\\")[3] for path in self.gateway.leftovers()}
        alive = {one for one, wanted in self.wanted.items() if wanted != "terminated"}
        found += [f"{one}: its folder is left" for one in folders - alive]
        return found

    def _twice(self) -> list[str]:
        did = self.mishaps.did
        found = [f"a plan under {token}" for token in self.mishaps.twice()]
        found += [
            f"{one}: asked {asked} times to reboot, did {did['InitiateReboot', one]} times"
            for one, asked in self.asked_to_reboot.items()
            if did["InitiateReboot", one] > asked
        ]
        found += [
            f"{one}: made {did['made', one]} times" for one in self.wanted if did["made", one] > 1
        ]
        for host in HOSTS:
            begun = Counter(_tokens(self.gateway, host))
            found += [f"{host}: {token} begun {n} times" for token, n in begun.items() if n > 1]
        return found

    # -- orders

    def _at_rest(self, *phases: str) -> str | None:
        """An instance for an order: mostly one at rest, now and then whatever is under way."""
        rows = [row for row in self.gateway.rows(models.Instance) if row.phase != "terminated"]
        fit = [row.id for row in rows if row.phase in phases]
        if not fit or self.chosen.random() < 0.2:
            fit = [row.id for row in rows]
        return self.chosen.choice(sorted(fit)) if fit else None

    def _ask(self, action: str, wanted: lifecycle.Phase | None, *phases: str, **more: Any) -> str:
        one = self._at_rest(*phases)
        if one is None:
            return self.launch()
        self.gateway.ask(action, InstanceIds=[one], **more)
        if wanted is not None:
            self.wanted[one] = wanted
        if action == "RebootInstances":
            self.asked_to_reboot[one] += 1
        return action

    def launch(self) -> str:
        if sum(phase != "terminated" for phase in self.wanted.values()) >= MOST:
            return self.terminate()
        for one in self.gateway.launch(self.chosen.randint(1, 2)):
            self.wanted[one] = "running"
        return "RunInstances"

    def start(self) -> str:
        return self._ask("StartInstances", "running", "stopped")

    def stop(self) -> str:
        return self._ask("StopInstances", "stopped", "running")

    def force(self) -> str:
        return self._ask("StopInstances", "stopped", "running", Force=True)

    def reboot(self) -> str:
        return self._ask("RebootInstances", None, "running")

    def terminate(self) -> str:
        return self._ask("TerminateInstances", "terminated", "running", "stopped")

    def resize(self) -> str:
        one = self._at_rest("stopped")
        if one is None:
            return self.launch()
        wanted = self.chosen.choice(["t3.micro", _LARGE.name])
        self.gateway.ask("ModifyInstanceAttribute", InstanceId=one, InstanceType={"Value": wanted})
        return "ModifyInstanceAttribute"

    # -- what befalls

    @property
    def _faults(self) -> Mapping[str, Faults]:
        return self.gateway.laboratory.faults

    def _some(self) -> Faults:
        return self._faults[self.chosen.choice(HOSTS)]

    def _happen(self, act: Callable[[], None]) -> None:
        act()
        self.befell[act.__name__.replace("_", " ")] += 1

    def end_agents(self) -> None:
        self._some().end_programs()

    def restart_service(self) -> None:
        self._some().drop_shells()

    def idle_out(self) -> None:
        """The way is cut for so long that the host gives the shells up."""
        host = self._some()
        host.go_down()
        time.sleep(0.1)
        host.let_pass(200)
        host.go_up()

    def lose_host(self) -> None:
        host = self._some()
        host.go_down()
        time.sleep(self.chosen.random())
        host.go_up()

    def restart_host(self) -> None:
        name = self.chosen.choice(HOSTS)
        Console(self.gateway.world).reboot_host(name, down_seconds=0.1)
        self._faults[name].drop_shells()

    def spoil_message(self) -> None:
        ways: tuple[What, ...] = ("before", "within", "within", "after")
        what = self.chosen.choice(ways)
        kind = self.chosen.choice(("Send", "Receive", "Create", "Command"))
        self._some().plan(what, kind, nth=self.chosen.randint(1, 3))

    def doubt_send(self) -> None:
        self._some().plan("fault after", "Send", code=self.chosen.choice((1460, 2150858793, 995)))

    def exceed_operations(self) -> None:
        self._some().plan("fault", "Send", code=2150859174)

    def exceed_shells(self) -> None:
        host = self._some()
        host.plan("fault", "Create", code=2150859173)
        host.drop_shells()

    def swallow(self) -> None:
        self._some().plan("swallow", "Send")

    def fail_cmdlet(self) -> None:
        cmdlet, identifier, hresult = self.chosen.choice(_FAILURES)
        self.mishaps.fail(cmdlet, identifier, hresult=hresult, after=self.chosen.random() < 0.3)

    def kill_engine(self) -> None:
        self.gateway.kill()
        self.gateway.start()


def _weighed(chances: Mapping[Callable[[], Any], float]) -> tuple[list[Any], list[float]]:
    return list(chances), list(chances.values())


def _tokens(gateway: Rig, host: str) -> Iterator[str]:
    """The tokens whose begin stands in the host's journal."""
    with gateway.world.reading(host) as session:
        lines = session.content("C:\\ec2gw\\journal").decode("ascii").splitlines()
    for line in lines:
        words = line.split(" ")
        if words[0] == "B":
            yield words[1]


@contextmanager
def prepared(data: Path, seed: int) -> Iterator[Chaos]:
    """A rig on a data folder of its own, with its engine started."""
    (data / "run").mkdir(mode=0o700, parents=True)
    resolved = config.load(
        None,
        {},
        {
            "data": str(data),
            "settings.survey_shortest_seconds": _SETTINGS.survey_shortest_seconds,
            "settings.survey_longest_seconds": _SETTINGS.survey_longest_seconds,
            "settings.stop_deadline_seconds": _SETTINGS.stop_deadline_seconds,
            "settings.reboot_deadline_seconds": _SETTINGS.reboot_deadline_seconds,
        },
    )
    config.save(resolved)
    schema.prepare(resolved.database, data / "backup")
    store = Store(resolved.database)
    with pytest.MonkeyPatch.context() as patch:
        mishaps = Mishaps(patch)
        gateway = Separate(store, data, _SETTINGS, _LIMITS)
        try:
            gateway.start()
            yield Chaos(gateway, mishaps, seed)
        finally:
            gateway.close()
            store.close()


def run(data: Path, count: int, seed: int) -> Verdict:
    with prepared(data, seed) as chaos:
        chaos.rage(count)
        return chaos.verdict()


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.faults.chaos", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="leave state, world and log in this folder")
    options = parser.parse_args()
    if options.keep is not None:
        verdict = run(options.keep, options.count, options.seed)
    else:
        with tempfile.TemporaryDirectory(prefix="ec2gw-chaos-") as folder:
            verdict = run(Path(folder) / "data", options.count, options.seed)
    print(verdict)
    return 0 if verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
