"""Splits a query string or an urlencoded body into its parameters, within bounds.

Says nothing of what they mean. Size in bytes is bounded before, by whoever read them.

Source: https://url.spec.whatwg.org/#urlencoded-parsing
"""

from __future__ import annotations

import re
from typing import Final

from ec2gw.wire import values

MAX_PARAMETERS: Final = 10_000

_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
# Runs are bounded: one by one, or without end, a body of escapes takes 30 to 50 times its size.
_ESCAPES: Final = re.compile(b"(?:%[0-9A-Fa-f]{2}){1,256}")


def split(text: bytes) -> list[tuple[str, str]]:
    """Split into (name, value), in the order of arrival; a name may come more than once.

    :raises Malformed: for text that is not UTF-8, a broken escape, too many parameters
    """
    if text.count(b"&") >= MAX_PARAMETERS:
        raise values.Malformed.query(f"there are more than {MAX_PARAMETERS} parameters")
    try:
        plain = text.decode("utf-8")
        escaped = "%" in plain
        if escaped and _BAD_ESCAPE.search(plain):
            raise values.Malformed.query("an escape is not % and two hexadecimal digits")
        if "+" in plain:
            plain = plain.replace("+", " ")
        pairs = []
        for parameter in plain.split("&"):
            if not parameter:
                continue
            name, _, value = parameter.partition("=")
            if escaped:
                if "%" in name:
                    name = _unescape(name)
                if "%" in value:
                    value = _unescape(value)
            pairs.append((name, value))
    except UnicodeDecodeError:
        raise values.Malformed.query("it is not UTF-8") from None
    return pairs


def _unescape(text: str) -> str:
    # Bytes first: a run may end within a character.
    return _ESCAPES.sub(_bytes, text.encode()).decode("utf-8")


def _bytes(escapes: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escapes.group().replace(b"%", b"").decode("ascii"))
