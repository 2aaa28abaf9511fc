"""`ec2gw host`: which Hyper-V hosts there are, and whether they can be worked with."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path, PureWindowsPath
from typing import Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw import config
from ec2gw.cli import consoles, signing_in, tables
from ec2gw.cli import drain as draining
from ec2gw.cli.opening import Failed, configured, data_option, opened, opened_for_hosts
from state import models, recovering

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ZONE = re.compile(r"[a-z]{2,}(-[a-z0-9]+)+[a-z]")


@click.group()
def host() -> None:
    """Hyper-V hosts."""


@host.command()
@click.argument("name")
@click.option("--zone", required=True, help="Region and a letter, such as eu-central-1a.")
@click.option("--root", default="C:\\ec2gw", show_default=True, help="The folder that is ours.")
@signing_in.options
@data_option
def add(name: str, zone: str, root: str, data: Path | None, file: Path | None, **told: Any) -> None:
    """Add a host; the service takes it up within seconds. `check` it before."""
    if not _NAME.fullmatch(name):
        raise Failed(f"{name!r} is no name for a host: letters, digits, dot, dash, underscore")
    if not _ZONE.fullmatch(zone):
        raise Failed(f"{zone!r} is no zone: a region and a letter, such as eu-central-1a")
    folder = PureWindowsPath(root)
    if not folder.is_absolute() or len(folder.drive) != 2 or ".." in folder.parts:
        raise Failed(f"{root!r} is no folder on a local drive, such as C:\\ec2gw")
    way = signing_in.way(name, told)
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened_for_hosts(resolved) as (store, vault):

        def work(session: Session) -> None:
            query = sa.select(models.Host).where(models.Host.name == name)
            row = session.scalars(query).one_or_none()
            if row is not None and row.state != "removed":
                raise Failed(f"there is a host called {name} already")
            if row is None:
                row = models.Host(name=name, created_at=dt.datetime.now(dt.UTC))
                session.add(row)
            way.write(row, vault)
            row.region, row.zone_letter, row.root = zone[:-1], zone[-1], str(folder)
            row.state = "active"
            row.recovering = recovering.is_on(session)

        store.write(work)
    click.echo(f"added {name}; now: ec2gw host check {name}")


@host.command("sign-in")
@click.argument("name")
@signing_in.options
@data_option
def sign_in(name: str, data: Path | None, file: Path | None, **told: Any) -> None:
    """Reach a host in another way: what is not named stays, its password is asked for again.

    Its instances stay where they are; the service goes on in the new way within seconds.
    """
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault):
        with store.read() as session:
            before = find(session, name)
        if before.laboratory:
            raise Failed(f"{name} is the laboratory's")
        way = signing_in.way(name, told, before)
        store.write(lambda session: way.write(find(session, name), vault))
    click.echo(f"changed {name}; now: ec2gw host check {name}")


@host.command("list")
@data_option
def list_(data: Path | None, file: Path | None) -> None:
    """List hosts with what the last survey found."""
    resolved = configured(file, data=str(data.absolute()) if data else None)
    table = tables.Table("name", "zone", "url", "state", "reachable", "surveyed", "trouble")
    row = models.Host
    plans: list[str] = []
    strays: list[str] = []
    with opened(resolved) as (store, _), store.read() as session:
        _tell_recovery(session)
        for one in session.scalars(sa.select(row).order_by(row.name)):
            if one.state != "removed":
                if plan := draining.planned(session, one):
                    plans.append(f"{one.name}: {draining.said(plan)}")
                strays += [f"{one.name}: VM {it['name']}: {it['why']}" for it in one.strays]
                table.add_row(
                    one.name,
                    f"{one.region}{one.zone_letter}",
                    one.url,
                    one.state,
                    "yes" if one.reachable else "no",
                    one.surveyed_at.isoformat(timespec="seconds") if one.surveyed_at else "-",
                    one.trouble or "",
                )
    tables.show(table)
    if plans:
        click.echo("Maintenance that instances are told of, until `ec2gw host undrain`:")
        for line in plans:
            click.echo(f"  {line}")
    if strays:
        click.echo("VMs with our Notes that belong to no instance; they are left alone:")
        for line in strays:
            click.echo(f"  {line}")


@host.command()
@click.argument("name")
@data_option
def check(name: str, data: Path | None, file: Path | None) -> int:
    """Try each step on the way to a host: what holds, and what to do where one does not."""
    from ec2gw.winrm import probe  # heavy, and no other command needs it

    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault):
        with store.read() as session:
            _tell_recovery(session)
            row = find(session, name)
            switches = sorted({switch for switch, _vlan in networks_of(session, resolved, row)})
            address, root, reader = address_of(row, vault), row.root, consoles.is_read(row)
        steps = probe.probe(address, root, switches=switches, reader=reader)
    table = tables.Table("step", "", "found", "what to do")
    for step in steps:
        table.add_row(step.name, "ok" if step.ok else "FAILS", step.found, step.advice)
    tables.show(table)
    return 0 if all(step.ok for step in steps) else 1


@host.command("console")
@click.argument("name")
@click.argument("wanted", type=click.Choice(["on", "off"]))
@data_option
def console_(name: str, wanted: str, data: Path | None, file: Path | None) -> None:
    """Have a host's consoles read while the service is away, too: by a scheduled task there.

    Without it what guests write is lost while no agent of ours runs on the host.
    """
    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, _):
        store.write(lambda session: consoles.turn(find(session, name), wanted == "on"))
    click.echo(f"console reader {wanted}, within seconds; now: ec2gw host check {name}")


@host.command()
@click.argument("name")
@click.option("--level", type=click.Choice(["1", "2"]), default="1", show_default=True)
@click.option("--undo", is_flag=True, help="Take back what the script noted that it changed.")
@click.option("--account", help="On the host; default: the one that signs in.")
@click.option("--gateway", "gateways", multiple=True, help="Address that the firewall lets in.")
@click.option("--adapter", default="", help="What a missing switch is made on.")
@data_option
def script(
    name: str,
    level: str,
    undo: bool,
    account: str | None,
    gateways: tuple[str, ...],
    adapter: str,
    data: Path | None,
    file: Path | None,
) -> None:
    """Print the PowerShell that prepares a host that was added; run it there, nothing runs here.

    Level 1: the account administers the host. Level 2: it manages Hyper-V alone.
    """
    from ec2gw.winrm import preparation

    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault), store.read() as session:
        row = find(session, name)
        if not (account or row.username) and not undo:
            raise Failed(f"{name} has no account by name: --account says which one it is there")
        wanted = preparation.Preparation(
            name=name,
            address=address_of(row, vault),
            account=account or row.username or "",
            root=row.root,
            switches=sorted({switch for switch, _vlan in networks_of(session, resolved, row)}),
            gateways=gateways,
            adapter=adapter,
        )
    try:
        text = preparation.undo(wanted) if undo else preparation.script(wanted, int(level))
    except ValueError as error:
        raise Failed(str(error)) from None
    click.echo(text, nl=False)


@host.command()
@click.argument("name")
@click.option("--at", metavar="TIME", help="When it begins. Default: now.")
@click.option("--until", metavar="TIME", help="When it is over. Default: nobody knows.")
@click.option("--code", type=click.Choice(draining.CODES), help=f"Default: {draining.CODES[0]}.")
@click.option("--reason", metavar="TEXT", help="What instances are told.")
@data_option
def drain(
    name: str,
    at: str | None,
    until: str | None,
    code: str | None,
    reason: str | None,
    data: Path | None,
    file: Path | None,
) -> None:
    """Plan maintenance of a host: no launch and no new volume goes there any more.

    What runs there goes on, and what was stopped can be started; each instance shows an event,
    as EC2's do. TIME is ISO 8601, as 2026-01-31T22:00 (this machine's time zone) or
    2026-01-31T22:00Z. Said once more, it changes what is named.
    """
    wanted = draining.wanted(at, until, code, reason)
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session) -> tuple[str, int]:
        row = find(session, name)
        if row.laboratory:
            raise Failed(f"{name} is the laboratory's")
        event = draining.begin(session, row, wanted, dt.datetime.now(dt.UTC))
        return draining.said(event), draining.told(session, row)

    with opened(resolved) as (store, _):
        plan, count = store.write(work)
    click.echo(f"{name} takes nothing new; its {count} instances are told of {plan}")


@host.command()
@click.argument("name")
@data_option
def undrain(name: str, data: Path | None, file: Path | None) -> None:
    """Let a drained host take instances again; instances are told that its maintenance is over.

    Before its beginning the maintenance counts as canceled.
    """
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session) -> str:
        row = find(session, name)
        if row.state != "draining":
            raise Failed(f"{name} is not drained")
        event = draining.end(session, row, dt.datetime.now(dt.UTC))
        if event is None:
            return ""
        return "; its maintenance is " + ("canceled" if event.cancelled else "completed")

    with opened(resolved) as (store, _):
        outcome = store.write(work)
    click.echo(f"{name} takes instances again{outcome}")


@host.command()
@click.argument("name")
@click.option("--lost", is_flag=True, help="It is gone for good, with all instances on it.")
@data_option
def remove(name: str, lost: bool, data: Path | None, file: Path | None) -> None:
    """Give a host up that has no instances and volumes left.

    Nothing on it is changed, but that its console reader is removed, if it has one.

    With --lost its instances end as terminated, and its volumes are shown to be in error. A host
    that answers is not lost.
    """
    # Heavy, and no other command needs them.
    from translators import arrivals
    from translators.ec2.instances import losses
    from translators.ec2.volumes import losses as of_volumes

    resolved = configured(file, data=str(data.absolute()) if data else None)
    ended: list[str] = []
    lost_volumes: list[str] = []
    reads: list[tuple[Any, str]] = []

    def work(session: Session) -> None:
        row = find(session, name)
        if row.laboratory:
            raise Failed(f"{name} is the laboratory's")
        if lost and row.reachable:
            raise Failed(f"{name} answers: it is not lost")
        if lost:
            now = dt.datetime.now(dt.UTC)
            ended.extend(losses.give_up(session, row.key, now))
            lost_volumes.extend(of_volumes.give_up(session, row.key, now))
        instance = models.Instance
        alive = (instance.host_key == row.key, instance.phase != "terminated")
        count = session.scalar(sa.select(sa.func.count()).where(*alive))
        if count:
            raise Failed(
                f"{name} has {count} instances: terminate them first, or say that the host is"
                " --lost"
            )
        volumes = 0 if lost else of_volumes.count(session, row.key)
        if volumes:
            raise Failed(f"{name} has {volumes} volumes: delete them first")
        arrivals.lost(session, row.key, dt.datetime.now(dt.UTC))
        draining.end(session, row, dt.datetime.now(dt.UTC))
        if consoles.forget(row) and not lost:
            reads.append((address_of(row, vault), row.root))
        row.state, row.recovering = "removed", False
        row.secret = None

    with opened(resolved) as (store, vault):
        store.write(work)
        click.echo(f"removed {name}")
        for address, root in reads:  # the service has let go of it: it does not come back
            click.echo(consoles.take_away(address, root))
    for instance in ended:
        click.echo(f"ended {instance}")
    for volume in lost_volumes:
        click.echo(f"lost {volume}")


def _tell_recovery(session: Session) -> None:
    if recovering.is_on(session):
        waits = ", ".join(recovering.waits_for(session)) or "the service to run"
        click.echo(
            f"recovery is on: nothing changes until all hosts were looked at; it waits for {waits}",
            err=True,
        )


def find(session: Session, name: str) -> models.Host:
    query = sa.select(models.Host).where(models.Host.name == name, models.Host.state != "removed")
    row = session.scalars(query).one_or_none()
    if row is None:
        raise Failed(f"there is no host called {name}")
    return row


def networks_of(
    session: Session, resolved: config.Config, host: models.Host
) -> list[tuple[str, int | None]]:
    """Switch and VLAN of each network of the host's zone, also before `serve` has seen it."""
    row = models.Network
    query = sa.select(row.name, row.switch, row.vlan).where(
        row.region == host.region, row.zone_letter == host.zone_letter
    )
    known = {name: (switch, vlan) for name, switch, vlan in session.execute(query)}
    zone = f"{host.region}{host.zone_letter}"
    known |= {one.name: (one.switch, one.vlan) for one in resolved.network if one.zone == zone}
    return [known[name] for name in sorted(known)]


def address_of(row: models.Host, vault: Any) -> Any:
    """Make the link's address; the transport's rules are checked by that."""
    from ec2gw.engine import links  # heavy
    from ec2gw.winrm import endpoint

    try:
        return links.address(row, vault)
    except endpoint.NotAllowed as error:
        raise Failed(str(error)) from None


COMMANDS = (host,)
