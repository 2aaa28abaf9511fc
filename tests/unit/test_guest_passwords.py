"""Passwords of Windows guests: strong, derived, and readable by nobody but the key's holder."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from tests import told
from translators.guests import passwords
from translators.settings import Guest, Settings

KEY = bytes(range(32))
OPENSSH = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def test_a_password_has_all_that_windows_asks_for_and_nothing_that_is_misread() -> None:
    for number in range(500):
        password = passwords.given(f"i-{number:017x}", KEY)
        assert len(password) == 24
        assert any(one.isupper() for one in password)
        assert any(one.islower() for one in password)
        assert any(one.isdigit() for one in password)
        assert not password.isalnum()
        assert not set(password) & set("0O1lI\"'`$%^&<>|\\!{}~*- ")


def test_a_password_is_told_again_but_to_no_other_instance_and_by_no_other_key() -> None:
    password = passwords.given("i-0123456789abcdef0", KEY)
    assert passwords.given("i-0123456789abcdef0", KEY) == password
    assert passwords.given("i-0123456789abcdef1", KEY) != password
    assert passwords.given("i-0123456789abcdef0", KEY[::-1]) != password


@pytest.mark.parametrize("bits", [2048, 4096])
def test_the_private_key_opens_what_was_sealed(bits: int) -> None:
    private = rsa.generate_private_key(65537, bits)
    public = private.public_key().public_bytes(*OPENSSH).decode()
    sealed = passwords.sealed("Correct.Horse7", f"{public} a comment")
    assert sealed != passwords.sealed("Correct.Horse7", public)
    ciphertext = base64.b64decode(sealed, validate=True)
    assert len(ciphertext) == bits // 8
    assert private.decrypt(ciphertext, padding.PKCS1v15()) == b"Correct.Horse7"


def test_nothing_is_sealed_for_a_key_that_only_signs() -> None:
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(*OPENSSH).decode()
    assert not passwords.is_rsa(public)
    with pytest.raises(ValueError, match="only RSA"):
        passwords.sealed("Correct.Horse7", public)


@pytest.mark.parametrize(
    ("platform", "guest", "served", "ours"),
    [
        ("windows", Guest(), False, True),
        ("windows", Guest(imds=False), True, True),  # the image's guests do not ask
        ("windows", Guest(), True, False),  # they post their own
        ("windows", Guest(seed="nocloud"), False, False),  # which carries none
        ("windows", Guest(seed="none"), False, False),
        (None, Guest(seed="configdrive"), False, False),
        (None, Guest(), False, False),
    ],
)
def test_we_make_the_password_where_the_guest_has_no_other_way(
    platform: str | None, guest: Guest, served: bool, ours: bool
) -> None:
    settings = Settings(metadata_served=served)
    assert passwords.is_ours(platform, guest, settings, {"HttpTokens": "optional"}) is ours


def test_a_guest_that_would_have_to_show_tokens_posts_no_password() -> None:
    settings, options = Settings(metadata_served=True), {"HttpTokens": "required"}
    assert passwords.is_ours("windows", Guest(), settings, options)
    facts = told.facts(platform="windows", options=options)
    assert passwords.on_disc(facts, settings) == passwords.given(facts.id, settings.password_key)
