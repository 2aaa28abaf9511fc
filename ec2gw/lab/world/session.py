"""One host as seen or changed within one transaction: what the cmdlets and the console work on.

Holds the rules that span records: which files are open, what memory and disk are left, what boots.

Source: docs/laboratory.md (Hyper-V's file locks, limits and start conditions).
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

from ec2gw.lab.world import model, paths, power
from ec2gw.lab.world.model import GIB
from ec2gw.lab.world.store import Store

MAXIMUM_RUNNING_VMS = 1024
MAXIMUM_VIRTUAL_PROCESSORS = 2048
MAXIMUM_PROCESSORS = {1: 64, 2: 240}
MAXIMUM_MEMORY = {1: 1024 * GIB, 2: 12 * 1024 * GIB}
"""Per VM, by generation. Source: learn.microsoft.com, "Plan for Hyper-V scalability"."""
APPEND_BYTES = 4096
HOST_RESERVE = 4 * GIB
"""What the management operating system keeps for itself."""
TEMPLATES = {"windows": "MicrosoftWindows", "linux": "MicrosoftUEFICertificateAuthority"}
SYSTEM = r"NT AUTHORITY\SYSTEM"
ADMINISTRATORS = r"BUILTIN\Administrators"
SERVICE = "vmms"
"""Holds the files that the host's management service works on."""


