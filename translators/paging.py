"""Pages: the bounds of MaxResults, and tokens that say where the next page begins.

A token holds where the last page ended, sealed together with who asked for what: it is of no use to
another account, in another region, for another action or for other parameters.

Source: EC2 API Reference, "Pagination".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from translators import errors
from translators.registry import Context

T = TypeVar("T")
Position = int | str | list[int | str]

_SEAL_BYTES: Final = 16
_FREE: Final = frozenset({"NextToken", "MaxResults", "DryRun"})
"""May differ from page to page."""


def limit(request: Mapping[str, Any], bounds: tuple[int, int], *, cut: bool) -> int | None:
    """The request's MaxResults; `cut` lowers one that is too large, as older actions do.

    :raises Ec2Error: ``InvalidParameterValue`` outside the bounds
    """
    wanted: int | None = request.get("MaxResults")
    if wanted is None:
        return None
    least, most = bounds
    if wanted < least:
        raise errors.invalid_max_results(wanted, f"greater than {least}")
    if wanted > most and not cut:
        raise errors.invalid_max_results(wanted, f"less than {most}")
    return min(wanted, most)


def token(ctx: Context, action: str, request: Mapping[str, Any], last: Position) -> str:
    """Make the token for what comes after that position."""
    where = json.dumps(last, separators=(",", ":")).encode("ascii")
    sealed = _seal(ctx, action, request, where) + where
    return base64.urlsafe_b64encode(sealed).decode("ascii")


def after(ctx: Context, action: str, request: Mapping[str, Any]) -> Any:
    """The position after which the page begins, as `token` was given it; None without a token.

    :raises Ec2Error: ``InvalidNextToken`` for a token that is not of this very query
    """
    text: str = request.get("NextToken") or ""
    if not text:
        return None
    try:
        sealed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise errors.invalid_next_token(text) from None
    seal, where = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
    if not hmac.compare_digest(seal, _seal(ctx, action, request, where)):
        raise errors.invalid_next_token(text)
    return json.loads(where)


def cut(
    ctx: Context,
    action: str,
    request: Mapping[str, Any],
    things: Mapping[str, T],
    most: int,
) -> tuple[list[T], str | None]:
    """One page of things that are no rows, in the order of their names, and the next token."""
    begin: str = after(ctx, action, request) or ""
    names = sorted(name for name in things if name > begin)
    following = None
    if len(names) > most:
        del names[most:]
        following = token(ctx, action, request, names[-1])
    return [things[name] for name in names], following


def _seal(ctx: Context, action: str, request: Mapping[str, Any], where: bytes) -> bytes:
    query = {name: value for name, value in request.items() if name not in _FREE}
    bound = json.dumps(
        [ctx.account_id, ctx.region, action, query],
        default=str,
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=True,
    )
    digest = hmac.digest(
        ctx.settings.token_key, where + bound.encode("utf-8", "surrogatepass"), hashlib.sha256
    )
    return digest[:_SEAL_BYTES]
