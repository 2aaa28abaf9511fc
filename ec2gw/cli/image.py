"""`ec2gw image`: disks that lie on the hosts already, made known as machine images."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.auth import accounts
from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import ids, models
from translators import zones
from translators.ec2.images import names

_TEMPLATES = (
    "MicrosoftWindows",
    "MicrosoftUEFICertificateAuthority",
    "OpenSourceShieldedVM",
)


@click.group()
def image() -> None:
    """Machine images."""


@image.command()
@click.argument("file_name")
@click.argument("name")
@click.option("--size-gib", type=click.IntRange(1, 65536), required=True, help="Of the disk.")
@click.option("--description")
@click.option("--platform", type=click.Choice(["linux", "windows"]), default="linux")
@click.option("--generation", type=click.Choice(["1", "2"]), default="2", help="Of the VM.")
@click.option("--secure-boot-template", type=click.Choice(_TEMPLATES), help="Generation 2 only.")
@click.option("--root-device-name", default="/dev/sda1")
@click.option("--private", is_flag=True, help="For the default account alone.")
@click.option("--region", default=zones.ANY, help="Default: every region.")
@data_option
def add(
    file_name: str,
    name: str,
    size_gib: int,
    description: str | None,
    platform: str,
    generation: str,
    secure_boot_template: str | None,
    root_device_name: str,
    private: bool,
    region: str,
    data: Path | None,
    file: Path | None,
) -> None:
    """Make FILE_NAME, a disk in `images` below every host's root, known as NAME.

    The disk becomes the read-only parent of every instance's own. It is never written to and
    never deleted. Prints the image's id.
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
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session) -> str:
        owner = accounts.operator(session) if not private else accounts.default(session)
        row = models.Image
        same = (row.account_key == owner.key, row.name == name, row.region == region)
        if session.scalar(sa.select(row.key).where(*same, row.state != "deregistered")) is not None:
            raise Failed(f"there is an image called {name} already")
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
            root_device_name=root_device_name,
            size_gib=size_gib,
            snapshot_id=ids.mint("snap"),
            created_at=dt.datetime.now(dt.UTC),
        )
        session.add(made)
        return made.id

    with opened(resolved) as (store, _):
        click.echo(store.write(work))


COMMANDS = (image,)
