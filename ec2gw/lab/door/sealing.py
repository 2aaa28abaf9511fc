"""Opens and makes the sealed HTTP bodies of WS-Management over NTLM and Kerberos.

Holds the MIME form alone; the cipher is handed in. One part is all that they
ever send.

Source: MS-WSMV 2.2.9.1.1 and 2.2.9.1.2 (encrypted message types).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

CONTENT_TYPE = (
    'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";'
    'boundary="Encrypted Boundary"'
)
_BOUNDARY = b"--Encrypted Boundary"
_HEAD = re.compile(
    rb"(?:\r\n)?--Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type:[ ]*application/HTTP-SPNEGO-session-encrypted\r\n"
    rb"[ \t]*OriginalContent:[ ]*type=application/soap\+xml;[ ]*charset=UTF-8;[ ]*"
    rb"Length=([0-9]{1,9})\r\n"
    rb"--Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type:[ ]*application/octet-stream\r\n",
    re.IGNORECASE,
)
_TAIL = _BOUNDARY + b"--\r\n"
_MAX_SIGNATURE_BYTES = 128


class Broken(Exception):
    """The body is not sealed as it should be, or not for this connection."""


def is_sealed(content_type: str) -> bool:
    return content_type.strip().casefold().startswith("multipart/encrypted")


def unseal(body: bytes, unwrap: Callable[[bytes, bytes], bytes]) -> bytes:
    """Open a body; `unwrap` takes signature and sealed data.

    :raises Broken: the form is wrong, or the length within is not the length told
    """
    head = _HEAD.match(body)
    # The end is cut off at the end only: sealed bytes may hold anything.
    if head is None or not body.endswith(_TAIL):
        raise Broken
    payload = body[head.end() : -len(_TAIL)]
    if len(payload) < 4:
        raise Broken
    (size,) = struct.unpack_from("<I", payload)
    if not 0 < size <= min(_MAX_SIGNATURE_BYTES, len(payload) - 4):
        raise Broken
    message = unwrap(payload[4 : 4 + size], payload[4 + size :])
    if len(message) != int(head[1]):
        raise Broken
    return message


def seal(message: bytes, wrap: Callable[[bytes], tuple[bytes, bytes]]) -> bytes:
    """Seal a message; `wrap` gives signature and sealed data."""
    signature, data = wrap(message)
    return (
        _BOUNDARY + b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=%d\r\n"
        % len(message)
        + _BOUNDARY
        + b"\r\n\tContent-Type: application/octet-stream\r\n"
        + struct.pack("<I", len(signature))
        + signature
        + data
        + _TAIL
    )
