"""The rules of 169.254.169.254: from a request to a reply. No socket is seen here.

Source: EC2 User Guide, "Use the Instance Metadata Service to access instance metadata", "Configure
the Instance Metadata Service options"; docs/guests.md, "Metadata service".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from ec2gw.metadata import forwarder, tokens
from ec2gw.metadata.callers import Asked, Caller, Callers, Unsure
from ec2gw.metadata.passwords import Passwords
from ec2gw.metadata.throttle import Throttle
from translators.guests import openstack, tree

_TOKEN: Final = b"x-aws-ec2-metadata-token"
_TTL: Final = b"x-aws-ec2-metadata-token-ttl-seconds"
_THROUGH: Final = b"x-forwarded-for"
_TOKEN_PATH: Final = ("latest", "api", "token")
_PASSWORD_PATH: Final = ("openstack", openstack.VERSIONS[0], openstack.PASSWORD)
_VERSIONS: Final = frozenset(tree.VERSIONS)
_LONGEST_SHOWN: Final = 200

_log = logging.getLogger("ec2gw.metadata")


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case."""
    body: bytes
    remote: str

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes = b""
    content_type: str = tree.TEXT
    headers: tuple[tuple[str, str], ...] = ()
    hop_limit: int | None = None
    """How many hops its packets may take; None: as many as any."""
    forwarded: bool = False
    """Asked for by a forwarder that proved to be one."""


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers


def page(status: int, *headers: tuple[str, str]) -> Reply:
    """Say a refusal as EC2 does."""
    title = f"{status} - {HTTPStatus(status).phrase}"
    return Reply(status, _PAGE.format(title=title).encode(), "text/html", headers)


class Door:
    """`pool` runs what asks or changes the database; everything else is done in the loop."""

    def __init__(
        self,
        callers: Callers,
        passwords: Passwords,
        *,
        token_key: bytes,
        forwarder_key: bytes | None,
        pool: Executor,
        throttle: Throttle,
        clock: Callable[[], float] = time.time,
        routers: int = 0,
    ) -> None:
        self._callers = callers
        self._passwords = passwords
        self._token_key = token_key
        self._forwarder_key = forwarder_key
        self._pool = pool
        self._throttle = throttle
        self._clock = clock
        self._routers = routers

    async def answer(self, request: Request) -> Reply:
        caller: Caller | None = None
        forwarded = False
        try:
            word = self._word(request)
            forwarded = word is not None
            asked = Asked(word.address, word.network) if word else Asked(request.remote)
            known = self._callers.known(asked)
            caller = known[0] if known else None
            self._check_pace(asked, caller)
            if known is None:
                loop = asyncio.get_running_loop()
                try:
                    caller = await loop.run_in_executor(self._pool, self._callers.look, asked)
                except Unsure:
                    raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE) from None
            if caller is None:
                raise _Refused(HTTPStatus.NOT_FOUND)
            reply = await self._admitted(request, caller)
        except _Refused as refused:
            reply = page(refused.status, *refused.headers)
        if forwarded:
            reply = _for_forwarder(reply)
        if _log.isEnabledFor(logging.DEBUG):
            shown = request.target[:_LONGEST_SHOWN].decode("ascii", "backslashreplace")
            fields = {"remote": request.remote, "method": request.method, "path": shown}
            who = {"instance": caller.id} if caller else {}
            _log.debug("metadata-request", extra={**who, **fields, "status": reply.status})
        return reply

    def _check_pace(self, asked: Asked, caller: Caller | None) -> None:
        """Refuse who asks too often, before the database is asked who it is."""
        now = time.monotonic()
        if self._throttle.admits(asked, now):
            return
        if self._throttle.is_to_be_told(asked, now):
            who = {"instance": caller.id} if caller else {}
            _log.warning("metadata-throttled", extra={**who, "address": asked.address})
        raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE)

    def _word(self, request: Request) -> forwarder.Word | None:
        """Answer what a forwarder says; without a key nobody is one."""
        said = request.all(forwarder.FORWARDED)
        if self._forwarder_key is None or not said:
            return None
        signatures = request.all(forwarder.SIGNATURE)
        try:
            if len(said) != 1 or len(signatures) != 1:
                raise forwarder.Refused("said or signed more than once, or not signed")
            return forwarder.word(self._forwarder_key, said[0], signatures[0], self._clock())
        except forwarder.Refused as error:
            fields = {"remote": request.remote, "why": str(error)}
            who, now = f"forwarder {request.remote}", time.monotonic()
            self._throttle.admits(who, now)  # so that it is known
            if self._throttle.is_to_be_told(who, now):
                _log.warning("metadata-forwarder-refused", extra=fields)
            raise _Refused(HTTPStatus.FORBIDDEN) from None

    async def _admitted(self, request: Request, caller: Caller) -> Reply:
        if not caller.served or caller.options["HttpEndpoint"] != "enabled":
            raise _Refused(HTTPStatus.FORBIDDEN)
        path = segments(request.target)
        if path == _TOKEN_PATH:
            _allow(request, "PUT")
            return self._token(request, caller)
        if path == _PASSWORD_PATH:
            _allow(request, "GET", "HEAD", "POST")
        else:
            _allow(request, "GET", "HEAD")
        self._check_token(request, caller)
        if request.method == "POST":
            return await self._password(request, caller)
        found = None if path is None else _answer(caller, path)
        if found is None:
            raise _Refused(HTTPStatus.NOT_FOUND)
        return Reply(200, found.body, found.content_type)

    def _token(self, request: Request, caller: Caller) -> Reply:
        if request.all(_THROUGH):
            raise _Refused(HTTPStatus.FORBIDDEN)  # a proxy that anybody may send through
        asked = request.all(_TTL)
        if len(asked) != 1 or not asked[0].isdigit() or len(asked[0]) > 5:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        seconds = int(asked[0])
        if not 1 <= seconds <= tokens.LONGEST_SECONDS:
            raise _Refused(HTTPStatus.BAD_REQUEST)
        token = tokens.make(self._token_key, caller.id, self._clock() + seconds)
        hops = int(caller.options["HttpPutResponseHopLimit"]) + self._routers
        echoed = ("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", str(seconds))
        return Reply(200, token.encode(), headers=(echoed,), hop_limit=min(hops, 255))

    def _check_token(self, request: Request, caller: Caller) -> None:
        shown = request.all(_TOKEN)
        if not shown and caller.options["HttpTokens"] != "required":
            return
        now = self._clock()
        if len(shown) != 1 or not tokens.is_good(self._token_key, caller.id, shown[0], now):
            raise _Refused(HTTPStatus.UNAUTHORIZED)

    async def _password(self, request: Request, caller: Caller) -> Reply:
        loop = asyncio.get_running_loop()
        status = await loop.run_in_executor(
            self._pool, self._passwords.keep, caller.key, caller.public_key, request.body
        )
        if status != HTTPStatus.OK:
            raise _Refused(status)
        self._callers.changed(object())  # who posted it looks at once whether it is there
        _log.info("metadata-password-kept", extra={"instance": caller.id})
        return Reply(200)