TURNED_OFF, ASKED, BY_GUEST = 18502, 18504, 18508
"""Events of Microsoft-Windows-Hyper-V-Worker-Admin: how a machine went off."""
RESET_BY_GUEST = 18514
"""Its guest has rebooted."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    at: float
    number: int
    vm_id: str
    vm_name: str


Report = Callable[[model.Vm, model.Nic], Sequence[str]]
"""What the guest of a VM tells of the addresses of one of its adapters."""


def silent(vm: model.Vm, nic: model.Nic) -> Sequence[str]:
    """Tell only what a test has put into the VM itself."""
    return vm.addresses.get(nic.id, ())


class Session:
    """A host at one moment. Changes are kept by the `put_...` and `drop_...` of it alone."""

    def __init__(
        self, store: Store, name: str, now: float, pace: float, report: Report = silent
    ) -> None:
        self._store = store
        self._report = report
        self.host = store.hosts[name]
        self.machine = self.host.machine
        self.name = name
        self.now = now
        self.pace = pace
        for vm in self.host.vms.values():
            if vm.steps:
                power.settle(vm, now)

    # -- virtual machines

    def vms(self) -> Sequence[model.Vm]:
        return sorted(self.host.vms.values(), key=lambda vm: (vm.name.lower(), vm.id))

    def vm(self, vm_id: str) -> model.Vm | None:
        return self.host.vms.get(vm_id)

    def put_vm(self, vm: model.Vm) -> None:
        self._store.put_vm(self.name, vm)

    def drop_vm(self, vm: model.Vm) -> None:
        self._store.drop_vm(self.name, vm.id)

    def put_machine(self) -> None:
        self._store.put_machine(self.machine)

    def switch(self, name: str) -> model.Switch | None:
        for one in self.machine.switches:
            if one.name.lower() == name.lower():
                return one
        return None

    def assigned_memory(self) -> int:
        return sum(vm.memory_startup for vm in self.host.vms.values() if power.working(vm))

    def free_memory(self) -> int:
        held = HOST_RESERVE + self.machine.memory_pressure + self.assigned_memory()
        return max(self.machine.memory - held, 0)

    def boots(self, vm: model.Vm) -> str:
        """Name the operating system that comes up from the first disk, if one does."""
        disks = sorted(vm.disks, key=lambda one: (one.controller_type, one.number, one.location))
        for disk in disks:
            vhd = self.image_of(disk.path) if disk.path else None
            if vhd is None or not vhd.guest or vm.generation not in vhd.generations:
                continue
            secured = vm.generation == 2 and vm.secure_boot == "On"
            if secured and vm.secure_boot_template != TEMPLATES.get(vhd.guest):
                return ""  # "The boot image's hash is not allowed": it runs, and nothing comes up
            return vhd.guest
        return ""

    def went_off(self, vm: model.Vm, event: int) -> None:
        """Log why the machine goes off, at the moment when it will be."""
        self._store.unlog(self.name, vm.id, self.now)
        if vm.steps:
            self._store.log(self.name, vm.steps[-1].at, event, vm)

    def will_reboot(self, vm: model.Vm) -> None:
        """Log the reboot of its guest, at the moment when it will have gone down."""
        if vm.guest.shutdown == "obeys":
            at = self.now + vm.guest.shutdown_seconds * self.pace
            self._store.log(self.name, at, RESET_BY_GUEST, vm)

    def events(self) -> list[Event]:
        """What the log of the workers holds by now, newest first."""
        return [Event(*row) for row in self._store.events(self.name, self.now)]

    def addresses(self, vm: model.Vm, nic: model.Nic) -> list[str]:
        """What Hyper-V knows by the guest's key-value daemon: nothing before it runs."""
        if vm.addresses_at is None or self.now < vm.addresses_at or not power.working(vm):
            return []
        return list(self._report(vm, nic))

    # -- files

    def file(self, path: str) -> model.File | None:
        try:
            return self.host.files.get(paths.key(path))
        except paths.BadPath:
            return None

    def put_file(self, file: model.File) -> None:
        self._store.put_file(self.name, file)

    def drop_file(self, path: str) -> None:
        self._store.drop_file(self.name, path)

    def make_folders(self, path: str, owner: str = ADMINISTRATORS) -> None:
        """Create a folder and those above it, where they are missing."""
        at = paths.canonical(path)
        missing: list[str] = []
        while len(at) > 3 and self.file(at) is None:
            missing.append(at)
            at = paths.parent(at)
        for one in reversed(missing):
            self.put_file(model.File(one, True, owner, created_at=self.now, changed_at=self.now))

    def children(self, path: str) -> list[model.File]:
        """What lies in the folder and below it, the deepest first."""
        prefix = paths.key(path).rstrip("\\") + "\\"
        found = [file for key, file in self.host.files.items() if key.startswith(prefix)]
        return sorted(found, key=lambda file: file.path.count("\\"), reverse=True)

    def free_disk(self) -> int:
        used = sum(file.size for file in self.host.files.values())
        for job in self.machine.jobs:
            if not job.ended:
                used += job.bytes * job.progress(self.now) // 100
        return max(self.machine.disk - self.machine.disk_pressure - used, 0)

    def chain(self, path: str) -> Iterator[model.File]:
        """A virtual disk and its parents; ends at the first that is missing."""
        seen: set[str] = set()
        at: str | None = path
        while at is not None and (file := self.file(at)) is not None and at.lower() not in seen:
            seen.add(at.lower())
            yield file
            at = file.vhd.parent if file.vhd else None

    def image_of(self, path: str) -> model.Vhd | None:
        """What the bottom of the chain was made from; None when the chain is broken."""
        last = None
        for file in self.chain(path):
            if last is not None and file.vhd and last.parent_stamp != file.vhd.stamp:
                return None
            last = file.vhd
        return last if last is not None and last.parent is None else None

    def open_files(self) -> dict[str, str]:
        """Keys of the files that are open, each with the machine that holds it, or `SERVICE`."""
        held: dict[str, str] = {}
        for merge in self.machine.merges:
            for path in itertools.chain(*merge.pairs):
                held[paths.key(path)] = merge.vm_id
        for job in self.machine.jobs:
            if not job.ended:
                held[paths.key(job.destination)] = SERVICE
        for vm in self.host.vms.values():
            if power.holds_files(vm, self.now):
                for path in self.attached(vm):
                    for file in self.chain(path):
                        held.setdefault(paths.key(file.path), vm.id)
        for job in self.machine.jobs:
            if not job.ended:
                for file in self.chain(job.source):
                    held.setdefault(paths.key(file.path), SERVICE)
        return held

    def written_files(self) -> frozenset[str]:
        """Keys of the files that somebody writes: not even a reader opens them besides."""
        leaves = {
            paths.key(disk.path)
            for vm in self.host.vms.values()
            if power.holds_files(vm, self.now)
            for disk in vm.disks
            if disk.path
        }
        merged = {
            paths.key(path)
            for merge in self.machine.merges
            for pair in merge.pairs
            for path in pair
        }
        made = {paths.key(job.destination) for job in self.machine.jobs if not job.ended}
        return frozenset(leaves | merged | made)

    def attached(self, vm: model.Vm) -> list[str]:
        held = [disk.path for disk in vm.disks] + [dvd.path for dvd in vm.dvds]
        return [path for path in held if path]

    def outlive(self, vm: model.Vm) -> None:
        """Keep the files of a machine open that goes before its worker process has ended."""
        for path in self.attached(vm):
            file = self.file(path)
            if file is not None and file.locked_until < vm.released_at:
                self.put_file(dataclasses.replace(file, locked_until=vm.released_at))

    def in_use(self, path: str) -> bool:
        """Whether deleting or rewriting the file would be a sharing violation."""
        file = self.file(path)
        if file is not None and file.locked_until > self.now:
            return True
        return paths.key(path) in self.open_files()

    def owned_by_vm(self, path: str) -> bool:
        """Whether it is the configuration file of a machine, or of a checkpoint, that exists."""
        name, _, ending = paths.name(path).lower().rpartition(".")
        if ending not in ("vmcx", "vmrs"):
            return False
        taken = (one.id for vm in self.host.vms.values() for one in vm.snapshots)
        return name in self.host.vms or name in taken

    # -- contents

    def write_chunk(self, path: str, offset: int, data: bytes) -> model.File:
        """Put bytes at an offset; the file and its size grow as needed."""
        file = self.file(path) or model.File(
            paths.canonical(path), False, ADMINISTRATORS, created_at=self.now
        )
        end = max(file.size, offset + len(data))
        changed = dataclasses.replace(file, size=end, changed_at=self.now)
        self.put_file(changed)
        self._store.chunk(self.name, path, offset, data)
        return changed

    def append(self, path: str, data: bytes) -> None:
        file = self.file(path)
        end = file.size if file else 0
        last = self._store.last_chunk(self.name, path)
        # Few large pieces are read faster than many small ones.
        if last is not None and len(last[1]) < APPEND_BYTES and last[0] + len(last[1]) == end:
            end, data = last[0], last[1] + data
        self.write_chunk(path, end, data)

    def content(self, path: str) -> bytes:
        file = self.file(path)
        if file is None:
            raise FileNotFoundError(path)
        found = bytearray(file.size)
        for offset, data in self._store.chunks(self.name, path):
            found[offset : offset + len(data)] = data
        return bytes(found[: file.size])

    def head(self, path: str) -> bytes:
        """The first piece of what is kept of a file."""
        kept = next(iter(self._store.chunks(self.name, path)), (0, b""))
        return kept[1] if kept[0] == 0 else b""

    def digest(self, path: str) -> str:
        return hashlib.sha256(self.content(path)).hexdigest()

    def rename(self, path: str, target: str) -> None:
        """Move a file over another."""
        file = self.file(path)
        if file is None:
            raise FileNotFoundError(path)
        self._store.move_chunks(self.name, path, target)
        self._store.drop_file(self.name, path)
        self.put_file(dataclasses.replace(file, path=paths.canonical(target)))

    def empty(self, path: str) -> None:
        """Cut a file to no bytes."""
        file = self.file(path)
        if file is not None:
            self._store.drop_chunks(self.name, path)
            self.put_file(dataclasses.replace(file, size=0, changed_at=self.now))
