"""Snapshots as rows, for all families that make or use them: whose they are, where their disk is.

An operator's disk below `images` is a snapshot too: it lies on every host, and is never deleted.

Source: EBS User Guide, "Amazon EBS snapshots"; EC2 API Reference, data type Snapshot.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from state import ids
from state.models import Host, Snapshot, SnapshotCopy, SnapshotPermission, Volume
from state.statements import Statement, listed
from translators import errors, forms, listing, tags, transfers, zones
from translators.errors import Ec2Error
from translators.filters import Condition
from translators.registry import Context

FOLDER: Final = "snapshots"
"""Below each host's root: disks that we made and that nobody writes to."""
NO_VOLUME: Final = "vol-ffffffff"
"""What EC2 shows of a snapshot that was made of no volume of the account's."""
HERE: Final[Condition] = sa.or_(Snapshot.region == listing.REGION, Snapshot.region == zones.ANY)
EXISTS: Final[Condition] = Snapshot.phase != "deleting"
"""A deleted one is out of sight, though its row may stay for the children of its file."""


def shared_with(account: Any) -> Condition:
    """Snapshots that the account was named for, one by one."""
    permitted = sa.select(SnapshotPermission.snapshot_key).where(
        SnapshotPermission.account_key == account
    )
    return Snapshot.key.in_(permitted)


VISIBLE: Final[Condition] = sa.and_(
    HERE,
    sa.or_(Snapshot.account_key == listing.ACCOUNT, Snapshot.public, shared_with(listing.ACCOUNT)),
)
_USABLE: Final = Statement(
    sa.select(Snapshot.__table__).where(
        Snapshot.id == sa.bindparam("snapshot", type_=sa.String), VISIBLE, EXISTS
    )
)
_COPIES: Final = Statement(
    sa.select(SnapshotCopy.host_key, sa.func.count())
    .where(
        SnapshotCopy.snapshot_key.in_(listed("keys", sa.BigInteger)), SnapshotCopy.ready.is_(True)
    )
    .group_by(SnapshotCopy.host_key)
)
_PLACED: Final = Statement(
    sa.select(sa.func.count()).where(
        Snapshot.key.in_(listed("keys", sa.BigInteger)), Snapshot.everywhere.is_(False)
    )
)


def of_store(
    session: Session,
    *,
    account_key: int,
    region: str,
    file_name: str,
    size_gib: int,
    public: bool,
    now: dt.datetime,
    snapshot_id: str | None = None,
) -> Snapshot:
    """Write the snapshot of an operator's disk, `file_name` below `images`; answer its row."""
    row = Snapshot(
        id=snapshot_id or ids.mint("snap"),
        account_key=account_key,
        region=region,
        state="completed",
        phase="ready",
        phase_since=now,
        size_gib=size_gib,
        progress=100,
        started_at=now,
        fixed_at=now,
        completed_at=now,
        public=public,
        volume_id=NO_VOLUME,
        file_name=f"images/{file_name}",
        everywhere=True,
    )
    session.add(row)
    session.flush()
    return row


def usable(ctx: Context, snapshot_id: str, region: str | None = None) -> Any:
    """Find a finished snapshot that the caller may make a volume or an image of.

    It is of the request's region unless another one is named.

    :raises Ec2Error: ``InvalidSnapshotID.Malformed``, ``InvalidSnapshot.NotFound``,
        ``IncorrectState`` for one that is not finished
    """
    found = visible(ctx, snapshot_id, region)
    if found.state != "completed":
        raise incorrect_state(snapshot_id, found.state)
    return found


def visible(ctx: Context, snapshot_id: str, region: str | None = None) -> Any:
    """Find a snapshot that the caller sees, in whatever state.

    :raises Ec2Error: ``InvalidSnapshotID.Malformed``, ``InvalidSnapshot.NotFound``
    """
    if not ids.is_well_formed("snap", snapshot_id):
        raise forms.not_a_snapshot_id(snapshot_id)
    asked: dict[str, object] = {"snapshot": snapshot_id, "account": ctx.account_key}
    asked["region"] = region or ctx.region
    rows = _USABLE.named(ctx.session, asked)
    if not rows:
        raise errors.invalid_snapshot_not_found([snapshot_id])
    return rows[0]


