"""Hosts for these tests, closed after each, with no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.server import Tls

from .host import QUICK, Host


class Opened(Protocol):
    """Starts a host; what is not said is quick, NTLM only, without TLS."""

    def __call__(
        self, *, limits: Limits = QUICK, basic: bool = False, tls: Tls | None = None
    ) -> Host: ...


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.fixture
def opened() -> Iterator[Opened]:
    hosts: list[Host] = []

    def start(*, limits: Limits = QUICK, basic: bool = False, tls: Tls | None = None) -> Host:
        hosts.append(Host(limits=limits, basic=basic, tls=tls))
        return hosts[-1]

    yield start
    for host in hosts:
        host.door.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("door"):
            thread.join(5)
            assert not thread.is_alive()


@pytest.fixture
def host(opened: Opened) -> Host:
    return opened()
