"""The data folder's state, for commands that read or change it.

Source: docs/operations.md, "Configuration", "The data folder".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ec2gw import config, inventory
from ec2gw.cli.options import Failed, configured, data_option
from ec2gw.engine.lock import FileLock, Taken
from state import copies, schema, secrets, trouble
from state.secrets import Vault
from state.store import Store

__all__ = ["Failed", "configured", "data_option", "opened", "opened_for_hosts"]


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
        with trouble.in_words(resolved.data), _state(resolved) as found:
            yield found
    except trouble.Unusable as error:
        raise Failed(str(error)) from None


@contextlib.contextmanager
def _state(resolved: config.Config) -> Iterator[tuple[Store, Vault, bool]]:
    try:
        config.make_folders(resolved)
        lock = FileLock(resolved.run / "serve.lock")
    except Taken:
        store, vault = inventory.open_state(resolved, migrate=False)
        lock = None
    try:
        if lock is not None:
            try:
                store, vault = inventory.open_state(resolved, migrate=True)
            except (schema.Newer, copies.Unfit, secrets.KeyFileUnusable) as error:
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