def segments(target: bytes) -> tuple[str, ...] | None:
    """Split a request's target into the segments of its path; None: no path of ours.

    Slashes count once, wherever they are. A segment is decoded after it was split off, so that
    what is encoded is never a slash, and nothing means "here" or "above".
    """
    if target[:7].lower() == b"http://":  # as to a proxy; every server has to take it
        target = b"/" + target[7:].partition(b"/")[2]
    if not target.startswith(b"/"):
        return None
    parts = [unquote_to_bytes(part) for part in target.partition(b"?")[0].split(b"/") if part]
    if any(b"/" in part or not part.isascii() for part in parts):
        return None
    return tuple(part.decode("ascii") for part in parts)


def _answer(caller: Caller, path: tuple[str, ...]) -> tree.Answer | None:
    if not path:
        return tree.Answer("\n".join(tree.VERSIONS).encode())
    first, rest = path[0], path[1:]
    if first in _VERSIONS:
        return caller.ec2.get("/".join(rest))
    if first != "openstack":
        return None
    if not rest:
        return tree.Answer("\n".join(openstack.VERSIONS).encode())
    return caller.openstack.get("/".join(rest[1:])) if rest[0] in openstack.VERSIONS else None


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", ", ".join(methods)))


def _for_forwarder(reply: Reply) -> Reply:
    """Tell a forwarder what its own reply's packets may do: ours go to it and no further."""
    if reply.hop_limit is None:
        return replace(reply, forwarded=True)
    told = ("X-Ec2gw-Hop-Limit", str(reply.hop_limit))
    return replace(reply, headers=(*reply.headers, told), hop_limit=None, forwarded=True)


_PAGE: Final = """<?xml version="1.0" encoding="iso-8859-1"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN"
\t"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">
 <head>
  <title>{title}</title>
 </head>
 <body>
  <h1>{title}</h1>
 </body>
</html>
"""
