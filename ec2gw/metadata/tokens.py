"""Session tokens of the metadata service: made for one instance, for so many seconds.

Nothing is remembered: a token is a moment and a proof, so it outlives a restart of the process.

Source: EC2 User Guide, "How Instance Metadata Service Version 2 works"; RFC 2104.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Final

LONGEST_SECONDS: Final = 21600
_EXPIRY_BYTES: Final = 8
_NONCE_BYTES: Final = 8
_PROOF_BYTES: Final = 24
_LENGTH: Final = 56
"""In characters, as long as EC2's own."""


def make(key: bytes, instance_id: str, expires: float) -> str:
    """Make a token that is good until `expires`, in seconds since 1970, rounded down."""
    said = int(expires).to_bytes(_EXPIRY_BYTES, "big") + secrets.token_bytes(_NONCE_BYTES)
    return base64.urlsafe_b64encode(said + _proof(key, instance_id, said)).decode()


def is_good(key: bytes, instance_id: str, token: bytes, now: float) -> bool:
    """Tell whether the token was made for that instance and has not expired."""
    if len(token) != _LENGTH:
        return False
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except binascii.Error:
        return False
    said, proof = raw[:-_PROOF_BYTES], raw[-_PROOF_BYTES:]
    return hmac.compare_digest(proof, _proof(key, instance_id, said)) and now < int.from_bytes(
        said[:_EXPIRY_BYTES], "big"
    )


def _proof(key: bytes, instance_id: str, said: bytes) -> bytes:
    return hmac.digest(key, instance_id.encode() + b"\0" + said, "sha256")[:_PROOF_BYTES]
