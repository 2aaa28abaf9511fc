"""The certificates at a door: what binds to its own, and whose a client's is.

Clients are mapped by the user principal name in the certificate's alternative names, as
WinRM's table of client certificates maps them; the authority that signed it is TLS's to check.

Source: RFC 5929 4 (`tls-server-end-point`); Microsoft's szOID_NT_PRINCIPAL_NAME; RFC 8446 4.6.2
(asking for a certificate after the handshake, as http.sys does).
"""

from __future__ import annotations

import selectors
import ssl
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from spnego.channel_bindings import GssChannelBindings

_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_UTF8_STRING = b"\x0c"
_SECONDS = 2.0


def channel_binding(certificate: Path) -> GssChannelBindings:
    """The binding of a TLS listener: the hash of its certificate, by the signature's algorithm."""
    parsed = x509.load_pem_x509_certificate(certificate.read_bytes())
    algorithm = parsed.signature_hash_algorithm
    if algorithm is None or algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(parsed.public_bytes(serialization.Encoding.DER))
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest.finalize())


def principal_of(connection: object) -> str:
    """The principal name in the client's certificate, asking for it; empty if there is none.

    :raises OSError: the client left, or showed a certificate that does not hold
    """
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    shown = connection.getpeercert(True)
    if shown is None and connection.version() == "TLSv1.3":
        shown = _asked(connection)
    return _principal(shown) if shown else ""


def _asked(connection: ssl.SSLSocket) -> bytes | None:
    """Ask for the certificate now, while the client waits for an answer."""
    try:
        connection.verify_client_post_handshake()
    except ssl.SSLError:  # the client does not take part in that
        return None
    timeout = connection.gettimeout()
    deadline = time.monotonic() + _SECONDS
    connection.settimeout(_SECONDS)
    try:
        connection.do_handshake()  # sends the question
        connection.settimeout(0)
        while time.monotonic() < deadline:
            try:
                connection.read(1)
            except ssl.SSLWantReadError:
                if (shown := connection.getpeercert(True)) is not None:
                    return shown
                _wait(connection, deadline)
            else:
                break  # it leaves, or goes on talking instead of answering
        return None
    finally:
        connection.settimeout(timeout)


def _wait(connection: ssl.SSLSocket, deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.select(max(0.0, deadline - time.monotonic()))


def _principal(certificate: bytes) -> str:
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    for name in names.get_values_for_type(x509.OtherName):
        head, text = name.value[:2], name.value[2:]
        # DER, of a text short enough to have its length in one byte.
        if name.type_id == _PRINCIPAL_NAME and head == _UTF8_STRING + len(text).to_bytes(2)[1:]:
            return text.decode("utf-8", "replace")
    return ""
