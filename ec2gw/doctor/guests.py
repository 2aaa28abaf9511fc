"""What a guest is told before it starts, by the product's own plans: its disc and its firmware.

Source: docs/guests.md, "On the host" and "Identity"; Msvm_VirtualSystemSettingData; Set-VMDvdDrive.
"""

from __future__ import annotations

import functools
from typing import Final

from ec2gw.doctor.bench import Bench, Made
from ec2gw.doctor.probe import NotSo, Probe
from translators.guests import disc
from translators.guests import identity as told
from translators.hyperv import file, identity, seed


def _identity(bench: Bench) -> str:
    for made in bench.found.machines.values():
        uuid = told.uuid(made.name)
        wanted = identity.Identity(told.ASSET_TAG, uuid)
        bench.change(identity.put(made.vm_id, wanted), made.name)
        seen = identity.seen(bench.look(identity.look(made.vm_id)))
        if seen.uuid != uuid or seen.asset_tag != told.ASSET_TAG:
            raise NotSo(f"set, it reads {seen.uuid} and {seen.asset_tag!r}")
    return f"{uuid}, in {bench.measured['identify_ms']:.0f} ms"


def _serial(bench: Bench) -> str:
    for made in bench.found.machines.values():
        uuid = told.uuid(made.name)
        seen = identity.seen(bench.look(identity.look(made.vm_id)))
        if seen.serial_number != uuid:
            raise NotSo(
                f"it keeps {len(seen.serial_number)} characters of its own: cloud-init before 24.2 "
                "does not see EC2 there, and needs its disc"
            )
    return f"{len(uuid)} characters"


def _put(bench: Bench, generation: int) -> str:
    made = bench.found.machines[generation]
    content = disc.image("cidata", {"meta-data": f"instance-id: {made.name}\n".encode()})
    has_drive = _seen(bench, made).at(generation) is not None
    if has_drive != (generation == 1):
        raise NotSo(f"{'a' if has_drive else 'no'} DVD drive is at its place from the start")
    plan = seed.put(made.vm_id, generation, made.name, content, has_drive=has_drive)
    bench.change(plan, made.name)
    seen = _seen(bench, made)
    held = seen.holding(bench.target.folder, made.name)
    if held is None or held != seen.at(generation):
        raise NotSo(f"put in, the drives hold {[one.path for one in seen.drives]}")
    if not file.is_whole(seen.file, content):
        raise NotSo(f"its file is {seen.file}")
    return f"{held.place.controller} {held.place.number}:{held.place.location}"


def _eject(bench: Bench) -> str:
    made = bench.found.machines[2]
    held = _seen(bench, made).holding(bench.target.folder, made.name)
    if held is None:
        raise NotSo("the disc is in no drive any more")
    bench.change(seed.eject(made.vm_id, held.place), made.name)
    paths = [one.path for one in _seen(bench, made).drives]
    if paths != [""]:
        raise NotSo(f"ejected, the drives hold {paths}")
    bench.change(seed.remove(made.name), made.name)
    if _seen(bench, made).file is not None:
        raise NotSo("its file is still there")
    return f"the drive stayed, empty, after {bench.measured['eject-disc_ms']:.0f} ms"


def _seen(bench: Bench, made: Made) -> seed.Sight:
    return seed.seen(bench.look(seed.look(made.vm_id, made.name)))


OFF: Final = (
    Probe(
        "smbios",
        "The UUID and asset tag of a VM's firmware are set, and read as they were set.",
        "Msvm_VirtualSystemManagementService.ModifySystemSettings",
        _identity,
        changes=True,
        needs=("create-2", "create-1"),
    ),
    Probe(
        "smbios-serial",
        "A serial number of 36 characters, the UUID's text, is taken.",
        "reported: 32 characters at most in Virtual PC's API; Msvm_VirtualSystemSettingData",
        _serial,
        relied=False,
        needs=("smbios",),
    ),
    *(
        Probe(
            f"seed-{generation}",
            f"A disc is written and put into the DVD drive of a VM of generation {generation}.",
            "Add-VMDvdDrive, Get-VMDvdDrive, Set-VMDvdDrive",
            functools.partial(_put, generation=generation),
            changes=True,
            needs=(f"create-{generation}",),
        )
        for generation in (2, 1)
    ),
)
RUNNING: Final = (
    Probe(
        "seed-ejected",
        "The disc of a running VM is ejected, and its file can be removed at once.",
        "Set-VMDvdDrive without a path",
        _eject,
        changes=True,
        needs=("seed-2", "start-2"),
    ),
)
