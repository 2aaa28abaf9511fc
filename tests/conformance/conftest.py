"""The prepared cloud, made once, and copies of it for tests that walk over the actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import asked


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> asked.Facts:
    return asked.prepare(tmp_path_factory.mktemp("conformance") / "prepared", empty_database)


@pytest.fixture
def world(prepared: asked.Facts, tmp_path: Path) -> Iterator[asked.World]:
    """A copy of one's own."""
    made = asked.World(prepared, tmp_path / "world")
    yield made
    made.close()


@pytest.fixture(scope="session")
def still(prepared: asked.Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[asked.World]:
    """A copy for all tests that change nothing, by accounts that made their first request."""
    made = asked.World(prepared, tmp_path_factory.mktemp("still") / "world")
    for account in (made.default, made.stranger):
        made.call("DescribeVpcs", by=account)
    yield made
    made.close()
