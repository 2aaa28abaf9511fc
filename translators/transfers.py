"""Files that go from one host to another through the gateway: asked for here, by any family.

Who needs a disk on a host where it is not asks once; the engine drives it (`ec2.transfers`), and
the depot lets through who shows the token of the transfer's present phase.

Source: docs/decisions/0015-disks-travel-through-the-gateway.md.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models, storage

VALID: Final = dt.timedelta(hours=24)
"""So long a token lets through; a transfer that takes longer is given another."""
Outcome = Literal["there", "under way", "failed"]
UNDER_WAY: Final[tuple[storage.TransferPhase, ...]] = ("sending", "receiving")


def ask(
    session: Session, path: str, source_host_key: int, target_host_key: int, now: dt.datetime
) -> models.Transfer:
    """Have the file at `path` below the source's root brought to the same path on the target.

    Asking again is harmless; a transfer that failed begins anew.
    """
    row = find(session, path, target_host_key)
    if row is None:
        row = models.Transfer(
            path=path,
            source_host_key=source_host_key,
            target_host_key=target_host_key,
            phase="sending",
            generation=1,
            phase_since=now,
            done_bytes=0,
        )
        session.add(row)
        session.flush()
    elif row.phase == "failed":
        row.source_host_key = source_host_key
        row.phase, row.phase_since, row.trouble = "sending", now, None
        row.done_bytes, row.length_bytes, row.sha256 = 0, None, None
        row.generation += 1
    return row


def offer(
    session: Session,
    path: str,
    target_host_key: int,
    *,
    length_bytes: int,
    sha256: str,
    now: dt.datetime,
) -> models.Transfer:
    """Have a file that is on the depot's shelf already fetched by the target to `path`.

    It is on no host: where fetching it fails, there is nobody to send it again, and the row goes.
    """
    row = models.Transfer(
        path=path,
        source_host_key=target_host_key,
        target_host_key=target_host_key,
        phase="receiving",
        generation=1,
        phase_since=now,
        done_bytes=0,
        length_bytes=length_bytes,
        sha256=sha256,
    )
    session.add(row)
    session.flush()
    return row


def was_offered(row: models.Transfer) -> bool:
    """Tell whether the file came from the gateway itself."""
    return row.source_host_key == row.target_host_key


def withdraw(session: Session, path: str, now: dt.datetime) -> None:
    """Have the host that fetches what was offered for `path` end that; then the row goes."""
    row = models.Transfer
    query = sa.select(row).where(
        row.path == path, row.phase == "receiving", row.source_host_key == row.target_host_key
    )
    for one in session.scalars(query).all():
        one.phase, one.phase_since = "ending", now
        one.generation += 1


def find(session: Session, path: str, target_host_key: int) -> models.Transfer | None:
    """Find what was asked for, whatever became of it."""
    return session.scalar(
        sa.select(models.Transfer).where(
            models.Transfer.path == path, models.Transfer.target_host_key == target_host_key
        )
    )


def forget(session: Session, path: str, target_host_key: int | None = None) -> None:
    """Drop what is known of transfers of a file that is there by now, or needed no more."""
    row = models.Transfer
    where = [row.path == path]
    if target_host_key is not None:
        where.append(row.target_host_key == target_host_key)
    keys = list(session.scalars(sa.select(row.key).where(*where)))
    session.execute(
        sa.delete(models.Work).where(models.Work.kind == "transfer", models.Work.key.in_(keys))
    )
    session.execute(sa.delete(row).where(row.key.in_(keys)))


def token(key: bytes, transfer: models.Transfer) -> str:
    """Make what the host of the present phase shows the depot: nothing of it is kept anywhere."""
    what = f"{transfer.key} {transfer.phase} {transfer.generation}"
    return hmac.new(key, what.encode(), hashlib.sha256).hexdigest()
