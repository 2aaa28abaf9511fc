"""What becomes of a property on its way back, as .NET's invariant culture converts it."""

from __future__ import annotations

import datetime as dt
import enum
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec2gw.lab.agent import casts
from ec2gw.lab.agent.host import CmdletError
from tests.unit.toy_host import State, Thing


class Level(enum.Enum):
    Low = 0


SPAN = dt.timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5)
MOMENT = dt.datetime(2026, 11, 2, 12, 0, 0, 1, dt.timezone(dt.timedelta(hours=2)))


def of(value: object) -> Thing:
    return Thing({"P": value})


@pytest.mark.parametrize(
    ("value", "cast", "flat"),
    [
        ("x", "text", "x"),
        (True, "text", "True"),
        (5, "text", "5"),
        (0.1, "text", "0.1"),
        (3.0, "text", "3"),
        (None, "text", None),
        (State.Running, "text", "Running"),
        (uuid.UUID(int=0xABC), "text", "00000000-0000-0000-0000-000000000abc"),
        (SPAN, "text", "1.02:03:04.0050000"),
        (-SPAN, "text", "-1.02:03:04.0050000"),
        (dt.timedelta(0), "text", "00:00:00"),
        (MOMENT, "text", "11/02/2026 12:00:00"),
        (0.5, "int", 0),
        (1.5, "int", 2),
        (2.5, "int", 2),
        (-0.5, "int", 0),
        (12.25, "int", 12),
        (2**63 - 1, "int", 2**63 - 1),
        (True, "int", 1),
        (" -7 ", "int", -7),
        (State.Running, "int", 2),
        (None, "int", None),
        (0, "bool", False),
        ("", "bool", False),
        ("False", "bool", True),
        ([], "bool", False),
        ([0], "bool", False),
        ([0, 0], "bool", True),
        (Level.Low, "bool", False),
        (of(1), "bool", True),
        (None, "bool", None),
        (MOMENT, "time", "2026-11-02T10:00:00.0000010Z"),
        ("2026-11-02T10:00:00Z", "time", "2026-11-02T10:00:00.0000000Z"),
        (None, "time", None),
        (None, "texts", []),
        ([], "texts", []),
        ("one", "texts", ["one"]),
        ([State.Off, None, 5], "texts", ["Off", "", "5"]),
    ],
)
def test_a_value_comes_back_flat(value: object, cast: str, flat: object) -> None:
    found = casts.flat(of(value), f"P:{cast}")
    assert found == flat
    assert type(found) is type(flat)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (2**63, "P:int"),
        (1e300, "P:int"),
        (float("nan"), "P:int"),
        ("many", "P:int"),
        ("1_000", "P:int"),
        ("0x10", "P:int"),
        (SPAN, "P:int"),
        (MOMENT, "P:int"),
        ([1, 2], "P:text"),
        ({"a": 1}, "P:text"),
        ("soon", "P:time"),
        (dt.datetime(2026, 1, 1), "P:time"),
        (5, "P:time"),
        (5, "P.Length:int"),
        (of(1), "P:text"),
        (of(1), "P.Q:text"),
        (SPAN, "P.totalseconds:int"),
        ([], "P.Name:texts"),
        ([of(1), 5], "P.P:texts"),
        (1, "Q:text"),
    ],
)
def test_what_a_cast_cannot_take_is_an_error(value: object, path: str) -> None:
    with pytest.raises(CmdletError):
        casts.flat(of(value), path)


@pytest.mark.parametrize(
    ("value", "path", "flat"),
    [
        (SPAN, "P.TotalSeconds:int", 93784),
        (SPAN, "P.Days:int", 1),
        (SPAN, "P.Hours:int", 2),
        (SPAN, "P.Milliseconds:int", 5),
        (-SPAN, "P.Hours:int", -2),
        (dt.timedelta(seconds=12.5), "P.TotalSeconds:text", "12.5"),
        (SPAN, "P.Ticks:int", 937840050000),
        ("abc", "P.Length:int", 3),
        ("\U0001f600", "P.Length:int", 2),
        ([1, 2], "P.Count:int", 2),
        ([of("a"), of("b")], "P.P:texts", ["a", "b"]),
        ([of(["a", "b"]), of("c")], "P.P:texts", ["a", "b", "c"]),
        ([of("a")], "P.P:text", "a"),
        (of(of("deep")), "P.P.P:text", "deep"),
        (None, "P.Name.Length:int", None),
        (None, "P.Name:texts", []),
    ],
)
def test_a_path_goes_through_spans_lists_and_objects(
    value: object, path: str, flat: object
) -> None:
    assert casts.flat(of(value), path) == flat


def test_an_object_that_is_a_value_is_taken_by_the_empty_path() -> None:
    assert casts.flat("C:\\x", ":text") == "C:\\x"


@given(st.integers(-(10**15), 10**15))
@settings(max_examples=50)
def test_a_span_is_the_sum_of_its_parts(micros: int) -> None:
    span = dt.timedelta(microseconds=micros)
    parts = {
        name: casts.integer(casts.member(span, name))
        for name in ("Days", "Hours", "Minutes", "Seconds", "Milliseconds", "Ticks")
    }
    assert parts["Ticks"] == micros * 10
    whole = dt.timedelta(
        days=parts["Days"],
        hours=parts["Hours"],
        minutes=parts["Minutes"],
        seconds=parts["Seconds"],
        milliseconds=parts["Milliseconds"],
    )
    assert abs(span - whole) < dt.timedelta(milliseconds=1)
    assert all(part == 0 or (part < 0) == (micros < 0) for part in parts.values())
