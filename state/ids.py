"""Mints and checks ids as AWS makes them: a prefix and 17 hex digits; 12 digits for an account.

Source: EC2 User Guide, "Resource IDs"; the older eight-digit form is still accepted as input.
"""

from __future__ import annotations

import re
import secrets

_DIGITS = re.compile(r"(?:[0-9a-f]{17}|[0-9a-f]{8})")
ACCOUNT = re.compile(r"[0-9]{12}")


def mint(prefix: str) -> str:
    """Make a new id: `mint("i")` is an `i-` and 17 hex digits, the first never 0.

    68 random bits: a collision is caught by the table's unique index.
    """
    return f"{prefix}-{secrets.choice('123456789abcdef')}{secrets.token_hex(8)}"


def is_well_formed(prefix: str, text: str) -> bool:
    """Tell whether the text has the form of an id of that prefix.

    >>> is_well_formed("i", "i-0123456789abcdef0"), is_well_formed("i", "vol-01234567")
    (True, False)
    """
    head, dash, digits = text.rpartition("-")
    return dash == "-" and head == prefix and _DIGITS.fullmatch(digits) is not None


def mint_account() -> str:
    """Make a 12-digit account id that does not begin with 0."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def mint_mac() -> str:
    """Make a locally administered unicast MAC address, lower case with colons."""
    tail = secrets.token_bytes(5)
    return ":".join(f"{byte:02x}" for byte in (0x02, *tail))
