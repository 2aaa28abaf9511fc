"""The life of a worker: started, pinged, replaced when its process ends or has served enough."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping

import pytest

from ec2gw.lab.door.limits import Limits
from ec2gw.winrm import agent, framing, pool, session, timing
from translators.hyperv.host import Busy, Token, Unreachable

from .conftest import Linked, Opened
from .scripted import PASSWORD, QUICK, Agent, Json, ScriptedHost, fence, look, work

Events = list[tuple[str, Mapping[str, object]]]


def until(true: Callable[[], bool], seconds: float = 5) -> None:
    limit = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def quick(**changes: float) -> timing.Timing:
    return dataclasses.replace(QUICK, **changes)  # type: ignore[arg-type]  # all are numbers


def test_the_process_is_started_in_full_path_with_the_loader_and_set_up_by_the_first_frame(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    [process] = host.agents
    assert tuple(" ".join(process.arguments).split("-Command ", 1)) == (
        "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass ",
        agent.loader(),
    )
    assert process.setup == {
        "root": "C:\\ec2gw",
        "modules": ["Toy"],
        "allowed": {"Toy\\Echo": ["Milliseconds", "Text"]},
        "paths": {},
    }


def test_the_hello_is_there_to_be_asked(host: ScriptedHost, linked: Linked) -> None:
    host.hello = {
        "boot": "2026-11-20T08:00:00.1234567Z",
        "host": "h-1",
        "modules": {"Hyper-V": "2.0.0.0"},
        "missing": ["Hyper-V\\Get-VM"],
        "damaged": 2,
        "epoch": 5,
        "journal": "journal 1 abc",
    }
    link = linked(host)
    assert link.hello is None
    hello = link.connect()
    assert link.hello == hello
    assert hello.boot is not None
    assert hello.boot.isoformat() == "2026-11-20T08:00:00.123456+00:00"
    assert (hello.host, hello.epoch, hello.damaged) == ("h-1", 5, 2)
    assert (hello.modules, hello.missing) == ({"Hyper-V": "2.0.0.0"}, ("Hyper-V\\Get-VM",))


def test_many_callers_share_one_process_and_two_connections(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        texts = list(threads.map(lambda n: link.run(look(text=str(n))).results["it"], range(120)))
    assert texts == [[{"text": str(n)}] for n in range(120)]
    assert len(host.agents) == 1


@pytest.mark.parametrize("how", ["exit", "service restart"])
def test_when_the_process_is_gone_another_is_started_and_reads_are_repeated(
    host: ScriptedHost, link: pool.HostLink, how: str
) -> None:
    link.run(look())

    def vanish(process: Agent, request: Json) -> list[Json]:
        host.behave = lambda agent, request: None
        if how == "exit":
            process.end(3)
        else:
            host.faults.drop_shells()
        return []

    host.behave = vanish
    assert link.run(look(text="again")).results["it"][0]["text"] == "again"
    assert len(host.agents) == 2


def test_a_change_whose_process_died_is_found_begun_by_the_next(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())

    def die(process: Agent, request: Json) -> list[Json]:
        host.behave = lambda agent, request: [{"ok": False, "refused": "begun"}]
        process.end(1)
        return []

    host.behave = die
    with pytest.raises(Token) as known:
        link.run(work(), fence=fence(1))
    assert known.value.word == "begun"
    assert host.agents[1].requests[0]["token"] == fence(1).token


def test_an_agent_that_is_ending_is_left_for_another(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    def ending(process: Agent, request: Json) -> list[Json]:
        host.behave = lambda agent, request: None
        return [{"ok": False, "refused": "ending"}]

    host.behave = ending
    link.run(work(), fence=fence(1))
    assert len(host.agents) == 2
    assert host.ran == [fence(1).token]


def test_a_read_that_ends_every_agent_is_given_up(host: ScriptedHost, link: pool.HostLink) -> None:
    def die(process: Agent, request: Json) -> list[Json]:
        process.end(1)
        return []

    host.behave = die
    with pytest.raises(Unreachable):
        link.run(look(), deadline_seconds=20)
    assert 2 <= len(host.agents) <= 3


def test_an_idle_worker_is_pinged_through_the_whole_chain(
    host: ScriptedHost, linked: Linked
) -> None:
    link = linked(host, limits=quick(ping_seconds=0.2))
    link.run(look())
    until(lambda: len(host.agents[0].requests) >= 4)
    assert all(request["calls"] == [] for request in host.agents[0].requests[1:])
    assert len({request["id"] for request in host.agents[0].requests}) == 2


def test_a_silent_agent_is_replaced(host: ScriptedHost, linked: Linked) -> None:
    link = linked(host, limits=quick(ping_seconds=0.1, silence_seconds=0.3))
    link.run(look())
    host.behave = lambda process, request: [] if process is host.agents[0] else None
    until(lambda: link._worker is None)
    link.run(look())
    assert len(host.agents) == 2


def test_slow_calls_are_no_silence(host: ScriptedHost, linked: Linked) -> None:
    link = linked(host, limits=quick(ping_seconds=0.1, silence_seconds=0.2))

    def busy(process: Agent, request: Json) -> list[Json] | None:
        return None if request["calls"] else []  # pings wait behind the call

    host.behave = busy
    link.run(work(900), fence=fence(1))
    assert len(host.agents) == 1


def test_a_worn_worker_is_replaced_before_it_is_drained_and_nothing_is_lost(
    host: ScriptedHost, linked: Linked
) -> None:
    link = linked(host, limits=quick(recycle_requests=10))
    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for attempt in range(40):
            threads.submit(link.run, work(10), fence=fence(attempt)).add_done_callback(
                lambda future: future.result()
            )
    assert sorted(host.ran) == [fence(attempt).token for attempt in range(40)]
    assert len(host.agents) >= 3
    until(lambda: sum(process.ended.is_set() for process in host.agents) >= len(host.agents) - 1)


def test_an_agent_that_tells_of_too_much_memory_is_replaced(
    host: ScriptedHost, linked: Linked
) -> None:
    link = linked(host, limits=quick(recycle_bytes=400))
    host.behave = lambda process, request: [
        host.honest(process, request) | {"memory": 401 if process is host.agents[0] else 399}
    ]
    link.run(look())
    until(lambda: len(host.agents) == 2 and host.agents[0].ended.is_set())
    link.run(look())
    assert len(host.agents) == 2


def test_a_hello_of_another_text_or_language_mode_is_refused(
    opened: Opened, linked: Linked
) -> None:
    for hello, why in (
        ({"agent": "0" * 64}, "changed"),
        ({"mode": "ConstrainedLanguage"}, "ConstrainedLanguage"),
        ({"boot": "yesterday"}, "boot"),
    ):
        host = opened()
        host.hello = hello
        with pytest.raises(Unreachable, match=why):
            linked(host).run(look(), deadline_seconds=5)


def test_a_process_that_never_says_hello_is_unreachable_with_what_it_said_instead(
    opened: Opened, linked: Linked
) -> None:
    host = opened()
    host.mute = True
    link = linked(host, limits=quick(start_seconds=0.2))
    with pytest.raises(Unreachable, match="no hello"):
        link.run(look(), deadline_seconds=5)
    assert all(process.ended.wait(3) for process in host.agents)


def test_a_wrong_password_is_tried_twice_and_then_not_for_a_quarter_of_an_hour(
    host: ScriptedHost, linked: Linked
) -> None:
    asked: list[str] = []

    def wrong() -> str:
        asked.append("asked")
        return "wrong"

    events: Events = []
    link = linked(host, address=host.address(password=wrong), events=events)
    with pytest.raises(Unreachable, match="sign-in refused"):
        link.run(look(), deadline_seconds=5)
    with pytest.raises(Busy, match="tried again in 900 s"):
        link.run(look(), deadline_seconds=5)
    assert len(asked) == 2
    assert "sign-in-refused" in [event for event, _ in events]
    assert "wrong" not in str(events)


def test_a_single_refused_sign_in_is_not_believed(host: ScriptedHost, linked: Linked) -> None:
    passwords = iter(["wrong", PASSWORD, PASSWORD, PASSWORD])
    link = linked(host, address=host.address(password=lambda: next(passwords)))
    link.run(look())


def test_a_sign_in_refused_once_after_a_cut_ends_nothing(
    host: ScriptedHost, linked: Linked
) -> None:
    """A connection that is cut while it signs in is refused as a wrong password is."""
    cut, wrong = False, ["wrong"]
    events: Events = []
    address = host.address(password=lambda: wrong.pop() if cut and wrong else PASSWORD)
    link = linked(host, address=address, events=events)
    link.run(look())
    cut = True
    host.faults.plan("before", "Receive")
    until(lambda: not wrong)
    link.run(look())
    assert len(host.agents) == 1
    assert "sign-in-refused" not in [event for event, _ in events]


def test_a_password_that_is_changed_on_the_host_is_not_tried_on_and_on(
    host: ScriptedHost, linked: Linked
) -> None:
    asked: list[str] = []
    events: Events = []

    def password() -> str:
        asked.append("asked")
        return PASSWORD if len(asked) <= 2 else "old"

    link = linked(host, address=host.address(password=password), events=events)
    link.run(look())
    host.faults.go_down()
    host.faults.go_up()
    until(lambda: "sign-in-refused" in [event for event, _ in events])
    time.sleep(0.3)
    assert len(asked) - 2 <= 4  # each of the two connections twice


def test_a_reached_quota_is_busy_and_not_hammered(opened: Opened, linked: Linked) -> None:
    host = opened(limits=Limits(max_shells_per_user=1))
    linked(host).run(look())
    events: Events = []
    second = linked(host, events=events)
    with pytest.raises(Busy):
        second.run(look(), deadline_seconds=5)
    with pytest.raises(Busy, match=r"again in (29|30) s"):
        second.run(look(), deadline_seconds=5)
    assert [event for event, _ in events] == ["start-failed"]


def test_a_start_cut_halfway_leaves_no_shell_that_could_be_removed(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    host.faults.plan("before", "Command")
    link.run(look())
    assert len(host.agents) == 1
    assert len(host.door.service.shells._shells) == 1


def test_closing_ends_the_agent_and_removes_the_shell(host: ScriptedHost, linked: Linked) -> None:
    link = linked(host)
    link.run(look())
    link.close()
    assert host.agents[0].ended.wait(2)
    assert not host.door.service.shells._shells


def test_closing_does_not_end_what_runs(host: ScriptedHost, linked: Linked) -> None:
    link = linked(host)
    link.run(look())
    with pytest.raises(Exception, match="deadline"):
        link.run(work(1500), fence=fence(1), deadline_seconds=0.3)
    link.close()
    until(lambda: host.ran == [fence(1).token])


@pytest.mark.parametrize("what", ["Receive", "Send"])
def test_closing_waits_for_no_host_that_does_not_answer(
    host: ScriptedHost, linked: Linked, what: str
) -> None:
    link = linked(host, limits=quick(operation_seconds=20, read_seconds=30))
    link.run(look())
    host.faults.plan("swallow", what, times=10)
    with contextlib.suppress(Unreachable):
        link.run(look(), deadline_seconds=0.3)
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 5


def test_events_tell_nothing_of_what_was_asked(host: ScriptedHost, linked: Linked) -> None:
    events: Events = []
    link = linked(host, events=events)
    link.run(look(text="a secret"))
    host.faults.drop_shells()
    link.run(look(text="a secret"))
    assert events
    assert "secret" not in str(events)
    assert PASSWORD not in str(events)


def test_frames_of_the_setup_fit_one_line() -> None:
    assert len(framing.encode({"allowed": {}})) < framing.MAX_LINE
    assert session.SHELL_NOT_FOUND == 2150858843
