"""The benchmark itself: what it sends is signed, what it reads is whole, what it says is so."""

from __future__ import annotations

import datetime as dt
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import sqlalchemy as sa

from benchmarks import measure, report, seeding, sides, signing, storm
from benchmarks.client import Connection
from ec2gw.auth import sigv4
from ec2gw.auth.request import Request
from state import models
from state.store import Store
from tests.reads import Reads
from translators.settings import Settings


def test_requests_are_signed_as_the_gateway_checks_them() -> None:
    signer = signing.Signer(8773, "AKIAIOSFODNN7EXAMPLE", "secret")
    head, body = signer.request("DescribeInstances", {"InstanceId.1": "i-1"}).split(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST / HTTP/1.1"
    headers = {name.lower(): value for name, value in (line.split(": ") for line in lines[1:])}
    request = Request("POST", "/", "", headers, body)
    claim = sigv4.claim(request)
    assert claim is not None
    sigv4.Verifier().check(request, claim, "secret", dt.datetime.now(dt.UTC))
    assert int(headers["content-length"]) == len(body)


@pytest.fixture
def port() -> Iterator[int]:
    """Serve two connections, an answer each, in pieces; close each after its answer."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for number in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                body = bytes([48 + number]) * 100_000
                head = f"HTTP/1.1 20{number} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                for piece in (head[:9], head[9:] + body[:10], body[10:]):
                    connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()[1]
        thread.join(10)


def test_answers_are_read_whole_and_a_closed_connection_is_made_again(port: int) -> None:
    with Connection(port, timeout_seconds=10) as connection:
        first = connection.ask(b"GET / HTTP/1.1\r\n\r\n")
        second = connection.ask(b"GET / HTTP/1.1\r\n\r\n")
    assert (first.status, first.body) == (200, b"0" * 100_000)
    assert (second.status, second.body) == (201, b"1" * 100_000)


def echo(connection: socket.socket) -> None:
    """Answer whoever comes with what was asked, until it goes."""
    with connection:
        while asked := connection.recv(4096):
            head = f"HTTP/1.1 200 X\r\nContent-Length: {len(asked)}\r\n\r\n".encode()
            connection.sendall(head + asked)


def test_many_ask_at_once_and_every_answer_counts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(4):
                connection, _ = listener.accept()
                threading.Thread(target=echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port: int = listener.getsockname()[1]
        signer = signing.Signer(port, "AKIAIOSFODNN7EXAMPLE", "secret")
        with Connection(port, timeout_seconds=10) as own:
            side = sides.Side("toy", signer, own, {"api": 0}, "ami")
            requests = [f"{number}".encode() for number in range(10)]
            case = measure.Case("x", lambda side: requests, (10, 10), connections=4)
            answers = measure.at_once(side, requests, case)
    assert Counter(answer.body for answer in answers) == Counter(requests)


def test_after_a_storm_nothing_is_missing_and_nothing_is_twice() -> None:
    answered = Counter(["i-1", "i-2", "i-3"])
    assert list(storm.differences(answered, Counter(answered), "here")) == []
    found = Counter({"i-1": 1, "i-2": 2, "i-4": 1})
    assert sorted(storm.differences(answered, found, "here")) == [
        "i-2 is once too often here",
        "i-3 is missing here",
        "i-4 is once too often here",
    ]


def row(ratios: Sequence[float], bar: float | None = None, better: str = "more") -> report.Row:
    return report.Row("x", "ms", 1, 2, ratios, bar, better)  # type: ignore[arg-type]


def test_a_bar_is_reached_by_the_median() -> None:
    assert row([1, 10, 100], bar=10).reached
    assert not row([1, 9.9, 100], bar=10).reached
    assert row([1.3, 1.2, 1.0], bar=1.25, better="less").reached
    assert not row([1.3, 1.3, 1.0], bar=1.25, better="less").reached
    assert row([0.1]).reached


def test_half_of_what_was_recorded_is_too_little() -> None:
    assert row([4.9]).is_worse_than(10)
    assert not row([5.1]).is_worse_than(10)
    assert row([2.1], better="less").is_worse_than(1)
    assert not row([1.9], better="less").is_worse_than(1)


def test_the_table_says_which_bars_are_missed() -> None:
    shown = report.table([row([2, 3], bar=30), row([40], bar=30), row([1])], "left", "right")
    lines = shown.splitlines()
    assert [line.count("|") for line in lines] == [9] * 5
    assert ["MISSED" in line for line in lines[2:]] == [True, False, False]
    assert ["reached" in line for line in lines[2:]] == [False, True, False]


def test_what_is_recorded_has_ratios_for_both_forms() -> None:
    for form in ("full", "quick"):
        known = report.recorded(form)
        assert known
        assert all(ratio > 0 for ratio in known.values())


def test_copies_of_an_instance_are_as_good_as_launched_ones(
    store: Store, settings: Settings
) -> None:
    reads = Reads(store, settings)
    name = {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "benchmark"}]}
    [launched] = reads.run(1, TagSpecifications=[name])
    store.write(lambda session: session.execute(sa.update(models.Instance).values(phase="running")))
    copies = seeding.by_rows(store.path, 120)
    found = [
        instance
        for reservation in reads.call("DescribeInstances")["Reservations"]
        for instance in reservation["Instances"]
    ]
    assert [one["InstanceId"] for one in found] == [launched, *copies]
    first, *others = found
    assert all(one.keys() == first.keys() for one in others)
    assert len({one["PrivateIpAddress"] for one in found}) == 121
    marked = [{"Name": f"tag:{seeding.MARK}", "Values": ["yes"]}]
    answer = reads.call("DescribeInstances", Filters=marked)
    assert sum(len(one["Instances"]) for one in answer["Reservations"]) == seeding.MARKED
