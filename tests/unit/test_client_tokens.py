"""Client tokens: a request that comes again is answered as before and carried out once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from ec2gw.auth import accounts
from state import models
from state.secrets import Vault
from state.store import Store
from tests.unit.doors import Door, code, text
from translators import errors
from translators.registry import Context, Result
from translators.settings import Settings


@pytest.fixture
def door(store: Store, vault: Vault, settings: Settings) -> Door:
    return Door(store, vault, settings)


def test_the_same_token_is_answered_the_same_and_done_once(door: Door) -> None:
    first = door.ask("CreateVolume", Size="1", ClientToken="t")
    again = door.ask("CreateVolume", Size="1", ClientToken="t", DryRun="false")
    assert len(door.made) == 1
    for tag in ("volumeId", "createTime", "size"):
        assert text(again, tag) == text(first, tag) is not None
    assert text(again, "requestId") != text(first, "requestId")


def test_a_token_counts_for_its_account_region_and_action_alone(
    door: Door, store: Store, vault: Vault
) -> None:
    other = accounts.create(store, vault, "other")
    door.ask("CreateVolume", Size="1", ClientToken="t")
    door.ask("CreateVolume", Size="1", ClientToken="t", region="eu-west-1")
    door.ask("CreateVolume", Size="1", ClientToken="t", key=(other.access_key_id, other.secret))
    door.ask("CreateVolume", Size="1", ClientToken="u")
    door.ask("CreateVolume", Size="1")
    assert len(door.made) == 5


def test_the_same_token_for_something_else_is_refused(door: Door) -> None:
    door.ask("CreateVolume", Size="1", ClientToken="t")
    refused = door.ask("CreateVolume", Size="2", ClientToken="t")
    assert code(refused) == ("IdempotentParameterMismatch", 400)
    assert len(door.made) == 1


def test_a_token_of_a_refused_request_is_free_again(door: Door) -> None:
    good = door.actions["ec2", "CreateVolume"].handler

    def refuse(ctx: Context, request: Any) -> Result:
        raise errors.insufficient_capacity()

    door.offer("CreateVolume", refuse, changes=True)
    assert door.ask("CreateVolume", Size="1", ClientToken="t").status == 500
    door.offer("CreateVolume", good, changes=True)
    assert door.ask("CreateVolume", Size="1", ClientToken="t").status == 200


def test_a_token_is_forgotten_after_its_time(
    store: Store, vault: Vault, settings: Settings
) -> None:
    door = Door(store, vault, dataclasses.replace(settings, client_token_seconds=60))
    door.ask("CreateVolume", Size="1", ClientToken="t")

    def age(session: Any) -> None:
        then = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=61)
        session.execute(sa.update(models.ClientToken).values(created_at=then))

    store.write(age)
    assert door.ask("CreateVolume", Size="2", ClientToken="t").status == 200
    assert len(door.made) == 2


def test_a_token_that_is_too_long_is_refused(door: Door) -> None:
    refused = door.ask("CreateVolume", Size="1", ClientToken="x" * 65)
    assert code(refused) == ("InvalidParameterValue", 400)


def test_an_action_may_shape_what_a_repeated_request_is_answered(door: Door) -> None:
    def replay(ctx: Context, stored: Mapping[str, Any]) -> Result:
        return {"VolumeId": stored["VolumeId"], "State": "in-use"}

    good = door.actions["ec2", "CreateVolume"].handler
    door.offer("CreateVolume", good, changes=True, replay=replay)
    first = door.ask("CreateVolume", Size="1", ClientToken="t")
    again = door.ask("CreateVolume", Size="1", ClientToken="t")
    assert text(first, "status") is None
    assert text(again, "status") == "in-use"
    assert text(again, "volumeId") == text(first, "volumeId")


def test_of_the_same_request_on_many_connections_one_is_carried_out(door: Door) -> None:
    def ask() -> str | None:
        return text(door.ask("CreateVolume", Size="1", ClientToken="t"), "volumeId")

    with ThreadPoolExecutor(8) as pool:
        answers = {future.result() for future in [pool.submit(ask) for _ in range(16)]}
    assert answers == {"vol-1"}
    assert len(door.made) == 1
