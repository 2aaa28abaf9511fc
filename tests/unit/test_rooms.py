"""The check at the start: our three packages are ours, or the stranger is named."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from importlib.machinery import ModuleSpec

import pytest

from ec2gw import rooms


def _finding(room: str, origin: str | None) -> Callable[[str], ModuleSpec | None]:
    find = importlib.util.find_spec

    def found(name: str) -> ModuleSpec | None:
        if name != room:
            return find(name)
        return ModuleSpec(name, None, origin=origin) if origin else None

    return found


def test_an_installation_of_its_own_has_no_strangers() -> None:
    assert rooms.strangers() == []


def test_a_package_from_elsewhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find = _finding("state", "/elsewhere/state/__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", find)
    (line,) = rooms.strangers()
    assert line.startswith("state comes from /elsewhere/state, not from ")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", _finding("translators", None))
    (line,) = rooms.strangers()
    assert line.startswith("translators is missing beside ")


def test_a_distribution_that_overwrote_a_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = {"translators": ["ec2gw", "Translators"], "state": ["ec2gw"]}
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: claims)
    assert rooms.strangers() == ["translators was overwritten by the distribution translators"]
    assert rooms.main() == 1
    assert "an environment of its own" in capsys.readouterr().err
