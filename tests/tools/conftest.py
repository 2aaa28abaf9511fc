"""A gateway for tools that others wrote, and where those tools are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import Gateway

INSTALLED = "EC2GW_TEST_TOOLS"
"""The variable that names the folder into which `scripts/test tools` installed them."""


@pytest.fixture(scope="session")
def tools() -> Path:
    """Answer where the tools are installed."""
    folder = os.environ.get(INSTALLED)
    if not folder:
        pytest.skip("the tools are installed by `scripts/test tools`")
    return Path(folder)


@pytest.fixture(scope="module")
def gateway(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A running gateway on a free port and a fresh data folder, its laboratory's time short."""
    folder = tmp_path_factory.mktemp("gateway")
    faults = folder / "faults.json"
    faults.write_text(json.dumps({"pace": 0.02}))
    quick = {"EC2GW_LAB_FAULTS": str(faults), "EC2GW_SETTINGS_SURVEY_SHORTEST_SECONDS": "0.2"}
    with Gateway(folder / "data", environ=quick) as running:
        yield running
