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


def settle(session: Session, *, agents: bool = True) -> None:
    """Put what was written by now into the logs of those whose consoles are read.

    `agents` False: they have long ended, whatever was written down of them.
    """
    machine = session.machine
    reading = {root for root, alive in machine.agents.items() if alive > 0 and agents}
    if machine.reader_running:
        reading.add(machine.root.lower())
    for vm in session.vms():
        said = [one for one in vm.said if one.at <= session.now]
        if not said:
            continue
        vm.said = [one for one in vm.said if one.at > session.now]
        session.put_vm(vm)
        name = _pipe(vm)
        for root in reading:
            if name in machine.watched.get(root, ()):
                data = "".join(one.text for one in said).encode("latin-1")
                _append(session, log(root, name), data)


def log(root: str, name: str) -> str:
    """Where the log of a console lies."""
    return paths.join(root, FOLDER, f"{name}.log")


def _pipe(vm: model.Vm) -> str:
    """Name the pipe of the first COM port, which no guest without one writes to."""
    path = vm.com_ports[0] if vm.com_ports else ""
    return path.removeprefix(_PIPE) if path.startswith(_PIPE) else ""


def _append(session: Session, path: str, data: bytes) -> None:
    file = session.file(path)
    if file is None:
        session.make_folders(paths.parent(path))
    elif file.size + len(data) > LARGEST_BYTES:
        if session.file(path + ".old") is not None:
            session.drop_file(path + ".old")
        session.rename(path, path + ".old")
    if len(data) <= session.free_disk():
        session.append(path, data)
