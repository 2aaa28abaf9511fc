"""A VM's life by the product's own plans: made, started, found, and gone with all it had.

Source: docs/architecture.md, "The life of an instance"; pages of the Hyper-V module.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import time
import uuid
from typing import Final

from ec2gw.doctor import guests
from ec2gw.doctor.bench import Bench, Made
from ec2gw.doctor.probe import NotSo, NotTried, Probe
from state import ids
from translators.hyperv import console, file, making, trials, vm
from translators.hyperv import host as port
from translators.hyperv import survey as looks

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_EMPTY: Final = port.Path("images/empty.vhdx")
_EMPTY_BYTES: Final = 4 * _GIB
_SMALL_BYTES: Final = 512 * _MIB
_GUEST_BYTES: Final = 2 * _GIB
_SPARE_BYTES: Final = 2 * _GIB


def _base(bench: Bench) -> str:
    folder, _slash, _name = _EMPTY.segments.partition("/")
    bench.change(port.Plan("folder", (_new_folder(folder),), changes=True))
    bench.change(trials.new_disk(_EMPTY, _EMPTY_BYTES))
    seen = bench.look(trials.disk(_EMPTY)).results["disk"][0]
    if seen["size"] != _EMPTY_BYTES or seen["attached"]:
        raise NotSo(f"the new disk reads {seen}")
    return f"an empty disk of {_EMPTY_BYTES // _GIB} GiB"


def _new_folder(name: str) -> port.Call:
    return port.Call("Agent\\New-Folder", {"Path": port.Path(name)})


def _spec(bench: Bench, name: str, generation: int) -> tuple[making.Spec, str, bool]:
    """What to make, the whole path of its disk's parent, and whether a guest is in it."""
    target = bench.target
    image = target.image if target.image and target.image.generation == generation else None
    seen = bench.found.survey
    memory = _GUEST_BYTES if image else _SMALL_BYTES
    if seen is not None and seen.free_memory_bytes < memory + _SPARE_BYTES:
        free = seen.free_memory_bytes / _GIB
        raise NotTried(f"only {free:.1f} GiB of memory are free: the host's VMs go first")
    switch, vlan = network(bench)
    parent = f"{target.folder}\\{_EMPTY.segments}".replace("/", "\\")
    if image is not None:
        parent = f"{target.root.rstrip(chr(92))}\\images\\{image.file_name}"
    adapter = making.Adapter(
        name=ids.mint("eni"),
        mac="02:" + ":".join(f"{octet:02x}" for octet in secrets.token_bytes(5)),
        switch=switch,
        vlan=vlan,
    )
    spec = making.Spec(
        name=name,
        generation=generation,
        processors=1,
        memory_bytes=memory,
        parent=vm.IMAGES / "empty.vhdx",
        disk_bytes=None,
        secure_boot_template=image.secure_boot_template if image else None,
        adapter=adapter,
        notes=vm.notes(target.label, name),
        start_delay_seconds=0,
        console=making.console(name),
    )
    return spec, parent, image is not None


def network(bench: Bench) -> tuple[str, int | None]:
    """The switch and VLAN that VMs are put on: configured, or any that is there."""
    there = bench.found.survey.switches if bench.found.survey is not None else ()
    for found in (*bench.target.networks, *((switch, None) for switch in there)):
        return found
    raise NotTried("there is no virtual switch")


def _create(bench: Bench, generation: int) -> str:
    name = ids.mint("i")
    spec, parent, has_guest = _spec(bench, name, generation)
    plan = trials.differing_from(making.create(spec), parent)
    answer = bench.change(plan, name)
    made = Made(name, str(answer.results["vm"][0]["id"]).lower(), has_guest)
    bench.found.machines[generation] = made
    found = vm.seen(bench.look(vm.look(None, name)))
    folder = vm.folder_of(bench.target.folder, name)
    if [one.id for one in found] != [made.vm_id]:
        raise NotSo(f"by its name {len(found)} VMs are found")
    if found[0].folder.rstrip("\\").lower() != folder.lower():
        raise NotSo(f"its folder is {found[0].folder}, not {folder}: it would not be found again")
    if vm.owner(found[0].notes) != (bench.target.label, name):
        raise NotSo(f"its Notes read {found[0].notes!r}")
    if found[0].state != "Off":
        raise NotSo(f"it is {found[0].state}")
    _check_devices(bench, made, spec)
    if not has_guest:  # an empty disk must not boot from somebody's network
        bench.change(trials.disconnect(made.vm_id), name)
    return f"generation {generation}, {len(plan.calls)} calls, {bench.measured['create_ms']:.0f} ms"


