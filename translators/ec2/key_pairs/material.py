"""Keys as such: making them, reading every form of a public key, fingerprints. Knows no request.

Source: EC2 User Guide, "Create a key pair" (forms taken), "Verify the fingerprint of your key
pair"; RFC 4253 6.6, RFC 4716.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

KeyType = Literal["rsa", "ed25519"]
PublicKey = rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MOST_BYTES: Final = 64 * 1024
_RSA_BITS: Final = 2048
_RSA_BITS_TAKEN: Final = range(1024, 16_385)
"""EC2 names 1024, 2048 and 4096, and takes the 3072 that ssh-keygen makes by itself too."""
_TAKEN: Final = ("ssh-rsa", "ssh-ed25519")
_SSH2_BEGIN: Final = "---- BEGIN SSH2 PUBLIC KEY ----"
_SSH2_END: Final = "---- END SSH2 PUBLIC KEY ----"


class Unreadable(Exception):
    """The text is no public key of a kind and size that EC2 takes."""


@dataclass(frozen=True, slots=True)
class Made:
    """A fresh pair; the private half goes into one answer and nowhere else."""

    type: KeyType
    public_key: str
    fingerprint: str
    private_key: str

    def __repr__(self) -> str:
        """Keep the private key out of every log and traceback."""
        return f"Made(type={self.type!r}, fingerprint={self.fingerprint!r})"


@dataclass(frozen=True, slots=True)
class Read:
    """A public key that somebody brought."""

    type: KeyType
    public_key: str
    fingerprint: str


def make(kind: KeyType) -> Made:
    """Make a pair: RSA as PKCS #1 in PEM, ed25519 as OpenSSH writes it."""
    if kind == "rsa":
        private = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        return Made(
            "rsa",
            _openssh(private.public_key()),
            _rsa_private_fingerprint(private),
            _pem(private, serialization.PrivateFormat.TraditionalOpenSSL),
        )
    edwards = ed25519.Ed25519PrivateKey.generate()
    public = edwards.public_key()
    return Made(
        "ed25519",
        _openssh(public),
        _ed25519_fingerprint(public),
        _pem(edwards, serialization.PrivateFormat.OpenSSH),
    )


def read(material: bytes) -> Read:
    """Read a public key: OpenSSH, RFC 4716, or DER as base64 or PEM.

    :raises Unreadable: for anything else
    """
    if len(material) > MOST_BYTES:
        raise Unreadable
    try:
        text = material.decode("ascii").strip()
        public = _public_key(text)
    except (ValueError, UnsupportedAlgorithm):  # undecodable, no base64, no key
        raise Unreadable from None
    if isinstance(public, ed25519.Ed25519PublicKey):
        return Read("ed25519", _openssh(public), _ed25519_fingerprint(public))
    if isinstance(public, rsa.RSAPublicKey) and public.key_size in _RSA_BITS_TAKEN:
        return Read("rsa", _openssh(public), _rsa_public_fingerprint(public))
    raise Unreadable


def _public_key(text: str) -> object:
    if text.partition(" ")[0] in _TAKEN:
        return serialization.load_ssh_public_key(text.encode("ascii"))
    if text.startswith(_SSH2_BEGIN):
        blob = _ssh2_body(text)
        algorithm = _algorithm(base64.b64decode(blob, validate=True))
        return serialization.load_ssh_public_key(f"{algorithm} {blob}".encode("ascii"))
    if text.startswith("-----BEGIN"):
        return serialization.load_pem_public_key(text.encode("ascii"))
    der = base64.b64decode("".join(text.split()), validate=True)
    return serialization.load_der_public_key(der)


def _ssh2_body(text: str) -> str:
    """The base64 text between the markers, without headers and their continued lines."""
    lines = [line.strip() for line in text.splitlines()]
    if lines[-1] != _SSH2_END:
        raise ValueError("no end marker")
    body: list[str] = []
    continued = False
    for line in lines[1:-1]:
        if continued or ":" in line:
            continued = line.endswith("\\")
            continue
        body.append(line)
    return "".join(body)


def _algorithm(blob: bytes) -> str:
    length = int.from_bytes(blob[:4], "big")
    if not 0 < length <= 64 or len(blob) < 4 + length:
        raise ValueError("no algorithm name")
    name = blob[4 : 4 + length].decode("ascii")
    if name not in _TAKEN:
        raise ValueError("an algorithm that is not taken")
    return name


def _openssh(public: PublicKey) -> str:
    written = public.public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return written.decode("ascii")


def _pem(
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, form: serialization.PrivateFormat
) -> str:
    written = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return written.decode("ascii")


def _rsa_private_fingerprint(private: rsa.RSAPrivateKey) -> str:
    der = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _colons(hashlib.sha1(der, usedforsecurity=False).digest())


def _rsa_public_fingerprint(public: rsa.RSAPublicKey) -> str:
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _colons(hashlib.md5(der, usedforsecurity=False).digest())


def _ed25519_fingerprint(public: ed25519.Ed25519PublicKey) -> str:
    blob = base64.b64decode(_openssh(public).split()[1])
    return base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii")


def _colons(digest: bytes) -> str:
    return binascii.hexlify(digest, ":").decode("ascii")
