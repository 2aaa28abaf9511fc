"""The rig that tests of faults share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store
from tests.faults.rig import Rig, rig


@pytest.fixture
def gateway(store: Store, tmp_path: Path) -> Iterator[Rig]:
    """A started rig."""
    with rig(store, tmp_path) as made:
        made.start()
        yield made
