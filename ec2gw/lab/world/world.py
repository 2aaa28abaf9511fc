"""The world: a durable set of simulated Hyper-V hosts that live on by the clock.

A restart of the laboratory is a restart of its WinRM service, not of the hosts: their virtual
machines have gone on meanwhile, since every transition is kept with the time of its end.

Source: docs/architecture.md, "The laboratory".
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ec2gw.lab.world import disks, model, paths, power
from ec2gw.lab.world.clock import Clock, Pace, WallClock
from ec2gw.lab.world.model import GIB
from ec2gw.lab.world.session import ADMINISTRATORS, SYSTEM, Report, Session, silent
from ec2gw.lab.world.store import Store

ROOT = r"C:\ec2gw"
SWITCH = "ec2gw"
IMAGES = {
    "ec2gw-lab-linux.vhdx": ("linux", 8 * GIB, 1_300_000_000),
    "ec2gw-lab-windows.vhdx": ("windows", 30 * GIB, 9_800_000_000),
}
"""File -> what boots from it, size of the disk, bytes of the file."""
MODULES = {
    "Hyper-V": "2.0.0.0",
    "CimCmdlets": "1.0.0.0",
    "Microsoft.PowerShell.Management": "3.1.0.0",
}


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A host to be made at the first start."""

    name: str
    zone: str
    logical_processors: int = 64
    memory: int = 512 * GIB
    disk: int = 4096 * GIB


DEFAULT_HOSTS = (HostSpec("lab-a", "a"), HostSpec("lab-b", "b"), HostSpec("lab-c", "c"))


class World:
    """Thread-safe; several processes may have one world open.

    `pace` scales the model's durations: 0.02 makes a guest boot in a tenth of a second. `report`
    plays the guests' part in telling their addresses; Hyper-V itself knows none.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        hosts: Sequence[HostSpec] = DEFAULT_HOSTS,
        clock: Clock | None = None,
        pace: float = 1.0,
        report: Report = silent,
    ) -> None:
        self.path = Path(path)
        self.path.touch(mode=0o600)
        os.chmod(self.path, 0o600)
        self.clock = clock or WallClock()
        self._pace = Pace(pace)
        self._report = report
        self._store = Store(self.path)
        with self._store.changing():
            for number, spec in enumerate(hosts):
                if spec.name not in self._store.hosts:
                    self._make(spec, number)

    @property
    def hosts(self) -> tuple[str, ...]:
        with self._store.reading():
            return tuple(sorted(self._store.hosts))

    @property
    def pace(self) -> float:
        return self._pace.factor

    def close(self) -> None:
        self._store.close()

    @contextlib.contextmanager
    def reading(self, host: str) -> Iterator[Session]:
        """See a host as it is now: what has ended meanwhile is written first."""
        while True:
            with self._store.reading() as within:
                session = self._session(host)
                if within or not disks.is_due(session):
                    yield session
                    return
            with self.changing(host):
                pass

    @contextlib.contextmanager
    def changing(self, host: str) -> Iterator[Session]:
        """Change a host; it is on the disk when the block ends, or nothing of it happened."""
        with self._store.changing():
            session = self._session(host)
            disks.settle(session)
            yield session

    def _session(self, host: str) -> Session:
        return Session(self._store, host, self.clock.now(), self.pace, self._report)

    def _make(self, spec: HostSpec, number: int) -> None:
        now = self.clock.now()
        machine = model.Machine(
            name=spec.name,
            zone=spec.zone,
            id=str(uuid.uuid4()),
            booted_at=now - 86400,
            logical_processors=spec.logical_processors,
            memory=spec.memory,
            disk=spec.disk,
            root=ROOT,
            mac_prefix=f"00155D{0x0A00 + number:04X}",
            switches=[model.Switch(str(uuid.uuid4()), SWITCH)],
            modules=dict(MODULES),
        )
        self._store.put_machine(machine)
        session = Session(self._store, spec.name, now, self.pace)
        session.put_file(model.File("C:\\", True, SYSTEM, created_at=now))
        session.make_folders(paths.join(ROOT, "images"))
        session.make_folders(paths.join(ROOT, "instances"))
        for name, (guest, size, bytes_) in IMAGES.items():
            session.put_file(image(paths.join(ROOT, "images", name), guest, size, bytes_, now))

    def snapshot(self) -> dict[str, Any]:
        """Everything that assertions want to see, as plain values: hosts -> VMs and files."""
        found: dict[str, Any] = {}
        for name in self.hosts:
            with self.reading(name) as session:
                found[name] = {
                    "booted_at": session.machine.booted_at,
                    "jobs": [dataclasses.asdict(job) for job in session.machine.jobs],
                    "merging": [merge.vm_id for merge in session.machine.merges],
                    "vms": [_vm_view(vm, session.now) for vm in session.vms()],
                    "files": {
                        file.path: {
                            "folder": file.folder,
                            "size": file.size,
                            "owner": file.owner,
                            "parent": file.vhd.parent if file.vhd else None,
                            "virtual_size": file.vhd.size if file.vhd else None,
                            "read_only": file.read_only,
                            "content": disks.content(session, file.path),
                        }
                        for file in session.host.files.values()
                    },
                }
        return found


def image(
    path: str, guest: str, size: int, bytes_: int, now: float, generations: Sequence[int] = (2,)
) -> model.File:
    """A base image: dynamic, read-only, with something that boots in it."""
    vhd = model.Vhd(
        format="VHDX",
        type="Dynamic",
        size=size,
        identifier=str(uuid.uuid4()).upper(),
        guest=guest,
        generations=list(generations),
    )
    return model.File(
        path,
        False,
        ADMINISTRATORS,
        size=bytes_,
        created_at=now,
        changed_at=now,
        read_only=True,
        vhd=vhd,
    )


def _vm_view(vm: model.Vm, now: float) -> dict[str, Any]:
    return {
        "id": vm.id,
        "name": vm.name,
        "state": vm.state,
        "notes": vm.notes,
        "path": vm.path,
        "generation": vm.generation,
        "processors": vm.processors,
        "memory_bytes": vm.memory_startup,
        "heartbeat": power.heartbeat(vm, now),
        "uptime_seconds": power.uptime(vm, now),
        "disks": [disk.path for disk in vm.disks],
        "places": {
            f"{disk.controller_type} {disk.number}:{disk.location}": disk.path for disk in vm.disks
        },
        "checkpoints": [one.name for one in vm.snapshots],
        "rules": {nic.name: [dataclasses.asdict(one) for one in nic.acls] for nic in vm.nics},
        "dvds": [dvd.path for dvd in vm.dvds],
        "nics": [
            {
                "name": nic.name,
                "mac": nic.mac,
                "switch": nic.switch,
                "vlan": nic.vlan_id if nic.vlan_mode == "Access" else None,
                "mac_spoofing": nic.mac_spoofing,
                "dhcp_guard": nic.dhcp_guard,
                "router_guard": nic.router_guard,
            }
            for nic in vm.nics
        ],
    }
