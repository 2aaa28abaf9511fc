"""Whose a snapshot is, for what only its owner may do.

Source: EBS User Guide, "Share an Amazon EBS snapshot with other AWS accounts".
"""

from __future__ import annotations

from state.models import Snapshot
from translators import errors, snapshots
from translators.registry import Context


def owned(ctx: Context, snapshot_id: str) -> Snapshot:
    """Load a snapshot that the caller owns.

    :raises Ec2Error: ``InvalidSnapshotID.Malformed``, ``InvalidSnapshot.NotFound``,
        ``UnauthorizedOperation`` for one that is only shared with the caller
    """
    found = snapshots.visible(ctx, snapshot_id)
    if found.account_key != ctx.account_key:
        raise errors.unauthorized_operation()
    return ctx.session.get_one(Snapshot, found.key)
