"""DescribeSnapshots: one's own, those shared with one, and the public ones.

A snapshot of region "*", an operator's disk, is the same in every region.

Source: EC2 API Reference, DescribeSnapshots, data type Snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Account, Snapshot, SnapshotPermission
from translators import errors, forms, listing, snapshots, tags
from translators.filters import Condition, Filter, always, never, number, text, through, time
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeSnapshotsRequestTypeDef, SnapshotTypeDef

_ALIASES: Final = ("amazon", "aws-backup-vault", "aws-marketplace")
_PROGRESS: Final = sa.cast(Snapshot.progress, sa.String) + "%"
FILTERS: Final[Mapping[str, Filter]] = {
    "description": text(Snapshot.description),
    "encrypted": always("false"),
    "owner-alias": through(Snapshot.account_key, Account.key, text(Account.owner_alias)),
    "owner-id": through(Snapshot.account_key, Account.key, text(Account.id)),
    "progress": text(_PROGRESS),
    "snapshot-id": text(Snapshot.id),
    "start-time": time(Snapshot.started_at),
    "status": text(Snapshot.state),
    "storage-tier": always("standard"),
    "transfer-type": never,
    "volume-id": text(Snapshot.volume_id),
    "volume-size": number(Snapshot.size_gib),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(Snapshot.__table__, Account.id.label("owner_id"), Account.owner_alias)
        .join(Account, Account.key == Snapshot.account_key)
        .where(Snapshot.key.in_(keys))
    )
    tagged = tags.of(ctx, "snapshot", keys)
    return {row.key: _shown(row, tagged[row.key]) for row in rows}


def _shown(row: Any, tagged: list[Any]) -> SnapshotTypeDef:
    shown: SnapshotTypeDef = {
        "Description": row.description,
        "Encrypted": False,
        "OwnerId": row.owner_id,
        "Progress": f"{row.progress}%",
        "SnapshotId": row.id,
        "StartTime": row.started_at,
        "State": row.state,
        "StorageTier": "standard",
        "VolumeId": row.volume_id,
        "VolumeSize": row.size_gib,
    }
    if row.owner_alias is not None:
        shown["OwnerAlias"] = row.owner_alias
    if row.completed_at is not None:
        shown["CompletionTime"] = row.completed_at
    if row.message is not None:
        shown["StateMessage"] = row.message
    if tagged:
        shown["Tags"] = tagged
    return shown


SNAPSHOTS: Final = listing.Resource(
    action="DescribeSnapshots",
    kind="snapshot",
    model=Snapshot,
    prefix="snap",
    id_member="SnapshotIds",
    ids_word="snapshotSet",
    malformed=lambda text: forms.not_a_snapshot_id(text, "snapshotSet"),
    not_found=errors.invalid_snapshot_not_found,
    filters=FILTERS,
    view=_view,
    visible=snapshots.VISIBLE,
    exists=snapshots.EXISTS,
    cut_max_results=True,
)


@action("DescribeSnapshots")
def describe_snapshots(ctx: Context, request: DescribeSnapshotsRequestTypeDef) -> Result:
    """List snapshots that the caller may make volumes of.

    :raises Ec2Error: ``InvalidSnapshotID.Malformed``, ``InvalidSnapshot.NotFound``,
        ``InvalidUserID.Malformed``
    """
    narrow = [*_owned_by(ctx, request), *_restorable_by(ctx, request)]
    page = listing.describe(ctx, SNAPSHOTS, request, narrow=narrow)
    # No fragments: a snapshot's tags show to its owner alone.
    return page.answer("Snapshots", page.views())


def _owned_by(ctx: Context, request: DescribeSnapshotsRequestTypeDef) -> list[Condition]:
    owners = request.get("OwnerIds")
    if not owners:
        return []
    accounts, aliases = [], []
    for owner in owners:
        if owner == "self":
            accounts.append(ctx.account_id)
        elif ids.ACCOUNT.fullmatch(owner):
            accounts.append(owner)
        elif owner in _ALIASES:
            aliases.append(owner)
        else:
            raise errors.invalid_user_id_malformed(owner)
    named = sa.select(Account.key).where(
        sa.or_(Account.id.in_(accounts), Account.owner_alias.in_(aliases))
    )
    return [Snapshot.account_key.in_(named)]


def _restorable_by(ctx: Context, request: DescribeSnapshotsRequestTypeDef) -> list[Condition]:
    """Snapshots that somebody may use: all, the caller, or, of the caller's own, another one."""
    users = request.get("RestorableByUserIds")
    if not users:
        return []
    conditions: list[Condition] = []
    others: list[str] = []
    for user in users:
        if user == "all":
            conditions.append(Snapshot.public.is_(True))
        elif user in ("self", ctx.account_id):
            conditions += [
                Snapshot.account_key == ctx.account_key,
                snapshots.shared_with(ctx.account_key),
            ]
        elif ids.ACCOUNT.fullmatch(user):
            others.append(user)
        else:
            raise errors.invalid_user_id_malformed(user)
    if others:
        named = (
            sa.select(SnapshotPermission.snapshot_key)
            .join(Account, Account.key == SnapshotPermission.account_key)
            .where(Account.id.in_(others))
        )
        mine = Snapshot.account_key == ctx.account_key
        conditions.append(sa.and_(mine, Snapshot.key.in_(named)))
    return [sa.or_(*conditions)]
