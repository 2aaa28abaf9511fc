"""What happens at hosts besides our calls: guests, administrators, pressure, restarts.

For tests and demonstrations. A `Console` works on a `World` of its own process or on one that a
running laboratory has open: both see each other's changes at their next call. As a program,
``python -m ec2gw.lab.console WORLD ACT HOST [ARGUMENT...]``; ``snapshot`` prints everything.

Source: docs/laboratory.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import World, consoles, disks, filtering, model, paths, power
from ec2gw.lab.world import session as sessions
from ec2gw.lab.world import world as worlds
from ec2gw.lab.world.session import Session

EVERYWHERE = ("before", "after")
"""Faults of any cmdlet: it fails and did nothing, or did all and fails. A code may follow a colon:
`before:0x80070020`."""
INJECTED = {
    "Hyper-V\\Add-VMHardDiskDrive": ("half",),
    "Hyper-V\\Remove-VMSnapshot": ("stuck",),
    "Agent\\Set-VMIdentity": ("serial",),
    "Agent\\Start-DiskCopy": ("exception", "warnings", "stuck"),
}
"""Faults of their own: an empty drive is left; a merge that never ends; a serial number is refused;
how a copy's job ends."""


class NoSuchThing(LookupError):
    """No machine or file of that name, or more than one; no such fault."""


