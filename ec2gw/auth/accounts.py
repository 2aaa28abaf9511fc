"""Accounts and their access keys: made, found by key id, and in open mode made by asking.

Secrets are sealed before they reach the database and opened when a key is used. Knows nothing of
HTTP and of signatures.

Source: IAM User Guide, "Manage access keys", "IAM identifiers" (AKIA and 16 characters).
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import ids, models
from state.secrets import Vault, access_key_context
from state.store import Store

DEFAULT: Final = "default"
"""The account of the first start: what `ec2gw env` signs as, and open mode's fallback."""
OPERATOR: Final = "operator"
"""Owns the public images; has no key, so nobody can sign as it."""
OPERATOR_ALIAS: Final = "amazon"
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_KEPT_SECONDS: Final = 5
"""How long a key that was switched off may still be good."""
_KEPT: Final = 4096


class NameTaken(Exception):
    """There is an account of that name."""


class TooMany(Exception):
    """Open mode has made as many accounts as it may."""


@dataclass(frozen=True, slots=True)
class Account:
    key: int
    id: str


@dataclass(frozen=True, slots=True)
class Credentials:
    account_id: str
    access_key_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """An active access key with its account."""

    account: Account
    secret: str = field(repr=False)


class Accounts:
    """The door's view of accounts: looks up by key id, keeps what it found for seconds."""

    def __init__(self, store: Store, vault: Vault, open_limit: int) -> None:
        self._store = store
        self._vault = vault
        self._open_limit = open_limit
        self._kept: dict[str, tuple[float, Key]] = {}
        self._opened: dict[str, Account] = {}
        self._default: Account | None = None
        self._lock = threading.Lock()

    def key(self, access_key_id: str) -> Key | None:
        """Find an active key; unknown ones are asked of the database each time."""
        kept = self._kept.get(access_key_id)
        now = time.monotonic()
        if kept is not None and now - kept[0] < _KEPT_SECONDS:
            return kept[1]
        with self._store.read() as session:
            found = _find(session, self._vault, access_key_id)
        with self._lock:
            self._kept.pop(access_key_id, None)
            if found is not None:
                if len(self._kept) >= _KEPT:
                    self._kept.clear()
                self._kept[access_key_id] = (now, found)
        return found

    def opened(self, access_key_id: str) -> Account:
        """Answer whom a key id means in open mode: 12 digits are the account itself.

        :raises TooMany:
        """
        if not ids.ACCOUNT.fullmatch(access_key_id):
            return self.default()
        known = self._opened.get(access_key_id)
        if known is None:
            known = self._find_or_make(access_key_id)
            self._opened[access_key_id] = known  # bounded by the limit on making them
        return known

    def default(self) -> Account:
        if self._default is None:
            with self._store.read() as session:
                self._default = default(session)
        return self._default

    def _find_or_make(self, account_id: str) -> Account:
        row = models.Account
        query = sa.select(row.key, row.id).where(row.id == account_id)

        def work(session: Session) -> Account:
            found = session.execute(query).one_or_none()
            if found is not None:
                return Account(found.key, found.id)
            made = sa.select(sa.func.count()).select_from(row).where(row.made_by_request)
            if (session.scalar(made) or 0) >= self._open_limit:
                raise TooMany
            return _add(session, f"open-{account_id}", account_id=account_id, by_request=True)

        with self._store.read() as session:
            found = session.execute(query).one_or_none()
        return Account(found.key, found.id) if found is not None else self._store.write(work)


def prepare(store: Store, vault: Vault) -> Credentials:
    """See to it that the default account with a key and the operator's account are there.

    Answers the default account's oldest active key, or a new one when it has none.
    """
    fresh = _mint(vault)

    def work(session: Session) -> Credentials | None:
        if _named(session, OPERATOR) is None:
            _add(session, OPERATOR, owner_alias=OPERATOR_ALIAS)
        account = _named(session, DEFAULT) or _add(session, DEFAULT, image_store=True)
        if _first_key(session, account) is not None:
            return None
        return _add_key(session, Account(account.key, account.id), fresh)

    return store.write(work) or _credentials(store, vault, DEFAULT)