def _check_devices(bench: Bench, made: Made, spec: making.Spec) -> None:
    seen = trials.read_details(bench.look(trials.details(made.vm_id)))
    place = ("IDE" if spec.generation == 1 else "SCSI", 0, 0)
    places = [(one["controller"], one["number"], one["location"]) for one in seen.disks]
    if places != [place]:
        raise NotSo(f"its disks are at {places}")
    mac = spec.adapter.mac.replace(":", "").upper()
    cards = [(one["name"], str(one["mac"]).upper(), one["switch"]) for one in seen.adapters]
    if cards != [(spec.adapter.name, mac, spec.adapter.switch)]:
        raise NotSo(f"its adapters are {cards}")
    vlan = spec.adapter.vlan
    tags = [one["id"] if one["mode"] == "Access" else None for one in seen.vlans]
    if tags != [vlan]:
        raise NotSo(f"its VLANs are {tags}, not {vlan}")


def _start(bench: Bench, generation: int) -> str:
    made = bench.found.machines[generation]
    # Before its guest writes its first word.
    bench.look(console.watch([one.name for one in bench.found.machines.values()], []))
    bench.change(vm.start(made.vm_id), made.name)
    bench.until_state(made, "Running")
    return f"Running after {bench.measured['start_ms']:.0f} ms"


def _surveyed(bench: Bench) -> str:
    made = bench.found.machines[2]
    answer = bench.main.run(looks.look(), deadline_seconds=300)
    rows = [vm.read(row) for row in answer.results["vms"]]
    found = [one for one in rows if one.id == made.vm_id]
    if len(found) != 1 or found[0].state != "Running":
        raise NotSo(f"the survey has it as {[one.state for one in found]}")
    if vm.owner(found[0].notes) != (bench.target.label, made.name):
        raise NotSo(f"the survey has its Notes as {found[0].notes!r}")
    told = looks.read_addresses(bench.main.run(looks.addresses(), deadline_seconds=60))
    if made.has_guest and told.get(made.vm_id):
        return "Running, with our Notes and addresses that its guest tells"
    return "Running, with our Notes"


def _missing(bench: Bench) -> str:
    said = []
    for plan in (vm.look(None, ids.mint("i")), vm.look(str(uuid.uuid4()), "")):
        try:
            answer = bench.look(plan)
        except port.Failed as failed:
            if not vm.is_missing(failed.error.id):
                raise NotSo(f"it is told by {failed.error.id}") from None
            said.append(failed.error.identifier)
        else:
            raise NotSo(f"no error, {len(answer.results['vm'])} VMs")
    return f"by name {said[0]}, by GUID {said[1]}"


def _identity(bench: Bench) -> str:
    made = bench.found.machines[2]
    other = ids.mint("i")
    bench.change(trials.rename(made.vm_id, other), made.name)
    try:
        found = bench.sight(made)
        if found.name != other or vm.owner(found.notes) != (bench.target.label, made.name):
            raise NotSo(f"renamed, it reads {found.name} with Notes {found.notes!r}")
        if found.folder.lower() != vm.folder_of(bench.target.folder, made.name).lower():
            raise NotSo(f"renamed, its folder reads {found.folder}")
    finally:
        with contextlib.suppress(port.HostError):
            bench.change(trials.rename(made.vm_id, made.name), made.name)
    return "found by its GUID, with its Notes and folder"


