"""What every command begins with: the configuration, and the data folder's state.

Source: docs/operations.md, "Configuration", "The data folder".
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from ec2gw import config, inventory
from ec2gw.engine.lock import FileLock, Taken
from state import schema, secrets
from state.secrets import Vault
from state.store import Store

F = TypeVar("F", bound=Callable[..., Any])


class Failed(Exception):
    """The command cannot do it; one line says why."""


def data_option(command: F) -> F:
    """Give a command `--data` and `--config`, which every one has that touches the state."""
    for option in (
        click.option("--config", "file", type=click.Path(path_type=Path), help="TOML file."),
        click.option("--data", type=click.Path(path_type=Path), help="Data folder."),
    ):
        command = option(command)
    return command


def configured(file: Path | None, **given: object) -> config.Config:
    """Read the configuration; what was not given on the command line is None here."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return config.load(file, given=chosen)
    except config.Invalid as error:
        raise Failed(str(error)) from None


@contextlib.contextmanager
def opened(resolved: config.Config) -> Iterator[tuple[Store, Vault]]:
    """Open the state beside a running service, or, without one, bring it up to date first."""
    with _opened(resolved) as (store, vault, _):
        yield store, vault


@contextlib.contextmanager
def opened_for_hosts(resolved: config.Config) -> Iterator[tuple[Store, Vault]]:
    """Open the state for a real host to come, after an unused laboratory has made way."""
    with _opened(resolved) as (store, vault, alone):
        try:
            if alone:
                store.write(inventory.drop_laboratory)
            else:
                with store.read() as session:
                    inventory.check_no_laboratory(session)
        except inventory.Conflict as error:
            raise Failed(str(error)) from None
        yield store, vault


@contextlib.contextmanager
def _opened(resolved: config.Config) -> Iterator[tuple[Store, Vault, bool]]:
    try:
        inventory.make_folders(resolved)
        lock = FileLock(resolved.run / "serve.lock")
    except Taken:
        store, vault = inventory.open_state(resolved, migrate=False)
        lock = None
    except OSError as error:
        raise Failed(f"{resolved.data}: {error.strerror}") from None
    try:
        if lock is not None:
            try:
                store, vault = inventory.open_state(resolved, migrate=True)
            except (schema.Newer, secrets.KeyFileUnusable) as error:
                raise Failed(str(error)) from None
        try:
            if lock is not None:
                inventory.prepare(store, vault)
            yield store, vault, lock is not None
        finally:
            store.close()
    finally:
        if lock is not None:
            lock.release()
