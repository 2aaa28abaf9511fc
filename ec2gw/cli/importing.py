"""`ec2gw image import`: makes an image of a disk that lies on this machine, or at a URL.

The rows are those of ImportImage; the bytes go through this process, which shows how far they are.

Source: docs/guests.md, "Import".
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Literal, cast
from urllib.parse import unquote

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw import config
from ec2gw.auth import accounts
from ec2gw.cli import image_guests
from ec2gw.cli.bars import Bars
from ec2gw.cli.opening import Failed, configured, data_option, opened
from ec2gw.depot import places
from ec2gw.engine.lock import FileLock, Taken
from state import models
from state.store import Store
from translators import imports, zones
from translators.ec2.images import names

if TYPE_CHECKING:
    from ec2gw.intake import work

_POLL_SECONDS: Final = 0.5
_NOT_A_NAMES: Final = re.compile(r"[^A-Za-z0-9()\[\] ./'@_-]+")
_REMOTE: Final = ("http://", "https://")
_SHOWN: Final = {
    "fetching": "fetching",
    "looking": "looking",
    "converting": "converting",
    "sealing": "reading",
    "sending": "sending",
    "verifying": "verifying",
}


@click.command("import")
@click.argument("source", metavar="FILE|URL")
@click.argument("name", required=False)
@click.option("--name", "named", help="Of the image; default: the file's.")
@click.option("--format", "format_", type=click.Choice(["qcow2", "raw", "vmdk", "vhd", "vhdx"]))
@click.option("--platform", type=click.Choice(["linux", "windows"]), help="Default: as it looks.")
@click.option("--generation", type=click.Choice(["1", "2"]), help="Default: as it boots.")
@click.option("--boot-mode", type=click.Choice(["legacy-bios", "uefi", "uefi-preferred"]))
@click.option("--description")
@click.option("--private", is_flag=True, help="For the default account alone.")
@click.option("--region", default=zones.ANY, help="Default: every region.")
@click.option("--zone", help="Of the host that gets it first.")
@click.option("--wait/--no-wait", default=True, help="Until it is there and was looked at.")
@image_guests.guest_options
@data_option
def import_(
    source: str,
    name: str | None,
    named: str | None,
    format_: str | None,
    platform: str | None,
    generation: str | None,
    boot_mode: str | None,
    description: str | None,
    private: bool,
    region: str,
    zone: str | None,
    wait: bool,
    guest: dict[str, Any],
    data: Path | None,
    file: Path | None,
) -> None:
    """Make an image of a disk: qcow2, raw, vmdk, vhd or vhdx.

    It is converted here, sent to a host, and looked at there. Prints the image's id.
    """
    from ec2gw.intake import qemu, refusals, work

    if name and named and name != named:
        raise Failed("there are two names; give one")
    chosen = named or name or _name_of(source)
    if not names.is_name(chosen):
        raise Failed(f"{chosen!r} is no image name: 3 to 128 letters, digits and ()[] ./-'@_")
    order = work.Order(
        format=format_,
        platform=cast("Literal['linux', 'windows'] | None", platform),
        generation=cast("Literal[1, 2] | None", int(generation) if generation else None),
        boot_mode=boot_mode,
    )
    resolved = _of_service(configured(file, data=str(data.absolute()) if data else None))
    try:
        qemu.program()
        place = _place(source)
    except refusals.Refused as error:
        raise Failed(str(error)) from None
    asked: dict[str, Any] = {
        "Name": chosen,
        "Platform": (platform or "").capitalize(),
        "BootMode": boot_mode or "",
        "Public": not private,
        "Guest": guest,
        **({"Zone": zone} if zone else {}),
    }
    with opened(resolved) as (store, vault), _interruptible():
        if places.told(resolved.run, vault) is None:
            raise Failed("there is no way to the hosts: [depot] is not configured")
        running = _Import(store, resolved, order)
        with running.begun(place, asked, description, region, private) as folder:
            made = running.make(place, folder)
        _tell(made)
        image_id = running.wait() if wait else running.image_id()
    click.echo(image_id)


class _Import:
    """One import, from its row to its image."""

    def __init__(self, store: Store, resolved: config.Config, order: work.Order) -> None:
        self._store = store
        self._config = resolved
        self._order = order
        self._row: models.ImportImageTask | None = None

    @property
    def _task(self) -> models.ImportImageTask:
        assert self._row is not None
        return self._row

    @contextlib.contextmanager
    def begun(
        self,
        place: str | Path,
        asked: dict[str, Any],
        description: str | None,
        region: str,
        private: bool,
    ) -> Iterator[Path]:
        """Write the row, and hold its folder; whatever ends the block early ends the import."""
        from ec2gw.intake import scratch, tasks

        url = place.as_uri() if isinstance(place, Path) else place
        with contextlib.ExitStack() as stack:

            def work(session: Session) -> tuple[models.ImportImageTask, Path]:
                owner = accounts.default(session) if private else accounts.operator(session)
                _check(session, owner.key, asked["Name"], region)
                row = imports.begin_image(
                    session,
                    account_key=owner.key,
                    region=region,
                    url=url,
                    format=(self._order.format or "").upper(),
                    asked=asked,
                    description=description,
                    now=_now(),
                )
                row.worker, row.beat_at = tasks.COMMAND, row.created_at
                # Held before anybody can see the row: who finds it free takes us for dead.
                return row, stack.enter_context(scratch.held(self._config.data, row.id))

            self._row, folder = self._store.write(work)
            with self._ending():
                yield folder

    def make(self, place: str | Path, folder: Path) -> work.Made:
        """Do what is to be done here, and hand it to the depot."""
        from ec2gw.intake import allowed, tasks, work

        limits = tasks.limits(self._config)
        reporter = tasks.Reporter(self._store, self._task, _now)
        with Bars() as bars:

            def report(stage: work.Stage, done: int, total: int | None) -> None:
                bars.tell(_SHOWN[stage], done, total)
                reporter(stage, done, total)

            if isinstance(place, str):
                rules = allowed.rules_by_hand(place)
                place = work.bring(place, rules, folder, limits, report)
            made = work.make(place, folder, self._order, limits, report)
            reporter.came(place.stat().st_size)
        tasks.hand_over(self._store, self._config, self._task, made, _now)
        return made

    def image_id(self) -> str:
        """Answer the image's id, which is there once the disk was handed over."""
        with self._store.read() as session:
            row = session.get_one(models.ImportImageTask, self._task.key)
            if row.phase in ("failed", "cancelled"):
                raise Failed(_plain(row.message))
            return session.get_one(models.Image, row.image_key).id

    def wait(self) -> str:
        """Follow the disk to its host; answers the image's id."""
        image_id = self.image_id()
        with self._ending(), Bars() as bars:
            while True:
                with self._store.read() as session:
                    row = session.get_one(models.ImportImageTask, self._task.key)
                    phase, message = row.phase, row.message
                    done, total = _sent(session, row)
                if phase == "completed":
                    return image_id
                if phase in ("failed", "cancelled"):
                    raise Failed(_plain(message))
                bars.tell(_SHOWN[phase], done, total)
                time.sleep(_POLL_SECONDS)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """End the row with the work: in words where there is a reason, else as cancelled."""
        from ec2gw.intake import tasks
        from ec2gw.intake.refusals import Cancelled, Refused

        try:
            yield
        except KeyboardInterrupt:
            self._store.write(lambda session: imports.cancel(session, self._task, _now()))
            click.echo("cancelled; nothing of it is left", err=True)
            raise
        except Cancelled:
            raise Failed("it was cancelled") from None
        except Failed:
            raise
        except (Refused, OSError) as error:
            tasks.fail(self._store, self._task, tasks.words(error), _now)
            raise Failed(str(error)) from None
        except BaseException as error:  # no row may say for ever that somebody works on it
            told = error if isinstance(error, Exception) else RuntimeError()
            tasks.fail(self._store, self._task, tasks.words(told), _now)
            raise


