"""What the agent's words, a passed deadline and a dead host become for the caller."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from ec2gw.winrm import pool
from translators.hyperv.host import (
    Busy,
    Call,
    Failed,
    Faulty,
    Fenced,
    HostError,
    Plan,
    Token,
    Unknown,
    Unreachable,
)

from .conftest import Linked
from .scripted import Agent, Json, ScriptedHost, fence, look, work


def says(host: ScriptedHost, *answers: Json) -> None:
    host.behave = lambda agent, request: answers


def test_an_answer_brings_results_warnings_and_how_long_it_took(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    says(
        host,
        {
            "ok": True,
            "done": 2,
            "results": {"vms": [{"id": "a", "up": 3, "on": True, "ips": ["::1"], "no": None}]},
            "warnings": ["low memory"],
            "ms": 17,
        },
    )
    answer = link.run(look())
    assert answer.results == {"vms": [{"id": "a", "up": 3, "on": True, "ips": ["::1"], "no": None}]}
    assert (answer.done, answer.warnings, answer.elapsed_ms) == (2, ("low memory",), 17)


def test_a_failed_call_keeps_the_parts_of_the_error_that_no_language_changes(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    error = {
        "id": "InvalidState,Microsoft.HyperV.PowerShell.Commands.StopVM",
        "category": "InvalidOperation",
        "activity": "Stop-VM",
        "target": "",
        "kind": "Microsoft.HyperV.PowerShell.VirtualizationException",
        "hresult": ["0x80131500", "0x80070005"],
        "text": "Der Vorgang kann nicht ausgeführt werden.",
    }
    says(host, {"ok": False, "done": 1, "results": {}, "stage": "call", "error": error})
    with pytest.raises(Failed) as failed:
        link.run(look())
    assert (failed.value.stage, failed.value.done) == ("call", 1)
    assert failed.value.error.identifier == "InvalidState"
    assert failed.value.error.hresult == ("0x80131500", "0x80070005")
    assert "Vorgang" not in str(failed.value)


@pytest.mark.parametrize("what", ["epoch", "generation"])
def test_what_a_newer_driver_or_intent_has_passed_is_fenced(
    host: ScriptedHost, link: pool.HostLink, what: str
) -> None:
    says(host, {"ok": False, "refused": what, "seen": 7})
    with pytest.raises(Fenced) as fenced:
        link.run(work(), fence=fence(1))
    assert (fenced.value.what, fenced.value.seen) == (what, 7)


@pytest.mark.parametrize(
    ("answer", "word", "outcome"),
    [
        ({"ok": False, "refused": "done", "outcome": "ok"}, "done", "ok"),
        ({"ok": False, "refused": "done", "outcome": "failed"}, "done", "failed"),
        ({"ok": False, "refused": "begun"}, "begun", None),
        ({"ok": True, "done": 1, "bad": "answer"}, "done", "ok"),
        ({"ok": False, "done": 1, "bad": "answer"}, "done", "failed"),
        ({"done": 1, "bad": "answer"}, "done", None),
    ],
)
def test_what_became_of_a_known_token_is_told(
    host: ScriptedHost, link: pool.HostLink, answer: Json, word: str, outcome: str | None
) -> None:
    says(host, answer)
    with pytest.raises(Token) as known:
        link.run(work(), fence=fence(1))
    assert (known.value.word, known.value.outcome) == (word, outcome)


def test_a_token_that_still_runs_is_waited_for(host: ScriptedHost, linked: Linked) -> None:
    first, second = linked(host), linked(host)
    began = threading.Thread(target=first.run, args=(work(700),), kwargs={"fence": fence(1)})
    began.start()
    while "running" not in host.tokens.values():
        time.sleep(0.01)
    with pytest.raises(Token) as known:
        second.run(work(700), fence=fence(1), deadline_seconds=5)
    began.join()
    assert (known.value.word, known.value.outcome) == ("done", "ok")
    assert host.ran == [fence(1).token]


def test_a_token_that_runs_beyond_the_deadline_is_said_to_run(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    says(host, {"ok": False, "refused": "running"})
    link.connect()
    with pytest.raises(Token) as known:
        link.run(work(), fence=fence(1), deadline_seconds=0.5)
    assert known.value.word == "running"
    assert 2 < len(host.agents[0].requests) < 12


def test_a_passed_deadline_is_unknown_for_a_change_and_unreachable_for_a_read(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    with pytest.raises(Unknown):
        link.run(work(800), fence=fence(1), deadline_seconds=0.3)
    with pytest.raises(Unreachable):
        link.run(look(800), deadline_seconds=0.3)


def test_what_was_never_sent_is_unreachable_even_for_a_change(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    host.faults.go_down()
    began = time.monotonic()
    with pytest.raises(Unreachable):
        link.run(work(), fence=fence(1), deadline_seconds=20)
    assert time.monotonic() - began < 5
    assert host.tokens == {}


def test_what_was_not_sent_by_the_deadline_is_not_sent_later(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    host.faults.go_down()
    with pytest.raises(Unreachable):
        link.run(work(), fence=fence(1), deadline_seconds=0.1)
    host.faults.go_up()
    answer_again(link)
    assert host.tokens == {}


def answer_again(link: pool.HostLink) -> None:
    """Read until the link is there again."""
    for _ in range(100):
        try:
            link.run(look(), deadline_seconds=1)
        except (Busy, Unreachable):
            time.sleep(0.05)
        else:
            return
    pytest.fail("the link never came back")


def test_a_host_that_comes_back_is_used_again(host: ScriptedHost, link: pool.HostLink) -> None:
    host.faults.go_down()
    with pytest.raises(Unreachable):
        link.run(look(), deadline_seconds=20)
    host.faults.go_up()
    answer_again(link)


def test_a_change_that_was_sent_is_waited_for_while_the_host_is_away(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())

    def away(agent: Agent, request: Json) -> None:
        host.behave = lambda agent, request: None
        host.faults.go_down()
        threading.Timer(1.0, host.faults.go_up).start()

    host.behave = away
    with contextlib.suppress(Token):  # done: the answer was lost on its way
        link.run(work(), fence=fence(1), deadline_seconds=15)
    assert host.ran == [fence(1).token]


@pytest.mark.parametrize(
    "answer",
    [
        {"bad": "request", "why": "a request has no 'tokn'"},
        {"ok": True, "done": 1, "bad": "answer"},
        {"ok": False, "refused": "weather"},
        {"ok": "yes"},
        {"ok": True, "done": 1, "results": {"it": [{"text": {"nested": 1}}]}},
        {"ok": True, "done": 1, "results": []},
        {"ok": True, "done": "1"},
    ],
)
def test_what_is_not_understood_on_either_side_is_a_fault_of_ours(
    host: ScriptedHost, link: pool.HostLink, answer: Json
) -> None:
    says(host, answer)
    with pytest.raises(Faulty):
        link.run(look())


def test_a_whole_frame_that_the_agent_cannot_read_is_not_sent_for_ever(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    agent = host.agents[0]

    def unreadable(_: Agent, request: Json) -> list[Json]:
        one = next(iter(link_frames(link)))
        agent.say({"bad": "frame", "why": "names differ in case only", "digest": one})
        return []

    host.behave = unreadable
    with pytest.raises(Faulty, match="case only"):
        link.run(look(), deadline_seconds=5)


def link_frames(link: pool.HostLink) -> list[str]:
    worker = link._worker
    assert worker is not None
    return [one.digest for one in worker._outstanding._open.values()]


def test_a_plan_too_large_for_a_frame_is_refused_before_it_is_sent(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    with pytest.raises(Faulty):
        link.run(Plan("huge", (Call("Toy\\Echo", {"Text": "x" * (9 << 20)}),)))
    link.run(look())
    assert len(host.agents[0].requests) == 1


def test_a_change_without_a_fence_is_not_even_tried(link: pool.HostLink) -> None:
    with pytest.raises(AssertionError):
        link.run(work())


def test_each_request_carries_epoch_token_subject_and_generation(
    host: ScriptedHost, linked: Linked
) -> None:
    linked(host, epoch=12).run(work(), fence=fence(3, generation=9))
    [request] = host.agents[0].requests
    sent = {name: request[name] for name in ("epoch", "token", "subject", "generation")}
    assert sent == {
        "epoch": 12,
        "token": fence(3).token,
        "subject": "i-1",
        "generation": 9,
    }


def test_a_link_without_an_epoch_reads_with_the_one_that_the_host_has_seen(
    host: ScriptedHost, linked: Linked
) -> None:
    host.hello = {"epoch": 41}
    link = linked(host, epoch=None)
    link.run(look())
    assert host.agents[0].requests[0]["epoch"] == 41
    with pytest.raises(AssertionError):
        link.run(work(), fence=fence(1))


def test_who_waits_when_the_link_is_closed_is_told_at_once(
    host: ScriptedHost, linked: Linked
) -> None:
    link = linked(host)
    link.run(look())
    fates: list[HostError] = []

    def change() -> None:
        try:
            link.run(work(3000), fence=fence(1), deadline_seconds=20)
        except HostError as error:
            fates.append(error)

    waiting = threading.Thread(target=change)
    waiting.start()
    while not host.tokens:
        time.sleep(0.01)
    link.close()
    waiting.join(3)
    assert [type(fate) for fate in fates] == [Unknown]
    with pytest.raises(Unreachable):
        link.run(look())
