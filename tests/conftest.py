"""What tests of every kind are handed: a fresh database, its vault, plain settings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from state import models, triggers
from state.secrets import Vault
from state.store import Store
from tests.bound_plans import every_plan_binds
from translators.settings import InstanceType, Settings

__all__ = ["every_plan_binds"]  # a fixture for all tests


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and triggers, as the newest schema has them; to be copied."""
    path = tmp_path_factory.mktemp("database") / "empty.sqlite3"
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        models.Base.metadata.create_all(connection)
        for statement in triggers.statements():
            connection.exec_driver_sql(statement)
    engine.dispose()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_database: Path) -> Iterator[Store]:
    """A fresh database."""
    path = tmp_path / "state.sqlite3"
    shutil.copy(empty_database, path)
    opened = Store(path)
    yield opened
    opened.close()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "key")


@pytest.fixture
def settings() -> Settings:
    types = (
        InstanceType("t3.micro", 2, 1024, burstable=True),
        InstanceType("t3.small", 2, 2048, burstable=True),
        InstanceType("m5.large", 2, 8192),
    )
    return Settings(instance_types={one.name: one for one in types}, laboratory=True)
