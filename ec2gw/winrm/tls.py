"""What TLS to a host must hold, and our own certificate there; no connection is made here.

The files are read at each sign-in, so that a renewed certificate needs no restart.

Source: Python, `ssl`; RFC 8446 4.6.2 (a certificate asked for after the handshake, as http.sys
does); RFC 5929 4 (`tls-server-end-point`).
"""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ec2gw.winrm import endpoint


class Unfit(Exception):
    """A file of ours that TLS cannot use, in words for the administrator."""


def context(address: endpoint.HostAddress, *, ours: bool = True) -> ssl.SSLContext:
    """Trust `ca_file` alone, or without one the system's authorities; show our certificate.

    :raises Unfit: a file is missing, unreadable, encrypted or past its time
    """
    try:
        made = ssl.create_default_context(cafile=address.ca_file)
    except (OSError, ValueError) as error:
        raise Unfit(f"{address.ca_file}: {_reason(error)}") from error
    # A host's own certificate is trusted as well when an authority issued it that is not.
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # Under TLS 1.3 a Windows host asks for the certificate only once it has read the request.
    made.post_handshake_auth = True
    if ours and address.certificate_file and address.key_file:
        _load(made, address.certificate_file, address.key_file)
    return made


def check(address: endpoint.HostAddress) -> None:
    """Say at once what signing in would say later.

    :raises Unfit: as `context`
    """
    if address.is_tls:
        context(address)


def end_of(certificate_file: str) -> dt.datetime:
    """When that certificate ends."""
    return x509.load_pem_x509_certificate(Path(certificate_file).read_bytes()).not_valid_after_utc


def end_point_binding(certificate: bytes) -> bytes | None:
    """What binds a sign-in to the channel of that certificate (DER); None if it has no such hash.

    A relayed sign-in arrives over another certificate, and is refused by it.
    """
    parsed = x509.load_der_x509_certificate(certificate)
    algorithm = parsed.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate)
    return b"tls-server-end-point:" + digest.finalize()


def _load(made: ssl.SSLContext, certificate_file: str, key_file: str) -> None:
    def ask() -> str:  # otherwise OpenSSL asks whoever sits at the terminal, and waits
        raise Unfit(f"{key_file}: the key is encrypted; store it without a passphrase, mode 0600")

    for name in (certificate_file, key_file):
        try:
            Path(name).open("rb").close()
        except OSError as error:
            raise Unfit(f"{name}: {_reason(error)}") from error
    try:
        made.load_cert_chain(certificate_file, key_file, password=ask)
        parsed = x509.load_pem_x509_certificate(Path(certificate_file).read_bytes())
    except (OSError, ValueError) as error:
        raise Unfit(f"{certificate_file} and {key_file}: {_reason(error)}") from error
    now = dt.datetime.now(dt.UTC)
    if now >= parsed.not_valid_after_utc:
        raise Unfit(f"{certificate_file}: it ended on {parsed.not_valid_after_utc:%Y-%m-%d}")
    if now < parsed.not_valid_before_utc:
        raise Unfit(f"{certificate_file}: it begins on {parsed.not_valid_before_utc:%Y-%m-%d}")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", "no certificate in PEM, or no key that fits it")
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return "no certificate in PEM"


_REASONS = {
    "KEY_VALUES_MISMATCH": "the key is another certificate's",
    "NO_CERTIFICATE_OR_CRL_FOUND": "no certificate in PEM",
}
