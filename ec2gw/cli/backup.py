"""`ec2gw backup`, `restore`, `recover`: the state's copy, and a state that is older than its hosts.

Source: docs/operations.md, "Backup and restore".
"""

from __future__ import annotations

from pathlib import Path

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from ec2gw import config
from ec2gw.cli import opening
from ec2gw.cli.options import Failed, configured, data_option, text
from ec2gw.engine.lock import FileLock, Taken
from state import copies, models, recovering, schema, secrets, trouble


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key-to",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Copy the key as well, which opens the secrets in the state; keep the two apart.",
)
@data_option
def backup(target: Path, key_to: Path | None, data: Path | None, file: Path | None) -> None:
    """Copy the state into a new file, while the service runs or not."""
    resolved = configured(file, data=text(data))
    try:
        with trouble.in_words(resolved.data):
            if key_to is not None and key_to.exists():
                raise FileExistsError(key_to.absolute())
            found = copies.take(resolved.database, target.absolute())
            if key_to is not None:
                copies.put_file(resolved.key_file, key_to.absolute())
    except FileExistsError as error:
        raise Failed(f"{error} is there already; name a new file") from None
    except (copies.Unfit, FileNotFoundError, trouble.Unusable) as error:
        raise Failed(str(error)) from None
    except OSError as error:
        raise Failed(f"{error.filename or target}: {error.strerror}") from None
    click.echo(f"{target}: {found}")
    if key_to is None:
        click.echo(
            f"the key is not in it: without {resolved.key_file} nobody can open the secrets in"
            " this copy, nor start on it; keep a copy of the key elsewhere (--key-to)",
            err=True,
        )


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The key's copy; not needed while the data folder still has the key.",
)
@data_option
def restore(source: Path, key: Path | None, data: Path | None, file: Path | None) -> None:
    """Put a copy of the state into the data folder; the service must not run.

    What is there is kept in backup/. The next start looks at every host before anything changes.
    """
    resolved = configured(file, data=text(data))
    try:
        with trouble.in_words(resolved.data):
            config.make_folders(resolved)
            lock = FileLock(resolved.run / "serve.lock")
            try:
                kept = _restore(resolved, source.absolute(), key and key.absolute())
            finally:
                lock.release()
    except Taken:
        raise Failed(f"an ec2gw serves {resolved.data}: stop it first") from None
    except (copies.Unfit, FileNotFoundError, secrets.KeyFileUnusable, trouble.Unusable) as error:
        raise Failed(str(error)) from None
    click.echo(f"{resolved.database}: {copies.contents(resolved.database)}")
    if kept is not None:
        click.echo(f"what was there is now {kept}")
    click.echo(
        "it starts in recovery: reads go on, and nothing changes until every host was looked at"
        " (`ec2gw host list` says what it waits for)"
    )


def _restore(resolved: config.Config, source: Path, key: Path | None) -> Path | None:
    """Check all that can be wrong first; then the key, which does no harm alone, then the state."""
    found = copies.contents(source)
    if not schema.is_known(found.revision):
        raise Failed(str(schema.Newer(source, found.revision)))
    chosen = key or resolved.key_file
    if not chosen.exists():
        raise Failed(f"there is no key {chosen}: name its copy with --key")
    _check_key(chosen, source)
    aside = resolved.data / "backup"
    if chosen != resolved.key_file and not _same(chosen, resolved.key_file):
        if resolved.key_file.exists():
            aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            resolved.key_file.rename(copies.stamped(aside, "replaced", ".key"))
        copies.put_file(chosen, resolved.key_file)
    return copies.put(source, resolved.database, aside)


def _check_key(key: Path, source: Path) -> None:
    vault = secrets.Vault(key)
    sealed = copies.sealed(source)
    if sealed and not any(_opens(vault, *one) for one in sealed):
        raise Failed(f"{key} is not the key of {source}: it does not open its secrets")


def _opens(vault: secrets.Vault, kind: str, name: str, sealed: bytes) -> bool:
    context = {"access-key": secrets.access_key_context, "host": secrets.host_context}
    try:
        vault.open(sealed, context[kind](name))
    except secrets.NotOurs:
        return False
    return True


def _same(one: Path, other: Path) -> bool:
    return other.exists() and one.read_bytes() == other.read_bytes()


@click.command()
@data_option
def recover(data: Path | None, file: Path | None) -> None:
    """Have the state compared with all hosts before anything changes again.

    For a data folder that was put back otherwise than by `restore`, in case of doubt; and to try
    once more to adopt VMs that `host list` shows as left alone.
    """
    resolved = configured(file, data=text(data))
    with opening.opened(resolved) as (store, _):

        def work(session: Session) -> None:
            for host in session.scalars(sa.select(models.Host)):
                host.strays = []
            recovering.begin(session)

        store.write(work)
    click.echo("recovery is on; `ec2gw host list` says what it waits for")


COMMANDS = (backup, restore, recover)
