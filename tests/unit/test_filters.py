"""Filters: what a value means, and that SQL and the memory's twin mean the same by it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.store import Store
from tests.launches import NOW
from translators import filters
from translators.errors import Ec2Error
from translators.filters import Values
from translators.registry import Context
from translators.settings import Settings

TABLE = sa.table(
    "thing",
    sa.column("key", sa.Integer),
    sa.column("word", sa.String),
    sa.column("count", sa.Integer),
    sa.column("yes", sa.Boolean),
    sa.column("at", sa.BigInteger),
    sa.column("entries", sa.String),
)
C = TABLE.c
WORDS = ["", "a", "A", "ab", "a*b", "a?b", "a[b]c", "a\\b", "100%", "a_b", "Grüße", "aXb"]


@pytest.fixture
def ctx(store: Store) -> Iterator[Context]:
    def work(session: Any) -> None:
        session.execute(sa.text("CREATE TABLE thing (key INTEGER, word, count, yes, at, entries)"))
        at = int(dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC).timestamp()) * 10**6 + 250_000
        session.execute(
            sa.insert(TABLE),
            [
                {"key": at_, "word": word, "count": at_, "yes": at_ % 2 == 0, "at": at}
                for at_, word in enumerate(WORDS)
            ],
        )

    store.write(work)
    with store.read() as session:
        yield Context(session, "1" * 12, 1, "us-east-1", "r", NOW, Settings())


def found(ctx: Context, one: filters.Filter, *values: str) -> set[str]:
    condition = one(ctx, Values.parse(values))
    return set(ctx.session.scalars(sa.select(C.word).where(condition)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", {"a"}),
        ("a*", {"a", "ab", "a*b", "a?b", "a[b]c", "a\\b", "a_b", "aXb"}),
        ("*b", {"ab", "a*b", "a?b", "a\\b", "a_b", "aXb"}),
        ("a?b", {"a*b", "a?b", "a\\b", "a_b", "aXb"}),
        ("?", {"a", "A"}),
        ("*", set(WORDS)),
        ("", {""}),
        (r"a\*b", {"a*b"}),
        (r"a\?b", {"a?b"}),
        (r"a\\b", {"a\\b"}),
        (r"a\b", {"a\\b"}),
        (r"*\\*", {"a\\b"}),
        ("a[b]*", {"a[b]c"}),
        ("100%", {"100%"}),
        ("a_?", {"a_b"}),
        ("Gr*e", {"Grüße"}),
        ("Gr???", {"Grüße"}),
        ("zzz", set()),
    ],
)
def test_a_value_matches_as_in_ec2(ctx: Context, value: str, expected: set[str]) -> None:
    assert found(ctx, filters.text(C.word), value) == expected
    assert {word for word in WORDS if Values.parse([value]).match(word)} == expected


def test_values_of_one_filter_are_joined_by_or_and_none_match_nothing(ctx: Context) -> None:
    assert found(ctx, filters.text(C.word), "a", "10*") == {"a", "100%"}
    assert found(ctx, filters.text(C.word)) == set()
    assert found(ctx, filters.always("xen")) == set()


def test_numbers_compare_as_they_are_written(ctx: Context) -> None:
    one = filters.number(C.count)
    assert found(ctx, one, "1") == {WORDS[1]}
    assert found(ctx, one, "1*") == {WORDS[1], WORDS[10], WORDS[11]}
    for odd in ("01", "1.0", "+1", " 1", "x", "9" * 5000, "-0"):
        assert found(ctx, one, odd) == set(), odd


def test_truth_and_times_have_ec2s_words(ctx: Context) -> None:
    assert found(ctx, filters.flag(C.yes), "true") == set(WORDS[::2])
    assert found(ctx, filters.flag(C.yes), "True", "1") == set()
    assert found(ctx, filters.flag(C.yes), "*") == set(WORDS)
    at = filters.time(C.at)
    assert found(ctx, at, "2026-01-31T12:00:00.000Z") == set(WORDS)
    assert found(ctx, at, "2026-01-31T*") == set(WORDS)
    assert found(ctx, at, "2026-02*") == set()


def test_a_column_may_have_other_words_in_ec2(ctx: Context) -> None:
    one = filters.mapped(C.word, {"a": "alpha", "ab": "alphabet"})
    assert found(ctx, one, "alpha") == {"a"}
    assert found(ctx, one, "alpha*") == {"a", "ab"}
    assert found(ctx, one, "a") == set()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    value=st.text(alphabet="ab*?\\[]^-%_", max_size=8),
    word=st.text(alphabet="ab*?\\[]^-", max_size=8),
)
def test_sql_and_memory_agree_on_any_value(ctx: Context, value: str, word: str) -> None:
    parsed = Values.parse([value])
    condition = filters.text(sa.literal(word))(ctx, parsed)
    assert bool(ctx.session.scalar(sa.select(sa.literal(1)).where(condition))) == parsed.match(word)


@pytest.mark.parametrize("match", ["sql", "memory"])
def test_many_stars_cost_no_time(ctx: Context, match: str) -> None:
    parsed, word = Values.parse(["*a" * 120 + "b"]), "a" * 256
    began = time.monotonic()
    if match == "memory":
        assert not parsed.match(word)
    else:
        condition = filters.text(sa.literal(word))(ctx, parsed)
        assert ctx.session.scalar(sa.select(sa.literal(1)).where(condition)) is None
    assert time.monotonic() - began < 1


def test_an_unknown_name_and_too_many_values_are_refused(ctx: Context) -> None:
    table = {"word": filters.text(C.word)}

    def compile(*requested: Any) -> Any:
        return filters.compile(ctx, requested, table, kind="instance", key=C.key)

    for name in ("wurd", "Word", "tag", "tags:x", ""):
        with pytest.raises(Ec2Error, match="InvalidParameterValue: The filter '") as caught:
            compile({"Name": name, "Values": ["a"]})
        assert f"'{name or 'null'}'" in caught.value.message
    with pytest.raises(Ec2Error, match="values specified on a single call is 200"):
        compile({"Name": "word", "Values": ["a"] * 100}, {"Name": "tag:b", "Values": ["a"] * 101})
    compile({"Name": "word", "Values": ["a"] * 200})


def test_memory_filters_lists_truth_and_absence() -> None:
    things: list[dict[str, Any]] = [
        {"name": "one", "sizes": [1, 2], "good": True},
        {"name": "two", "sizes": [], "good": None},
    ]
    table: dict[str, filters.Getter[dict[str, Any]]] = {
        "name": lambda one: one["name"],
        "size": lambda one: one["sizes"],
        "good": lambda one: one["good"],
    }

    def kept(name: str, *values: str) -> list[str]:
        wanted: Any = [{"Name": name, "Values": values}]
        return [one["name"] for one in filters.select(things, wanted, table)]

    assert kept("size", "2") == ["one"]
    assert kept("good", "true", "false") == ["one"]
    assert kept("name", "*") == ["one", "two"]
    assert kept("name") == []
    with pytest.raises(Ec2Error, match="The filter 'x' is invalid"):
        kept("x", "1")
