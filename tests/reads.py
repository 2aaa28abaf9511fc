"""A cloud for tests of reads: accounts as the service makes them, with all they first find."""

from __future__ import annotations

from typing import Any

from state import ids, models
from tests.launches import NOW, REGION, Cloud
from translators.registry import FIRST_REQUEST, Context, load_families

load_families()


class Reads(Cloud):
    """The small cloud, whose accounts made their first request."""

    def account(self, name: str) -> tuple[int, str]:
        """Make an account with what it finds at its first request; answer its key and id."""
        account_id = ids.mint_account()
        return self.store.write(lambda session: self._account(session, name, account_id)), (
            account_id
        )

    def _account(self, session: Any, name: str, account_id: str) -> int:
        account = models.Account(id=account_id, name=name, created_at=NOW)
        session.add(account)
        session.flush()
        key: int = account.key
        self.greet(session, key, account_id, REGION)
        return key

    def greet(self, session: Any, account_key: int, account_id: str, region: str) -> None:
        """Run what is done at an account's first request in a region."""
        ctx = Context(session, account_id, account_key, region, "r", NOW, self.settings)
        for make in FIRST_REQUEST:
            make(ctx)

    def operator(self, alias: str = "amazon") -> tuple[int, str]:
        """Make the account of an operator who owns public images."""
        account_id = ids.mint_account()

        def work(session: Any) -> int:
            account = models.Account(id=account_id, name=alias, owner_alias=alias, created_at=NOW)
            session.add(account)
            session.flush()
            key: int = account.key
            return key

        return self.store.write(work), account_id
