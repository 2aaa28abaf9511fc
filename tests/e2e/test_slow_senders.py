"""Clients that send slowly, or never to the end, are in nobody's way; the silent ones go first."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from ec2gw import connections
from tests.e2e import raw
from tests.gateway import Gateway, wait_until

STALLED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nAction="
ASKED = (("Action", "DescribeRegions"), ("Version", "2016-11-15"))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _stall(gateway: Gateway, opened: ExitStack, count: int) -> list[socket.socket]:
    address = urlsplit(gateway.url)
    made = []
    for _ in range(count):
        one = socket.create_connection((address.hostname, address.port), timeout=10)
        made.append(opened.enter_context(one))
        one.sendall(STALLED)
    return made


def _seconds_to_answer(gateway: Gateway) -> float:
    began = time.monotonic()
    assert raw.sign(gateway, ASKED, "POST").send().status == 200
    return time.monotonic() - began


def _is_open(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return bool(one.recv(1))
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_two_hundred_stalled_bodies_hold_nobody_up(gateway: Gateway, opened: ExitStack) -> None:
    stalled = _stall(gateway, opened, 200)
    assert max(_seconds_to_answer(gateway) for _ in range(5)) < 2
    assert all(map(_is_open, stalled))  # nor is anybody given up without need


def test_of_more_than_may_be_open_the_most_silent_are_given_up(
    gateway: Gateway, opened: ExitStack
) -> None:
    first = _stall(gateway, opened, 300)
    time.sleep(0.1)
    second = _stall(gateway, opened, 500)
    assert _seconds_to_answer(gateway) < 5
    wait_until(lambda: sum(map(_is_open, first + second)) <= 384, 10)
    assert not any(map(_is_open, first))
    assert any(map(_is_open, second))
    assert _seconds_to_answer(gateway) < 2
    assert "event=connections-given-up" in gateway.log.read_text()


@pytest.fixture
def clients(opened: ExitStack) -> list[socket.socket]:
    """Four that have sent a byte, the third another a while later; this process accepted them."""
    listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    address = listening.getsockname()
    made = [opened.enter_context(socket.create_connection(address, timeout=5)) for _ in range(4)]
    accepted = [opened.enter_context(listening.accept()[0]) for _ in made]
    for one in made:
        one.sendall(b"x")
    time.sleep(0.3)
    made[2].sendall(b"x")
    wait_until(lambda: accepted[2].recv(2, socket.MSG_PEEK) == b"xx", 5)
    return made


def _port(clients: list[socket.socket]) -> int:
    port: int = clients[0].getpeername()[1]
    return port


def test_whoever_has_been_silent_for_long_is_given_up(clients: list[socket.socket]) -> None:
    watched = connections.Connections(_port(clients), at_most=100)
    assert watched.give_up(60) == 0
    assert watched.give_up(0.2) == 3
    assert [_is_open(one) for one in clients] == [False, False, True, False]


@pytest.mark.parametrize(("at_most", "closed"), [(8, 0), (6, 0), (5, 2), (2, 3)])
def test_of_a_crowd_the_ones_that_sent_last_are_kept(
    clients: list[socket.socket], at_most: int, closed: int
) -> None:
    assert connections.Connections(_port(clients), at_most).relieve() == closed
    assert sum(map(_is_open, clients)) == 4 - closed
    assert _is_open(clients[2])


def test_other_connections_of_the_process_are_left_alone(clients: list[socket.socket]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        assert connections.Connections(elsewhere.getsockname()[1], 0).give_up(0) == 0
    assert all(map(_is_open, clients))


def test_half_a_request_is_no_request(gateway: Gateway) -> None:
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as one:
        one.sendall(STALLED)
        one.shutdown(socket.SHUT_WR)
        answer = one.recv(65536)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
