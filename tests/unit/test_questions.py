"""Requests that wait for what only a host can tell: answered, given up, never too many."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ec2gw import questions, web
from state.secrets import Vault
from state.store import Store
from tests.unit.doors import HOST, VERSION, Door, code, text
from translators import errors
from translators.registry import Awaits, Context, Result
from translators.settings import Settings


@dataclass
class Asked:
    """An action whose answer somebody else brings."""

    ready: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    withdrawn: list[int] = field(default_factory=list)
    late: bool = False

    def ask(self, ctx: Context, request: Any) -> Result:
        ctx.wake.add(7)
        return {"SnapshotId": "snap-1"}

    def answer(self, ctx: Context, request: Any, result: Result) -> Result | None:
        self.begun.release()
        return {**result, "State": "pending"} if self.ready.is_set() else None

    def give_up(self, ctx: Context, request: Any, result: Result) -> Result | Exception:
        self.withdrawn.append(1)
        ctx.wake.add(7)
        return {**result, "State": "completed"} if self.late else errors.unavailable()


@pytest.fixture
def door(store: Store, vault: Vault, settings: Settings) -> Door:
    return Door(store, vault, settings)


@pytest.fixture
def asked(door: Door) -> Iterator[Asked]:
    asked = Asked()
    awaits = Awaits(asked.answer, asked.give_up, deadline_seconds=0.2)
    door.offer("CreateSnapshot", asked.ask, changes=True, awaits=awaits)
    yield asked
    asked.ready.set()


def test_the_answer_waits_until_somebody_has_brought_it(door: Door, asked: Asked) -> None:
    threading.Timer(0.05, asked.ready.set).start()
    answer = door.ask("CreateSnapshot", VolumeId="vol-01234567")
    assert (code(answer)[1], text(answer, "status")) == (200, "pending")
    assert (door.woken, asked.withdrawn) == ([{7}], [])


def test_what_is_not_answered_in_time_is_withdrawn_and_told(door: Door, asked: Asked) -> None:
    assert code(door.ask("CreateSnapshot", VolumeId="vol-01234567")) == ("Unavailable", 503)
    assert (door.woken, asked.withdrawn) == ([{7}, {7}], [1])


def test_an_answer_that_came_just_in_time_stands(door: Door, asked: Asked) -> None:
    asked.late = True
    answer = door.ask("CreateSnapshot", VolumeId="vol-01234567")
    assert (code(answer)[1], text(answer, "status")) == (200, "completed")


def test_one_too_many_for_a_host_asks_nothing(
    door: Door, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door.gateway, "questions", questions.Questions(per_host=1))
    first = threading.Thread(
        target=door.ask, args=("CreateSnapshot",), kwargs={"VolumeId": "vol-01234567"}
    )
    first.start()
    assert asked.begun.acquire(timeout=5)
    refused = door.ask("CreateSnapshot", VolumeId="vol-01234567")
    asked.ready.set()
    first.join(5)
    assert code(refused) == ("RequestLimitExceeded", 503)
    assert door.woken == [{7}]
    assert code(door.ask("CreateSnapshot", VolumeId="vol-01234567")) == ("", 200)


def test_who_waits_lets_others_work(store: Store, vault: Vault, settings: Settings) -> None:
    door, asked = Door(store, vault, settings, "open"), Asked()
    awaits = Awaits(asked.answer, asked.give_up, deadline_seconds=30)
    door.offer("CreateSnapshot", asked.ask, changes=True, awaits=awaits)
    app = web.application(door.gateway, at_once=1)

    def get(action: str) -> int:
        query = {"Action": action, "Version": VERSION, "VolumeId": "vol-01234567"}
        headers = {"Host": HOST}
        return app.test_client().get("/", query_string=query, headers=headers).status_code

    slow = threading.Thread(target=get, args=("CreateSnapshot",))
    slow.start()
    assert asked.begun.acquire(timeout=5)
    answered: list[int] = []
    other = threading.Thread(target=lambda: answered.append(get("DescribeRegions")))
    other.start()
    other.join(5)
    asked.ready.set()
    slow.join(5)
    assert answered == [200]
