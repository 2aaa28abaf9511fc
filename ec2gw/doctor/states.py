"""What Hyper-V admits and refuses in which state, and which files it holds: on a VM of our own.

Most of it ec2gw copes with either way; a verdict here says which of two ways a host goes.

Source: pages of the Hyper-V module; docs/laboratory.md, "Errors" for what is derived.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Final

from ec2gw.doctor import machines
from ec2gw.doctor.bench import Bench, Made
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from translators.hyperv import host as port
from translators.hyperv import trials, vm

_MIB: Final = 1024**2
_SECOND_DISK: Final = port.Path("tmp/second.vhdx")
_SECOND_BYTES: Final = 1024 * _MIB
_DISK_FULL: Final = "0x80070070"
_FILE_EXISTS: Final = "0x80070050"
_VLAN: Final = 4000
_HOST_SPARE_BYTES: Final = 32 * trials.TIB

Make = Callable[[str], port.Plan]
"""A plan for the VM of that GUID."""


def _vm(bench: Bench) -> Made:
    return bench.found.machines[2]


def _refuses(bench: Bench, make: Make, state: str) -> str:
    made = _vm(bench)
    _in_state(bench, made, state)
    fault = bench.refused(make(made.vm_id), made.name)
    if fault.identifier != "InvalidState":
        raise NotSo(f"refused with {fault.id} ({fault.category}) {' '.join(fault.hresult)}")
    return f"{fault.id} ({fault.category})"


def _admits(bench: Bench, make: Make, state: str) -> str:
    made = _vm(bench)
    _in_state(bench, made, state)
    try:
        answer = bench.change(make(made.vm_id), made.name)
    except port.Failed as failed:
        raise NotSo(f"refused with {failed.error.id} ({failed.error.category})") from None
    warned = f", with the warning {answer.warnings[0]!r}" if answer.warnings else ""
    return f"done in {answer.elapsed_ms} ms{warned}"


def _warns(bench: Bench, make: Make, state: str) -> str:
    made = _vm(bench)
    _in_state(bench, made, state)
    answer = bench.change(make(made.vm_id), made.name)
    if bench.sight(made).state != state:
        raise NotSo(f"it is {bench.sight(made).state} afterwards")
    return f"warned: {answer.warnings[0]!r}" if answer.warnings else "no error and no warning"


def _in_state(bench: Bench, made: Made, state: str) -> None:
    found = bench.sight(made).state
    if found == state:
        return
    if found == "Saved" and state == "Off":
        bench.change(vm.turn_off(made.vm_id), made.name)
    elif state == "Running" and found in vm.OFF_STATES:
        bench.change(vm.start(made.vm_id), made.name)
    elif state == "Off" and found in vm.RUNNING_STATES:
        bench.change(vm.turn_off(made.vm_id), made.name)
    bench.until_state(made, state)


def _hot_disk(bench: Bench) -> str:
    made = _vm(bench)
    _in_state(bench, made, "Running")
    folder = _SECOND_DISK.segments.partition("/")[0]
    call = port.Call("Agent\\New-Folder", {"Path": port.Path(folder)})
    bench.change(port.Plan("folder", (call,), changes=True), made.name)
    bench.change(trials.new_disk(_SECOND_DISK, _SECOND_BYTES), made.name)
    try:
        bench.change(trials.add_disk(made.vm_id, _SECOND_DISK), made.name)
        if len(trials.read_details(bench.look(trials.details(made.vm_id))).disks) != 2:
            raise NotSo("it has no second disk")
        bench.change(trials.remove_disk(made.vm_id), made.name)
    except port.Failed as failed:
        raise NotSo(f"refused with {failed.error.id} ({failed.error.category})") from None
    return (
        f"in after {bench.measured['add-disk_ms']:.0f} ms,"
        f" out after {bench.measured['remove-disk_ms']:.0f} ms"
    )


def _network(bench: Bench) -> str:
    """Off its switch and back; an adapter that is to be on none ends on none."""
    made = _vm(bench)
    _in_state(bench, made, "Running")
    if not made.has_guest:
        # An empty disk stays off the network; that it can be taken off is all that is tried.
        bench.change(trials.disconnect(made.vm_id), made.name)
        return "disconnected; not connected, for an empty disk might boot from the network"
    bench.change(trials.disconnect(made.vm_id), made.name)
    bench.change(trials.connect(made.vm_id, machines.network(bench)[0]), made.name)
    return "disconnected and connected again"


def _held(bench: Bench) -> str:
    made = _vm(bench)
    _in_state(bench, made, "Running")
    path = vm.INSTANCES / made.name / "root.vhdx"
    call = port.Call("Agent\\Remove-Tree", {"Path": path})
    fault = bench.refused(port.Plan("remove-held-disk", (call,), changes=True), made.name)
    if "0x80070020" not in fault.hresult:
        raise NotSo(f"refused with {fault.id} {' '.join(fault.hresult)}")
    if not bench.look(trials.disk(path)).results["disk"][0]["attached"]:
        raise NotSo("Get-VHD says that it is not attached")
    return f"{fault.identifier}, and Get-VHD says Attached"


def _held_parent(bench: Bench) -> str:
    made = _vm(bench)
    if made.has_guest:
        raise NotTried("its disk's parent is the operator's image, which is not put at risk")
    _in_state(bench, made, "Running")
    call = port.Call("Agent\\Remove-Tree", {"Path": port.Path("images/empty.vhdx")})
    fault = bench.refused(port.Plan("remove-held-parent", (call,), changes=True), made.name)
    if "0x80070020" not in fault.hresult:
        raise NotSo(f"refused with {fault.id} {' '.join(fault.hresult)}")
    return fault.identifier


def _saved(bench: Bench) -> str:
    made = _vm(bench)
    _in_state(bench, made, "Running")
    bench.change(trials.save(made.vm_id), made.name)
    bench.until_state(made, "Saved")
    path = vm.INSTANCES / made.name / "root.vhdx"
    attached = bench.look(trials.disk(path)).results["disk"][0]["attached"]
    bench.change(vm.start(made.vm_id), made.name)
    bench.until_state(made, "Running")
    if attached:
        raise NotSo("Get-VHD says that the disk of the saved VM is attached")
    return f"saved in {bench.measured['save_ms']:.0f} ms; its disk was free; it runs again"


def _too_large(bench: Bench) -> str:
    seen = bench.found.survey
    if seen is None or seen.free_disk_bytes >= _HOST_SPARE_BYTES:
        raise NotTried("there may be room for 60 TiB")
    fault = bench.refused(trials.too_large_disk(port.Path("images/large.vhdx")))
    if _DISK_FULL not in fault.hresult:
        raise NotSo(f"refused with {fault.id} {' '.join(fault.hresult)}")
    return f"{fault.id} {' '.join(fault.hresult)}"


def _exists(bench: Bench) -> str:
    fault = bench.refused(trials.new_disk(port.Path("images/empty.vhdx"), _SECOND_BYTES))
    if _FILE_EXISTS not in fault.hresult:
        raise NotSo(f"refused with {fault.id} {' '.join(fault.hresult)}")
    return f"{fault.id} {' '.join(fault.hresult)}"


def _rule(bench: Bench) -> str:
    made = _vm(bench)
    bench.change(trials.deny_inbound(made.vm_id), made.name)
    return f"{bench.measured['deny-inbound_ms']:.0f} ms"


def _table(name: str, sentence: str, try_: Callable[..., str], make: Make, state: str) -> Probe:
    return Probe(
        name,
        sentence,
        "derived; about the cmdlet's page and error output in public issues",
        functools.partial(try_, make=make, state=state),
        relied=False,
        changes=True,
        needs=("start-2",),
    )


def _renotes(bench: Bench) -> str:
    made = _vm(bench)
    text = vm.notes(bench.target.label, made.name)
    return _admits(bench, lambda vm_id: trials.set_notes(vm_id, text), "Running")


RUNNING: Final = (
    Probe(
        "start-again",
        "Starting a VM that runs does nothing and is no error.",
        "Start-VM",
        functools.partial(_warns, make=vm.start, state="Running"),
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "disk-held",
        "The disk of a running VM cannot be deleted.",
        "CreateFile (sharing violation); Get-VHD, Attached",
        _held,
        changes=True,
        needs=("start-2",),
    ),
    _table(
        "processors-running",
        "A running VM's processors cannot be changed: InvalidState.",
        _refuses,
        lambda vm_id: trials.set_processors(vm_id, 2),
        "Running",
    ),
    _table(
        "memory-running",
        "A running VM's memory cannot be changed: InvalidState.",
        _refuses,
        lambda vm_id: trials.set_memory(vm_id, 768 * _MIB),
        "Running",
    ),
    _table(
        "firmware-running",
        "A running VM's firmware cannot be changed: InvalidState.",
        _refuses,
        trials.set_secure_boot,
        "Running",
    ),
    _table(
        "remove-running",
        "A running VM cannot be removed: InvalidState.",
        _refuses,
        vm.remove,
        "Running",
    ),
    Probe(
        "notes-running",
        "A running VM's Notes can be changed.",
        "derived; Set-VM",
        _renotes,
        relied=False,
        changes=True,
        needs=("start-2",),
    ),
    _table(
        "checkpoint-type-running",
        "A running VM's checkpoint type can be changed.",
        _admits,
        trials.set_checkpoint_type,
        "Running",
    ),
    _table(
        "vlan-running",
        "A running VM's VLAN can be changed.",
        _admits,
        lambda vm_id: trials.set_vlan(vm_id, _VLAN),
        "Running",
    ),
    _table(
        "bandwidth-running",
        "A running VM's adapter can be limited.",
        _admits,
        lambda vm_id: trials.set_bandwidth(vm_id, 80_000_000),
        "Running",
    ),
    _table(
        "iops-running",
        "A running VM's disk can be limited.",
        _admits,
        lambda vm_id: trials.set_iops(vm_id, 1000),
        "Running",
    ),
    Probe(
        "network-running",
        "A running VM's adapter can be taken off its switch.",
        "derived; Disconnect-VMNetworkAdapter",
        _network,
        relied=False,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "disk-running",
        "A disk can be put into a running VM at SCSI, and taken out.",
        "derived; Add-VMHardDiskDrive",
        _hot_disk,
        relied=False,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "rule-running",
        "A rule can be put on a running VM's adapter.",
        "Add-VMNetworkAdapterExtendedAcl",
        _rule,
        relied=False,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "saved",
        "A saved VM holds no disk, and a start goes on where it was.",
        "derived; Save-VM, Get-VHD",
        _saved,
        relied=False,
        changes=True,
        needs=("start-2",),
    ),
)

OFF: Final = (
    _table(
        "off-again",
        "Cutting the power of a VM that is off does nothing and is no error.",
        _warns,
        vm.turn_off,
        "Off",
    ),
    _table(
        "save-off",
        "A VM that is off cannot be saved: InvalidState.",
        _refuses,
        trials.save,
        "Off",
    ),
    _table(
        "suspend-off",
        "A VM that is off cannot be suspended: InvalidState.",
        _refuses,
        trials.suspend,
        "Off",
    ),
    _table(
        "resume-off",
        "A VM that is off cannot be resumed: InvalidState.",
        _refuses,
        trials.resume,
        "Off",
    ),
)

DISKS: Final = (
    Probe(
        "disk-exists",
        "A disk is not made over another: 0x80070050.",
        "New-VHD; error output in public issues",
        _exists,
        changes=True,
        needs=("base-disk",),
    ),
    Probe(
        "disk-too-large",
        "A disk that does not fit is refused: 0x80070070.",
        "derived; New-VHD -Fixed",
        _too_large,
        relied=False,
        changes=True,
        needs=("base-disk", "survey"),
    ),
)

LAST: Final = (
    Probe(
        "parent-held",
        "The parent of a running VM's disk cannot be deleted.",
        "CreateFile (sharing violation)",
        _held_parent,
        changes=True,
        needs=("disk-held",),
    ),
)
"""If this one goes wrong, the VM has no disk any more."""
