"""A snapshot by the product's own plans: held still, copied by a job, merged, and gone.

Source: docs/decisions/0019-snapshots-are-flat-copies.md; pages of Checkpoint-VM, Get-VMSnapshot,
Remove-VMSnapshot; Msvm_ImageManagementService.ConvertVirtualHardDisk.
"""

from __future__ import annotations

from typing import Final

from ec2gw.doctor.bench import Bench
from ec2gw.doctor.probe import NotSo, Probe
from translators.hyperv import checkpoint, copying, file, trials
from translators.hyperv import host as port
from translators.hyperv.drive import Place

_ROOT: Final = Place("SCSI", 0)
_NAME: Final = "snap-doctor.vhdx"
_POINT: Final = "snap-doctor"
_COPY: Final = port.Path("snapshots") / _NAME


def _held(bench: Bench) -> str:
    made = bench.found.machines[2]
    name = checkpoint.name_of(_POINT)
    before = checkpoint.read(bench.look(checkpoint.look(made.vm_id))).drives.get(_ROOT, "")
    bench.change(checkpoint.take(made.vm_id, name), made.name)
    seen = checkpoint.read(bench.look(checkpoint.look(made.vm_id)))
    if len(seen.named(name)) != 1:
        raise NotSo(f"its checkpoints are {[one.name for one in seen.checkpoints]}")
    frozen = checkpoint.read_drives(bench.look(checkpoint.look_into(made.vm_id, name)))
    if frozen.get(_ROOT, "").lower() != before.lower():
        raise NotSo(f"the checkpoint has {frozen.get(_ROOT)}, its disk was {before}")
    if not seen.drives.get(_ROOT, "").lower().endswith(".avhdx"):
        raise NotSo(f"it goes on with {seen.drives.get(_ROOT)}")
    source = copying.below(bench.target.folder, before)
    if source is None:
        raise NotSo(f"its disk is {before}")
    bench.found.facts["held"] = source.segments
    return f"held within {bench.measured['checkpoint_ms']:.0f} ms"


def _copied(bench: Bench) -> str:
    source = port.Path(bench.found.facts["held"])
    folder = port.Path(_COPY.segments.rpartition("/")[0])
    job, code = copying.started(bench.change(copying.start(source, _NAME, folder)))
    if job is None:
        raise NotSo(f"no job was begun: {code}")
    told: list[int] = []

    def ended() -> copying.Job | None:
        found = copying.seen(bench.look(copying.look(job)))
        if found is None:
            raise NotSo("nobody knows the job any more")
        told.append(found.percent)
        return found if found.progress != "running" else None

    done = bench.until("copied", ended, bench.patience.state)
    if done.progress != "done":
        raise NotSo(f"the job ended with {done.why}")
    bench.change(copying.finish(_NAME, _COPY))
    if file.seen(bench.look(file.look(copying.half_made(_NAME)))) is not None:
        raise NotSo("the copy is in both places")
    disk = bench.look(trials.disk(_COPY)).results["disk"][0]
    if disk["parent"]:
        raise NotSo(f"the copy has the parent {disk['parent']}")
    return f"flat and whole, {len(told)} looks at the job"


def _merged(bench: Bench) -> str:
    made = bench.found.machines[2]
    name = checkpoint.name_of(_POINT)
    bench.change(checkpoint.remove(made.vm_id, name), made.name)

    def merged() -> bool | None:
        seen = checkpoint.read(bench.look(checkpoint.look(made.vm_id)))
        path = copying.below(bench.target.folder, seen.drives.get(_ROOT, ""))
        back = path is not None and path.segments.lower() == bench.found.facts["held"].lower()
        return True if back and not seen.busy and not seen.named(name) else None

    bench.until("merged", merged, bench.patience.state)
    bench.change(copying.discard(_NAME, _COPY))
    if file.seen(bench.look(file.look(_COPY))) is not None:
        raise NotSo("the read-only copy could not be removed")
    return "its disk has its name again, and the copy is gone"


PROBES: Final = (
    Probe(
        "checkpoint",
        "The disk of a running VM is held still by a checkpoint, which tells its file.",
        "Checkpoint-VM, Get-VMSnapshot, Get-VMHardDiskDrive",
        _held,
        changes=True,
        needs=("start-2",),
    ),
    Probe(
        "disk-copy",
        "A job of the management service copies a disk flat from under a checkpoint, tells how "
        "far it is, and outlives the link; the copy gets its name.",
        "Msvm_ImageManagementService.ConvertVirtualHardDisk, Msvm_StorageJob",
        _copied,
        changes=True,
        needs=("checkpoint",),
    ),
    Probe(
        "merge",
        "A checkpoint is removed while its VM runs, and its disk has its name again.",
        "Remove-VMSnapshot",
        _merged,
        changes=True,
        needs=("checkpoint",),
    ),
)
