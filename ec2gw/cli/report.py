"""`ec2gw report`: what users said of their instances' status (ReportInstanceStatus)."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import sqlalchemy as sa

from ec2gw.cli import tables
from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import ids, models


@click.group()
def report() -> None:
    """Reports of users on their instances."""


@report.command("list")
@click.option("--instance", "instance_id", metavar="ID", help="Of this instance alone.")
@click.option("--last", type=click.IntRange(1, 10_000), default=50, show_default=True)
@data_option
def list_(instance_id: str | None, last: int, data: Path | None, file: Path | None) -> None:
    """List the newest reports, oldest first, with where the instances are."""
    if instance_id is not None and not ids.is_well_formed("i", instance_id):
        raise Failed(f"{instance_id!r} is no instance's id")
    resolved = configured(file, data=str(data.absolute()) if data else None)
    row, instance = models.StatusReport, models.Instance
    query = (
        sa.select(row, instance.id, models.Account.name, models.Host.name)
        .join(instance, instance.key == row.instance_key)
        .join(models.Account, models.Account.key == instance.account_key)
        .join(models.Host, models.Host.key == instance.host_key)
        .order_by(row.key.desc())
        .limit(last)
    )
    if instance_id is not None:
        query = query.where(instance.id == instance_id)
    table = tables.Table(
        "reported", "instance", "account", "host", "status", "reasons", "from", "until", "said"
    )
    with opened(resolved) as (store, _), store.read() as session:
        for one, shown_id, account, host in reversed(session.execute(query).all()):
            table.add_row(
                _time(one.reported_at),
                shown_id,
                account,
                host,
                one.status,
                ", ".join(one.reasons),
                _time(one.starts_at),
                _time(one.ends_at),
                one.description or "",
            )
    tables.show(table)


def _time(moment: dt.datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment is not None else "-"


COMMANDS = (report,)
