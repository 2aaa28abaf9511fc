"""Bytes that are no request of ours, on the wire: answered in XML, or cut off, and never dear."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.gateway import Gateway

LIMIT = 1024 * 1024


def _connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def _talk(gateway: Gateway, *pieces: bytes) -> bytes:
    """Send, then read until the server has nothing more to say."""
    with closing(_connected(gateway)) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it has answered and heard enough
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass
        return answer


def _refused(answer: bytes) -> tuple[int, str | None]:
    head, _, body = answer.partition(b"\r\n\r\n")
    while head.split(b" ", 2)[1] == b"100":
        head, _, body = body.partition(b"\r\n\r\n")
    assert b"content-type: text/xml" in head.lower()
    return int(head.split(b" ", 2)[1]), ElementTree.fromstring(body).findtext(".//Code")


def _request(method: str = "POST", path: str = "/", *lines: str) -> bytes:
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1")


WRONG = {
    "method": (_request("DELETE"), (405, "InvalidRequest")),
    "no method": (_request("BREW"), (405, "InvalidRequest")),
    "no path": (_request("OPTIONS", "*"), (405, "InvalidRequest")),
    "path": (_request("GET", "/doc/2016-11-15"), (404, "InvalidRequest")),
    "slashes": (_request("GET", "//"), (404, "InvalidRequest")),
    "dots": (_request("GET", "/%2e%2e/%2e%2e"), (404, "InvalidRequest")),
    "escape": (_request("GET", "/?Action=%"), (400, "MalformedQueryString")),
    "not UTF-8": (_request("GET", "/?Action=%ff"), (400, "MalformedQueryString")),
    "parameters": (_request("GET", "/?" + "a=b&" * 10_001), (400, "MalformedQueryString")),
    "unsigned": (_request("GET", "/"), (400, "MissingParameter")),
    "HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", (400, "MissingParameter")),
    "two hosts": (_request("GET", "/", "Host: \xff\xfe"), (400, "MissingParameter")),
    "authorization": (
        _request("GET", "/", "Authorization: AWS4-HMAC-SHA256 x"),
        (400, "IncompleteSignature"),
    ),
}


@pytest.mark.parametrize(("request_", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_request_gets_an_error_in_xml(
    gateway: Gateway, request_: bytes, expected: tuple[int, str]
) -> None:
    assert _refused(_talk(gateway, request_)) == expected


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n"],
    ids=["TLS", "zeros", "HTTP/9.9"],
)
def test_what_is_no_http_is_cut_off_without_html(gateway: Gateway, garbage: bytes) -> None:
    assert b"<html" not in _talk(gateway, garbage).lower()


def test_a_body_over_the_limit_is_refused(gateway: Gateway) -> None:
    body = b"x" * (LIMIT + 1)
    head = _request("POST", "/", f"Content-Length: {len(body)}")
    assert _refused(_talk(gateway, head, body)) == (413, "InvalidRequest")


def _chunks(size: int) -> Iterator[bytes]:
    piece = b"x" * 65536
    for _ in range(size // len(piece)):
        yield b"10000\r\n" + piece + b"\r\n"
    yield b"0\r\n\r\n"


def test_a_body_without_a_length_costs_no_more_than_the_limit(gateway: Gateway) -> None:
    head = _request("POST", "/", "Transfer-Encoding: chunked")
    _talk(gateway, head, *_chunks(2 * LIMIT))
    before = _resident(gateway)
    for _ in range(3):
        answer = _talk(gateway, head, *_chunks(64 * LIMIT))
        assert answer == b"" or _refused(answer) == (413, "InvalidRequest")
    assert _resident(gateway) - before < 24 * LIMIT


def test_a_small_body_without_a_length_is_read(gateway: Gateway) -> None:
    head = _request("POST", "/", "Transfer-Encoding: chunked")
    answer = _talk(gateway, head, b"8\r\nAction=%\r\n0\r\n\r\n")
    assert _refused(answer) == (400, "MalformedQueryString")


def test_headers_without_end_are_cut_off(gateway: Gateway) -> None:
    lines = [f"X-Filler-{number}: {'x' * 1000}\r\n".encode() for number in range(2000)]
    answer = _talk(gateway, b"GET / HTTP/1.1\r\nHost: x\r\n", *lines)
    assert b"200 OK" not in answer
    assert _refused(_talk(gateway, _request("GET"))) == (400, "MissingParameter")


def _resident(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.pids['api']}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
