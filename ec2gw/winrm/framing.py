"""Frames between the driver and the agent on a host: bytes to messages and back, without I/O.

A frame is one line of ASCII, whatever the code page of the console it passes::

    RS  length  SPACE  digest  SPACE  body  LF

The body is base64 of gzip of UTF-8 JSON; length is the body's, in characters; the digest is the
first eight hexadecimal digits, upper case, of SHA-256 over the body's text. RS (0x1E) finds the
start again after noise and half lines. Length and digest are no luxury: a slice lost in the middle
and a cut gzip stream can both read as whole.

The same codec serves both ends: the link here, and the laboratory's interpreter of frames.

Source: docs/agent.md; the agent's ConvertTo-Frame and ConvertFrom-Frame.
"""

from __future__ import annotations

import binascii
import gzip
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from typing import NoReturn

MAX_LINE = 1 << 20
"""Characters of a line, its LF not counted; the agent's `limits` name the same number."""
MAX_TEXT = 8 << 20
"""Bytes of JSON that a frame may inflate to."""
MAX_ASK = 2 << 20
"""The same of what is sent to an agent: Windows PowerShell 5.1 reads no longer JSON."""

_START = b"\x1e"
_FRAME = re.compile(rb"([0-9]{1,7}) ([0-9A-F]{8}) ([A-Za-z0-9+/=]+)")


class TooLarge(ValueError):
    """A message that no frame can carry."""


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A line that is no whole and readable frame.

    `digest` names a frame that arrived whole and still could not be read, so that its sender can
    tell which one it was; noise and damaged frames have none.
    """

    why: str
    digest: str | None = None


def digest(body: bytes) -> str:
    """Eight upper-case hexadecimal digits that stand for a body's text."""
    return hashlib.sha256(body).hexdigest()[:8].upper()


def encode(message: object, *, largest: int = MAX_ASK) -> bytes:
    """The frame of a JSON value, with its LF; answers are told with `largest=MAX_TEXT`.

    :raises TooLarge: over `largest` as JSON or over `MAX_LINE` as a line
    """
    text = json.dumps(message, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(text) > largest:
        raise TooLarge(f"a message of {len(text)} bytes; {largest} are allowed")
    # Level 1: on a host's network the body is small either way, and both ends are short of CPU.
    body = binascii.b2a_base64(gzip.compress(text, compresslevel=1, mtime=0), newline=False)
    line = b"%s%d %s %s" % (_START, len(body), digest(body).encode("ascii"), body)
    if len(line) > MAX_LINE:
        raise TooLarge(f"a frame of {len(line)} characters; {MAX_LINE} are allowed")
    return line + b"\n"


class Decoder:
    """Turns a stream of bytes, cut anywhere, into messages; never holds more than one line."""

    def __init__(self, *, largest: int = MAX_TEXT) -> None:
        """`largest`: the bytes of JSON that are read; an agent reads `MAX_ASK`."""
        self._largest = largest
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[object | BadFrame]:
        """The messages whose lines `data` completes; a bad line is told, an empty one is not."""
        found: list[object | BadFrame] = []
        *whole, rest = data.split(b"\n")
        for piece in whole:
            self._keep(piece)
            if self._skipping:
                found.append(BadFrame("frame too long"))
            elif line := bytes(self._line).rstrip(b"\r"):
                found.append(_read(line, self._largest))
            self._line.clear()
            self._skipping = False
        self._keep(rest)
        return found

    @property
    def pending(self) -> bool:
        """Whether a line was begun and not ended: what a cut stream leaves behind."""
        return self._skipping or bool(self._line)

    def _keep(self, piece: bytes) -> None:
        if not self._skipping and len(self._line) + len(piece) <= MAX_LINE + 1:  # 1 for a CR
            self._line += piece
        else:
            self._line.clear()
            self._skipping = True


def _read(line: bytes, largest: int) -> object | BadFrame:
    if len(line) > MAX_LINE:
        return BadFrame("frame too long")
    match = _FRAME.fullmatch(line, line.rfind(_START) + 1)
    if match is None:
        return BadFrame("no frame")
    length, told, body = match.groups()
    if int(length) != len(body) or digest(body).encode("ascii") != told:
        return BadFrame("cut or changed frame")
    try:
        return _parse(_inflate(binascii.a2b_base64(body, strict_mode=True), largest))
    except (ValueError, RecursionError, zlib.error) as unreadable:
        return BadFrame(str(unreadable), told.decode("ascii"))


def _inflate(data: bytes, largest: int) -> bytes:
    source = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    text = source.decompress(data, largest + 1)
    if len(text) > largest:
        raise ValueError("frame inflates too far")
    if not source.eof or source.unused_data:
        raise ValueError("not one whole gzip stream")
    return text


def _parse(text: bytes) -> object:
    return json.loads(
        text.decode("utf-8"), object_pairs_hook=_members, parse_constant=_no_such_number
    )


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object as Windows PowerShell reads it: no name is empty, none differs in case only."""
    found = dict(pairs)
    if "" in found or len({name.lower() for name in found}) != len(pairs):
        raise ValueError("an object's names are empty or differ in case only")
    return found


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
