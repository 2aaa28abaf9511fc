"""Signs by Signature Version 2 as clients of its age do; shares nothing with what verifies.

Source: AWS General Reference, "Signature Version 2 signing process".
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping

_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~"
_BLOCK = 64


def signed(
    key: tuple[str, str],
    parameters: Mapping[str, str],
    *,
    host: str,
    method: str = "GET",
    path: str = "/",
    time: dt.datetime | None = None,
    expires: dt.datetime | None = None,
    changed: Mapping[str, str | None] = {},
) -> str:
    """Make a query string, or a form, of the parameters and their signature, in any order.

    `changed` are parameters of the signature that shall be others, or, with None, left out.
    """
    now = time or dt.datetime.now(dt.UTC)
    sent: dict[str, str | None] = {
        **parameters,
        "AWSAccessKeyId": key[0],
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        ("Expires" if expires else "Timestamp"): _stamp(expires or now),
        **changed,
    }
    pairs = {name.encode(): value.encode() for name, value in sent.items() if value is not None}
    query = b"&".join(escaped(name) + b"=" + escaped(pairs[name]) for name in sorted(pairs))
    text = b"\n".join((method.encode(), host.encode(), path.encode(), query))
    signature = escaped(base64.b64encode(_hmac(key[1].encode(), text)))
    return (b"Signature=" + signature + b"&" + query).decode()


def escaped(text: bytes) -> bytes:
    """Escape as RFC 3986 has it: whatever is not unreserved."""
    return b"".join(bytes([one]) if one in _PLAIN else b"%%%02X" % one for one in text)


def _stamp(time: dt.datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _hmac(key: bytes, text: bytes) -> bytes:
    """RFC 2104, by hand."""
    block = key.ljust(_BLOCK, b"\0") if len(key) <= _BLOCK else hashlib.sha256(key).digest()
    block = block.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(one ^ 0x36 for one in block) + text).digest()
    return hashlib.sha256(bytes(one ^ 0x5C for one in block) + inner).digest()
