"""The administrator's password as a guest posts it: encrypted for its key pair, kept once.

Nothing here can read it.

Source: OpenStack Compute, "Metadata service" (password data); EC2 API Reference, GetPasswordData;
RFC 8017, section 7.2 (the ciphertext is as long as the modulus).
"""

from __future__ import annotations

import base64
import binascii
from http import HTTPStatus

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy.orm import Session

from state import models, recovering
from state.store import Store


class Passwords:
    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, instance_key: int, public_key: str | None, posted: bytes) -> HTTPStatus:
        """Keep what was posted, if it can be a password and none was kept before."""
        text = posted.strip()
        if not _fits(public_key, text):
            return HTTPStatus.BAD_REQUEST

        def work(session: Session) -> HTTPStatus:
            if recovering.is_on(session):
                return HTTPStatus.SERVICE_UNAVAILABLE  # nothing changes until hosts were looked at
            row = session.get(models.Instance, instance_key)
            if row is None or row.phase == "terminated":
                return HTTPStatus.NOT_FOUND
            if row.password_data:
                return HTTPStatus.CONFLICT
            row.password_data = text.decode("ascii")
            return HTTPStatus.OK

        return self._store.write(work)


def _fits(public_key: str | None, text: bytes) -> bool:
    if public_key is None:
        return False
    try:
        key = serialization.load_ssh_public_key(public_key.encode())
        sealed = base64.b64decode(text, validate=True)
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        return False
    return isinstance(key, rsa.RSAPublicKey) and len(sealed) == (key.key_size + 7) // 8
