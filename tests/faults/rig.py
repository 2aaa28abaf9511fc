"""A gateway without its HTTP face: actions, store, engine and laboratory in one process.

The link between engine and laboratory is the real one: WinRM over HTTP, NTLM, sealed.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ec2gw.engine import wake
from ec2gw.engine.service import Engine
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.serve import Laboratory, Listen
from state import lifecycle, models
from state.secrets import Vault
from state.store import Store
from tests.launches import Cloud
from translators.registry import load_families
from translators.settings import InstanceType, Settings

load_families()  # steps are registered by their families, as in the engine's process

PACE = 0.02
SETTINGS = Settings(
    instance_types={"t3.micro": InstanceType("t3.micro", 2, 1024)},
    default_instance_type="t3.micro",
    survey_shortest_seconds=0.2,
    survey_longest_seconds=1,
    stop_deadline_seconds=8,
    laboratory=True,
)


class Rig(Cloud):
    """A cloud whose hosts are the laboratory's; `start` and `stop` are the engine's."""

    def __init__(
        self,
        store: Store,
        data: Path,
        settings: Settings = SETTINGS,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(store, settings)
        self.data = data
        self.laboratory = Laboratory(data, Listen("127.0.0.1", 0), pace=PACE, limits=limits)
        self.laboratory.start()
        self.world = self.laboratory.world
        self._stopping = threading.Event()
        self._engine: threading.Thread | None = None
        store.write(self._begin)
        self.meet_laboratory()

    @property
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    @now.setter
    def now(self, value: dt.datetime) -> None:
        """The clock on the wall is the only one here."""

    def meet_laboratory(self) -> None:
        """Take over where the laboratory's hosts are and how to sign in there."""
        vault = Vault(self.data / "key")
        told = self.laboratory.describe()

        def work(session: Any) -> None:
            for host in session.scalars(sa.select(models.Host)):
                lab = next(one for one in told["hosts"] if one["zone"] == host.zone_letter)
                host.url, host.root, host.username = lab["url"], lab["root"], lab["user"]
                host.secret = vault.seal(lab["password"].encode(), f"host:{host.name}")

        self.store.write(work)

    def _begin(self, session: Any) -> None:
        session.add(models.Deployment(id="feedfacefeedface", created_at=self.now))
        for host in session.scalars(sa.select(models.Host)):
            host.laboratory, host.reachable, host.surveyed_at = True, False, None
        for image in session.scalars(sa.select(models.Image)):
            image.file_name = "ec2gw-lab-linux.vhdx"
            image.size_gib = 8
        for disk in session.scalars(sa.select(models.Snapshot)):
            disk.file_name = "images/ec2gw-lab-linux.vhdx"

    # -- the engine

    def start(self) -> None:
        """Start the engine and wait until it has seen every host that answers."""
        self._stopping = threading.Event()
        engine = Engine(self.data, self.store, self.settings)
        self._engine = threading.Thread(target=engine.run, args=(self._stopping,), daemon=True)
        self._engine.start()
        self.until(lambda: (self.data / "run" / "engine.ready").exists(), "the engine is ready")

    def stop(self) -> None:
        """Stop the engine; the hosts go on."""
        self._stopping.set()
        if self._engine is not None:
            self._engine.join(20)
            assert not self._engine.is_alive()

    def close(self) -> None:
        self.stop()
        self.laboratory.stop()

    def ask(self, name: str, **request: Any) -> dict[str, Any]:
        """Call an action and ring the engine's bell, as the API does."""
        answer = self.call(name, **request)
        wake.ring(self.data / "run" / "engine.sock", self.waken)
        self.waken = set()
        return answer

    def launch(self, count: int, **request: Any) -> list[str]:
        asked = {"ImageId": self.image_id, "MinCount": count, "MaxCount": count, **request}
        return [one["InstanceId"] for one in self.ask("RunInstances", **asked)["Instances"]]

    # -- waiting and seeing

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < limit, f"never happened: {what}; {self.told()}"
            time.sleep(0.02)

    def wait(self, phase: lifecycle.Phase, *instance_ids: str, seconds: float = 60) -> None:
        wanted = set(instance_ids)

        def holds() -> bool:
            return all(self.instance(one).phase == phase for one in wanted)

        self.until(holds, f"{len(wanted)} {phase}", seconds)

    def told(self) -> dict[str, Any]:
        """What an operator would look at."""
        phases = Counter(row.phase for row in self.rows(models.Instance))
        troubles = [row.trouble for row in self.rows(models.Work) if row.trouble]
        hosts = {row.name: row.trouble for row in self.rows(models.Host) if row.trouble}
        return {"phases": dict(phases), "troubles": troubles[:5], "hosts": hosts}

    def vms(self) -> list[dict[str, Any]]:
        """Every VM of every host, as the laboratory's world has it."""
        return [vm for host in self.world.snapshot().values() for vm in host["vms"]]

    def leftovers(self) -> list[str]:
        """Files and folders below any host's instances folder."""
        return [
            path
            for host in self.world.snapshot().values()
            for path in host["files"]
            if path.lower().startswith("c:\\ec2gw\\instances\\")
        ]

    def assert_exactly(self, running: list[str]) -> None:
        """The world holds one running VM for each of these, and nothing else of anybody."""
        vms = self.vms()
        assert sorted(vm["name"] for vm in vms) == sorted(running)
        assert {vm["state"] for vm in vms} <= {"Running"}
        folders = {path.split("\\")[3] for path in self.leftovers()}
        assert folders == set(running)


@contextmanager
def rig(store: Store, data: Path, settings: Settings = SETTINGS) -> Iterator[Rig]:
    made = Rig(store, data, settings)
    try:
        yield made
    finally:
        made.close()