def hosts_with(session: Session, keys: Collection[int]) -> frozenset[int] | None:
    """The hosts that have the files of all these snapshots; None: every host has them."""
    wanted = list(set(keys))
    placed: int = _PLACED.scalar(session, {"keys": wanted})
    if not placed:
        return None
    found = _COPIES.run(session, {"keys": wanted})
    return frozenset(host_key for host_key, count in found if count == placed)


def send_for(ctx: Context, keys: Collection[int], host_keys: Collection[int]) -> None:
    """Have the files of these snapshots brought to the hosts that lack them.

    Each comes from a host that has it, a reachable one where there is one.
    """
    for key in set(keys):
        having = hosts_with(ctx.session, [key])
        lacking = set(host_keys) - having if having is not None else ()
        if not lacking or not having:
            continue
        query = sa.select(Host.key).where(Host.key.in_(having), Host.state != "removed")
        source = ctx.session.scalars(query.order_by(Host.reachable.desc(), Host.key)).first()
        if source is None:
            continue
        path = ctx.session.get_one(Snapshot, key).file_name
        for host_key in sorted(lacking):
            transfers.ask(ctx.session, path, source, host_key, ctx.now)
        ctx.wake.add(source)


def carried(session: Session, keys: Collection[int], host_key: int) -> transfers.Outcome:
    """Tell whether the files of these snapshots are on a host, or will be."""
    having = hosts_with(session, keys) if keys else None
    if having is None or host_key in having:
        return "there"
    paths = session.scalars(sa.select(Snapshot.file_name).where(Snapshot.key.in_(keys)))
    found = [transfers.find(session, path, host_key) for path in paths]
    sent = [one for one in found if one is not None]
    return "under way" if any(one.phase in ("sending", "receiving") for one in sent) else "failed"


def reaches(session: Session, key: int, region: str) -> bool:
    """Tell whether a host of the region has the snapshot's file."""
    on = hosts_with(session, [key])
    if on is None:
        return True
    query = sa.select(Host.key).where(
        Host.key.in_(on), Host.region.in_([region, zones.ANY]), Host.state != "removed"
    )
    return session.scalar(query.limit(1)) is not None


def forsake(ctx: Context, row: Snapshot) -> None:
    """Take a snapshot out of sight; the engine removes what there is of it, if nothing needs it."""
    row.phase, row.phase_since = "deleting", ctx.now
    row.generation += 1
    row.public = False
    tags.remove_all(ctx, "snapshot", row.key)
    if row.host_key is not None:
        ctx.wake.add(row.host_key)


def incorrect_state(snapshot_id: str, state: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"The snapshot {snapshot_id} is in an invalid state: {state}")


