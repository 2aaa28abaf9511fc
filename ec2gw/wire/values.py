"""Single values between their text on the wire and Python: numbers, truth, times, bytes.

Times are aware UTC. Reading is as lenient as clients are various; writing has one form.

Source: https://smithy.io/2.0/spec/protocol-traits.html#timestampformat-trait
Source: https://www.w3.org/TR/xml/#charsets
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import functools
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, Self


class Malformed(Exception):
    """A request that cannot be understood; status 400."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    @classmethod
    def query(cls, why: str) -> Self:
        return cls("MalformedQueryString", f"The query string contains a syntax error: {why}.")


class Unreadable(Exception):
    """A text that is no value of its kind; says which would be, and whether it may be repeated."""

    def __init__(self, sentence: str, *, showable: bool = True) -> None:
        super().__init__(sentence)
        self.showable = showable


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_UNUSUAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_TRUTH: Final = {"true": True, "1": True, "false": False, "0": False}
_EMPTY: Final = "The value cannot be empty"


def read_string(text: str) -> str:
    return text


def _read_whole(text: str, bits: int) -> int:
    if not text:
        raise Unreadable(_EMPTY)
    if _INTEGER.fullmatch(text):
        number = int(text)
        if -(1 << bits - 1) <= number < 1 << bits - 1:
            return number
    raise Unreadable(f"Expected an integer of {bits} bits.")


def read_integer(text: str) -> int:
    return _read_whole(text, 32)


def read_long(text: str) -> int:
    return _read_whole(text, 64)


def read_float(text: str) -> float:
    if text in _UNUSUAL:
        return _UNUSUAL[text]
    if not text:
        raise Unreadable(_EMPTY)
    if not _DECIMAL.fullmatch(text):
        raise Unreadable("Expected a number.")
    return float(text)


def read_boolean(text: str) -> bool:
    truth = _TRUTH.get(text.lower())
    if truth is None:
        raise Unreadable("Expected true or false." if text else _EMPTY)
    return truth


def read_blob(text: str) -> bytes:
    """Decode base64, which may hold line breaks."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("Expected BASE64.", showable=False) from None  # it may be a key


def read_timestamp(text: str) -> datetime:
    """Read ISO 8601, an HTTP date, or seconds since 1970; without a zone it is UTC."""
    try:
        if _DECIMAL.fullmatch(text) and not _looks_like_a_date(text):
            return _EPOCH + timedelta(seconds=float(text))
        moment = (
            email.utils.parsedate_to_datetime(text)
            if text[:3].isalpha()
            else datetime.fromisoformat(text)
        )
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable("Expected a time such as 2006-01-02T15:04:05Z.") from None


def _looks_like_a_date(digits: str) -> bool:
    """Tell 20060102 from seconds: as seconds it would be a day of August 1970."""
    return len(digits) == 8 and digits.isdecimal()


READ: Final[dict[str, Callable[[str], object]]] = {
    "string": read_string,
    "integer": read_integer,
    "long": read_long,
    "float": read_float,
    "double": read_float,
    "boolean": read_boolean,
    "blob": read_blob,
    "timestamp": read_timestamp,
}

# Markup, what XML 1.0 forbids, and the carriage return, which a reader would make a line feed.
_UNSAFE: Final = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SAFE: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_unsafe = _UNSAFE.search


def write_string(value: object) -> str:
    """Escape for XML; what XML cannot hold is left out."""
    if not isinstance(value, str):
        raise TypeError
    return value if _unsafe(value) is None else _UNSAFE.sub(_replacement, value)


def _replacement(found: re.Match[str]) -> str:
    return _SAFE.get(found.group(), "")


def write_integer(value: object) -> str:
    if type(value) is not int:  # a bool is an int, and a bug
        raise TypeError
    return str(value)


def write_float(value: object) -> str:
    if type(value) is not float and type(value) is not int:
        raise TypeError
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def write_boolean(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise TypeError


def write_blob(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError
    return base64.b64encode(value).decode("ascii")


def _aware(value: object) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise TypeError
    return value if value.tzinfo is UTC else value.astimezone(UTC)


@functools.lru_cache(4096)  # the times of an answer repeat: launch, attachment, creation
def write_iso8601(value: object) -> str:
    return _aware(value).isoformat(timespec="milliseconds")[:-6] + "Z"


def write_rfc822(value: object) -> str:
    return email.utils.format_datetime(_aware(value), usegmt=True)


def write_unix_timestamp(value: object) -> str:
    seconds = (_aware(value) - _EPOCH).total_seconds()
    return str(int(seconds)) if seconds.is_integer() else str(seconds)


Write = Callable[[object], str]

WRITE: Final[dict[str, Write]] = {
    "string": write_string,
    "integer": write_integer,
    "long": write_integer,
    "float": write_float,
    "double": write_float,
    "boolean": write_boolean,
    "blob": write_blob,
}
WRITE_TIME: Final[dict[str | None, Write]] = {
    None: write_iso8601,
    "iso8601": write_iso8601,
    "rfc822": write_rfc822,
    "unixTimestamp": write_unix_timestamp,
}
