"""`ec2gw account`: accounts and their access keys."""

from __future__ import annotations

import re
from pathlib import Path

import click
import sqlalchemy as sa

from ec2gw.auth import accounts
from ec2gw.cli import tables
from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import models

_NAME = re.compile(r"(?!open-)[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.group()
def account() -> None:
    """Accounts and their access keys."""


@account.command()
@click.argument("name")
@click.option(
    "--image-store",
    is_flag=True,
    help="May register any disk in the hosts' image store, whoever put it there.",
)
@data_option
def create(name: str, image_store: bool, data: Path | None, file: Path | None) -> None:
    """Make an account with an access key, and print both."""
    if not _NAME.fullmatch(name):
        raise Failed(f"{name!r} is no name for an account: letters, digits, dot, dash, underscore")
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault):
        try:
            made = accounts.create(store, vault, name, image_store=image_store)
        except accounts.NameTaken:
            raise Failed(f"there is an account called {name} already") from None
    click.echo(f"# account {made.account_id}")
    click.echo(f"export AWS_ACCESS_KEY_ID={made.access_key_id}")
    click.echo(f"export AWS_SECRET_ACCESS_KEY={made.secret}")


@account.command()
@click.argument("name")
@data_option
def key(name: str, data: Path | None, file: Path | None) -> None:
    """Give an account, by its name or id, one more access key, and print it."""
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault):
        made = accounts.add_key(store, vault, name)
    if made is None:
        raise Failed(f"there is no account {name}")
    click.echo(f"export AWS_ACCESS_KEY_ID={made.access_key_id}")
    click.echo(f"export AWS_SECRET_ACCESS_KEY={made.secret}")


@account.command("list")
@data_option
def list_(data: Path | None, file: Path | None) -> None:
    """List accounts with their access key ids."""
    resolved = configured(file, data=str(data.absolute()) if data else None)
    row, key = models.Account, models.AccessKey
    query = (
        sa.select(row.id, row.name, key.id, key.active)
        .join(key, key.account_key == row.key, isouter=True)
        .order_by(row.key, key.key)
    )
    table = tables.Table("account", "name", "access key", "active")
    with opened(resolved) as (store, _), store.read() as session:
        for account_id, name, key_id, active in session.execute(query):
            table.add_row(account_id, name, key_id or "-", "yes" if active else "no")
    tables.show(table)


COMMANDS = (account,)
