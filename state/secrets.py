"""Seals secrets for the database under a key that is kept in a file outside it.

A copy of the database alone reveals nothing; a sealed value is good only in the place (the
`context`) that it was sealed for. Holds no table and no row.

Source: NIST SP 800-38D (GCM); RFC 5869 (HKDF); cryptography.io, "Authenticated encryption".
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORM: Final = b"\x01"
"""First byte of what is sealed: another cipher would get another number."""


class KeyFileUnusable(Exception):
    """The key file is not what it was made as; the text says what is wrong and what to do."""


class NotOurs(Exception):
    """What was to be opened was sealed with another key, for another place, or was changed."""


class Vault:
    """Seals and opens. Thread-safe."""

    def __init__(self, key_file: Path) -> None:
        """Read the key; the first start makes it, readable for its owner alone.

        :raises KeyFileUnusable:
        """
        try:
            self._key = _read(key_file)
        except FileNotFoundError:
            _make(key_file)
            self._key = _read(key_file)
        self._cipher = AESGCM(self._key)

    def seal(self, plain: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str) -> bytes:
        """Answer what was sealed for that context.

        :raises NotOurs:
        """
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORM or len(nonce) != _NONCE_BYTES:
            raise NotOurs
        try:
            return self._cipher.decrypt(nonce, text, context.encode())
        except InvalidTag:
            raise NotOurs from None

    def derive(self, purpose: str) -> bytes:
        """Answer a key of its own for a purpose; the same one after every start."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key)


def access_key_context(access_key_id: str) -> str:
    """Where an access key's secret belongs."""
    return f"access-key:{access_key_id}"


def host_context(host_name: str) -> str:
    """Where the password of the account on a host belongs."""
    return f"host:{host_name}"


def _read(key_file: Path) -> bytes:
    descriptor = os.open(key_file, os.O_RDONLY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if os.name == "posix" and os.fstat(descriptor).st_mode & 0o077:
            raise KeyFileUnusable(f"{key_file} is open to others: chmod 600 {key_file}")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise KeyFileUnusable(f"{key_file} is damaged: put its {KEY_BYTES} bytes back from a copy")
    return key


def _make(key_file: Path) -> None:
    """Write a new key whole or not at all; of two that do it at once, one wins."""
    fresh = key_file.with_name(f"{key_file.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(fresh, flags, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, key_file)
    finally:
        fresh.unlink()
    folder = os.open(key_file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
