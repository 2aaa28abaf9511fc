"""The phases of volumes, snapshots and transfers, and what EC2 calls each.

Source: EBS User Guide, "Amazon EBS volume state"; EC2 API Reference, Volume, VolumeAttachment,
VolumeModification, Snapshot.
"""

from __future__ import annotations

from typing import Final, Literal

VolumePhase = Literal[
    "creating",  # its file is being made
    "available",
    "moving",  # to the host of the instance that it is to be attached to
    "attaching",
    "in-use",
    "detaching",
    "deleting",  # its file is being removed, and then its row
    "error",
]
ModificationState = Literal["modifying", "optimizing", "completed", "failed"]
SnapshotPhase = Literal[
    "arriving",  # it comes from outside: a transfer brings its file
    "verifying",  # its host looks whether what came is a disk
    "freezing",  # the point in time is not fixed yet
    "copying",  # a job of the host makes the file
    "releasing",  # the copy is there; the checkpoint is to go, and its merge to end
    "ready",
    "deleting",  # deleted by its owner: the file goes as soon as nobody needs it
    "failing",  # what was made of it is removed
    "error",
]
TransferPhase = Literal[
    "sending",
    "receiving",
    "ending",  # nobody wants the file any more: the task goes, and what there is half of one
    "done",
    "failed",
]

VOLUME_WORKING: Final[frozenset[VolumePhase]] = frozenset(
    {"creating", "moving", "attaching", "detaching", "deleting"}
)
SNAPSHOT_WORKING: Final[frozenset[SnapshotPhase]] = frozenset(
    {"verifying", "freezing", "copying", "releasing", "deleting", "failing"}
)
VOLUME_STATES: Final[dict[VolumePhase, str]] = {
    "creating": "creating",
    "available": "available",
    "moving": "in-use",
    "attaching": "in-use",
    "in-use": "in-use",
    "detaching": "in-use",
    "deleting": "deleting",
    "error": "error",
}
"""Phase -> EC2's VolumeState."""
ATTACHMENT_STATES: Final[dict[VolumePhase, str]] = {
    "moving": "attaching",
    "attaching": "attaching",
    "in-use": "attached",
    "detaching": "detaching",
}
"""Phase -> EC2's VolumeAttachmentState."""


def entered(phase: VolumePhase) -> dict[str, str | None]:
    """The columns of a volume that say its phase, in ours and in EC2's words."""
    return {
        "phase": phase,
        "state": VOLUME_STATES[phase],
        "attachment_state": ATTACHMENT_STATES.get(phase),
    }
