"""The gateway that most end-to-end tests share; each module keeps to a region of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway

PACE = 0.02


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the laboratory's time is short and hosts are often looked at."""
    faults: Path = tmp_path_factory.mktemp("laboratory") / "faults.json"
    faults.write_text(json.dumps({"pace": PACE}))
    return {"EC2GW_LAB_FAULTS": str(faults), "EC2GW_SETTINGS_SURVEY_SHORTEST_SECONDS": "0.4"}


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str]) -> Iterator[Gateway]:
    """A running gateway on a fresh data folder: real processes, signed requests, NTLM."""
    with Gateway(tmp_path_factory.mktemp("gateway") / "data", environ=quick) as running:
        yield running
