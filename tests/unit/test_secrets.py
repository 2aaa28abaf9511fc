"""Sealed secrets: good in their place alone, under a key that is nobody else's to read."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from state.secrets import KeyFileUnusable, NotOurs, Vault


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault(tmp_path_factory.mktemp("vault") / "key")


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.binary(max_size=100), st.text(max_size=20))
def test_what_was_sealed_opens_in_its_place_and_in_no_other(
    shared: Vault, plain: bytes, context: str
) -> None:
    sealed = shared.seal(plain, context)
    assert shared.open(sealed, context) == plain
    with pytest.raises(NotOurs):
        shared.open(sealed, context + "x")


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.data())
def test_a_changed_byte_is_found(shared: Vault, data: st.DataObject) -> None:
    sealed = bytearray(shared.seal(b"secret", "here"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(NotOurs):
        shared.open(bytes(sealed), "here")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"0" * 12, b"plain text"])
def test_what_was_never_sealed_is_told(shared: Vault, sealed: bytes) -> None:
    with pytest.raises(NotOurs):
        shared.open(sealed, "here")


def test_the_same_secret_looks_different_each_time(shared: Vault) -> None:
    assert shared.seal(b"secret", "here") != shared.seal(b"secret", "here")


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    sealed = Vault(path).seal(b"secret", "here")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Vault(path).open(sealed, "here") == b"secret"
    assert list(tmp_path.iterdir()) == [path]


def test_of_many_first_starts_one_makes_the_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        vaults = list(pool.map(lambda _: Vault(tmp_path / "key"), range(8)))
    sealed = vaults[0].seal(b"secret", "here")
    assert {vault.open(sealed, "here") for vault in vaults} == {b"secret"}
    assert len(list(tmp_path.iterdir())) == 1


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "one").seal(b"secret", "here")
    with pytest.raises(NotOurs):
        Vault(tmp_path / "two").open(sealed, "here")


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    Vault(path)
    path.chmod(0o640)
    with pytest.raises(KeyFileUnusable, match="chmod 600"):
        Vault(path)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_damaged_key_file_is_refused_and_not_replaced(tmp_path: Path, size: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"k" * size)
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable, match="damaged"):
        Vault(path)
    assert path.read_bytes() == b"k" * size


def test_derived_keys_are_the_same_after_a_start_and_differ_by_purpose(tmp_path: Path) -> None:
    first, second = Vault(tmp_path / "key"), Vault(tmp_path / "key")
    assert first.derive("pages") == second.derive("pages") != first.derive("other")
