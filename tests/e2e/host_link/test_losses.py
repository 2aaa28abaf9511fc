"""Messages cut, swallowed, spoilt or answered with faults: asked again, run once."""

from __future__ import annotations

import concurrent.futures
import time
from collections import Counter
from typing import Literal

import pytest

from ec2gw.winrm import pool
from translators.hyperv.host import HostError, Token, Unknown

from .conftest import Linked
from .scripted import Agent, Json, ScriptedHost, fence, look, work


def answered(link: pool.HostLink, attempt: int, milliseconds: int = 0) -> str:
    """Run one attempt to its end, as the engine would: until its fate is known."""
    try:
        link.run(work(milliseconds), fence=fence(attempt), deadline_seconds=10)
    except Token as error:
        return error.word
    return "answered"


@pytest.mark.parametrize("kind", ["Send", "Receive"])
@pytest.mark.parametrize("what", ["before", "after", "within"])
def test_a_cut_message_costs_neither_the_shell_nor_a_second_run(
    host: ScriptedHost,
    link: pool.HostLink,
    what: Literal["before", "after", "within"],
    kind: str,
) -> None:
    link.run(look())
    host.faults.plan(what, kind)
    assert answered(link, 1) in ("answered", "done")
    assert host.ran == [fence(1).token]
    assert len(host.agents) == 1


def test_a_swallowed_answer_is_asked_for_again(host: ScriptedHost, link: pool.HostLink) -> None:
    link.run(look())
    host.faults.plan("swallow", "Send")
    assert answered(link, 1) in ("answered", "done")
    assert host.ran == [fence(1).token]


def test_connections_closed_by_the_host_do_not_poison_what_was_sealed(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    for attempt in range(3):
        assert answered(link, attempt) == "answered"
        host.faults.go_down()
        host.faults.go_up()
    assert answered(link, 3) in ("answered", "done")
    assert len(host.agents) == 1
    assert len(host.ran) == 4


def test_a_call_longer_than_the_operations_time_is_waited_for(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    assert link.run(look(2300, "late")).results == {"it": [{"text": "late"}]}
    assert len(host.agents) == 1


def test_large_requests_go_in_slices_and_large_answers_come_in_slices(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    text = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(60_000))
    assert link.run(look(text=text)).results["it"][0]["text"] == text
    assert max(host.sends) <= 64 * 1024


def test_text_of_any_language_and_quoting_arrives_and_returns_as_it_was(
    link: pool.HostLink,
) -> None:
    text = "a'b\"c`$(Get-Date);\r\n\tü世\u2028\U0001f600"
    assert link.run(look(text=text)).results["it"][0]["text"] == text


def test_text_of_others_between_and_within_frames_is_survived(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    def noisy(agent: Agent, request: Json) -> None:
        agent.output.stdout(b"WARNING: something wrote to the console\r\n")
        agent.output.stderr(b"#< CLIXML\r\n<Objs/>")
        agent.output.stdout(b"half a line without an end ")

    host.behave = noisy
    assert link.run(look(text="there")).results["it"][0]["text"] == "there"
    assert answered(link, 1) in ("answered", "done")
    assert host.ran == [fence(1).token]


def test_an_answer_spoilt_on_its_way_is_asked_for_again(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    spoilt: list[Json] = []

    def spoil(agent: Agent, request: Json) -> list[Json] | None:
        if spoilt:
            return None
        spoilt.append(host.honest(agent, request))
        agent.output.stdout(b"\x1e12 00000000 abcdefghijkl\n")
        return []

    host.behave = spoil
    assert answered(link, 1) == "done"
    assert host.ran == [fence(1).token]


def test_a_frame_that_the_agent_could_not_read_is_sent_again(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    told: list[Json] = []

    def misread(agent: Agent, request: Json) -> list[Json] | None:
        if told:
            return None
        told.append(request)
        agent.say({"bad": "frame", "why": "cut or changed frame"})
        return []

    host.behave = misread
    assert answered(link, 1) == "answered"


def test_half_a_line_left_by_a_cut_send_spoils_nothing_that_follows(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    host.agents[0].write(b"\x1e4000 01234567 abcdef")
    host.faults.plan("before", "Send")
    assert answered(link, 1) == "answered"
    assert host.agents[0].bad_lines == 1  # that half line, ended before the frame was sent again


def test_input_that_the_process_does_not_take_in_time_is_sent_again(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    link.run(look())
    host.unread = 2 << 20
    with concurrent.futures.ThreadPoolExecutor() as threads:
        waiting = threads.submit(answered, link, 1)
        time.sleep(1.3)
        host.unread = 0
        assert waiting.result() in ("answered", "done")
    assert host.ran == [fence(1).token]


def chaos(host: ScriptedHost, link: pool.HostLink, *, fenced: bool) -> Counter[str]:
    """Run 100 operations from 6 threads while a tenth of all messages is lost."""

    def one(attempt: int) -> str:
        token = fence(attempt)
        for _ in range(5):
            try:
                link.run(work(2), fence=token, deadline_seconds=4)
            except Token as error:
                if error.word == "done":
                    return "done"
            except Unknown:
                continue
            except HostError as error:
                return type(error).__name__
            else:
                return "answered"
        return "unresolved"

    host.remembers = fenced
    link.run(look())
    host.faults.lose(0.1, seed=20261120)
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        fates = Counter(threads.map(one, range(100)))
    host.faults.clear()
    return fates


def test_with_a_tenth_of_all_messages_lost_everything_runs_exactly_once(
    host: ScriptedHost, link: pool.HostLink
) -> None:
    began = time.monotonic()
    fates = chaos(host, link, fenced=True)
    assert fates["answered"] + fates["done"] == 100
    assert Counter(host.ran) == Counter(fence(attempt).token for attempt in range(100))
    assert time.monotonic() - began < 10


def test_without_tokens_the_same_losses_run_things_twice(
    host: ScriptedHost, linked: Linked
) -> None:
    chaos(host, linked(host), fenced=False)
    assert len(host.ran) > 100
