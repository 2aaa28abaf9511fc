"""Scripted hosts and links to them, closed after each test, with no thread left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ec2gw.winrm import pool

from . import scripted

Opened = Callable[..., scripted.ScriptedHost]
Linked = Callable[..., pool.HostLink]


@pytest.fixture(autouse=True)
def _no_netrc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


@pytest.fixture
def opened() -> Iterator[Opened]:
    hosts: list[scripted.ScriptedHost] = []

    def start(**options: Any) -> scripted.ScriptedHost:
        hosts.append(scripted.ScriptedHost(**options))
        return hosts[-1]

    yield start
    for host in hosts:
        host.door.stop()


@pytest.fixture
def host(opened: Opened) -> scripted.ScriptedHost:
    return opened()


@pytest.fixture
def linked() -> Iterator[Linked]:
    links: list[pool.HostLink] = []

    def make(host: scripted.ScriptedHost, **options: Any) -> pool.HostLink:
        links.append(scripted.link(host, **options))
        return links[-1]

    yield make
    began = time.monotonic()
    for link in links:
        link.close()
    assert time.monotonic() - began < 6
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("winrm")]
    assert left == []


@pytest.fixture
def link(host: scripted.ScriptedHost, linked: Linked) -> pool.HostLink:
    return linked(host)
