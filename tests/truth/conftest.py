"""The ledger that every part notes its counts in, and the table at the end of the suite."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.asked import Facts, World
from tests.conformance.conftest import prepared, still, world
from tests.truth import account, ledger

__all__ = ["prepared", "still", "world"]  # the cloud of the conformance tests, for ours


@pytest.fixture(name="ledger")
def _ledger(request: pytest.FixtureRequest) -> ledger.Ledger:
    return ledger.Ledger(request.node)


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Facts:
    """The account that has one of each thing in each state."""
    return account.prepare(tmp_path_factory.mktemp("truth") / "states", empty_database)


@pytest.fixture(scope="session")
def everything(states: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A copy of it, to be read only."""
    made = World(states, tmp_path_factory.mktemp("everything") / "world")
    yield made
    made.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = list(itertools.chain.from_iterable(terminalreporter.stats.values()))
    rows = sorted([*ledger.noted(reports), *ledger.counted(reports)], key=lambda row: row.part)
    if rows:
        terminalreporter.section("held against the truth")
        for line in ledger.table(rows):
            terminalreporter.write_line(line)
