"""Pages: the bounds of MaxResults, and tokens that say where the next page begins.

A token holds the last key shown, sealed together with who asked for what: it is of no use to
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
from typing import Any, Final

from translators import errors
from translators.registry import Context

_SEAL_BYTES: Final = 16
_KEY_BYTES: Final = 8
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


def token(ctx: Context, action: str, request: Mapping[str, Any], last_key: int) -> str:
    """Make the token for what comes after the key."""
    where = last_key.to_bytes(_KEY_BYTES, "big")
    sealed = where + _seal(ctx, action, request, where)
    return base64.urlsafe_b64encode(sealed).decode("ascii")


def after(ctx: Context, action: str, request: Mapping[str, Any]) -> int:
    """The key after which the page begins; 0 without a token.

    :raises Ec2Error: ``InvalidNextToken`` for a token that is not of this very query
    """
    text: str = request.get("NextToken") or ""
    if not text:
        return 0
    try:
        sealed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise errors.invalid_next_token(text) from None
    where, seal = sealed[:_KEY_BYTES], sealed[_KEY_BYTES:]
    if not hmac.compare_digest(seal, _seal(ctx, action, request, where)):
        raise errors.invalid_next_token(text)
    return int.from_bytes(where, "big")


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
