"""The word of a forwarder, which asks for guests whose own address does not reach us.

Two headers: `X-Ec2gw-Forwarded: network=NAME;address=IPV4;time=SECONDS` says for whom and when, in
seconds since 1970; `X-Ec2gw-Signature` is the HMAC-SHA256 of its value with the shared secret, in
hexadecimal digits.

Source: docs/guests.md, "Metadata service"; RFC 2104.
"""

from __future__ import annotations

import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FORWARDED: Final = b"x-ec2gw-forwarded"
SIGNATURE: Final = b"x-ec2gw-signature"
VALID_SECONDS: Final = 60
_SHORTEST_BYTES: Final = 16
_LONGEST_BYTES: Final = 4096
_FORM: Final = re.compile(
    rb"network=([A-Za-z0-9._-]{1,64});address=([0-9.]{7,15});time=([0-9]{1,12})"
)


class KeyUnusable(Exception):
    """The secret's file will not do; the text says why and what to do."""


class Refused(Exception):
    """What a forwarder said is not to be believed; the text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Word:
    """For whom a forwarder asks."""

    network: str
    address: str


def read_key(path: Path) -> bytes:
    """Read the shared secret; blanks at its ends do not count.

    :raises KeyUnusable:
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KeyUnusable(f"metadata.forwarder_key: {path}: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            raise KeyUnusable(f"metadata.forwarder_key: {path} is open to others: chmod 600 {path}")
        key = file.read(_LONGEST_BYTES + 1).strip()
    if not _SHORTEST_BYTES <= len(key) <= _LONGEST_BYTES:
        raise KeyUnusable(
            f"metadata.forwarder_key: {path} has to hold {_SHORTEST_BYTES} to {_LONGEST_BYTES}"
            " bytes, such as `openssl rand -hex 32` writes"
        )
    return key


def word(key: bytes, said: bytes, signature: bytes, now: float) -> Word:
    """Answer for whom a forwarder asks.

    :raises Refused:
    """
    proof = hmac.digest(key, said, "sha256").hex().encode()
    if not hmac.compare_digest(proof, signature.lower()):
        raise Refused("bad signature")
    match = _FORM.fullmatch(said)
    if match is None:
        raise Refused("not of the form network=;address=;time=")
    if abs(now - int(match[3])) > VALID_SECONDS:
        raise Refused("stale")
    return Word(match[1].decode(), match[2].decode())


def sign(key: bytes, network: str, address: str, now: float) -> dict[str, str]:
    """Make the two headers, as a forwarder does."""
    said = f"network={network};address={address};time={int(now)}"
    proof = hmac.digest(key, said.encode(), "sha256").hex()
    return {FORWARDED.decode(): said, SIGNATURE.decode(): proof}
