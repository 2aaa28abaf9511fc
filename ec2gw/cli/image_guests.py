"""`ec2gw image set`: how guests of one image are told what they are, where that is not as usual.

Source: docs/guests.md, "Seed"; conf/ec2gw.example.toml, [guest].
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.cli.opening import Failed, configured, data_option, opened
from state import models
from translators.guests import policy

F = TypeVar("F", bound=Callable[..., Any])
_KNOBS: Final = ("seed", "imds", "smbios_ec2", "eject_seed_after", "bare_seed")


def guest_options(command: F) -> F:
    """Give a command the knobs of [guest]; it takes what was given of them as `guest`."""

    @click.option("--seed", type=click.Choice(["auto", "nocloud", "configdrive", "none"]))
    @click.option("--imds/--no-imds", default=None, help="Whether its guests have metadata.")
    @click.option("--smbios-ec2/--no-smbios-ec2", default=None, help="What their firmware says.")
    @click.option(
        "--eject-seed-after", metavar="SECONDS|first-heartbeat|never", callback=_time_to_eject
    )
    @click.option("--bare-seed/--no-bare-seed", default=None, help="What follows an ejected disc.")
    @functools.wraps(command)
    def taking(**given: Any) -> Any:
        knobs = {name: given.pop(name) for name in _KNOBS}
        said = {name: value for name, value in knobs.items() if value is not None}
        return command(**given, guest=said)

    return cast(F, taking)


def _time_to_eject(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    if given is not None and not policy.is_time_to_eject(given):
        raise click.BadParameter("give seconds, first-heartbeat or never")
    return given


@click.command("set")
@click.argument("image")
@guest_options
@click.option("--as-usual", is_flag=True, help="Forget what was said of this image before.")
@data_option
def set_(
    image: str, guest: dict[str, Any], as_usual: bool, data: Path | None, file: Path | None
) -> None:
    """Say how guests of IMAGE, an id or a name, are told what they are; print what holds for it.

    What is not said is as in the configuration's [guest]. Metadata changes at once; discs and
    firmware do when a VM is made, a disc also when a stopped instance gets other user data.
    """
    resolved = configured(file, data=str(data.absolute()) if data else None)

    def work(session: Session) -> dict[str, Any]:
        row = _found(session, image)
        said = {**({} if as_usual else row.guest), **guest}
        if said != row.guest:
            row.guest = said
        return said

    with opened(resolved) as (store, _vault):
        said = store.write(work)
    holds = policy.of_image(resolved.settings.guest, said)
    for name in _KNOBS:
        told = getattr(holds, name)
        shown = {True: "on", False: "off"}.get(told, told)
        click.echo(f"{name} = {shown}{'' if name in said else ' (as configured)'}")


def _found(session: Session, image: str) -> models.Image:
    row = models.Image
    query = sa.select(row).where(
        sa.or_(row.id == image, row.name == image), row.state != "deregistered"
    )
    match session.scalars(query).all():
        case [found]:
            return found
        case []:
            raise Failed(f"there is no image {image}")
        case several:
            which = ", ".join(sorted(one.id for one in several))
            raise Failed(f"several images are called {image}; give an id: {which}")
