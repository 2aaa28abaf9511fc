"""What guests write to their serial consoles, and who reads it: what nobody reads is lost.

Between two changes of who reads, nothing changes: so all that was written meanwhile is put into
the logs, or dropped, when somebody looks, or right before such a change.

Source: `console.ps1` of the agent, which does the same on real hosts.
"""

from __future__ import annotations

from ec2gw.lab.world import model, paths
from ec2gw.lab.world.session import Session

FOLDER = "console"
LARGEST_BYTES = 256 * 1024
"""Of a log, before it becomes the old one."""
_PIPE = "\\\\.\\pipe\\"


def is_read(machine: model.Machine) -> bool:
    """Whether the task or some agent reads the pipes."""
    return machine.reader_running or machine.agents > 0


def settle(session: Session, *, read: bool | None = None) -> None:
    """Put what was written by now into the logs of those whose consoles are read.

    `read` False: nobody did, whatever was written down of it.
    """
    machine = session.machine
    reading = is_read(machine) if read is None else read
    for vm in session.vms():
        said = [one for one in vm.said if one.at <= session.now]
        if not said:
            continue
        vm.said = [one for one in vm.said if one.at > session.now]
        session.put_vm(vm)
        name = _pipe(vm)
        if reading and name in machine.watched:
            _append(session, name, "".join(one.text for one in said).encode("latin-1"))


def log(session: Session, name: str) -> str:
    """Where the log of a console lies."""
    return paths.join(session.machine.root, FOLDER, f"{name}.log")


def _pipe(vm: model.Vm) -> str:
    """Name the pipe of the first COM port, which no guest without one writes to."""
    path = vm.com_ports[0] if vm.com_ports else ""
    return path.removeprefix(_PIPE) if path.startswith(_PIPE) else ""


def _append(session: Session, name: str, data: bytes) -> None:
    path = log(session, name)
    file = session.file(path)
    if file is None:
        session.make_folders(paths.parent(path))
    elif file.size + len(data) > LARGEST_BYTES:
        if session.file(path + ".old") is not None:
            session.drop_file(path + ".old")
        session.rename(path, path + ".old")
    if len(data) <= session.free_disk():
        session.append(path, data)
