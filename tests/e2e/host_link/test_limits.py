"""What a host grants, and what happens where that ends: nothing is hammered, nothing runs twice."""

from __future__ import annotations

import contextlib
import time

import pytest

from ec2gw.lab.door.limits import Limits
from ec2gw.winrm import pool
from translators.hyperv.host import Busy, Token

from .conftest import Linked, Opened
from .scripted import ScriptedHost, fence, look, work
from .test_workers import Events, quick, until


def test_a_host_that_waits_for_less_long_than_asked_is_asked_again(
    opened: Opened, linked: Linked
) -> None:
    host = opened(limits=Limits(max_timeout_seconds=0.2))
    link = linked(host)
    assert link.run(look(900, "late")).results == {"it": [{"text": "late"}]}
    assert len(host.agents) == 1


@pytest.mark.parametrize("kind", ["Create", "Command"])
@pytest.mark.parametrize(
    "code",
    [
        pytest.param(2150859173, id="shells of a user"),
        pytest.param(2150859174, id="operations of a user"),
        pytest.param(2150859236, id="shells of a user, newer"),
        pytest.param(2150859240, id="users, newer"),
        pytest.param(2150859241, id="operations, newer"),
        pytest.param(2147943416, id="processes or memory of a shell"),
    ],
)
def test_a_limit_at_the_start_is_busy_for_half_a_minute_and_leaves_nothing(
    host: ScriptedHost, linked: Linked, kind: str, code: int
) -> None:
    events: Events = []
    link = linked(host, events=events)
    host.faults.plan("fault", kind, code=code, times=10)
    for _ in range(2):
        with pytest.raises(Busy, match=r"again in (29|30) s"):
            link.run(work(), fence=fence(1), deadline_seconds=5)
    assert [event for event, _ in events] == ["start-failed"]
    assert host.ran == []
    assert len(host.door.service.shells) == 0


def test_a_limit_in_the_midst_is_waited_out(host: ScriptedHost, link: pool.HostLink) -> None:
    link.run(look())
    host.faults.plan("fault", "Send", code=2150859174, times=2)
    link.run(work(), fence=fence(1))
    assert host.ran == [fence(1).token]
    assert len(host.agents) == 1


def test_a_shell_is_left_before_its_host_ends_it(host: ScriptedHost, linked: Linked) -> None:
    link = linked(host, limits=quick(recycle_seconds=0.5))
    link.run(look())
    began = time.monotonic()
    for attempt in range(20):
        link.run(work(80), fence=fence(attempt))
    assert sorted(host.ran) == [fence(attempt).token for attempt in range(20)]
    assert len(host.agents) >= 1 + int((time.monotonic() - began) / 1.5)
    until(lambda: sum(process.ended.is_set() for process in host.agents) == len(host.agents) - 1)


@pytest.mark.parametrize("code", [2150858843, 109, 232, 995, 2147943418])
@pytest.mark.parametrize("kind", ["Send", "Receive"])
def test_a_shell_that_is_no_more_costs_another_and_nothing_else(
    host: ScriptedHost, link: pool.HostLink, kind: str, code: int
) -> None:
    link.run(look())
    host.faults.plan("fault", kind, code=code)
    with contextlib.suppress(Token):  # done: the answer went with the shell
        link.run(work(100), fence=fence(1))
    assert host.ran == [fence(1).token]
    link.run(look())
    assert len(host.agents) == 2
