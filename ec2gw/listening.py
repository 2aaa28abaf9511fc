"""The sockets that `serve` holds for its children, and what has to be true before they listen.

Source: socket(7), tcp(7); granian, "SSL".
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_BACKLOG: Final = 1024


class Unusable(Exception):
    """It cannot listen; one line says why."""


@contextlib.contextmanager
def listen(address: str, option: str) -> Iterator[socket.socket]:
    host, _colon, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        # Python's own text repeats the address; resolving a name has no number.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise Unusable(f"cannot listen on {address}: {reason} (see {option})") from None
    with listener:
        listener.set_inheritable(True)
        # Accepted connections inherit it. Without it an answer that leaves in two segments waits
        # for the client's delayed acknowledgement, 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def check_tls(certificate: Path, key_file: Path) -> None:
    """Find out now what the API's process could only die of."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = key_file.read_bytes()
        load_pem_private_key(key, password=None)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key_file)
    except (OSError, ValueError, TypeError) as error:
        raise Unusable(f"the TLS certificate and key cannot be used: {error}") from None
    if b"-----BEGIN PRIVATE KEY-----" not in key:
        raise Unusable(f"{key_file} is not PKCS#8: openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW")
