"""`ec2gw doctor`: proves or disproves a real host, by probes that clean up behind themselves."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
import rich.console
import rich.text
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw.cli.host import address_of, find, networks_of
from ec2gw.cli.opening import Failed, configured, data_option, opened
from ec2gw.engine.lock import FileLock, Taken
from state import models

if TYPE_CHECKING:
    from ec2gw.doctor.bench import Bench, Image
    from ec2gw.doctor.probe import Outcome, Probe

_COLOURS = {"holds": "green", "does not hold": "red", "not tried": "dim"}


@click.command()
@click.option("--live", "name", metavar="HOST", required=True, help="As `ec2gw host add` has it.")
@click.option("--list", "only_list", is_flag=True, help="Say what would be tried, and try nothing.")
@click.option("--image", help="Id or name of an image whose guest is to be tried too.")
@click.option("--slow", is_flag=True, help="Try also what takes minutes.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Path without .md and .json; by default ec2gw-doctor-HOST-TIME in this folder.",
)
@data_option
def doctor(
    name: str,
    only_list: bool,
    image: str | None,
    slow: bool,
    report: Path | None,
    data: Path | None,
    file: Path | None,
) -> int:
    """Try on a host all that ec2gw relies on, measure it, clean up, and write a report.

    It makes two small VMs and some files, in a folder of its own below the host's root, and never
    touches anything else. What a run leaves that was killed, the next one removes.
    """
    from ec2gw.doctor import bench, catalogue, run, tokens  # heavy, and only needed here

    resolved = configured(file, data=str(data.absolute()) if data else None)
    with opened(resolved) as (store, vault), store.read() as session:
        row = find(session, name)
        key = row.key
        target = bench.Target(
            name=name,
            address=address_of(row, vault),
            root=row.root,
            deployment=session.scalars(sa.select(models.Deployment.id)).one(),
            networks=tuple(networks_of(session, resolved, row)),
            image=_image(session, image) if image else None,
        )
    if only_list:
        _list(target, (*catalogue.PROBES, catalogue.CLEAN_UP))
        return 0
    now = dt.datetime.now(dt.UTC)
    base = report or Path(f"ec2gw-doctor-{name}-{now:%Y%m%dT%H%M%SZ}")
    with _alone(resolved.run / f"driver-{key}.lock", name), _terminable():
        seat = bench.Bench(target, tokens.Tokens(resolved.run / f"doctor-{key}.tokens"))
        try:
            outcomes: Sequence[Outcome] = run.prove(seat, slow=slow, tell=_tell)
        except run.Interrupted as interrupted:
            _write(seat, interrupted.outcomes, now, base)
            return 130
        except KeyboardInterrupt:
            raise Failed("the clean-up was cut off: run it again, to remove what is left") from None
        finally:
            seat.close()
        return 0 if _write(seat, outcomes, now, base) else 1


def _image(session: Session, name: str) -> Image:
    from ec2gw.doctor.bench import Image

    row = models.Image
    query = sa.select(row).where(sa.or_(row.id == name, row.name == name))
    found = session.scalars(query.where(row.state != "deregistered").order_by(row.key)).first()
    if found is None:
        raise Failed(f"there is no image {name}: make it known by `ec2gw image add`")
    return Image(found.name, found.file_name, found.generation, found.secure_boot_template)


@contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    """Keep the host's driver away: its surveys would spoil what is measured, and ours its count."""
    try:
        lock = FileLock(path)
    except Taken:
        raise Failed(
            f"{name} is driven by `ec2gw serve` now, or another doctor is at work there: stop that"
            " first; instances go on running meanwhile"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end it as Ctrl-C does: with a clean-up and a report."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(outcome: Outcome) -> None:
    line = rich.text.Text(f"{outcome.verdict:<14}", style=_COLOURS[outcome.verdict])
    line.append(f"{outcome.probe.name}: {outcome.found}", style="default")
    _console().print(line)


def _write(seat: Bench, outcomes: Sequence[Outcome], began: dt.datetime, base: Path) -> bool:
    from ec2gw.doctor import report

    made = report.Report(
        host=seat.target.name,
        endpoint=seat.target.address.endpoint,
        transport=seat.target.address.transport,
        label=seat.target.label,
        gateway=importlib.metadata.version("ec2gw"),
        began=began,
        ended=dt.datetime.now(dt.UTC),
        facts=seat.found.facts,
        outcomes=outcomes,
    )
    try:
        text, values = report.write(made, base)
    except OSError as error:
        raise Failed(f"the report cannot be written: {error}") from None
    _console().print(f"{made.counts()}; written to {text} and {values}")
    if outcomes[-1].verdict != "holds":
        _console().print("The clean-up did not end well: run this again, or see the report.")
    return made.good


def _list(target: Any, probes: Sequence[Probe]) -> None:
    console = _console()
    console.print(f"On {target.name}, in {target.folder} alone, label {target.label}:")
    for probe in probes:
        notes = [
            "relied on" if probe.relied else "asked",
            "makes or changes something of its own" if probe.changes else "looks",
        ]
        if probe.run is None:
            notes = [f"not tried: {probe.why}"]
        if probe.slow:
            notes.append("with --slow only")
        console.print(f"{probe.name:<24}{probe.sentence}")
        console.print(f"{'':<24}{'; '.join(notes)}. Source: {probe.source}", style="dim")


def _console() -> rich.console.Console:
    return rich.console.Console(highlight=False, soft_wrap=True)


COMMANDS = (doctor,)
