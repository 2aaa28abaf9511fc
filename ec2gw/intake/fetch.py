"""Fetches a disk by HTTP or HTTPS, from where the operator lets disks come from, and nowhere else.

A name is resolved once, every address that it has is judged, and the connection goes to the very
address that was judged; each redirect is judged as the first request was. No proxy, no cookie, no
credential, no encoding takes part. How long, how slow and how large it may be is bounded. Where one
may go, `allowed` judges.

Source: RFC 9110, RFC 9112; OWASP, "Server Side Request Forgery Prevention".
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urljoin

from ec2gw.intake import allowed
from ec2gw.intake.allowed import Address, Rules, Url
from ec2gw.intake.refusals import NoRoom, Refused

MOST_REDIRECTS: Final = 5
CONNECT_SECONDS: Final = 15.0
IDLE_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0
"""From the request to the end of the headers."""
SLOWEST_BYTES_PER_SECOND: Final = 16 * 1024
"""On the average of a minute; who is slower keeps others from their turn."""
LONGEST_SECONDS: Final = 24 * 3600.0

_TICK_SECONDS: Final = 0.5
_PIECE_BYTES: Final = 256 * 1024
_ROOM_EVERY_BYTES: Final = 32 * 1024**2
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_SAID: Final = {
    401: "it wants a password",
    403: "it refuses",
    404: "there is nothing",
    410: "there is nothing any more",
}

Tick = Callable[[int, int | None], None]
"""Told the bytes that came, and how many there will be; what it raises ends the fetch."""


@dataclass(frozen=True, slots=True)
class Limits:
    largest_bytes: int
    spare_bytes: int
    """What is left free on the disk that it comes to."""


def fetch(
    url: str,
    target: Path,
    rules: Rules,
    limits: Limits,
    tick: Tick,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Bring what lies there into a new file; answers its length.

    :raises Refused: in a sentence that holds no secret
    :raises NoRoom:
    """
    here = allowed.parse(url)
    context = tls or ssl.create_default_context()
    for _ in range(MOST_REDIRECTS + 1):
        rules.judge(here)
        with _asked(here, rules, context, tick) as (answer, guard):
            if answer.status in _REDIRECTS:
                here = _elsewhere(here, answer)
                continue
            if answer.status != http.client.OK:
                why = _SAID.get(answer.status, f"it answers with {answer.status}")
                raise Refused(f"{here.origin}: {why}")
            return _take(answer, target, limits, guard, here)
    raise Refused(f"{here.origin}: it redirects more than {MOST_REDIRECTS} times")


def _elsewhere(here: Url, answer: http.client.HTTPResponse) -> Url:
    told = answer.getheader("Location")
    if not told:
        raise Refused(f"{here.origin}: it redirects to nowhere")
    try:
        return allowed.parse(urljoin(here.origin + here.target, told).partition("#")[0])
    except Refused as error:
        raise Refused(f"{here.origin}: it redirects, and {error}") from None


class _Guard:
    """Cuts a connection off from another thread: whoever reads may wait for ever."""

    def __init__(self, connection: socket.socket, tick: Tick) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        self._tick = tick
        self._ended = threading.Event()
        self.came = 0
        self.total: int | None = None
        self.reason: BaseException | None = None
        self._answer_by: float | None = time.monotonic() + ANSWER_SECONDS
        self._thread = threading.Thread(target=self._watch, name="fetch-guard", daemon=True)
        self._thread.start()

    def answered(self) -> None:
        self._answer_by = None

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _watch(self) -> None:
        began = time.monotonic()
        marked, at = 0, began
        while not self._ended.wait(_TICK_SECONDS):
            now = time.monotonic()
            try:
                self._tick(self.came, self.total)
                if now - began > LONGEST_SECONDS:
                    raise Refused("it takes longer than a day")
                if self._answer_by is not None:
                    if now > self._answer_by:
                        raise Refused("it does not answer")
                    marked, at = self.came, now
                elif now - at >= IDLE_SECONDS:
                    if self.came - marked < SLOWEST_BYTES_PER_SECOND * (now - at):
                        raise Refused("it is too slow")
                    marked, at = self.came, now
            except BaseException as error:  # the thread's boundary: whoever reads raises it
                self.reason = error
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return


@contextlib.contextmanager
def _asked(
    url: Url, rules: Rules, tls: ssl.SSLContext, tick: Tick
) -> Iterator[tuple[http.client.HTTPResponse, _Guard]]:
    """Ask for it; what breaks from here on is told as a refusal, or as the tick told it."""
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(_connected(url, allowed.addresses(url, rules)))
        guard = _Guard(plain, tick)
        stack.callback(guard.end)
        try:
            yield stack.enter_context(_answer(url, plain, tls)), guard
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"{url.origin}: its certificate: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            if guard.reason is not None:
                raise _told(guard.reason, url) from None
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoRoom("the gateway's disk is full: the disk does not fit there") from None
            raise Refused(f"{url.origin}: the connection broke ({type(error).__name__})") from None


def _told(reason: BaseException, url: Url) -> BaseException:
    return Refused(f"{url.origin}: {reason}") if type(reason) is Refused else reason


def _connected(url: Url, places: Sequence[Address]) -> socket.socket:
    for place in places:
        with contextlib.suppress(OSError):
            made = socket.create_connection((str(place), url.port), CONNECT_SECONDS)
            made.settimeout(IDLE_SECONDS)
            return made
    raise Refused(f"{url.origin}: nobody answers there")


@contextlib.contextmanager
def _answer(
    url: Url, plain: socket.socket, tls: ssl.SSLContext
) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(url.host, url.port)
    connection.auto_open = 0  # it would resolve the name once more
    connection.default_port = allowed.PORTS[url.scheme]
    if url.scheme == "https":
        connection.sock = tls.wrap_socket(plain, server_hostname=url.host)
    else:
        connection.sock = plain
    try:
        connection.request(
            "GET", url.target, headers={"User-Agent": "ec2gw", "Accept-Encoding": "identity"}
        )
        with contextlib.closing(connection.getresponse()) as answer:
            yield answer
    finally:
        connection.close()


def _take(
    answer: http.client.HTTPResponse, target: Path, limits: Limits, guard: _Guard, url: Url
) -> int:
    guard.answered()
    if answer.getheader("Content-Encoding", "identity").lower() != "identity":
        raise Refused(f"{url.origin}: it sends the disk encoded")
    guard.total = total = answer.length
    if total is not None and total > limits.largest_bytes:
        raise Refused("the file is larger than any disk that is taken")
    _check_room(target.parent, limits, total or 0)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    looked = 0
    with os.fdopen(os.open(target, flags, 0o600), "wb") as file:
        while piece := answer.read1(_PIECE_BYTES):
            file.write(piece)
            guard.came += len(piece)
            if guard.came > limits.largest_bytes:
                raise Refused("the file is larger than any disk that is taken")
            if guard.came - looked >= _ROOM_EVERY_BYTES:
                looked = guard.came
                _check_room(target.parent, limits, 0)
    if guard.reason is not None:
        raise _told(guard.reason, url)
    if total is not None and guard.came != total:
        raise Refused(f"{url.origin}: it broke off after {guard.came} of {total} bytes")
    return guard.came


def _check_room(folder: Path, limits: Limits, wanted: int) -> None:
    disk = os.statvfs(folder)
    if disk.f_bavail * disk.f_frsize - wanted < limits.spare_bytes:
        raise NoRoom("the gateway's disk is full: the disk does not fit there")
