"""Open mode's only guard: a request has to come from a program on this machine.

A page in a browser can reach loopback too, by itself or by a name that points here (DNS
rebinding); what browsers say of themselves gives it away.

Source: RFC 6454 (Origin); W3C, "Fetch Metadata Request Headers"; RFC 9110, section 7.2 (Host).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from ec2gw.auth.request import Request

_BROWSERS: Final = (
    "origin",
    "referer",
    "sec-fetch-site",
    "sec-fetch-mode",
    "access-control-request-method",
)


def trusted(request: Request) -> bool:
    """Tell whether no page and no foreign name brought the request here."""
    if any(name in request.headers for name in _BROWSERS):
        return False
    return is_loopback(host_of(request.headers.get("host", "")))


def host_of(authority: str) -> str:
    """Take the port off.

    >>> host_of("localhost:8773"), host_of("[::1]:8773"), host_of("127.0.0.1")
    ('localhost', '::1', '127.0.0.1')
    """
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
