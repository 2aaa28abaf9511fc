"""Which URLs and which addresses disks may be fetched from; judges, and connects to nothing.

Addresses: link-local (169.254.169.254 among them), multicast, unspecified and reserved ones are
never gone to. Private ones are, when the host stands in a configured prefix, or in the URL that an
operator gave by hand: who configures an image server inside means it. Loopback alone is, when it is
written there itself.

Source: RFC 3986; IANA's special-purpose address registries; OWASP, "Server Side Request Forgery
Prevention".
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from ec2gw.intake.refusals import Refused

PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = re.compile(r"[!-~]{1,4096}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+")
_NEVER: Final = ipaddress.IPv4Network("0.0.0.0/8")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


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
        odd = "" if self.port == PORTS[self.scheme] else f":{self.port}"
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
    if parts.scheme not in PORTS:
        raise Refused("disks come by http and https alone")
    if "@" in parts.netloc:
        raise Refused("the URL holds a user's name or password")
    if not _HOST.fullmatch(host):
        raise Refused("the URL has no host")
    path = parts.path or "/"
    if any(segment in (".", "..") for segment in re.split(r"[/\\]", _decoded(path))):
        raise Refused("the URL's path leads upwards")
    return Url(parts.scheme, host, port or PORTS[parts.scheme], path, parts.query)


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
