"""Rows of an answer by key and version: loaded together, rendered once, kept within bounds."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from concurrent import futures
from datetime import UTC, datetime

import pytest

from ec2gw.wire import fragments, model, render
from translators import views

LAUNCH = datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC)


def operation(action: str) -> model.Operation:
    found = model.operation("ec2", action)
    assert found is not None
    return found


class Table:
    """Tags of rows, and what was asked of them."""

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}
        self.asked: list[list[int]] = []

    def load(self, keys: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        self.asked.append(list(keys))
        return {key: {"Value": self.rows[key]} for key in keys}


@pytest.fixture
def table() -> Table:
    made = Table()
    made.rows = {key: f"ä<{key}>" for key in range(100)}
    return made


def listed(tags: object, cache: fragments.Cache | None) -> str:
    body = render.success(operation("DescribeTags"), {"Tags": tags}, "r-1", "", cache)
    return body.decode()


def tags_of(table: Table, *pairs: tuple[int, int], kind: str = "tag") -> views.Fragments:
    return views.Fragments(kind, pairs, table.load)


def test_a_row_is_rendered_once_for_each_version(table: Table) -> None:
    cache = fragments.Cache()
    plain = listed([{"Value": "ä<2>"}, {"Value": "ä<1>"}], cache)
    assert listed(tags_of(table, (2, 7), (1, 7)), cache) == plain
    assert listed(tags_of(table, (2, 7), (1, 7)), cache) == plain
    assert table.asked == [[2, 1]]
    table.rows[1] = "new"
    assert "<value>new</value>" in listed(tags_of(table, (2, 7), (1, 8)), cache)
    assert table.asked == [[2, 1], [1]]


def test_without_a_cache_every_row_is_loaded(table: Table) -> None:
    for _ in range(2):
        assert "ä&lt;1&gt;" in listed(tags_of(table, (1, 1)), None)
    assert table.asked == [[1], [1]]


def test_kinds_and_shapes_have_rows_of_their_own(table: Table) -> None:
    cache = fragments.Cache()
    listed(tags_of(table, (1, 1)), cache)
    listed(tags_of(table, (1, 1), kind="other"), cache)

    def load(keys: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        return {key: {"RegionName": f"region-{key}"} for key in keys}

    regions = {"Regions": views.Fragments("tag", [(1, 1)], load)}
    body = render.success(operation("DescribeRegions"), regions, "r-1", "", cache)
    assert b"<regionName>region-1</regionName>" in body
    assert table.asked == [[1], [1]]


def test_no_rows_are_an_empty_list_and_load_nothing(table: Table) -> None:
    assert "<tagSet></tagSet>" in listed(tags_of(table), fragments.Cache())
    assert table.asked == []


def test_a_row_listed_twice_is_shown_twice_and_loaded_once(table: Table) -> None:
    body = listed(tags_of(table, (1, 1), (1, 1)), fragments.Cache())
    assert body.count("ä&lt;1&gt;") == 2
    assert table.asked == [[1]]


def test_rows_within_plain_items_are_loaded_together() -> None:
    asked: list[list[int]] = []

    def load(keys: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        asked.append(list(keys))
        return {key: {"InstanceId": f"i-{key}", "LaunchTime": LAUNCH} for key in keys}

    def reservation(number: int, instances: object) -> dict[str, object]:
        return {"ReservationId": f"r-{number}", "Groups": [], "Instances": instances}

    cache = fragments.Cache()
    rows = [[1, 2], [], [3]]
    result = {
        "Reservations": [
            reservation(number, views.Fragments("instance", [(key, 1) for key in keys], load))
            for number, keys in enumerate(rows)
        ]
    }
    plain = {
        "Reservations": [
            reservation(number, list(load(keys).values())) for number, keys in enumerate(rows)
        ]
    }
    asked.clear()
    whole = render.success(operation("DescribeInstances"), plain, "r-1", "")
    assert render.success(operation("DescribeInstances"), result, "r-1", "", cache) == whole
    assert asked == [[1, 2, 3]]
    assert render.success(operation("DescribeInstances"), result, "r-1", "", cache) == whole
    assert asked == [[1, 2, 3]]


def test_rows_may_hold_rows(table: Table) -> None:
    def load(keys: Sequence[int]) -> Mapping[int, Mapping[str, object]]:
        return {key: {"InstanceId": f"i-{key}", "Tags": tags_of(table, (key, 1))} for key in keys}

    result = {"Reservations": [{"Instances": views.Fragments("i", [(1, 1), (2, 1)], load)}]}
    body = render.success(operation("DescribeInstances"), result, "r-1", "", fragments.Cache())
    values = [element.text for element in ET.fromstring(body).iter() if "value" in element.tag]
    assert values == ["ä<1>", "ä<2>"]
    assert table.asked == [[1, 2]]


def test_a_row_that_is_listed_but_not_there_is_raised() -> None:
    gone = views.Fragments("tag", [(1, 1)], lambda keys: {})
    with pytest.raises(render.Misfit, match="tag 1"):
        listed(gone, fragments.Cache())


def test_rows_can_be_read_as_plain_views(table: Table) -> None:
    shown = tags_of(table, (2, 1), (1, 1), (2, 1))
    assert len(shown) == 3
    assert list(shown) == [{"Value": "ä<2>"}, {"Value": "ä<1>"}, {"Value": "ä<2>"}]


def test_the_cache_holds_no_more_than_its_bytes_and_drops_the_least_used(table: Table) -> None:
    piece = len("<item><value>ä&lt;10&gt;</value></item>".encode())
    cache = fragments.Cache(limit_bytes=10 * (piece + 300))
    for key in range(10, 20):
        listed(tags_of(table, (key, 1)), cache)
    full = cache.held_bytes
    listed(tags_of(table, (10, 1)), cache)
    table.asked.clear()
    listed(tags_of(table, (20, 1)), cache)
    listed(tags_of(table, (10, 1)), cache)
    listed(tags_of(table, (11, 1)), cache)
    assert table.asked == [[20], [11]]
    assert cache.held_bytes == full == 10 * (piece + 300)


def test_a_newer_version_takes_the_place_of_the_older(table: Table) -> None:
    cache = fragments.Cache()
    listed(tags_of(table, (1, 1)), cache)
    held = cache.held_bytes
    for version in range(2, 50):
        listed(tags_of(table, (1, version)), cache)
    assert cache.held_bytes == held


def test_a_piece_larger_than_the_cache_is_shown_and_not_kept(table: Table) -> None:
    cache = fragments.Cache(limit_bytes=10)
    assert "ä&lt;1&gt;" in listed(tags_of(table, (1, 1)), cache)
    assert cache.held_bytes == 0


def test_many_threads_share_a_cache(table: Table) -> None:
    cache = fragments.Cache(limit_bytes=20_000)
    expected = {key: listed([{"Value": f"ä<{key}>"}], None) for key in range(100)}

    def run(first: int) -> None:
        for step in range(200):
            key = (first * 13 + step * 7) % 100
            assert listed(tags_of(table, (key, 1)), cache) == expected[key]

    with futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4), timeout=30))
    assert 0 < cache.held_bytes <= 20_000
