"""What a hostile guest sends to 169.254.169.254, and how far a reply with a token goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ec2gw.metadata.places import Places
from ec2gw.metadata.server import Limits
from tests.gateway import wait_until
from tests.guest.imds import HERE, OTHER, SECRET, Imds, Scene, receive

ID = b"/latest/meta-data/instance-id"
ASK = b"GET " + ID + b" HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n"
PUT = (
    b"PUT /latest/api/token HTTP/1.1\r\nHost: 169.254.169.254\r\n"
    b"X-aws-ec2-metadata-token-ttl-seconds: 60\r\n\r\n"
)


def get(path: bytes, *headers: bytes) -> bytes:
    lines = (b"GET " + path + b" HTTP/1.1", b"Host: 169.254.169.254", *headers)
    return b"\r\n".join((*lines, b"Connection: close", b"", b""))


def status(told: bytes) -> int:
    return int(told.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /latest\x00/meta-data HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /latest /meta-data HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /lätest HTTP/1.1\r\nHost: a\r\n\r\n".encode(),
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\rb: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nNo host\r\n\r\n",
    ],
)
def test_what_is_no_request_is_400_and_the_end_of_the_connection(imds: Imds, sent: bytes) -> None:
    told = imds.raw(sent)

    assert status(told) == 400
    assert b"\r\nServer: EC2ws\r\n" in told
    assert told.endswith(b"</html>\n")


def test_a_huge_head_is_refused_while_it_comes(imds: Imds) -> None:
    endless = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(
        b"X-%d: %s\r\n" % (number, b"y" * 1000) for number in range(60)
    )

    with imds.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(endless)
        assert status(receive(connection)) == 431


def test_a_target_of_eight_kilobytes_is_just_not_there(imds: Imds) -> None:
    assert status(imds.raw(get(b"/" + b"%2e%2e/" * 1170))) == 404


def test_a_body_that_is_too_long_is_413_before_it_is_there(imds: Imds) -> None:
    head = (
        b"POST /openstack/2013-04-04/password HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n"
    )

    with imds.connect() as connection:
        connection.sendall(head + b"A" * 5000)
        assert status(receive(connection)) == 413


def test_a_chunked_body_is_bounded_too(imds: Imds) -> None:
    head = (
        b"POST /openstack/2013-04-04/password HTTP/1.1\r\nHost: a\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    with imds.connect() as connection:
        connection.sendall(head + b"1000\r\n" + b"A" * 4096 + b"\r\n1000\r\n" + b"A" * 4096)
        assert status(receive(connection)) == 413


def test_one_connection_asks_many_times_and_at_once(imds: Imds, scene: Scene) -> None:
    told = imds.raw(ASK * 5 + get(ID))

    assert told.count(b"HTTP/1.1 200 OK\r\n") == 6
    assert told.count(scene.here.encode()) == 6


def test_an_old_client_without_host_and_keeping_is_answered(imds: Imds, scene: Scene) -> None:
    told = imds.raw(b"GET " + ID + b" HTTP/1.0\r\n\r\n")

    assert status(told) == 200
    assert told.endswith(scene.here.encode())


def test_who_sends_slowly_is_cut_off_and_nobody_waits_for_it(scene: Scene) -> None:
    with Imds(scene.store, limits=Limits(request_seconds=0.5)) as imds:
        slow = [imds.connect() for _ in range(20)]
        for one in slow:
            one.sendall(b"GET / HT")
        assert imds.ask(ID.decode()).status == 200
        began = time.monotonic()
        for one in slow:
            with one:
                assert receive(one) == b""
        assert time.monotonic() - began < 4


def test_who_does_not_read_is_cut_off(scene: Scene) -> None:
    scene.change(scene.here, user_data=b"u" * 16_384)
    asked = b"GET /latest/user-data HTTP/1.1\r\nHost: a\r\n\r\n"
    with Imds(scene.store, limits=Limits(reply_seconds=0.5)) as imds, socket.socket() as mute:
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        mute.bind((HERE, 0))
        mute.settimeout(5)
        mute.connect((HERE, imds.port))

        def send() -> bool:
            try:
                mute.sendall(asked * 200)
            except ConnectionError:
                return True  # the server is gone from it
            return False

        wait_until(send, 20)
        assert imds.ask(ID.decode(), source=OTHER).status == 200


def test_who_opens_too_many_connections_loses_the_oldest_idle_one(scene: Scene) -> None:
    with Imds(scene.store, limits=Limits(per_address=4)) as imds, contextlib.ExitStack() as stack:
        mine = [stack.enter_context(imds.connect()) for _ in range(4)]
        for one in mine:
            one.sendall(ASK)
            assert one.recv(4096)
        assert imds.ask(ID.decode(), source=OTHER).status == 200
        assert imds.ask(ID.decode()).status == 200
        mine[0].settimeout(5)
        with contextlib.suppress(ConnectionError):
            assert mine[0].recv(4096) == b""
        mine[1].sendall(ASK)
        assert status(mine[1].recv(4096)) == 200


def test_a_forwarders_connections_do_not_count_for_its_address(scene: Scene) -> None:
    with (
        Imds(scene.store, forwarder_key=SECRET, limits=Limits(per_address=2)) as imds,
        contextlib.ExitStack() as stack,
    ):
        signed = imds.forwarded(scene.away_address)
        headers = b"".join(f"{name}: {value}\r\n".encode() for name, value in signed.items())
        asked = b"GET " + ID + b" HTTP/1.1\r\nHost: a\r\n" + headers + b"\r\n"
        pool = [stack.enter_context(imds.connect()) for _ in range(1)]
        for _ in range(8):
            pool.append(stack.enter_context(imds.connect()))
            pool[-1].sendall(asked)
            assert scene.away.encode() in pool[-1].recv(4096)
        for one in pool:
            one.sendall(asked)
            assert scene.away.encode() in one.recv(4096)


class _Guest:
    def __init__(self, remote: str) -> None:
        self.remote, self.counted, self.aborted = remote, True, False

    def abort(self) -> None:
        self.aborted = True


def test_places_go_to_the_newest_and_never_from_who_is_being_answered() -> None:
    places = Places(total=3, per_address=2)
    busy, idle, other = _Guest("a"), _Guest("a"), _Guest("b")
    for one in (busy, idle, other):
        assert places.enter(one)
    places.idle(idle)

    assert places.enter(_Guest("a"))  # in place of its own idle one
    assert idle.aborted
    assert not busy.aborted
    assert not places.enter(_Guest("a"))
    assert not places.enter(_Guest("c"))
    places.idle(idle)  # it has gone, and neither waits nor leaves for a second time
    places.leave(idle)
    assert len(places) == 3
    places.idle(other)
    assert places.enter(_Guest("c"))
    assert other.aborted


# -- how far a token goes

ALONE = "127.0.0.55"
"""Nobody else speaks from it, whatever else this machine does on loopback."""
_TTL_AT = 8


@contextlib.contextmanager
def sniffed() -> Iterator[socket.socket]:
    """See the packets that come from there; only root may."""
    try:
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    except PermissionError:
        pytest.skip("only root sees packets")
    with raw:
        raw.connect((ALONE, 0))
        raw.settimeout(5)
        yield raw


def hops(raw: socket.socket, containing: bytes) -> int:
    """Wait for the packet that carries those bytes; answer its TTL."""
    while True:
        packet = raw.recv(65535)
        if containing in packet:
            return packet[_TTL_AT]


@pytest.mark.parametrize(("limit", "routers", "expected"), [(1, 0, 1), (3, 0, 3), (1, 1, 2)])
def test_a_token_goes_as_far_as_its_instances_hop_limit(
    scene: Scene, limit: int, routers: int, expected: int
) -> None:
    scene.options(scene.here, HttpPutResponseHopLimit=limit)
    with (
        Imds(scene.store, routers=routers, host=ALONE) as imds,
        sniffed() as raw,
        imds.connect() as guest,
    ):
        guest.sendall(ASK)
        assert guest.recv(4096)
        usual = hops(raw, scene.here.encode())
        guest.sendall(PUT)
        token = guest.recv(4096).rpartition(b"\r\n\r\n")[2]
        assert len(token) == 56
        assert hops(raw, token) == expected
        guest.sendall(ASK)
        assert guest.recv(4096)
        assert hops(raw, scene.here.encode()) == usual
        assert usual > 3


# A mount namespace too: the names of networks are files, and these go with it.
WAY = """
mount -t tmpfs none /run && mkdir /run/netns && ip netns add router && ip netns add guest || exit 77
ip link set lo up
ip link add here type veth peer name there netns router
ip addr add 169.254.169.254/24 dev here
ip link set here up
ip -n router addr add 169.254.169.1/24 dev there
ip -n router link set there up
ip -n router link add inner type veth peer name eth0 netns guest
ip -n router addr add 10.9.0.1/24 dev inner
ip -n router link set inner up
ip netns exec router sysctl -qw net.ipv4.ip_forward=1
ip -n guest addr add 10.9.0.5/24 dev eth0
ip -n guest link set eth0 up
ip -n guest route add default via 10.9.0.1
ip route add 10.9.0.0/24 via 169.254.169.1
exec "$1" -m tests.guest.through_router guest
"""


def test_behind_a_router_only_tokens_with_hops_left_arrive() -> None:
    if os.geteuid() or not all(map(shutil.which, ("unshare", "ip", "sysctl"))):
        pytest.skip("networks of its own are for root, with unshare and ip")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-ec", WAY, "sh", sys.executable],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"no networks can be made here: {done.stderr}")
    assert done.returncode == 0, done.stdout + done.stderr
