"""The phases: whatever is asked and found in whatever order, EC2's states follow each other."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import lifecycle

SUCCESSORS = {
    "pending": {"pending", "running", "shutting-down", "stopping", "stopped", "terminated"},
    "running": {"running", "stopping", "stopped", "shutting-down", "terminated", "pending"},
    "stopping": {"stopping", "stopped", "shutting-down", "terminated"},
    "stopped": {"stopped", "pending", "running", "shutting-down", "terminated"},
    "shutting-down": {"shutting-down", "terminated"},
    "terminated": {"terminated"},
}
"""EC2 User Guide, instance state changes; pending is also what EC2 shows of a start."""

EVENTS = st.sampled_from([*get_args(lifecycle.Ask), *get_args(lifecycle.Found)])


def move(phase: lifecycle.Phase, event: str) -> lifecycle.Phase:
    for ask in get_args(lifecycle.Ask):
        if ask == event:
            return lifecycle.ask(phase, ask)
    for found in get_args(lifecycle.Found):
        if found == event:
            return lifecycle.find(phase, found)
    raise AssertionError(event)


@given(st.lists(EVENTS, max_size=30))
def test_no_order_of_events_makes_a_state_ec2_does_not_allow(events: list[str]) -> None:
    phase: lifecycle.Phase = "pending"
    for event in events:
        before = lifecycle.STATES[phase][1]
        try:
            phase = move(phase, event)
        except lifecycle.Refused:
            continue
        assert lifecycle.STATES[phase][1] in SUCCESSORS[before]


@pytest.mark.parametrize("event", get_args(lifecycle.Ask))
def test_nothing_brings_a_terminated_instance_back(event: lifecycle.Ask) -> None:
    if event == "terminate":
        assert lifecycle.ask("terminated", event) == "terminated"
    else:
        with pytest.raises(lifecycle.Refused):
            lifecycle.ask("terminated", event)


@pytest.mark.parametrize("phase", sorted(lifecycle.WORKING))
def test_every_working_phase_can_come_to_rest(phase: lifecycle.Phase) -> None:
    ends = set()
    for word in get_args(lifecycle.Found):
        try:
            ends.add(lifecycle.find(phase, word))
        except lifecycle.Refused:
            continue
    assert ends - lifecycle.WORKING or ends == {"shutting-down"}
