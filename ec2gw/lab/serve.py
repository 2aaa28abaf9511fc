"""The laboratory's program: doors and interpreters in front of one durable world.

``python -m ec2gw.lab.serve --data DIR --listen 127.0.0.1:0``. Its end is a restart of WinRM, not
of the hosts. It ends on SIGTERM, and when the process that started it is gone.

Source: docs/architecture.md, "The laboratory" and "Processes".
"""

from __future__ import annotations

import argparse
import fcntl
import ipaddress
import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ec2gw import children, logs
from ec2gw.lab import agent
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.server import Door
from ec2gw.lab.porter import Porter
from ec2gw.lab.world import World, consoles
from ec2gw.lab.world.clock import FAULTS_VARIABLE
from ec2gw.lab.world.world import IMAGES, SWITCH
from state import stop_points

USER = "ec2gw"
PARENT_POLL_SECONDS = 0.5


class AlreadyServed(Exception):
    """Another laboratory holds this data folder."""


class UnsafeListener(Exception):
    """The laboratory is for this machine alone."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the first host's door opens; port 0: where it did last time, or anywhere."""

    address: str
    port: int

    @classmethod
    def read(cls, text: str) -> Listen:
        """Read ``HOST:PORT``.

        :raises UnsafeListener: for an address that is not loopback
        """
        host, _, port = text.rpartition(":")
        address = "127.0.0.1" if host in ("", "localhost") else host.strip("[]")
        if not ipaddress.ip_address(address).is_loopback:
            raise UnsafeListener(f"{text}: the laboratory listens on loopback only")
        return cls(address, int(port))


class Laboratory:
    """Everything behind `ec2gw lab`, in this process; several may not share a data folder.

    :raises AlreadyServed: when another process holds the folder
    """

    def __init__(
        self, data: Path, listen: Listen, *, pace: float = 1.0, limits: Limits | None = None
    ) -> None:
        """`limits`: what each host grants, a current server's quotas without."""
        self._limits = limits
        self.folder = data / "lab"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _take(self.folder / "lock")
        self._listen = listen
        self.world = World(self.folder / "world.sqlite3", pace=pace)
        self._known = _read(self.folder / "hosts.json")
        self._password = str(self._known.get("password") or secrets.token_urlsafe(24))
        self._doors: dict[str, Door] = {}
        self._porter: Porter | None = None

    def start(self) -> None:
        """Open a door for each host, then tell in `hosts.json` how to get in."""
        for number, name in enumerate(self.world.hosts):
            with self.world.changing(name) as session:  # its agents ended with the last one
                consoles.settle(session, agents=False)
                session.machine.agents = {}
                session.put_machine()
            self._doors[name] = self._open(name, number)
        self._porter = Porter(self.world)
        _write(self.folder / "hosts.json", self.describe())

    def stop(self) -> None:
        if self._porter is not None:
            self._porter.stop()
        for door in self._doors.values():
            door.stop()
        self.world.close()
        os.close(self._lock)

    @property
    def endpoints(self) -> Mapping[str, str]:
        return {name: door.endpoint for name, door in self._doors.items()}

    @property
    def faults(self) -> Mapping[str, Faults]:
        """Where tests put faults into the doors, by host."""
        return {name: door.faults for name, door in self._doors.items()}

    def _open(self, name: str, number: int) -> Door:
        faults = Faults(name)
        faults.around_message = _stop_point
        if FAULTS_VARIABLE in os.environ:
            faults.follow(Path(os.environ[FAULTS_VARIABLE]))
        port = self._listen.port + number if self._listen.port else self._last_port(name)
        while True:
            door = Door(
                (self._listen.address, port),
                agent.powershell(LabMachine(self.world, name)),
                Credentials([Account(USER, self._password)], self.folder),
                machine=name,
                limits=self._limits,
                faults=faults,
            )
            try:
                door.start()
            except OSError:
                if self._listen.port or port == 0:
                    raise
                port = 0  # somebody else has the port of last time
            else:
                return door

    def _last_port(self, name: str) -> int:
        for host in self._known.get("hosts", []):
            if host["name"] == name:
                return int(str(host["url"]).rpartition(":")[2].partition("/")[0])
        return 0

    def describe(self) -> dict[str, Any]:
        """What `hosts.json` tells: the hosts, how to get in, the images in their stores."""
        hosts = []
        for name, door in self._doors.items():
            with self.world.reading(name) as session:
                machine = session.machine
            hosts.append(
                {
                    "name": name,
                    "id": machine.id,
                    "zone": machine.zone,
                    "url": door.endpoint,
                    "user": USER,
                    "password": self._password,
                    "root": machine.root,
                    "switch": SWITCH,
                    "ca": None,
                }
            )
        images = [
            {"file": file, "platform": guest, "size_bytes": size}
            for file, (guest, size, _) in IMAGES.items()
        ]
        return {"password": self._password, "hosts": hosts, "images": images}


def _stop_point(moment: str, kind: str) -> None:
    # A client receives all the time; what it sends is what can be cut.
    if kind == "Send":
        stop_points.reach(f"lab {moment} Send")


def _take(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise AlreadyServed(f"another laboratory holds {path.parent}") from None
    return descriptor


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, value: Mapping[str, Any]) -> None:
    """Write whole or not at all; nobody else may read it at any moment."""
    fresh = path.with_suffix(".fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _wait(stopping: threading.Event, parent: int) -> None:
    """Until SIGTERM, or until whoever started us is gone."""
    while not stopping.wait(PARENT_POLL_SECONDS):
        if os.getppid() != parent:
            return


def main(arguments: Sequence[str] | None = None) -> int:
    parent = children.parent()
    parser = argparse.ArgumentParser(prog="ec2gw lab", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT of the first host")
    parser.add_argument("--pace", type=float, default=1.0, help="factor on all durations")
    options = parser.parse_args(arguments)
    logs.begin("lab")
    stop_points.arm("lab")
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        laboratory = Laboratory(options.data, Listen.read(options.listen), pace=options.pace)
        laboratory.start()
    except (AlreadyServed, UnsafeListener, ValueError, OSError) as error:
        print(f"ec2gw lab: {error}", file=sys.stderr)
        return 1
    endpoints = " ".join(f"{name}={url}" for name, url in laboratory.endpoints.items())
    print(f"laboratory ready: {endpoints}", flush=True)
    try:
        _wait(stopping, parent)
    finally:
        laboratory.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
