"""Fetches a disk by HTTP or HTTPS, from where the operator lets disks come from, and nowhere else.

A name is resolved once, every address that it has is judged, and the connection goes to the very
address that was judged; each redirect is judged as the first request was. No proxy, no cookie, no
credential, no encoding takes part. How long, how slow and how large it may be is bounded.

Addresses: link-local (169.254.169.254 among them), multicast, unspecified and reserved ones are
never gone to. Private ones are, when the host stands in a configured prefix, or in the URL that an
operator gave by hand: who configures an image server inside means it. Loopback alone is, when it is
written there itself.

Source: RFC 9110, RFC 9112, RFC 3986; IANA's special-purpose address registries; OWASP, "Server Side
Request Forgery Prevention".
"""

from __future__ import annotations

import contextlib
import errno
import http.client
import ipaddress
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

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
_PORTS: Final = {"http": 80, "https": 443}
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PLAIN: Final = re.compile(r"[!-~]{1,4096}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")
_SAID: Final = {
    401: "it wants a password",
    403: "it refuses",
    404: "there is nothing",
    410: "there is nothing any more",
}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Tick = Callable[[int, int | None], None]
"""Told the bytes that came, and how many there will be; what it raises ends the fetch."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in the one form in which two can be compared."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> str:
        """What may be shown and logged: a query may hold a signature."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        odd = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{odd}"

    @property
    def target(self) -> str:
        return self.path + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Rules:
    """Where disks may come from.

    With `prefixes` nothing else is gone to. Without, `named` was given by the operator by hand.
    """

    prefixes: tuple[Url, ...] = ()
    named: Url | None = None

    def judge(self, url: Url) -> None:
        """:raises Refused: for what nobody has allowed"""
        if self.named is None and not any(_begins(url, one) for one in self.prefixes):
            raise Refused(f"{url.origin} with this path is not where disks may come from")
        if self.named is not None and (self.named.scheme, url.scheme) == ("https", "http"):
            raise Refused("it redirects from https to http")

    def means(self, url: Url) -> bool:
        """Tell whether the operator has named this host."""
        named = (*self.prefixes, *([self.named] if self.named else []))
        return any(one.host == url.host for one in named)


@dataclass(frozen=True, slots=True)
class Limits:
    largest_bytes: int
    spare_bytes: int
    """What is left free on the disk that it comes to."""


def parse(text: str) -> Url:
    """Take a URL apart.

    :raises Refused: for one that two programs might read differently
    """
    if not _PLAIN.fullmatch(text) or "\\" in text:
        raise Refused("the URL holds characters that none has")
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").lower().rstrip(".")
    except ValueError:
        raise Refused("this is no URL") from None
    if parts.scheme not in _PORTS:
        raise Refused("disks come by http and https alone")
    if "@" in parts.netloc:
        raise Refused("the URL holds a user's name or password")
    if not _HOST.fullmatch(host):
        raise Refused("the URL has no host")
    path = parts.path or "/"
    if any(segment in (".", "..") for segment in re.split(r"[/\\]", _decoded(path))):
        raise Refused("the URL's path leads upwards")
    return Url(parts.scheme, host, port or _PORTS[parts.scheme], path, parts.query)


def rules_of(prefixes: Sequence[str]) -> Rules:
    """Make the rules of the configured prefixes.

    :raises Refused: when there are none
    """
    if not prefixes:
        raise Refused("no place is configured that disks may come from")
    return Rules(tuple(parse(one) for one in prefixes))


def rules_by_hand(url: str) -> Rules:
    """Make the rules of what an operator asks for by hand."""
    return Rules(named=parse(url))


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
    here = parse(url)
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


def addresses(url: Url, rules: Rules) -> list[Address]:
    """Resolve a host, once.

    :raises Refused: when any address of it is one that nobody may be sent to
    """
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Refused(f"{url.origin}: no address is known of it") from None
    unique = dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found)
    parsed = [ipaddress.ip_address(one) for one in unique]
    for one in parsed:
        if not _may_go(one, url, rules):
            raise Refused(f"{url.origin}: its address is not one that disks may come from")
    return parsed


def _may_go(address: Address, url: Url, rules: Rules) -> bool:
    inner = _inner(address)
    if inner is not None:
        return _may_go(inner, url, rules)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.is_loopback:
        literal = url.host in ("localhost", str(address))
        return literal and rules.means(url)
    if address.version == 4 and (address in _NEVER or address.is_reserved):
        return False
    return address.is_global or rules.means(url)


_NEVER: Final = ipaddress.IPv4Network("0.0.0.0/8")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def _inner(address: Address) -> Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour


def _begins(url: Url, prefix: Url) -> bool:
    same = (url.scheme, url.host, url.port) == (prefix.scheme, prefix.host, prefix.port)
    if not same:
        return False
    return url.path == prefix.path or url.path.startswith(prefix.path.rstrip("/") + "/")


def _decoded(path: str) -> str:
    """Undo encodings until there is none left: a server may do so more than once."""
    for _ in range(5):
        plain = unquote(path)
        if plain == path:
            return plain
        path = plain
    raise Refused("the URL's path is encoded over and over")


def _elsewhere(here: Url, answer: http.client.HTTPResponse) -> Url:
    told = answer.getheader("Location")
    if not told:
        raise Refused(f"{here.origin}: it redirects to nowhere")
    try:
        return parse(urljoin(here.origin + here.target, told).partition("#")[0])
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
        plain = stack.enter_context(_connected(url, addresses(url, rules)))
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
    connection.default_port = _PORTS[url.scheme]
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
