"""Start-, Stop-, Restart-, Save-, Suspend- and Resume-VM: requests to change a machine's state.

Source: learn.microsoft.com/powershell/module/hyper-v; docs/laboratory.md, "States".
"""

from __future__ import annotations

from collections.abc import Sequence

from ec2gw.lab.cmdlets import faults, vms
from ec2gw.lab.cmdlets.objects import Live
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import disks, model, paths, power
from ec2gw.lab.world import session as sessions

ALREADY = "The virtual machine is already in the specified state."
POLL_SECONDS = 0.2
PATIENCE_SECONDS = 300.0
"""How long `Stop-VM -Force` waits for the guest before it cuts the power."""


@cmdlet("Hyper-V\\Start-VM", simulates="VM Name")
def start_vm(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    for vm_id in ids:
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if vm.state in ("Running", "Starting"):
                shell.warnings.append(ALREADY)
                continue
            begin_start(shell, session, vm)
            ends = vm.steps[0].at
        shell.wait_until(ends)
    return _passed(shell, ids)


def begin_start(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    """Begin the start, or refuse it and leave the machine as it was."""
    if vm.state in ("Paused", power.CRITICAL):
        _check_room(shell, session, vm)
        power.resume(vm, session.now, session.pace)
        session.put_vm(vm)
        return
    if vm.state not in power.AT_REST or disks.busy(session, vm) == "CreatingSnapshot":
        raise faults.invalid_state(shell.activity, vm.name)
    _check_disks(shell, session, vm)
    _check_capacity(shell, session, vm)
    for nic in vm.nics:
        if nic.dynamic_mac and nic.mac == "000000000000":
            nic.mac = f"{session.machine.mac_prefix}{session.machine.next_mac % 256:02X}"
            session.machine.next_mac += 1
            session.put_machine()
    vm.guest_os = session.boots(vm)
    disks.open_for_writing(session, vm)
    power.start(vm, session.now, session.pace, bool(vm.guest_os))
    session.put_vm(vm)


def _check_room(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    if vm.state == power.CRITICAL and not session.free_disk():
        text = f"'{vm.name}' cannot go on: there is not enough space on the disk"
        raise faults.operation_failed(shell.activity, text, faults.DISK_FULL, vm.name)


def _check_disks(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    holders = session.open_files()
    for path in session.attached(vm):
        fault = disks.broken(session, path)
        if fault is not None:
            text = f"'{vm.name}' failed to start: '{fault[1]}' is not there, or not as it was"
            raise faults.operation_failed(shell.activity, text, fault[0], vm.name)
        chain = list(session.chain(path))
        exclusive = path in [disk.path for disk in vm.disks]
        holder = holders.get(paths.key(path))
        taken = exclusive and holder is not None and holder != vm.id
        if taken or any(file.locked_until > session.now for file in chain[:1]):
            text = f"'{vm.name}' failed to start: '{path}' is used by another process"
            raise faults.operation_failed(shell.activity, text, faults.SHARING_VIOLATION, vm.name)
        if exclusive and chain[0].read_only:
            text = f"'{vm.name}' failed to start: '{path}' is read-only"
            raise faults.operation_failed(shell.activity, text, faults.ACCESS_DENIED, vm.name)


def _check_capacity(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    running = [one for one in session.vms() if power.working(one)]
    processors = sum(one.processors for one in running) + vm.processors
    if vm.memory_startup > session.free_memory():
        text = f"'{vm.name}' could not initialize: not enough memory ({faults.OUT_OF_MEMORY})."
        raise faults.fault(
            shell.activity,
            "OutOfMemory",
            "FromStdErr",
            text,
            target=vm.name,
            hresult=(faults.OUT_OF_MEMORY,),
            kind=faults.FAILED,
        )
    if (
        len(running) >= sessions.MAXIMUM_RUNNING_VMS
        or processors > sessions.MAXIMUM_VIRTUAL_PROCESSORS
        or vm.processors > session.machine.logical_processors
    ):
        text = f"'{vm.name}' could not initialize: insufficient system resources"
        raise faults.fault(
            shell.activity,
            "Unspecified",
            "NotSpecified",
            f"{text} ({faults.NO_SYSTEM_RESOURCES}).",
            target=vm.name,
            hresult=(faults.NO_SYSTEM_RESOURCES,),
            kind=faults.FAILED,
        )


@cmdlet("Hyper-V\\Stop-VM", simulates="VM Name TurnOff Force Save")
def stop_vm(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    for vm_id in ids:
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if vm.state in power.AT_REST and vm.steps:
                vm.steps = []  # it waited for its turn after the host's start
                session.put_vm(vm)
            if vm.state == "Off" or (vm.state == "Saved" and shell.flag("Save")):
                shell.warnings.append(ALREADY)
                continue
            if shell.flag("TurnOff"):
                power.turn_off(vm, session.now, session.pace)
                session.went_off(vm, sessions.TURNED_OFF)
            elif shell.flag("Save"):
                _save(shell, session, vm)
            else:
                _ask_guest(shell, session, vm)
            session.put_vm(vm)
        wanted = "Saved" if shell.flag("Save") else "Off"
        _wait_for(shell, vm_id, wanted, cut=shell.flag("Force"))
    return _passed(shell, ids)


def _ask_guest(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    if vm.state not in ("Running", "Stopping") or not power.guest_is_up(vm, session.now):
        raise faults.invalid_state(shell.activity, vm.name)
    if vm.state == "Running":
        power.shut_down(vm, session.now, session.pace)
        session.went_off(vm, sessions.ASKED)


def _wait_for(shell: Shell, vm_id: str, state: str, cut: bool = False) -> None:
    """Wait as the cmdlet does: until the machine is there, or gone.

    When its patience ends, it cuts the power or fails. A real `Stop-VM` has no end of patience.
    """
    deadline: float | None = None
    while True:
        with shell.changing() as session:
            vm = session.vm(vm_id)
            if vm is None or vm.state == state:
                return
            now, pace = session.now, session.pace
            deadline = deadline or now + PATIENCE_SECONDS * pace
            if now >= deadline and not cut:
                text = f"'{vm.name}' did not change its state in time"
                raise faults.operation_failed(shell.activity, text, faults.TIMEOUT, vm.name)
            if now >= deadline:
                power.turn_off(vm, now, pace)
                session.went_off(vm, sessions.TURNED_OFF)
                session.put_vm(vm)
                cut, deadline = False, None
        shell.wait_until(now + max(POLL_SECONDS * pace, 0.005))


@cmdlet("Hyper-V\\Restart-VM", simulates="VM Name Force Type")
def restart_vm(shell: Shell) -> Sequence[Live]:
    """A hard reset, as the cmdlet does it; `-Type Reboot` asks the guest."""
    ids = shell.vm_ids()
    for vm_id in ids:
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if vm.state != "Running":
                raise faults.invalid_state(shell.activity, vm.name)
            if shell.text("Type", "Reset") == "Reboot":
                if not power.guest_is_up(vm, session.now):
                    raise faults.invalid_state(shell.activity, vm.name)
                power.reboot(vm, session.now, session.pace)
                session.put_vm(vm)
                continue
            vm.guest_os = session.boots(vm)
            power.reset(vm, session.now, session.pace, bool(vm.guest_os))
            session.put_vm(vm)
            ends = vm.steps[0].at
        shell.wait_until(ends)
    return _passed(shell, ids)


def _save(shell: Shell, session: sessions.Session, vm: model.Vm) -> None:
    if vm.state not in ("Running", "Paused"):
        raise faults.invalid_state(shell.activity, vm.name)
    power.save(vm, session.now, session.pace)


@cmdlet("Hyper-V\\Save-VM", simulates="VM Name")
def save_vm(shell: Shell) -> Sequence[Live]:
    ids = shell.vm_ids()
    for vm_id in ids:
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if vm.state == "Saved":
                shell.warnings.append(ALREADY)
                continue
            _save(shell, session, vm)
            session.put_vm(vm)
        _wait_for(shell, vm_id, "Saved")
    return _passed(shell, ids)


@cmdlet("Hyper-V\\Suspend-VM", simulates="VM Name")
def suspend_vm(shell: Shell) -> Sequence[Live]:
    return _switch_over(shell, "Running", "Paused")


@cmdlet("Hyper-V\\Resume-VM", simulates="VM Name")
def resume_vm(shell: Shell) -> Sequence[Live]:
    return _switch_over(shell, "Paused", "Running")


def _switch_over(shell: Shell, before: str, after: str) -> Sequence[Live]:
    ids = shell.vm_ids()
    for vm_id in ids:
        with shell.changing() as session:
            vm = shell.vm(session, vm_id)
            if vm.state == after:
                shell.warnings.append(ALREADY)
                continue
            if vm.state != before and not (vm.state == power.CRITICAL and before == "Paused"):
                raise faults.invalid_state(shell.activity, vm.name)
            _check_room(shell, session, vm)
            move = power.pause if after == "Paused" else power.resume
            move(vm, session.now, session.pace)
            session.put_vm(vm)
        _wait_for(shell, vm_id, after)
    return _passed(shell, ids)


def _passed(shell: Shell, ids: Sequence[str]) -> Sequence[Live]:
    if not shell.flag("Passthru"):
        return []
    with shell.reading() as session:
        return [vms.vm_object(session, vm) for one in ids if (vm := session.vm(one))]
