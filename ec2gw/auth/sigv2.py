"""Verifies AWS Signature Version 2, whose parts are all parameters of the query or the form.

A request is first read for what it claims (`claim`), then checked against the key's secret
(`check`). Knows no account and does no I/O. HmacSHA256 alone: the other method that AWS knew,
HmacSHA1, is refused. Nothing is remembered of a request: until it expires it may be sent again, as
with AWS.

Source: AWS General Reference, "Signature Version 2 signing process"; EC2 API Reference, "Common
query parameters", "Common errors" (RequestExpired); RFC 3986, section 2.3.
"""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ec2gw.auth import refusals
from ec2gw.auth.request import Request

SKEW: Final = dt.timedelta(minutes=15)
METHOD: Final = "HmacSHA256"
_VERSION: Final = "2"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{1,128}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_PORT: Final = re.compile(r":[0-9]*\Z")
_PARAMETERS: Final = frozenset(
    {
        "AWSAccessKeyId",
        "Expires",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "Timestamp",
    }
)
"""No operation of EC2, STS or IAM has a parameter of its own by one of these names."""

Form = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from, and how it says that this can be checked."""

    key_id: str
    time: dt.datetime
    """When it was signed, or when it expires."""
    expires: bool
    signature: str
    session_token: bool


def claim(service: str, form: Form) -> Claim | None:
    """Read what the request claims; None when it does not say whose key it was signed with.

    :raises Ec2Error: ``MissingParameter``, ``IncompleteSignature``, ``InvalidParameterValue``,
        ``InvalidParameterCombination``
    """
    said: dict[str, str] = {}
    for name, value in form:
        if name in _PARAMETERS:
            if name in said:
                raise refusals.incomplete(f"{name} comes twice.")
            said[name] = value
    if "AWSAccessKeyId" not in said:
        return None
    for name in ("Signature", "SignatureVersion", "SignatureMethod"):
        if name not in said:
            raise refusals.lacks(service, name)
    for name, only in (("SignatureVersion", _VERSION), ("SignatureMethod", METHOD)):
        if said[name] != only:
            raise refusals.other_than(name, only)
    if not _KEY_ID.fullmatch(said["AWSAccessKeyId"]):
        raise refusals.unknown_key(service)
    if "Timestamp" in said and "Expires" in said:
        raise refusals.exclusive("Timestamp", "Expires")
    expires = "Expires" in said
    name = "Expires" if expires else "Timestamp"
    if name not in said:
        raise refusals.lacks(service, name)
    return Claim(
        said["AWSAccessKeyId"],
        _time(said[name], name),
        expires,
        said["Signature"],
        "SecurityToken" in said,
    )


def check(
    service: str, request: Request, form: Form, claimed: Claim, secret: str, now: dt.datetime
) -> None:
    """Return if the holder of the secret signed this very request, and in time.

    What a request expires at is padded as its time of signing is: by fifteen minutes.

    :raises Ec2Error: ``AuthFailure``, ``SignatureDoesNotMatch``, ``RequestExpired``
    """
    if claimed.time < now - SKEW:
        raise refusals.expired(service, claimed.time, claimed.time, now)
    if not claimed.expires and claimed.time > now + SKEW:
        raise refusals.not_yet(service, claimed.time, now)
    host = request.headers.get("host", "").lower()
    parameters = "&".join(
        # Code points sort as their UTF-8 bytes do.
        f"{_quote(name)}={_quote(value)}"
        for name, value in sorted(form)
        if name != "Signature"
    )
    # boto 2 and others of its age leave the port out of what they sign, but not out of the header.
    for signed in dict.fromkeys((host, _PORT.sub("", host))):
        text = f"{request.method}\n{signed}\n{request.path}\n{parameters}"
        digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256")
        if hmac.compare_digest(base64.b64encode(digest), claimed.signature.encode()):
            return
    raise refusals.wrong_signature(service)


def without_signature(form: Form) -> list[tuple[str, str]]:
    """Answer what remains for the action once the signature's own parameters are taken out."""
    return [pair for pair in form if pair[0] not in _PARAMETERS]


def _time(text: str, name: str) -> dt.datetime:
    """Read ISO 8601; without a zone it is UTC."""
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        read = dt.datetime.fromisoformat(text)
        return read.replace(tzinfo=read.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise refusals.other_than(name, "a time such as 2026-01-02T03:04:05Z") from None


def _quote(text: str) -> str:
    return quote(text, safe="-_.~")
