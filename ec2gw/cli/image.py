"""`ec2gw image`: disks that lie on the hosts already, made known as machine images.

One from outside is `importing`'s.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.auth import accounts
from ec2gw.cli import image_guests, importing, snapshot, tables
from ec2gw.cli.host import address_of
from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import ids, models
from state.secrets import Vault
from state.store import Store
from translators import snapshots, zones
from translators.ec2.images import names
from translators.settings import GIB

if TYPE_CHECKING:
    from ec2gw.disks import Found
    from translators.hyperv.vhd import Disk

_TEMPLATES = (
    "MicrosoftWindows",
    "MicrosoftUEFICertificateAuthority",
    "OpenSourceShieldedVM",
)


@click.group()
def image() -> None:
    """Machine images."""


image.add_command(importing.import_)
image.add_command(image_guests.set_)


@image.command()
@click.argument("file_name")
@click.argument("name")
@click.option("--size-gib", type=click.IntRange(1, 65536), help="Of the disk; the hosts tell it.")
@click.option("--description")
@click.option("--platform", type=click.Choice(["linux", "windows"]), default="linux")
@click.option("--generation", type=click.Choice(["1", "2"]), default="2", help="Of the VM.")
@click.option("--secure-boot-template", type=click.Choice(_TEMPLATES), help="Generation 2 only.")
@click.option("--root-device-name", default="/dev/sda1")
@click.option("--private", is_flag=True, help="For the default account alone.")
@click.option("--region", default=zones.ANY, help="Default: every region.")
@click.option("--no-check", is_flag=True, help="Ask no host; needs --size-gib.")
@image_guests.guest_options
@data_option
def add(
    file_name: str,
    name: str,
    size_gib: int | None,
    description: str | None,
    platform: str,
    generation: str,
    secure_boot_template: str | None,
    root_device_name: str,
    private: bool,
    region: str,
    no_check: bool,
    guest: dict[str, Any],
    data: Path | None,
    file: Path | None,
) -> None:
    """Make FILE_NAME, a disk in `images` below every host's root, known as NAME.

    The disk becomes the read-only parent of every instance's own. It is never written to and
    never deleted. Every host of the region is asked for it, and told of. Prints the image's id.
    """
    if not names.is_file(file_name):
        raise Failed(f"{file_name!r} is no plain file name")
    if not names.is_disk(file_name):
        raise Failed(f"{file_name}: a disk is a .vhdx or a .vhd")
    if not names.is_name(name):
        raise Failed(f"{name!r} is no image name: 3 to 128 letters, digits and ()[] ./-'@_")
    if generation == "1" and secure_boot_template:
        raise Failed("secure boot is for VMs of generation 2")
    if not names.boots(file_name, int(generation)):
        raise Failed("VMs of generation 2 start from .vhdx disks only")
    if no_check and size_gib is None:
        raise Failed("--no-check needs --size-gib: no host is asked")
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session, whole_gib: int) -> str:
        owner = accounts.operator(session) if not private else accounts.default(session)
        row = models.Image
        same = (row.account_key == owner.key, row.name == name, row.region == region)
        if session.scalar(sa.select(row.key).where(*same, row.state != "deregistered")) is not None:
            raise Failed(f"there is an image called {name} already")
        now = dt.datetime.now(dt.UTC)
        disk = snapshots.of_store(
            session,
            account_key=owner.key,
            region=region,
            file_name=file_name,
            size_gib=whole_gib,
            public=not private,
            now=now,
        )
        made = row(
            id=ids.mint("ami"),
            account_key=owner.key,
            region=region,
            name=name,
            description=description,
            file_name=file_name,
            public=not private,
            platform="windows" if platform == "windows" else None,
            generation=int(generation),
            secure_boot_template=secure_boot_template,
            boot_mode="uefi" if generation == "2" else "legacy-bios",
            root_device_name=root_device_name,
            size_gib=whole_gib,
            snapshot_id=disk.id,
            snapshot_key=disk.key,
            created_at=now,
            guest=guest,
        )
        session.add(made)
        return made.id

    with opened(resolved) as (store, vault):
        if no_check and size_gib is not None:
            whole_gib = size_gib
        else:
            found = _ask(store, vault, region, file_name)
            whole_gib = judged(found, file_name, int(generation), size_gib)
        click.echo(store.write(lambda session: work(session, whole_gib)))


@image.command("list")
@snapshot.follow_option
@data_option
def list_(follow: bool, data: Path | None, file: Path | None) -> None:
    """List images: how far they are, which hosts have their disks, what holds them up."""
    snapshot.show(data, file, snapshot.images, follow=follow)


def _ask(store: Store, vault: Vault, region: str, file_name: str) -> list[Found]:
    """Ask the hosts of the region, and show what each has."""
    from ec2gw import disks  # heavy

    with store.read() as session:
        row = models.Host
        query = sa.select(row).where(row.state != "removed").order_by(row.name)
        if region != zones.ANY:
            query = query.where(row.region.in_([region, zones.ANY]))
        places = [
            disks.Place(
                one.name, f"{one.region}{one.zone_letter}", one.root, address_of(one, vault)
            )
            for one in session.scalars(query)
        ]
    found = disks.ask(places, file_name)
    table = tables.Table("host", "zone", "found")
    for one in found:
        table.add_row(one.host, one.zone, _shown(one.disk) if one.disk else one.why)
    if found:
        tables.show(table, stderr=True)
    return found


def _shown(disk: Disk) -> str:
    words = [
        f"{disk.format}, {disk.type.lower()}",
        f"{disk.size_bytes / GIB:.6g} GiB, {disk.file_bytes / GIB:.2f} GiB of it on disk",
        f"for generation {' or '.join(map(str, disk.generations))}",
    ]
    if disk.attached:
        words.append("attached: something may be writing to it")
    return "; ".join(words)


def judged(found: Sequence[Found], file_name: str, generation: int, size_gib: int | None) -> int:
    """Answer the disk's size in whole GiB if all that answered have the same, fitting disk."""
    otherwise = "or, to have it checked by nobody, give --no-check and --size-gib"
    if not any(one.answered for one in found):
        raise Failed(f"no host answered: have one reachable, {otherwise}")
    lacking = [one.host for one in found if one.answered and one.disk is None]
    if lacking:
        raise Failed(f"no disk images\\{file_name} on {', '.join(lacking)}: copy it, {otherwise}")
    first, *others = (one.disk for one in found if one.disk is not None)
    if any(one.size_bytes != first.size_bytes for one in others):
        raise Failed(f"the disks called {file_name} differ in size: copy one of them to all hosts")
    if any(one.identifier != first.identifier for one in others):
        click.echo(
            "warning: they are no copies of one another, or their identity was reset", err=True
        )
    if first.type == "Differencing":
        raise Failed(f"{file_name} is a differencing disk: merge it with its parent before")
    if generation not in first.generations:
        fits = " or ".join(map(str, first.generations))
        raise Failed(f"{file_name} is for VMs of generation {fits}: give --generation")
    whole_gib = -(-first.size_bytes // GIB)
    if size_gib not in (None, whole_gib):
        raise Failed(f"{file_name} has {whole_gib} GiB, not {size_gib}")
    return whole_gib


COMMANDS = (image,)