def _namesakes(bench: Bench) -> str:
    made = bench.found.machines[2]
    answer = bench.change(trials.namesake(made.name, port.Path("namesakes")), made.name)
    twin = str(answer.results["vm"][0]["id"]).lower()
    try:
        found = {one.id for one in vm.seen(bench.look(vm.look(None, made.name)))}
    finally:
        bench.change(vm.remove(twin), made.name)
    if found != {made.vm_id, twin}:
        raise NotSo(f"by name {len(found)} of two are found")
    return "two are found by that name"


def _remove(bench: Bench, generation: int) -> str:
    made = bench.found.machines[generation]
    if bench.sight(made).state != "Off":
        bench.change(vm.turn_off(made.vm_id), made.name)
        bench.until_state(made, "Off")
    at = time.monotonic()
    bench.change(vm.remove(made.vm_id), made.name)
    disk = file.look(vm.INSTANCES / made.name / "root.vhdx")
    stayed = "its disk stayed" if file.seen(bench.look(disk)) else "its disk went with it"

    def swept() -> bool | None:
        try:
            bench.change(vm.sweep(made.name), made.name)
        except port.Failed as failed:
            if failed.error.identifier == "FileInUse":
                return None
            raise
        return True

    bench.until("free to be deleted", swept, bench.patience.state)
    bench.measure("released_ms", time.monotonic() - at)
    try:
        bench.look(vm.look(made.vm_id, made.name))
    except port.Failed as failed:
        if not vm.is_missing(failed.error.id):
            raise
    else:
        raise NotSo("the VM is still found")
    if bench.look(vm.look_at_folder(made.name)).results["folder"]:
        raise NotSo("its folder is still there")
    return f"{stayed}; VM and folder gone after {bench.measured['released_ms']:.0f} ms"


def _for(generation: int) -> tuple[Probe, Probe, Probe]:
    name = f"generation {generation}"
    return (
        Probe(
            f"create-{generation}",
            f"A VM of {name} is made whole by one plan: disk, adapter, folder, Notes.",
            "New-VM, New-VHD, Add-VMNetworkAdapter, Set-VMFirmware, Set-VMBios",
            functools.partial(_create, generation=generation),
            changes=True,
            needs=("base-disk", "survey", "switches"),
        ),
        Probe(
            f"start-{generation}",
            f"A VM of {name} starts.",
            "Start-VM",
            functools.partial(_start, generation=generation),
            changes=True,
            needs=(f"create-{generation}",),
        ),
        Probe(
            f"remove-{generation}",
            f"A VM of {name} goes with its disk, once Windows has closed that.",
            "Remove-VM",
            functools.partial(_remove, generation=generation),
            changes=True,
            needs=(f"create-{generation}",),
        ),
    )


_CREATE_2, _START_2, REMOVE_2 = _for(2)
_CREATE_1, _START_1, REMOVE_1 = _for(1)

MAKING: Final = (
    Probe(
        "base-disk",
        "An empty disk can be made.",
        "New-VHD, Get-VHD",
        _base,
        changes=True,
        needs=("versions",),
    ),
    Probe(
        "missing-vm",
        "That there is no such VM is told by an error that ec2gw knows.",
        "Get-VM; error output in public issues",
        _missing,
        needs=("versions",),
    ),
    _CREATE_2,
    _CREATE_1,
    Probe(
        "namesakes",
        "Two VMs may have one name, and both are found by it.",
        "New-VM",
        _namesakes,
        changes=True,
        needs=("create-2",),
    ),
    *guests.OFF,
    _START_2,
    _START_1,
    Probe(
        "surveyed",
        "A survey over the host's own root finds a VM of ours, running, with its Notes.",
        "docs/architecture.md, Surveys",
        _surveyed,
        needs=("start-2",),
    ),
    Probe(
        "identity",
        "A VM that was renamed is found by its GUID and keeps Notes and folder.",
        "Rename-VM",
        _identity,
        changes=True,
        needs=("start-2",),
    ),
)