# -- made


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the snapshots of one moment have in common."""

    description: str
    cold: bool = False
    """To be taken once the VM is off."""


def take(ctx: Context, volumes: Sequence[Volume], wanted: Wanted) -> list[Snapshot]:
    """Write the snapshots of volumes at one point in time; the engine makes them.

    The volumes are of one instance, or it is one that is attached to nothing. The file of such a
    one is nobody's: its point in time is fixed at once, it is attached to nothing until the copy
    is there. Of an instance's it is fixed by a checkpoint of its VM.
    """
    rows: list[Snapshot] = []
    for volume in volumes:
        row = Snapshot(
            id=ids.mint("snap"),
            account_key=ctx.account_key,
            region=ctx.region,
            state="pending",
            phase="freezing",
            phase_since=ctx.now,
            description=wanted.description,
            size_gib=volume.size_gib,
            started_at=ctx.now,
            volume_id=volume.id,
            volume_key=volume.key,
            host_key=volume.host_key,
            cold=wanted.cold,
        )
        row.file_name = f"{FOLDER}/{row.id}.vhdx"
        if volume.phase == "available":
            row.phase, row.fixed_at, row.source_path = "copying", ctx.now, volume.file_name
        else:
            row.instance_key = volume.instance_key
            row.point = rows[0].id if rows else row.id
        rows.append(row)
        ctx.wake.add(volume.host_key)
    ctx.session.add_all(rows)
    ctx.session.flush()
    return rows


def copy(ctx: Context, source: Any, description: str) -> Snapshot:
    """Write another snapshot of the same file, the caller's own, in the request's region.

    It is there at once: nobody writes to the file, which goes with the last snapshot that has it.

    :raises Ec2Error: ``UnsupportedOperation`` where no host of the region has the file, nor can
        have it
    """
    if ctx.settings.depot is None and not reaches(ctx.session, source.key, ctx.region):
        raise errors.unsupported_operation("SourceRegion")
    row = Snapshot(
        id=ids.mint("snap"),
        account_key=ctx.account_key,
        region=ctx.region,
        state="completed",
        phase="ready",
        phase_since=ctx.now,
        description=description,
        size_gib=source.size_gib,
        progress=100,
        started_at=ctx.now,
        fixed_at=ctx.now,
        completed_at=ctx.now,
        volume_id=NO_VOLUME,
        host_key=source.host_key,
        file_name=source.file_name,
        vm_generation=source.vm_generation,
        everywhere=source.everywhere,
    )
    ctx.session.add(row)
    ctx.session.flush()
    lie_on(ctx.session, source.key, row.key)
    return row


def lie_on(session: Session, source_key: int, target_key: int) -> None:
    """Note that a snapshot's file is wherever another one's is."""
    copies = sa.select(sa.literal(target_key), SnapshotCopy.host_key, SnapshotCopy.ready).where(
        SnapshotCopy.snapshot_key == source_key
    )
    session.execute(
        sqlite.insert(SnapshotCopy)
        .from_select(["snapshot_key", "host_key", "ready"], copies.where(sa.true()))
        .on_conflict_do_nothing()
    )


def fixed(session: Session, snapshot_ids: Sequence[str]) -> bool:
    """Tell whether no snapshot of these waits for its point in time any more."""
    query = sa.select(Snapshot.key).where(
        Snapshot.id.in_(snapshot_ids), Snapshot.phase == "freezing"
    )
    return session.scalar(query.limit(1)) is None


def withdraw(ctx: Context, snapshot_ids: Sequence[str]) -> Ec2Error:
    """Undo snapshots whose point in time was not fixed within the time there is; say why."""
    query = sa.select(Snapshot).where(Snapshot.id.in_(snapshot_ids), EXISTS)
    rows = ctx.session.scalars(query).all()
    crowded = any(_waits_for_another(ctx.session, row) for row in rows)
    for row in rows:
        forsake(ctx, row)
    return concurrent_limit_exceeded() if crowded else errors.unavailable()


def _waits_for_another(session: Session, row: Snapshot) -> bool:
    others = sa.select(Snapshot.key).where(
        Snapshot.instance_key == row.instance_key,
        Snapshot.point.is_not(None),
        Snapshot.point != row.point,
        Snapshot.key < row.key,
    )
    return row.point is not None and session.scalar(others.limit(1)) is not None


def concurrent_limit_exceeded() -> Ec2Error:
    message = (
        "You have reached the limit on the number of concurrent snapshots of the volume's "
        "instance. Wait until the pending requests have completed."
    )
    return Ec2Error("ConcurrentSnapshotLimitExceeded", message)


def incorrect_volume_state(volume_id: str, state: str) -> Ec2Error:
    return Ec2Error("IncorrectState", f"Volume '{volume_id}' is in the '{state}' state.")


SNAPPED: Final = frozenset({"available", "moving", "attaching", "in-use", "detaching"})
"""Phases of a volume of which a snapshot can be made."""
