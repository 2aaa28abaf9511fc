"""Client tokens: what a request was that came with one, and what it was answered.

Kept in the same transaction as the change, so a request that comes again is answered as the first
time, or was never carried out. Knows no action.

Source: EC2 API Reference, "Ensuring idempotency".
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import ClientToken
from translators import errors, views

MAX_LENGTH: Final = 64
_TIME: Final = "$time"
_BYTES: Final = "$bytes"


@dataclass(frozen=True, slots=True)
class Token:
    """A client token in the place where it counts, with the digest of what was asked."""

    account_key: int
    region: str
    action: str
    text: str
    digest: str

    def find(self, session: Session, oldest: dt.datetime) -> dict[str, Any] | None:
        """Answer what this very request was answered before.

        :raises Ec2Error: ``IdempotentParameterMismatch`` when another request had the token
        """
        row = session.get(ClientToken, (self.account_key, self.region, self.action, self.text))
        if row is None or row.created_at < oldest:
            return None
        if row.digest != self.digest:
            raise errors.idempotent_parameter_mismatch()
        answer: dict[str, Any] = _revive(row.answer)
        return answer

    def keep(
        self, session: Session, answer: Mapping[str, object], now: dt.datetime, oldest: dt.datetime
    ) -> None:
        """Remember the answer; forget those of all tokens from before `oldest`."""
        session.execute(sa.delete(ClientToken).where(ClientToken.created_at < oldest))
        session.add(
            ClientToken(
                account_key=self.account_key,
                region=self.region,
                action=self.action,
                token=self.text,
                digest=self.digest,
                answer=_plain(answer),
                created_at=now,
            )
        )


def token(
    account_key: int, region: str, action: str, params: Mapping[str, object], member: str | None
) -> Token | None:
    """Answer the request's token, if it has one.

    :raises Ec2Error: ``InvalidParameterValue`` for one that is too long
    """
    text = params.get(member) if member is not None else None
    if not isinstance(text, str) or not text:
        return None
    if len(text) > MAX_LENGTH:
        raise errors.invalid_parameter_value(
            text[:MAX_LENGTH] + "...",
            "clientToken",
            f"Client tokens may not be longer than {MAX_LENGTH} characters.",
        )
    asked = {name: value for name, value in params.items() if name not in (member, "DryRun")}
    canonical = json.dumps(_plain(asked), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return Token(account_key, region, action, text, digest)


def _plain(value: object) -> Any:
    """Make JSON of an answer or a request: times and bytes as marked text."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, dt.datetime):
        return {_TIME: value.isoformat()}
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, list | tuple | views.Fragments):
        return [_plain(one) for one in value]
    return value


def _revive(value: Any) -> Any:
    if isinstance(value, list):
        return [_revive(one) for one in value]
    if isinstance(value, dict):
        if set(value) == {_TIME}:
            return dt.datetime.fromisoformat(value[_TIME])
        if set(value) == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        return {name: _revive(one) for name, one in value.items()}
    return value