class Console:
    """Acts on the hosts of a world. A machine is named by its id, or by a name that only it has."""

    def __init__(self, world: World) -> None:
        self._world = world

    # -- the guest

    def guest_shuts_down(self, host: str, vm: str) -> None:
        """Its own operating system goes down, as after `shutdown -h now` inside."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            found.steps = [model.Step(session.now + _shutdown_seconds(session, found), "Off")]
            found.release_seconds = power.RELEASE_SECONDS * session.pace
            session.went_off(found, sessions.BY_GUEST)
            session.put_vm(found)

    def guest_reboots(self, host: str, vm: str) -> None:
        with self._world.changing(host) as session:
            found = _find(session, vm)
            power.reboot(found, session.now, session.pace)
            session.will_reboot(found)
            session.put_vm(found)

    def guest_crashes(self, host: str, vm: str) -> None:
        """It stops answering, and does not hear a request to shut down."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            found.silent_from = session.now
            session.put_vm(found)

    def set_guest(self, host: str, vm: str, behaviour: str, value: str) -> None:
        """Set one of `model.Guest`'s fields: `shutdown` to `ignores`, `boots` to `false`."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            kind = type(getattr(found.guest, behaviour))
            setattr(found.guest, behaviour, json.loads(value) if kind is not str else value)
            session.put_vm(found)

    def guest_writes(self, host: str, vm: str, word: str, location: int = 0, mib: int = 64) -> None:
        """Let it write onto the disk at that location: a word that can be read back, and size.

        Where there is no room the machine is paused in the middle, and nothing is written.
        """
        with self._world.changing(host) as session:
            found = _find(session, vm)
            paths_there = [one.path for one in found.disks if one.location == location and one.path]
            file = session.file(paths_there[0]) if paths_there else None
            if file is None or file.vhd is None or not power.working(found):
                raise NoSuchThing(f"{vm} writes to no disk at {location}")
            more = min(mib * 1024**2, file.vhd.size + disks.EMPTY_BYTES - file.size)
            if more > session.free_disk():
                found.state, found.changed_at = power.CRITICAL, session.now
                session.put_vm(found)
                return
            size = file.size + more
            vhd = dataclasses.replace(file.vhd, data=[*file.vhd.data, word])
            session.put_file(dataclasses.replace(file, size=max(size, file.size), vhd=vhd))

    def guest_says(self, host: str, vm: str, text: str) -> None:
        """Let it write to its serial console: who reads it has it."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            if not power.working(found):
                raise NoSuchThing(f"{vm} is off")
            consoles.settle(session)
            power.say(found, session.now, text)
            consoles.settle(session)
            session.put_vm(found)

    def reader_dies(self, host: str) -> None:
        """Let the task that reads consoles end, as something else on the host might."""
        with self._world.changing(host) as session:
            consoles.settle(session)
            session.machine.reader_running = False
            session.put_machine()

    def set_addresses(self, host: str, vm: str, addresses: str) -> None:
        """Let the guest report these, separated by commas, on its first adapter."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            found.addresses[found.nics[0].id] = [one for one in addresses.split(",") if one]
            session.put_vm(found)

    # -- the switch

    def would_pass(
        self,
        host: str,
        vm: str,
        direction: str,
        protocol: int,
        local: str,
        remote: str,
        local_port: int = 0,
        remote_port: int = 0,
        is_reply: bool = False,
        icmp_type: int = 0,
        mac: str = "",
        adapter: int = 0,
    ) -> bool:
        """Say whether a packet would pass the port of a machine's adapter: `Inbound`, 6 for TCP."""
        packet = filtering.Packet(
            direction, protocol, local, remote, local_port, remote_port, icmp_type, is_reply, mac
        )
        with self._world.reading(host) as session:
            return filtering.passes(_find(session, vm).nics[adapter], packet)

    def forget_rules(self, host: str, vm: str, adapter: int = 0) -> None:
        """Let the port of an adapter lose its rules, as settings of ports were seen to vanish."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            found.nics[adapter].acls = []
            session.put_vm(found)

    # -- an administrator

    def start(self, host: str, vm: str) -> None:
        self._invoke(host, "Start-VM", vm)

    def turn_off(self, host: str, vm: str) -> None:
        self._invoke(host, "Stop-VM", vm, TurnOff=True)

    def shut_down(self, host: str, vm: str) -> None:
        """Ask the guest, as `Stop-VM` without switches does, and wait for it."""
        self._invoke(host, "Stop-VM", vm)

    def save(self, host: str, vm: str) -> None:
        self._invoke(host, "Save-VM", vm)

    def rename(self, host: str, vm: str, name: str) -> None:
        self._invoke(host, "Rename-VM", vm, NewName=name)

    def move(self, host: str, vm: str, to: str) -> None:
        """Move a machine with the files in its folder to another host, as a cluster would."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            files = session.children(found.path)
            for file in files:
                session.drop_file(file.path)
            session.drop_vm(found)
        with self._world.changing(to) as session:
            session.make_folders(found.path)
            for file in reversed(files):
                session.put_file(file)
            session.put_vm(found)

    def edit_notes(self, host: str, vm: str, notes: str) -> None:
        self._invoke(host, "Set-VM", vm, Notes=notes)

    def remove(self, host: str, vm: str) -> None:
        """Remove the machine as Hyper-V Manager does: it must be off, and its disks stay."""
        self._invoke(host, "Remove-VM", vm, Force=True)

    def add_checkpoint(self, host: str, vm: str, name: str) -> str:
        """Make a checkpoint of a machine, as a backup program may; answers its id."""
        with self._world.changing(host) as session:
            made_id = str(uuid.uuid4())
            disks.take(session, _find(session, vm), name, made_id, False)
            return made_id

    def add_foreign_vm(
        self, host: str, name: str, folder: str = r"C:\Hyper-V", memory_mib: int = 1024
    ) -> str:
        """Make a machine that is not ours, of any name; answers its id."""
        arguments = {
            "Name": name,
            "Generation": 2,
            "MemoryStartupBytes": memory_mib * 1024**2,
            "NoVHD": True,
            "Path": folder,
        }
        made = LabMachine(self._world, host).invoke("Hyper-V\\New-VM", arguments).objects[0]
        return str(made.property("Id"))  # type: ignore[attr-defined]

    def _invoke(self, host: str, cmdlet: str, vm: str, **arguments: object) -> None:
        machine = LabMachine(self._world, host)
        with self._world.reading(host) as session:
            vm_id = _find(session, vm).id
        objects = machine.invoke("Hyper-V\\Get-VM", {"Id": vm_id}).objects
        machine.invoke(f"Hyper-V\\{cmdlet}", {"VM": list(objects), **arguments})

    # -- the host

    def reboot_host(self, host: str, down_seconds: float = 0.0) -> None:
        """Restart the host's operating system; machines do as their automatic actions say."""
        with self._world.changing(host) as session:
            back = session.now + down_seconds
            for vm in session.vms():
                ran = power.working(vm)
                if ran:
                    _stop_with_host(session, vm)
                starts = vm.start_action == "Start" or (vm.start_action == "StartIfRunning" and ran)
                if starts:
                    at = back + vm.start_delay * session.pace
                    power.start_later(vm, at, session.pace, bool(session.boots(vm)))
                session.put_vm(vm)
            session.machine.booted_at = back
            session.machine.makings = []
            disks.forget_jobs(session)

    def press_memory(self, host: str, gib: int) -> None:
        """Let something else on the host hold memory."""
        with self._world.changing(host) as session:
            session.machine.memory_pressure = gib * model.GIB
            session.put_machine()

    def press_disk(self, host: str, gib: int) -> None:
        with self._world.changing(host) as session:
            session.machine.disk_pressure = gib * model.GIB
            session.put_machine()

    def set_disk_rate(self, host: str, mib_per_second: int) -> None:
        """Say how fast copies and merges that begin from now on go; at 0 they never end."""
        with self._world.changing(host) as session:
            session.machine.disk_rate = mib_per_second * 1024**2
            session.put_machine()

    def set_file_system(self, host: str, name: str, build: int = 20348) -> None:
        """What the host's disk is formatted with, and the build of its Windows."""
        with self._world.changing(host) as session:
            session.machine.file_system, session.machine.build = name, build
            session.put_machine()

    def restart_service(self, host: str) -> None:
        """Restart the management service: it forgets its jobs, and half-made copies stay."""
        with self._world.changing(host) as session:
            session.machine.makings = []
            disks.forget_jobs(session)

    def inject(self, host: str, cmdlet: str, what: str, times: int = 1) -> None:
        """Let a cmdlet, named with its module, fail the next times; see docs/laboratory.md."""
        word, _, code = what.partition(":")
        if word not in INJECTED.get(cmdlet, ()) and word not in EVERYWHERE:
            raise NoSuchThing(f"{cmdlet} has no fault {word}")
        if code and word not in EVERYWHERE:
            raise NoSuchThing(f"{word} has no code")
        with self._world.changing(host) as session:
            session.machine.injected.append(model.Injected(cmdlet, what, times))
            session.put_machine()

    def uninstall(self, host: str, cmdlet: str) -> None:
        """Let the host lack a cmdlet, named with its module."""
        with self._world.changing(host) as session:
            session.machine.lacks.append(cmdlet)
            session.put_machine()

    def deny(self, host: str, cmdlet: str) -> None:
        """Take the account's right to a cmdlet, named with its module."""
        with self._world.changing(host) as session:
            session.machine.denies.append(cmdlet)
            session.put_machine()

    def remove_switch(self, host: str, name: str) -> None:
        with self._world.changing(host) as session:
            kept = [one for one in session.machine.switches if one.name != name]
            session.machine.switches = kept
            session.put_machine()

    # -- files

    def lock_file(self, host: str, path: str, seconds: float) -> None:
        """Let a backup program hold a file open."""
        with self._world.changing(host) as session:
            file = _file(session, path)
            until = session.now + seconds
            session.put_file(dataclasses.replace(file, locked_until=until))

    def disk_content(self, host: str, path: str) -> str:
        """Read what guests wrote onto a disk and its parents: the words, separated by blanks."""
        with self._world.reading(host) as session:
            return " ".join(disks.content(session, _file(session, path).path))

    def delete_file(self, host: str, path: str) -> None:
        with self._world.changing(host) as session:
            session.drop_file(_file(session, path).path)

    def put_file(self, host: str, path: str, text: str) -> None:
        with self._world.changing(host) as session:
            session.make_folders(paths.parent(path))
            session.write_chunk(path, 0, text.encode())

    def put_reparse_point(self, host: str, path: str) -> None:
        """Put a junction to elsewhere where our folders lie."""
        with self._world.changing(host) as session:
            session.make_folders(path)
            session.put_file(dataclasses.replace(_file(session, path), reparse=True))

    def add_image(
        self, host: str, name: str, guest: str = "linux", gib: int = 8, generation: int = 2
    ) -> str:
        """Put a base image into the root's `images`; answers its path."""
        with self._world.changing(host) as session:
            path = paths.join(session.machine.root, "images", name)
            size = gib * model.GIB
            session.put_file(worlds.image(path, guest, size, size // 8, session.now, [generation]))
            return path

    def snapshot(self) -> dict[str, Any]:
        return self._world.snapshot()


def _find(session: Session, vm: str) -> model.Vm:
    found = session.vm(vm.lower())
    if found is not None:
        return found
    named = [one for one in session.vms() if one.name == vm]
    if len(named) != 1:
        raise NoSuchThing(f"{len(named)} machines named {vm} on {session.name}")
    return named[0]


def _file(session: Session, path: str) -> model.File:
    found = session.file(path)
    if found is None:
        raise NoSuchThing(f"no file {path} on {session.name}")
    return found


def _shutdown_seconds(session: Session, vm: model.Vm) -> float:
    return vm.guest.shutdown_seconds * session.pace


def _stop_with_host(session: Session, vm: model.Vm) -> None:
    vm.steps = []
    if vm.stop_action == "Save" and vm.state in ("Running", "Paused"):
        vm.state, vm.started_at = "Saved", None
    else:
        vm.state = "Off"
        power.power_down(vm, session.now)
    vm.changed_at = vm.released_at = session.now


def main(arguments: Sequence[str]) -> int:
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    name = arguments[1].replace("-", "_")
    if name.startswith("_") or not hasattr(Console, name):
        print(f"no act {arguments[1]}", file=sys.stderr)
        return 2
    world = World(arguments[0], hosts=())
    try:
        act = getattr(Console(world), name)
        parameters = list(inspect.signature(act).parameters.values())
        kinds: dict[str, Callable[[str], object]] = {
            "int": int,
            "float": float,
            "str": str,
            "bool": lambda text: text.lower() == "true",
        }
        values = [
            kinds[str(parameter.annotation)](text)
            for parameter, text in zip(parameters, arguments[2:], strict=False)
        ]
        answer = act(*values)
    except (NoSuchThing, CmdletError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        world.close()
    if answer is not None:
        print(answer if isinstance(answer, str) else json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