def create(store: Store, vault: Vault, name: str, *, image_store: bool = False) -> Credentials:
    """Make an account with an access key. The secret can be read again from no answer of ours.

    With `image_store` it may register any disk that lies in the hosts' image store.

    :raises NameTaken:
    """
    fresh = _mint(vault)

    def work(session: Session) -> Credentials:
        if _named(session, name) is not None:
            raise NameTaken(name)
        return _add_key(session, _add(session, name, image_store=image_store), fresh)

    return store.write(work)


def add_key(store: Store, vault: Vault, name: str) -> Credentials | None:
    """Give an account, by its name or id, one more access key; None without such an account."""
    fresh = _mint(vault)
    row = models.Account

    def work(session: Session) -> Credentials | None:
        named = (row.id == name) | (row.name == name)
        account = session.scalars(sa.select(row).where(named, row.name != OPERATOR)).first()
        if account is None:
            return None
        return _add_key(session, Account(account.key, account.id), fresh)

    return store.write(work)


def credentials(store: Store, vault: Vault, name: str = DEFAULT) -> Credentials | None:
    """Answer an account's oldest active key; None without the account or a key."""
    with store.read() as session:
        account = _named(session, name)
        key = _first_key(session, account) if account is not None else None
        if account is None or key is None:
            return None
        return Credentials(account.id, key.id, _open(vault, key))


def operator(session: Session) -> Account:
    """Answer the account that owns the public images."""
    found = _named(session, OPERATOR)
    if found is None:
        raise RuntimeError("there is no operator's account; `prepare` makes it at a first start")
    return found


def default(session: Session) -> Account:
    """Answer the account of the first start."""
    found = _named(session, DEFAULT)
    if found is None:
        raise RuntimeError("there is no default account; `prepare` makes it at a first start")
    return found


def _credentials(store: Store, vault: Vault, name: str) -> Credentials:
    found = credentials(store, vault, name)
    if found is None:
        raise RuntimeError(f"the account {name} has no access key")
    return found


@dataclass(frozen=True, slots=True)
class _Fresh:
    id: str
    secret: str
    sealed: bytes


def _mint(vault: Vault) -> _Fresh:
    """Make an access key in AWS's form: AKIA and 16 characters, a secret of 40."""
    access_key_id = "AKIA" + "".join(secrets.choice(_BASE32) for _ in range(16))
    secret = base64.b64encode(secrets.token_bytes(30)).decode()
    sealed = vault.seal(secret.encode(), access_key_context(access_key_id))
    return _Fresh(access_key_id, secret, sealed)


def _named(session: Session, name: str) -> Account | None:
    row = models.Account
    found = session.execute(sa.select(row.key, row.id).where(row.name == name)).one_or_none()
    return Account(found.key, found.id) if found is not None else None


def _add(
    session: Session,
    name: str,
    *,
    account_id: str | None = None,
    owner_alias: str | None = None,
    by_request: bool = False,
    image_store: bool = False,
) -> Account:
    row = models.Account(
        id=account_id or ids.mint_account(),
        name=name,
        owner_alias=owner_alias,
        made_by_request=by_request,
        image_store=image_store,
        created_at=dt.datetime.now(dt.UTC),
    )
    session.add(row)
    session.flush()
    return Account(row.key, row.id)


def _add_key(session: Session, account: Account, fresh: _Fresh) -> Credentials:
    session.add(
        models.AccessKey(
            id=fresh.id,
            account_key=account.key,
            secret=fresh.sealed,
            created_at=dt.datetime.now(dt.UTC),
        )
    )
    return Credentials(account.id, fresh.id, fresh.secret)


def _first_key(session: Session, account: Account) -> models.AccessKey | None:
    row = models.AccessKey
    query = sa.select(row).where(row.account_key == account.key, row.active).order_by(row.key)
    return session.scalars(query.limit(1)).first()


def _find(session: Session, vault: Vault, access_key_id: str) -> Key | None:
    row = models.AccessKey
    query = (
        sa.select(row, models.Account.id)
        .join(models.Account, models.Account.key == row.account_key)
        .where(row.id == access_key_id, row.active)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    key, account_id = found
    return Key(Account(key.account_key, account_id), _open(vault, key))


def _open(vault: Vault, key: models.AccessKey) -> str:
    return vault.open(key.secret, access_key_context(key.id)).decode()
