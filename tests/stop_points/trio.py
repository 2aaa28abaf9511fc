"""The three processes of a gateway, each killed and started again at will.

They are the product's own programs. What `ec2gw serve` does around them is tested elsewhere; here
a process that was cut is started again at once, without its parent's pauses.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from ec2gw import config, inventory
from ec2gw.lab.cmdlets import machine
from ec2gw.lab.world import World
from state import copies, recovering
from state.store import Store
from tests.stop_points import nursery


class Trio:
    """API, engine and laboratory on one data folder; `tend` starts what was cut."""

    def __init__(self, folder: Path, options: Mapping[str, Any] = {}) -> None:
        self.data = folder / "data"
        self.stops = folder / "stops"
        self.stops.mkdir()
        self.deaths = 0
        faults = folder / "faults.json"
        faults.write_text(json.dumps({"pace": 0.02}))
        self._environment = {
            **os.environ,
            "EC2GW_STOP_POINTS": str(self.stops),
            "EC2GW_LAB_FAULTS": str(faults),
            machine.VARIABLE: "yes",
        }
        self._log = (folder / "processes.log").open("ab")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._nursery = nursery.Nursery()
        self._processes: dict[str, nursery.Nursling] = {}
        (self.data / "run").mkdir(mode=0o700, parents=True)
        resolved = config.load(
            None,
            {},
            {"data": str(self.data), "settings.survey_shortest_seconds": 0.3, **options},
        )
        config.save(resolved)
        store, vault = inventory.open_state(resolved, migrate=True)
        credentials = inventory.prepare(store, vault)
        inventory.match_networks(store, inventory.LABORATORY_NETWORKS)
        self._start("lab")
        hosts = self.data / "lab" / "hosts.json"
        self.until(hosts.exists, "the laboratory tells its hosts")
        inventory.match_laboratory(store, vault, hosts)
        store.close()
        self._start("engine")
        self._start("api")
        self.world = World(self.data / "lab" / "world.sqlite3", hosts=())
        port = self._listener.getsockname()[1]
        self.ec2: Any = boto3.client(
            "ec2",
            region_name="us-east-1",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret,
            config=ClientConfig(retries={"max_attempts": 10, "mode": "standard"}, read_timeout=15),
        )
        self.until((self.data / "run" / "engine.ready").exists, "the engine is ready")

    def _start(self, name: str) -> None:
        more = {"lab": ["--listen", "127.0.0.1:0"], "engine": [], "api": ["--socket", "{0}"]}
        self._processes[name] = self._nursery.start(
            name,
            ["--data", str(self.data), *more[name]],
            self._environment,
            self._log.fileno(),
            self._listener.fileno(),
        )

    def tend(self) -> None:
        """Start again what is not there."""
        for name, process in list(self._processes.items()):
            status = process.poll()
            if status is not None:
                assert status == -9, f"{name} ended by itself: {status}"
                self.deaths += 1
                self._start(name)

    def restart(self, name: str) -> None:
        """Kill a process and start it again."""
        self._processes[name].kill()
        self._processes[name].wait(10)
        self.tend()

    def put_back(self, copy: Path) -> None:
        """Start API and engine anew on a copy of the state, as `restore` and `serve` do."""
        for name in ("api", "engine"):
            process = self._processes.pop(name)
            process.kill()
            process.wait(10)
        copies.put(copy, self.database, self.data / "backup")
        store = Store(self.database)
        store.write(recovering.doubt)
        store.close()
        (self.data / "run" / "engine.ready").unlink(missing_ok=True)
        self._start("engine")
        self._start("api")

    @property
    def database(self) -> Path:
        return config.resolved(self.data).database

    def until(self, holds: Callable[[], bool], what: str, seconds: float = 40) -> None:
        limit = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < limit, f"never happened: {what}"
            self.tend()
            time.sleep(0.03)

    def plan(self, run: int, process: str, at: int) -> None:
        """Let that process be cut at the so-many-th place it passes from now on."""
        fresh = self.stops / "fresh"
        fresh.write_text(json.dumps({"run": run, "process": process, "at": at}))
        fresh.replace(self.stops / "plan")

    def cut(self, run: int) -> str | None:
        """Where that run was cut, if it was."""
        with contextlib.suppress(FileNotFoundError):
            return (self.stops / f"{run}.cut").read_text().strip()
        return None

    def passed(self, run: int, process: str) -> int:
        """How many places the process passed in that run."""
        with contextlib.suppress(FileNotFoundError):
            return len((self.stops / f"{run}.{process}").read_text().splitlines())
        return 0

    def states(self, ids: list[str]) -> list[str]:
        found = self.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        return [one["State"]["Name"] for each in found for one in each["Instances"]]

    def vms(self) -> list[dict[str, Any]]:
        return [vm for host in self.world.snapshot().values() for vm in host["vms"]]

    def folders(self) -> set[str]:
        """What is left below any host's instances folder."""
        return {
            path.split("\\")[3]
            for host in self.world.snapshot().values()
            for path in host["files"]
            if path.lower().startswith("c:\\ec2gw\\instances\\")
        }

    def close(self) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        self._nursery.close()
        self.world.close()
        self.ec2.close()
        self._listener.close()
        self._log.close()
