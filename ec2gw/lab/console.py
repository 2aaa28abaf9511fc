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
from collections.abc import Sequence
from typing import Any

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import LabMachine
from ec2gw.lab.world import World, model, paths, power
from ec2gw.lab.world import session as sessions
from ec2gw.lab.world import world as worlds
from ec2gw.lab.world.session import Session


class NoSuchThing(LookupError):
    """No machine or file of that name, or more than one."""


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

    def set_addresses(self, host: str, vm: str, addresses: str) -> None:
        """Let the guest report these, separated by commas, on its first adapter."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            found.addresses[found.nics[0].id] = [one for one in addresses.split(",") if one]
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

    def edit_notes(self, host: str, vm: str, notes: str) -> None:
        self._invoke(host, "Set-VM", vm, Notes=notes)

    def remove(self, host: str, vm: str) -> None:
        """Remove the machine as Hyper-V Manager does: it must be off, and its disks stay."""
        self._invoke(host, "Remove-VM", vm, Force=True)

    def add_checkpoint(self, host: str, vm: str, name: str) -> str:
        """Make a checkpoint of a machine, as a backup program may; answers its id."""
        with self._world.changing(host) as session:
            found = _find(session, vm)
            made = session.checkpoint(found, name)
            session.put_vm(found)
            return made.id

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
            session.put_machine()

    def press_memory(self, host: str, gib: int) -> None:
        """Let something else on the host hold memory."""
        with self._world.changing(host) as session:
            session.machine.memory_pressure = gib * model.GIB
            session.put_machine()

    def press_disk(self, host: str, gib: int) -> None:
        with self._world.changing(host) as session:
            session.machine.disk_pressure = gib * model.GIB
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
        kinds = {"int": int, "float": float, "str": str}
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
