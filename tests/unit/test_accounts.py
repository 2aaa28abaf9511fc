"""Accounts and access keys: their form, their secrets at rest, and finding them again."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa

from ec2gw import inventory
from ec2gw.auth import accounts
from state import models
from state.secrets import NotOurs, Vault
from state.store import Store


def test_the_first_start_makes_an_account_with_a_key_and_later_ones_find_it(
    store: Store, vault: Vault
) -> None:
    first = inventory.prepare(store, vault)
    assert re.fullmatch("[1-9][0-9]{11}", first.account_id)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", first.access_key_id)
    assert re.fullmatch("[A-Za-z0-9+/]{40}", first.secret)
    assert inventory.prepare(store, vault) == first
    assert accounts.credentials(store, vault) == first
    with store.read() as session:
        assert session.scalars(sa.select(models.Account.owner_alias)).all() == ["amazon", None]
        (deployment,) = session.scalars(sa.select(models.Deployment.id))
    assert re.fullmatch("[0-9a-f]{16}", deployment)


def test_a_secret_is_in_the_database_only_sealed(store: Store, vault: Vault) -> None:
    made = inventory.prepare(store, vault)
    assert made.secret not in repr(made)
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        dump = "\n".join(connection.iterdump())
    assert made.access_key_id in dump
    assert made.secret not in dump
    assert made.secret.encode() not in store.path.read_bytes()


def test_a_secret_moved_to_another_key_does_not_open(store: Store, vault: Vault) -> None:
    first, second = inventory.prepare(store, vault), accounts.create(store, vault, "other")

    def swap(session: sa.orm.Session) -> None:
        row = models.AccessKey
        sealed = session.scalar(sa.select(row.secret).where(row.id == first.access_key_id))
        session.execute(sa.update(row).where(row.id == second.access_key_id).values(secret=sealed))

    store.write(swap)
    with pytest.raises(NotOurs):
        accounts.Accounts(store, vault, 1).key(second.access_key_id)


def test_an_account_of_that_name_is_refused(store: Store, vault: Vault) -> None:
    inventory.prepare(store, vault)
    accounts.create(store, vault, "mine")
    for name in ("mine", accounts.DEFAULT, accounts.OPERATOR):
        with pytest.raises(accounts.NameTaken):
            accounts.create(store, vault, name)


def test_a_key_is_found_with_its_account(store: Store, vault: Vault) -> None:
    inventory.prepare(store, vault)
    made = accounts.create(store, vault, "mine")
    found = accounts.Accounts(store, vault, 1).key(made.access_key_id)
    assert found is not None
    assert (found.account.id, found.secret) == (made.account_id, made.secret)
    assert made.secret not in repr(found)
    assert accounts.Accounts(store, vault, 1).key("AKIANOBODY") is None


def test_a_new_key_is_good_at_once_and_one_switched_off_is_not_for_long(
    store: Store, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.prepare(store, vault)
    door = accounts.Accounts(store, vault, 1)
    made = accounts.create(store, vault, "mine")
    assert door.key(made.access_key_id) is not None

    def switch_off(session: sa.orm.Session) -> None:
        session.execute(sa.update(models.AccessKey).values(active=False))

    store.write(switch_off)
    monkeypatch.setattr(accounts, "_KEPT_SECONDS", 0)
    assert door.key(made.access_key_id) is None


def test_open_mode_finds_accounts_that_are_there_beyond_its_limit(
    store: Store, vault: Vault
) -> None:
    inventory.prepare(store, vault)
    made = accounts.create(store, vault, "mine")
    door = accounts.Accounts(store, vault, 0)
    assert door.opened(made.account_id).id == made.account_id
    with pytest.raises(accounts.TooMany):
        door.opened("123456789012")
    assert door.opened("1234") == door.default()


def test_the_image_store_is_the_first_account_s_and_of_those_it_was_given_to(
    store: Store, vault: Vault
) -> None:
    inventory.prepare(store, vault)
    accounts.create(store, vault, "plain")
    accounts.create(store, vault, "trusted", image_store=True)
    accounts.Accounts(store, vault, 1).opened("123456789012")
    with store.read() as session:
        row = models.Account
        names = session.scalars(sa.select(row.name).where(row.image_store).order_by(row.key))
        assert names.all() == [accounts.DEFAULT, "trusted"]
