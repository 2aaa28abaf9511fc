"""`ec2gw snapshot list`, `ec2gw image list`: disks that are made, how far, and where they lie."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import rich.live
import rich.progress_bar
import rich.table
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.cli import tables
from ec2gw.cli.opening import configured, data_option, opened
from state import models, storage

_BAR_CELLS: Final = 20
_REFRESH_SECONDS: Final = 0.5
_EVERY_HOST: Final = "every host"
_WORKING: Final = ("arriving", *storage.SNAPSHOT_WORKING)


@dataclass(frozen=True, slots=True)
class Disk:
    """A snapshot as an operator sees it."""

    row: Any
    owner: str
    hosts: str
    trouble: str

    @property
    def working(self) -> bool:
        """Whether a host still has to do something about it."""
        return self.row.phase in _WORKING and self.row.phase != "deleting"


def disks(session: Session) -> dict[int, Disk]:
    """Every snapshot by its key, oldest first."""
    copy, host = models.SnapshotCopy, models.Host
    lying = sa.select(copy.snapshot_key, host.name).join(host, host.key == copy.host_key)
    hosts: dict[int, list[str]] = {}
    for key, name in session.execute(lying.where(copy.ready).order_by(host.name)):
        hosts.setdefault(key, []).append(name)
    work = sa.select(models.Work.key, models.Work.trouble).where(models.Work.kind == "snapshot")
    snapshot, transfer = models.Snapshot, models.Transfer
    coming = (
        sa.select(snapshot.key, models.Work.trouble)
        .join(transfer, transfer.path == snapshot.file_name)
        .join(models.Work, models.Work.key == transfer.key)
        .where(models.Work.kind == "transfer", snapshot.phase == "arriving")
    )
    trouble = {key: told for one in (work, coming) for key, told in session.execute(one) if told}
    query = sa.select(snapshot.__table__, models.Account.name.label("owner")).join(
        models.Account, models.Account.key == snapshot.account_key
    )
    return {
        row.key: Disk(
            row,
            row.owner,
            _EVERY_HOST if row.everywhere else ", ".join(hosts.get(row.key, ())),
            trouble.get(row.key, ""),
        )
        for row in session.execute(query.order_by(snapshot.key))
    }


def bar(percent: int, state: str) -> rich.progress_bar.ProgressBar | str:
    """How far something is: a bar while it is on its way, else its state."""
    if state != "pending":
        return state
    return rich.progress_bar.ProgressBar(total=100, completed=percent, width=_BAR_CELLS)


def show(
    data: Path | None,
    file: Path | None,
    table: Callable[[Session], tuple[rich.table.Table, bool]],
    *,
    follow: bool,
) -> None:
    """Print the table; with `follow`, again and again until nothing in it is on its way."""
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, _vault):

        def read() -> tuple[rich.table.Table, bool]:
            with store.read() as session:
                return table(session)

        shown, pending = read()
        if not follow:
            tables.show(shown)
            return
        with rich.live.Live(shown, auto_refresh=False) as live:
            while pending:
                time.sleep(_REFRESH_SECONDS)
                shown, pending = read()
                live.update(shown, refresh=True)


follow_option = click.option("--follow", is_flag=True, help="Until nothing is on its way.")


@click.group()
def snapshot() -> None:
    """Snapshots of volumes."""


@snapshot.command("list")
@follow_option
@data_option
def list_(follow: bool, data: Path | None, file: Path | None) -> None:
    """List snapshots: how far they are, which hosts have them, what holds them up."""
    show(data, file, _snapshots, follow=follow)


def _snapshots(session: Session) -> tuple[rich.table.Table, bool]:
    table = tables.Table("id", "owner", "region", "GiB", "state", "phase", "hosts", "trouble")
    found = disks(session).values()
    for one in found:
        row = one.row
        table.add_row(
            row.id,
            one.owner,
            row.region,
            str(row.size_gib),
            bar(row.progress, row.state),
            row.phase,
            one.hosts,
            one.trouble,
        )
    return table, any(one.working for one in found)


def images(session: Session) -> tuple[rich.table.Table, bool]:
    """Show every image that is not deregistered; one is as far as all its disks are together."""
    table = tables.Table("id", "name", "owner", "region", "GiB", "state", "hosts", "trouble")
    known = disks(session)
    more: dict[int, list[int]] = {}
    part = sa.select(models.ImageDisk.image_key, models.ImageDisk.snapshot_key)
    for image_key, snapshot_key in session.execute(part):
        if snapshot_key is not None:
            more.setdefault(image_key, []).append(snapshot_key)
    image = models.Image
    query = sa.select(image.__table__, models.Account.name.label("owner")).join(
        models.Account, models.Account.key == image.account_key
    )
    pending = False
    for row in session.execute(query.where(image.state != "deregistered").order_by(image.key)):
        keys = [row.snapshot_key, *more.get(row.key, ())]
        own = [known[key] for key in keys if key in known]
        pending = pending or row.state == "pending"
        table.add_row(
            row.id,
            row.name,
            row.owner,
            row.region,
            str(row.size_gib),
            bar(_together(own), row.state),
            _where(own),
            next((one.trouble for one in own if one.trouble), row.message or ""),
        )
    return table, pending


def _together(own: Sequence[Disk]) -> int:
    """Of disks that differ in size the larger ones count more."""
    whole = sum(one.row.size_gib for one in own)
    return sum(one.row.progress * one.row.size_gib for one in own) // whole if whole else 0


def _where(own: Sequence[Disk]) -> str:
    """The hosts that have all the disks."""
    placed = [set(one.hosts.split(", ")) for one in own if one.hosts != _EVERY_HOST]
    if not placed:
        return _EVERY_HOST
    return ", ".join(sorted(set.intersection(*placed) - {""}))


COMMANDS: Final = (snapshot,)
