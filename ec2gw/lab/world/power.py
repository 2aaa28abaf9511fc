"""How a virtual machine goes from state to state as time passes. Pure: records in, records moved.

A transition is written down with the times of its end when it begins; whoever looks later, in
this process or after a restart, moves the record on by the clock (`settle`).

Source: the table of states in docs/laboratory.md (Hyper-V's VMState, Msvm_ShutdownComponent).
"""

from __future__ import annotations

from ec2gw.lab.world.model import Said, Step, Vm

AT_REST = frozenset({"Off", "Saved"})
"""States without a worker process: no memory, no open files."""

CRITICAL = "PausedCritical"
"""Stopped in the middle, since its disks have no room to write."""

STARTING_SECONDS = 0.6
TURNING_OFF_SECONDS = 0.4
RESET_SECONDS = 0.3
SAVING_SECONDS = 1.5
PAUSING_SECONDS = 0.2
_SAID = 64
"""So many pieces of a console wait to be read or missed."""
RELEASE_SECONDS = 0.8
"""How long the files of a VM stay open after it reads Off."""


def settle(vm: Vm, now: float) -> None:
    """Take the steps whose time has come."""
    while vm.steps and vm.steps[0].at <= now:
        step = vm.steps.pop(0)
        _enter(vm, step.state, step.at)


def _enter(vm: Vm, state: str, at: float) -> None:
    if state == "Running" and vm.started_at is None:
        vm.started_at = at
    if state == "Off":
        power_down(vm, at)
    elif state == "Saved":
        vm.released_at = at
    vm.state = state
    vm.changed_at = at


def power_down(vm: Vm, at: float) -> None:
    vm.started_at = None
    vm.heartbeat_at = None
    vm.addresses_at = None
    vm.silent_from = None
    vm.released_at = at + vm.release_seconds


def working(vm: Vm) -> bool:
    """Whether a worker process holds memory for it."""
    return vm.state not in AT_REST


def holds_files(vm: Vm, now: float) -> bool:
    return working(vm) or now < vm.released_at


def transitional(vm: Vm) -> bool:
    return bool(vm.steps) or vm.state == "Stopping"


def start(vm: Vm, now: float, pace: float, boots: bool) -> None:
    """Power on; `boots` says whether a guest will come up from what is attached."""
    resumes = vm.state == "Saved"
    vm.release_seconds = RELEASE_SECONDS * pace
    running = now + STARTING_SECONDS * pace
    vm.state, vm.changed_at = "Starting", now
    vm.steps = [Step(running, "Running")]
    if resumes:
        return
    vm.started_at = None
    _boot(vm, running, pace, boots)


def start_later(vm: Vm, at: float, pace: float, boots: bool) -> None:
    """Power on at a time to come, as a host does with its machines after its own start."""
    resumes = vm.state == "Saved"
    vm.release_seconds = RELEASE_SECONDS * pace
    running = at + STARTING_SECONDS * pace
    vm.steps = [Step(at, "Starting"), Step(running, "Running")]
    _boot(vm, running, pace, boots)
    if resumes and vm.heartbeat_at is not None:
        vm.heartbeat_at = vm.addresses_at = running


def _boot(vm: Vm, at: float, pace: float, boots: bool) -> None:
    vm.silent_from = None
    vm.heartbeat_at = vm.addresses_at = None
    if boots and vm.guest.boots:
        vm.heartbeat_at = at + vm.guest.boot_seconds * pace
        say(vm, at, vm.guest.says)
        say(vm, vm.heartbeat_at, vm.guest.says_up)
        if vm.guest.reports_addresses:
            vm.addresses_at = vm.heartbeat_at + vm.guest.addresses_seconds * pace


def say(vm: Vm, at: float, text: str) -> None:
    """Write to the first COM port, if it is tied to a pipe; what was to come does not."""
    if text and vm.com_ports and vm.com_ports[0]:
        vm.said = [*[one for one in vm.said if one.at < at][-_SAID:], Said(at, text)]


def turn_off(vm: Vm, now: float, pace: float) -> None:
    vm.release_seconds = RELEASE_SECONDS * pace
    if vm.state == "Saved":
        vm.steps = []
        _enter(vm, "Off", now)
        vm.released_at = now
        return
    vm.state, vm.changed_at = "Stopping", now
    vm.steps = [Step(now + TURNING_OFF_SECONDS * pace, "Off")]


def shut_down(vm: Vm, now: float, pace: float) -> None:
    """Ask the guest to go down; what becomes of it is the guest's business."""
    vm.release_seconds = RELEASE_SECONDS * pace
    if vm.guest.shutdown == "ignores":
        return
    vm.state, vm.changed_at = "Stopping", now
    vm.steps = []
    if vm.guest.shutdown == "obeys":
        vm.steps = [Step(now + vm.guest.shutdown_seconds * pace, "Off")]


def reboot(vm: Vm, now: float, pace: float) -> None:
    """The guest goes down and comes up again; the virtual machine stays powered."""
    if vm.guest.shutdown == "obeys":
        _boot(vm, now + vm.guest.shutdown_seconds * pace, pace, vm.heartbeat_at is not None)


def reset(vm: Vm, now: float, pace: float, boots: bool) -> None:
    vm.state, vm.changed_at = "Reset", now
    vm.steps = [Step(now + RESET_SECONDS * pace, "Running")]
    vm.started_at = None
    _boot(vm, vm.steps[0].at, pace, boots)


def save(vm: Vm, now: float, pace: float) -> None:
    vm.state, vm.changed_at = "Saving", now
    vm.steps = [Step(now + SAVING_SECONDS * pace, "Saved")]


def pause(vm: Vm, now: float, pace: float) -> None:
    vm.state, vm.changed_at = "Pausing", now
    vm.steps = [Step(now + PAUSING_SECONDS * pace, "Paused")]


def resume(vm: Vm, now: float, pace: float) -> None:
    vm.state, vm.changed_at = "Resuming", now
    vm.steps = [Step(now + PAUSING_SECONDS * pace, "Running")]


def guest_is_up(vm: Vm, now: float) -> bool:
    """Whether the guest's integration services answer."""
    answered = vm.heartbeat_at is not None and vm.heartbeat_at <= now
    silent = vm.silent_from is not None and vm.silent_from <= now
    return vm.state in ("Running", "Stopping") and answered and not silent


def heartbeat(vm: Vm, now: float) -> str | None:
    """Name what Get-VM shows: VMHeartbeatStatus, None when the machine is off."""
    if vm.state in AT_REST or vm.state == "Starting":
        return None
    if vm.state in ("Paused", CRITICAL):
        return "Paused"
    if vm.heartbeat_at is None or now < vm.heartbeat_at:
        return "NoContact"
    if vm.silent_from is not None and vm.silent_from <= now:
        return "LostCommunication"
    return "OkApplicationsHealthy" if vm.guest_os == "windows" else "OkApplicationsUnknown"


def uptime(vm: Vm, now: float) -> float:
    return max(now - vm.started_at, 0.0) if vm.started_at is not None else 0.0
