"""The depot's own certificate: made once, known to hosts by its digest alone.

A host is told the digest over its signed-in link, so no authority has to vouch for anything.

Source: cryptography, "X.509 tutorial"; RFC 5280.
"""

from __future__ import annotations

import datetime as dt
import os
import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_VALID: Final = dt.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Certificate:
    """One PEM file with key and certificate, 0600."""

    file: Path
    digest: str
    """SHA-256 of the certificate (DER), lower-case hex: what hosts compare."""


def ensured(folder: Path) -> Certificate:
    """Answer the folder's certificate, made if there is none."""
    file = folder / "certificate.pem"
    if not file.exists():
        _make(file)
    parsed = x509.load_pem_x509_certificate(file.read_bytes())
    return Certificate(file, sha256(parsed.public_bytes(serialization.Encoding.DER)).hexdigest())


def context(certificate: Certificate) -> ssl.SSLContext:
    """Make what the listener speaks TLS with: 1.2 at least, as old as hosts may be."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(certificate.file)
    return made


def _make(file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ec2gw depot")])
    began = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + _VALID)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + made.public_bytes(serialization.Encoding.PEM)
    fresh = file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
