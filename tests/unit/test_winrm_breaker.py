"""When a host is left alone, for how long, and how it is tried again."""

from __future__ import annotations

import pytest

from ec2gw.winrm.breaker import Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, jitter: float = 1.0) -> Breaker:
    return Breaker(clock, lambda: jitter)


def test_it_opens_at_the_third_failure_within_half_a_minute(clock: Clock) -> None:
    breaker = make(clock)
    breaker.failure("one")
    clock.now += 20
    breaker.failure("two")
    clock.now += 11
    breaker.failure("three")
    assert breaker.admits()
    breaker.failure("four")
    assert not breaker.admits()
    assert breaker.reason == "four"


def test_a_success_forgets_what_failed_before(clock: Clock) -> None:
    breaker = make(clock)
    breaker.failure("one")
    breaker.failure("two")
    breaker.success()
    breaker.failure("three")
    assert breaker.position == "closed"


def opened(clock: Clock, jitter: float = 1.0) -> Breaker:
    breaker = make(clock, jitter)
    for _ in range(3):
        breaker.failure("down")
    return breaker


def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_success(clock: Clock) -> None:
    breaker = opened(clock)
    pauses = []
    for _ in range(8):
        pauses.append(breaker.wait_seconds())
        clock.now += pauses[-1]
        assert breaker.try_begin()
        breaker.failure("still down")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    breaker.success()
    for _ in range(3):
        breaker.failure("down again")
    assert breaker.wait_seconds() == 1


def test_jitter_spreads_a_pause_over_its_whole_length(clock: Clock) -> None:
    assert opened(clock, jitter=0.25).wait_seconds() == 0.25
    assert opened(clock, jitter=0.0).wait_seconds() == 0.0


def test_half_open_admits_one_trial_and_one_failure_opens_it_again(clock: Clock) -> None:
    breaker = opened(clock)
    assert not breaker.try_begin()
    clock.now += 1
    assert breaker.try_begin()
    assert breaker.position == "half-open"
    assert not breaker.try_begin()
    assert breaker.admits()
    breaker.failure("still down")
    assert not breaker.admits()


def test_a_refused_sign_in_opens_it_at_once_for_a_quarter_of_an_hour(clock: Clock) -> None:
    breaker = make(clock, jitter=0.0)
    breaker.denied("sign-in refused")
    clock.now += 899
    assert not breaker.try_begin()
    clock.now += 1
    assert breaker.try_begin()


def test_a_reached_limit_opens_it_for_half_a_minute(clock: Clock) -> None:
    breaker = make(clock)
    breaker.exhausted("too many shells")
    assert breaker.wait_seconds() == 30
