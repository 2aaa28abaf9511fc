"""`ec2gw host`: which Hyper-V hosts there are, and whether they can be worked with."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path, PureWindowsPath
from typing import Any

import click
import rich.console
import rich.table
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.cli import signing_in
from ec2gw.cli.opening import Failed, configured, data_option, opened, opened_for_hosts
from state import models
from state.secrets import host_context

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ZONE = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+[a-z]")


@click.group()
def host() -> None:
    """Hyper-V hosts."""


@host.command()
@click.argument("name")
@click.option("--url", required=True, help="https://HOST:5986/wsman or http://HOST:5985/wsman")
@click.option("--zone", required=True, help="Region and a letter, such as eu-central-1a.")
@click.option(
    "--transport",
    type=click.Choice(["kerberos", "ntlm", "certificate", "basic"]),
    default="kerberos",
    show_default=True,
)
@click.option("--username", help="The account on the host.")
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help=f"Its password; else ${signing_in.SECRET_VARIABLE}, else it is asked for.",
)
@click.option("--root", default="C:\\ec2gw", show_default=True, help="The folder that is ours.")
@click.option("--ca-file", type=click.Path(exists=True), help="PEM of who signed the host.")
@click.option("--certificate-file", type=click.Path(exists=True), help="Ours, for certificate.")
@click.option("--key-file", type=click.Path(exists=True), help="Its key.")
@click.option("--keytab-file", type=click.Path(exists=True), help="For kerberos, no password.")
@click.option("--allow-ntlm-over-http", is_flag=True, help="Messages are encrypted by NTLM.")
@data_option
def add(
    name: str,
    url: str,
    zone: str,
    transport: str,
    username: str | None,
    secret_file: Path | None,
    root: str,
    ca_file: str | None,
    certificate_file: str | None,
    key_file: str | None,
    keytab_file: str | None,
    allow_ntlm_over_http: bool,
    data: Path | None,
    file: Path | None,
) -> None:
    """Add a host; the service takes it up within seconds. `check` it before."""
    if not _NAME.fullmatch(name):
        raise Failed(f"{name!r} is no name for a host: letters, digits, dot, dash, underscore")
    if not _ZONE.fullmatch(zone):
        raise Failed(f"{zone!r} is no zone: a region and a letter, such as eu-central-1a")
    folder = PureWindowsPath(root)
    if not folder.is_absolute() or len(folder.drive) != 2 or ".." in folder.parts:
        raise Failed(f"{root!r} is no folder on a local drive, such as C:\\ec2gw")
    options: dict[str, Any] = {
        "ca_file": _absolute(ca_file),
        "certificate_file": _absolute(certificate_file),
        "key_file": _absolute(key_file),
        "keytab_file": _absolute(keytab_file),
        "allow_ntlm_over_http": allow_ntlm_over_http,
    }
    options = {key: value for key, value in options.items() if value}
    way_in = signing_in.checked(url, transport, username, options)
    secret = signing_in.secret(name, secret_file) if way_in.takes_password else None
    if secret_file is not None and secret is None:
        raise Failed("a password is not used to sign in this way: leave --secret-file out")
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened_for_hosts(resolved) as (store, vault):
        sealed = vault.seal(secret.encode(), host_context(name)) if secret else None

        def work(session: Session) -> None:
            query = sa.select(models.Host).where(models.Host.name == name)
            row = session.scalars(query).one_or_none()
            if row is not None and row.state != "removed":
                raise Failed(f"there is a host called {name} already")
            if row is None:
                row = models.Host(name=name, created_at=dt.datetime.now(dt.UTC))
                session.add(row)
            row.url, row.transport, row.username = url, transport, username
            row.region, row.zone_letter = zone[:-1], zone[-1]
            row.secret, row.options, row.root = sealed, options, str(folder)
            row.state = "active"
            session.flush()
            address_of(row, vault)

        store.write(work)
    click.echo(f"added {name}; now: ec2gw host check {name}")
    click.echo(
        "warning: rules of security groups are kept and shown, but not yet enforced: what an "
        "instance lets in is what its guest and your network let in",
        err=True,
    )


@host.command("list")
@data_option
def list_(data: Path | None, file: Path | None) -> None:
    """List hosts with what the last survey found."""
    resolved = configured(file, data=str(data.absolute()) if data else None)
    table = rich.table.Table("name", "zone", "url", "state", "reachable", "surveyed", "trouble")
    row = models.Host
    with opened(resolved) as (store, _), store.read() as session:
        for one in session.scalars(sa.select(row).order_by(row.name)):
            if one.state != "removed":
                table.add_row(
                    one.name,
                    f"{one.region}{one.zone_letter}",
                    one.url,
                    one.state,
                    "yes" if one.reachable else "no",
                    one.surveyed_at.isoformat(timespec="seconds") if one.surveyed_at else "-",
                    one.trouble or "",
                )
    rich.console.Console().print(table)


@host.command()
@click.argument("name")
@data_option
def check(name: str, data: Path | None, file: Path | None) -> int:
    """Try each step on the way to a host: what holds, and what to do where one does not."""
    from ec2gw.winrm import probe  # heavy, and no other command needs it

    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault):
        with store.read() as session:
            row = find(session, name)
            network = models.Network
            here = (network.region == row.region, network.zone_letter == row.zone_letter)
            switches = sorted(set(session.scalars(sa.select(network.switch).where(*here))))
            address, root = address_of(row, vault), row.root
        steps = probe.probe(address, root, switches=switches)
    table = rich.table.Table("step", "", "found", "what to do")
    for step in steps:
        table.add_row(step.name, "ok" if step.ok else "FAILS", step.found, step.advice)
    rich.console.Console().print(table)
    return 0 if all(step.ok for step in steps) else 1


@host.command()
@click.argument("name")
@data_option
def remove(name: str, data: Path | None, file: Path | None) -> None:
    """Give a host up that has no instances left; nothing on it is changed."""
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session) -> None:
        row = find(session, name)
        if row.laboratory:
            raise Failed(f"{name} is the laboratory's")
        instance = models.Instance
        alive = (instance.host_key == row.key, instance.phase != "terminated")
        count = session.scalar(sa.select(sa.func.count()).where(*alive))
        if count:
            raise Failed(f"{name} has {count} instances: terminate them first")
        row.state = "removed"
        row.secret = None

    with opened(resolved) as (store, _):
        store.write(work)
    click.echo(f"removed {name}")


def find(session: Session, name: str) -> models.Host:
    query = sa.select(models.Host).where(models.Host.name == name, models.Host.state != "removed")
    row = session.scalars(query).one_or_none()
    if row is None:
        raise Failed(f"there is no host called {name}")
    return row


def address_of(row: models.Host, vault: Any) -> Any:
    """Make the link's address; the transport's rules are checked by that."""
    from ec2gw.engine import links  # heavy
    from ec2gw.winrm import endpoint

    try:
        return links.address(row, vault)
    except endpoint.NotAllowed as error:
        raise Failed(str(error)) from None


def _absolute(path: str | None) -> str | None:
    return str(Path(path).absolute()) if path else None


COMMANDS = (host,)
