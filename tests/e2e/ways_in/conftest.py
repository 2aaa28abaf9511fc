"""One host and one authority for all these tests; a domain of their own where MIT's KDC is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .authority import Authority
from .domain import Domain, missing
from .rig import Machine


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.fixture(scope="package")
def _one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    machine = Machine(tmp_path_factory.mktemp("world"))
    yield machine
    machine.close()


@pytest.fixture
def machine(_one: Machine) -> Iterator[Machine]:
    yield _one
    _one.close_doors()


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="package")
def _realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    if lacking := missing():
        pytest.skip(f"Kerberos is not tried: {lacking}")
    domain = Domain(tmp_path_factory.mktemp("domain"))
    yield domain
    domain.stop()


@pytest.fixture
def domain(_realm: Domain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Domain:
    """The domain, in the environment; nobody has a ticket yet."""
    for name, value in _realm.environ(tmp_path / "tickets").items():
        monkeypatch.setenv(name, value)
    return _realm
