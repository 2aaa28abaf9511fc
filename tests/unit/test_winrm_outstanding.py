"""What is due to be sent, asked again, pinged; with a clock of the test's own."""

from __future__ import annotations

import itertools

import pytest

from ec2gw.winrm import exchange, framing, outstanding, timing

LIMITS = timing.Timing(ping_seconds=25, silence_seconds=30, busy_silence_seconds=300)
_ids = itertools.count(1)


def make(size: int = 10) -> exchange.Exchange:
    key = next(_ids)
    noise = "".join(f"{key * number * 2654435761 % 2**32:08x}" for number in range(size // 4))
    return exchange.Exchange(key, framing.encode({"id": key, "noise": noise}), fenced=True)


PING = make()


@pytest.fixture
def table() -> outstanding.Outstanding:
    return outstanding.Outstanding(PING, LIMITS, 0.0)


def test_small_frames_share_a_send_and_a_large_one_goes_alone(
    table: outstanding.Outstanding,
) -> None:
    small, large, last = [make() for _ in range(20)], make(200_000), make()
    for one in [*small, large, last]:
        table.add(one, 1.0)
    assert len(large.frame) > timing.SEND_BYTES
    assert table.take_due(1.0) == small
    assert table.take_due(1.0) == [large]
    assert table.take_due(1.0) == [last]
    assert table.take_due(1.0) == []


def test_a_failed_send_is_due_again_and_counts_unless_nothing_left(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 1.0)
    for surely, copies in ((True, 0), (False, 1), (True, 1)):
        table.not_sent(table.take_due(1.0), 1.0, surely=surely)
        assert one.copies == copies
    assert table.take_due(1.0) == [one]


def test_a_failed_send_of_what_nobody_waits_for_is_not_repeated(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 1.0)
    batch = table.take_due(1.0)
    table.withdraw(one)
    table.not_sent(batch, 1.0, surely=False)
    assert table.take_due(2.0) == []


def test_what_was_not_sent_when_its_caller_left_stays_unsent(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 1.0)
    table.withdraw(one)
    assert table.take_due(1.0) == []
    assert not table.is_busy


def test_what_was_sent_keeps_the_worker_busy_until_it_is_answered(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 1.0)
    table.take_due(1.0)
    table.withdraw(one)
    assert table.is_busy
    table.close(one.id)
    assert not table.is_busy


def test_asking_again_waits_longer_each_time_but_not_for_ever(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 0.0)
    now, waits = 0.0, []
    table.take_due(now)
    for _ in range(8):
        table.again(one, outstanding.RUNNING_PAUSES, now)
        due = table.next_event()
        waits.append(round(due - now, 6))
        assert table.take_due(due - 0.001) == []
        assert table.take_due(due) == [one]
        now = due
    assert waits == [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_after_a_loss_only_what_was_sent_is_asked_again(table: outstanding.Outstanding) -> None:
    sent, unsent = make(), make()
    table.add(sent, 1.0)
    table.take_due(1.0)
    table.add(unsent, 5.0)
    table.all_again(outstanding.AT_ONCE, 2.0)
    assert table.take_due(2.0) == [sent]
    assert (sent.asked_again, unsent.asked_again) == (1, 0)


def test_quiet_in_either_direction_is_pinged(table: outstanding.Outstanding) -> None:
    for now in (20.0, 40.0):
        table.sent(now)
    table.heard(20.0)
    assert table.next_event() == 45.0
    table.plan_ping(44.9)
    assert table.take_due(44.9) == []
    table.plan_ping(45.0)
    assert table.take_due(45.0) == [PING]


def test_an_unanswered_ping_is_repeated_and_then_means_silence(
    table: outstanding.Outstanding,
) -> None:
    table.plan_ping(25.0)
    assert table.take_due(25.0) == [PING]
    table.sent(25.0)
    assert table.next_event() == 50.0
    table.plan_ping(50.0)
    assert table.take_due(50.0) == [PING]
    table.sent(50.0)
    assert not table.is_silent(54.9)
    assert table.is_silent(55.0)
    table.close(PING.id)
    assert not table.is_silent(55.0)


def test_calls_that_run_excuse_an_unanswered_ping_for_five_minutes(
    table: outstanding.Outstanding,
) -> None:
    one = make()
    table.add(one, 0.0)
    table.take_due(0.0)
    table.plan_ping(25.0)
    table.heard(100.0)
    assert not table.is_silent(399.9)
    assert table.is_silent(400.0)
