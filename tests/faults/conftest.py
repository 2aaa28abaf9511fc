"""The rig that tests of faults share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store
from tests.faults.mishaps import Mishaps
from tests.faults.rig import Rig, rig


@pytest.fixture
def gateway(store: Store, tmp_path: Path) -> Iterator[Rig]:
    """A started rig."""
    with rig(store, tmp_path) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> Iterator[tuple[Rig, Mishaps]]:
    """A started rig for a whole module, whose tests leave it as they found it."""
    folder = tmp_path_factory.mktemp("shared")
    shutil.copy(empty_database, folder / "state.sqlite3")
    store = Store(folder / "state.sqlite3")
    with pytest.MonkeyPatch.context() as patch:
        mishaps = Mishaps(patch)
        with rig(store, folder) as made:
            made.start()
            yield made, mishaps
    store.close()
