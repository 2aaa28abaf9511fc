"""The administrator's password of a Windows guest that gets it on its disc, and how it is told.

It is derived from the service's key and the instance's id, whenever it is needed: nothing keeps it.
Guests that can reach the metadata service make their own and post it there.

Source: EC2 API Reference, GetPasswordData; cloudbase-init's documentation, "Setting password"; RFC
8017, section 7.2 (PKCS #1 v1.5, which EC2's clients decrypt); RFC 5869, section 2.3.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from translators.guests import policy
from translators.guests.facts import Facts
from translators.settings import Guest, Settings

# 64 characters, six bits each: nothing that is read as something else, nothing that a shell, XML
# or a quoted text could take for its own.
_CLASSES: Final = ("ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnpqrstuvwxyz", "23456789", "+,./:=@_")
_ALPHABET: Final = "".join(_CLASSES)
_LENGTH: Final = 24  # 144 bits, less what the four classes cost


def is_ours(
    platform: str | None, guest: Guest, settings: Settings, options: Mapping[str, Any]
) -> bool:
    """Tell whether we make the guest's password: it has a config drive and no way to post its own.

    `guest` is the deployment's with what the image says otherwise, `options` are the instance's
    MetadataOptions: cloudbase-init, which posts passwords, knows no tokens.
    """
    posts = settings.metadata_served and guest.imds and options.get("HttpTokens") != "required"
    has_drive = policy.datasource(guest, platform) == "configdrive"
    return platform == "windows" and has_drive and not posts


def on_disc(facts: Facts, settings: Settings) -> str | None:
    """The password that the guest's disc carries; None: it carries none.

    Without an RSA key pair there is none: its owner could never learn it.
    """
    ours = is_ours(facts.platform, facts.guest, settings, facts.options)
    if not ours or not is_rsa(facts.public_key):
        return None
    return given(facts.id, settings.password_key)


def given(instance_id: str, password_key: bytes) -> str:
    """The instance's password, the same each time; it has all that Windows' policy may ask for."""
    for attempt in range(1000):
        said = f"administrator {instance_id} {attempt}".encode()
        drawn = hmac.digest(password_key, said, hashlib.sha512)[:_LENGTH]
        password = "".join(_ALPHABET[byte & 63] for byte in drawn)
        if all(any(one in password for one in of_class) for of_class in _CLASSES):
            return password
    raise AssertionError("a thousand draws of 24 characters each lacked one of four classes")


def sealed(password: str, public_key: str) -> str:
    """EC2's PasswordData: the password encrypted for a key pair, in Base64; another each time.

    :raises ValueError: for a key that is no RSA key in OpenSSH's form
    """
    key = serialization.load_ssh_public_key(public_key.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("only RSA keys encrypt")
    return base64.b64encode(key.encrypt(password.encode(), padding.PKCS1v15())).decode()


def is_rsa(public_key: str | None) -> bool:
    """Tell whether a key in OpenSSH's form is one that a password can be encrypted for."""
    return public_key is not None and public_key.startswith("ssh-rsa ")
