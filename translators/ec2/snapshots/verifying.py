"""What a snapshot from outside needs once its file is on a host: the host's word that it is a disk.

Source: docs/decisions/0015-disks-travel-through-the-gateway.md; EC2's status messages of import
tasks that failed.
"""

from __future__ import annotations

from typing import Final

from translators.ec2.snapshots import steps
from translators.ec2.snapshots.intents import Intent, Sight
from translators.hyperv import vhd, volume
from translators.hyperv.host import Path
from translators.settings import GIB
from translators.steps import Decision, Rest, Wait, step

_PATIENCE_SECONDS: Final = 120.0
"""So long a host may fail to say what the file is, before that is taken for its answer."""
_POLL: Final = 2.0
_CODE: Final = "Client.InvalidSnapshot"


@step("snapshot", "verifying")
def verify(intent: Intent, sight: Sight) -> Decision:
    """See a whole VHDX, no child of another disk, of the size that was told of it, in whole GiB."""
    if sight.header is None:
        assert sight.refused is not None
        late = intent.seconds_in_phase > _PATIENCE_SECONDS
        if vhd.is_none(sight.refused) or (late and not sight.refused.passes):
            code = next(iter(sight.refused.hresult), sight.refused.identifier)
            return _refuse(f"its host reads no virtual disk in it: {code}")
        return Wait(_POLL, f"look-disk: {sight.refused.id}")
    disk = sight.header
    if disk.format != "VHDX":
        return _refuse(f"it is a {disk.format}, not a VHDX")
    if disk.type not in ("Dynamic", "Fixed"):
        return _refuse("it is a part of another disk")
    if -(-disk.size_bytes // GIB) != intent.size_gib:
        return _refuse("it is not as large as it was when it was converted")
    if disk.size_bytes % GIB:  # volumes have whole ones, and a guest is to find all of its volume
        plan = volume.grow(Path(intent.file_name), intent.size_gib * GIB)
        return steps.attempt(intent, plan, _refuse("its host cannot round its size up"))
    return Rest("verified")


def _refuse(why: str) -> Rest:
    return Rest("refused", (_CODE, f"ClientError: Disk validation failed [{why}]"))