def _of_service(own: config.Config) -> config.Config:
    """Answer what the service that runs on the data folder resolved; the way to hosts is its."""
    try:
        FileLock(own.run / "serve.lock").release()
    except Taken:
        return config.resolved(own.data)
    except OSError as error:
        raise Failed(f"{own.data}: {error.strerror}") from None
    raise Failed(f"no service runs on {own.data}: start `ec2gw serve` first")


def _place(source: str) -> str | Path:
    """Tell a URL from a file; a file is looked at."""
    from ec2gw.intake import allowed

    if source.lower().startswith(_REMOTE):
        allowed.parse(source)
        return source
    if "://" in source:
        raise Failed("a disk comes from a file, or by http or https")
    path = Path(source).absolute()
    if not path.exists():
        raise Failed(f"{source}: no such file")
    if not path.is_file():
        raise Failed(f"{source} is no plain file")
    return path


def _name_of(source: str) -> str:
    if source.lower().startswith(_REMOTE):
        source = unquote(re.split("[?#]", source)[0])
    last = source.rstrip("/").rpartition("/")[2]
    return _NOT_A_NAMES.sub("-", last.rpartition(".")[0] or last)[:128]


def _check(session: Session, account_key: int, name: str, region: str) -> None:
    row = models.Image
    query = sa.select(row.key).where(
        row.account_key == account_key,
        row.name == name,
        row.region == region,
        row.state != "deregistered",
    )
    if session.scalar(query.limit(1)) is not None:
        raise Failed(f"there is an image called {name} already")
    if region != zones.ANY and not zones.exists(session, region):
        raise Failed(f"there is no region {region}")


def _sent(session: Session, row: models.ImportImageTask) -> tuple[int, int | None]:
    """How much of the disk its host has."""
    found = session.execute(
        sa.select(models.Transfer.done_bytes, models.Transfer.length_bytes)
        .join(models.Snapshot, models.Snapshot.file_name == models.Transfer.path)
        .join(models.Image, models.Image.snapshot_key == models.Snapshot.key)
        .where(models.Image.key == row.image_key)
    ).one_or_none()
    return (found[0], found[1]) if found else (0, None)


def _tell(made: work.Made) -> None:
    platform = f"{made.platform}, a guess: --platform says it" if made.guess else made.platform
    click.echo(f"generation {made.generation}; {platform}", err=True)


def _plain(message: str | None) -> str:
    """What an operator reads of a message in EC2's manner."""
    text = message or "it ended"
    return re.sub(r"^(Client|Server)Error: ", "", text).rstrip(".")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM end the command as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
