"""Verifies AWS Signature Version 4, in the Authorization header or in a presigned query.

A request is first read for what it claims (`claim`), then checked against the key's secret
(`Verifier.check`). Knows no account and does no I/O. The body's hash is part of every check.

Source: IAM User Guide, "Create a signed AWS API request", "Authenticating requests: using query
parameters"; RFC 3986, section 2.3 (unreserved characters).
"""

from __future__ import annotations

import datetime as dt
import email.utils
import hashlib
import hmac
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote_plus

from ec2gw.auth import refusals
from ec2gw.auth.request import Request

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SKEW: Final = dt.timedelta(minutes=15)
MAX_EXPIRES_SECONDS: Final = 604_800
_TERMINATOR: Final = "aws4_request"
_BASIC_TIME: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_DAY: Final = re.compile(r"[0-9]{8}")
_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_SCOPE_WORD: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{1,128}")
_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_HEADER_PART: Final = re.compile(r"([A-Za-z]+)=([^,\s]+)")
_MAX_SIGNED_HEADERS: Final = 64
_KEPT_KEYS: Final = 1024
_QUERY: Final = {
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
}


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a request says it is from, and how it says that this can be checked."""

    key_id: str
    day: str
    region: str
    service: str
    time: dt.datetime
    stamp: str
    """The time as it is signed."""
    expires_seconds: int | None
    """Of a presigned request; None for one signed in its header."""
    signed_headers: tuple[str, ...]
    signature: str
    session_token: bool

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/{_TERMINATOR}"


def claim(request: Request) -> Claim | None:
    """Read what the request claims; None when it is not signed in this way at all.

    :raises Ec2Error: ``IncompleteSignature``, ``AuthFailure``, ``SignatureDoesNotMatch``
    """
    header = request.headers.get("authorization", "")
    query = _presigned(request.query) if "X-Amz-" in request.query else {}
    if header.startswith(ALGORITHM):
        if query:
            raise refusals.incomplete("Only one way of signing may be used in a request.")
        return _from_header(request, header)
    if query:
        return _from_query(request, query)
    return None


class Verifier:
    """Checks claims. Keeps the keys it derived, so that most checks cost one HMAC. Thread-safe."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, request: Request, claimed: Claim, secret: str, now: dt.datetime) -> None:
        """Return if the holder of the secret signed this very request, and in time.

        :raises Ec2Error: ``AuthFailure``, ``SignatureDoesNotMatch``, ``RequestExpired``
        """
        _check_time(claimed, now)
        digest = hashlib.sha256(request.body or b"").hexdigest()
        said = request.headers.get("x-amz-content-sha256")
        if said is not None and not hmac.compare_digest(said.encode(), digest.encode()):
            if _SIGNATURE.fullmatch(said):
                raise refusals.wrong_signature(claimed.service)
            raise refusals.unsigned_payload(claimed.service)  # UNSIGNED-PAYLOAD, STREAMING-...
        name = (claimed.key_id, claimed.day, claimed.region, claimed.service)
        with self._lock:
            key = self._kept.get(name)
        fresh = key is None
        if key is None:
            key = _signing_key(secret, claimed)
        if not _matches(request, claimed, digest, key):
            raise refusals.wrong_signature(claimed.service)
        if fresh:  # only now, lest strangers push out what is in use
            with self._lock:
                self._kept[name] = key
                while len(self._kept) > _KEPT_KEYS:
                    self._kept.popitem(last=False)


def _matches(request: Request, claimed: Claim, digest: str, key: bytes) -> bool:
    """Compare with the query as it means, then as it was written.

    Signers differ in what they do to a query that was not in the one form (a plus for a blank,
    escapes in lower case): some sign what they send. Either text stands for one request alone.
    """
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n"
        for name in claimed.signed_headers
    )
    signed = ";".join(claimed.signed_headers)
    for query in dict.fromkeys((_canonical_query(request.query), _sorted_query(request.query))):
        canonical = f"{request.method}\n/\n{query}\n{headers}\n{signed}\n{digest}"
        hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        to_sign = f"{ALGORITHM}\n{claimed.stamp}\n{claimed.scope}\n{hashed}"
        made = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if hmac.compare_digest(made, claimed.signature):
            return True
    return False


def _signing_key(secret: str, claimed: Claim) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (claimed.day, claimed.region, claimed.service, _TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _check_time(claimed: Claim, now: dt.datetime) -> None:
    if claimed.time > now + SKEW:
        raise refusals.not_yet(claimed.service, claimed.time, now)
    if claimed.expires_seconds is not None:
        ended = claimed.time + dt.timedelta(seconds=claimed.expires_seconds)
        if ended < now:
            raise refusals.expired(claimed.service, claimed.time, ended, now)
    elif claimed.time < now - SKEW:
        raise refusals.expired(claimed.service, claimed.time, claimed.time, now)


# -- reading the claim


def _from_header(request: Request, header: str) -> Claim:
    parts: dict[str, str] = {}
    for part in header[len(ALGORITHM) :].split(","):
        found = _HEADER_PART.fullmatch(part.strip())
        if found is None or found[1] in parts:
            raise refusals.incomplete(
                "A part of the Authorization header is no key=value pair, or comes twice."
            )
        parts[found[1]] = found[2]
    lacking = [name for name in ("Credential", "Signature", "SignedHeaders") if name not in parts]
    if lacking:
        raise refusals.incomplete(
            " ".join(f"Authorization header requires '{name}' parameter." for name in lacking)
        )
    time = request.headers.get("x-amz-date") or request.headers.get("date")
    if time is None:
        raise refusals.incomplete(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    return _claim(
        parts["Credential"],
        _time(time),
        None,
        parts["SignedHeaders"],
        parts["Signature"],
        "x-amz-security-token" in request.headers,
    )


def _from_query(request: Request, query: dict[str, str]) -> Claim:
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        raise refusals.incomplete(f"X-Amz-Algorithm has to be {ALGORITHM}.")
    lacking = sorted(_QUERY - set(query))
    if lacking:
        raise refusals.incomplete(
            f"AWS query-string parameters must include '{lacking[0]}'. Re-examine the query-string "
            "parameters."
        )
    expires = query["X-Amz-Expires"]
    if not re.fullmatch(r"[0-9]{1,6}", expires) or not 0 < int(expires) <= MAX_EXPIRES_SECONDS:
        raise refusals.incomplete(
            "X-Amz-Expires must be a number of seconds between 1 and a week, that is "
            f"{MAX_EXPIRES_SECONDS}."
        )
    return _claim(
        query["X-Amz-Credential"],
        _time(query["X-Amz-Date"]),
        int(expires),
        query["X-Amz-SignedHeaders"],
        query["X-Amz-Signature"],
        "X-Amz-Security-Token" in query or "x-amz-security-token" in request.headers,
    )


def _claim(
    credential: str,
    time: dt.datetime,
    expires_seconds: int | None,
    signed_headers: str,
    signature: str,
    session_token: bool,
) -> Claim:
    words = credential.split("/")
    if len(words) != 5 or not _KEY_ID.fullmatch(words[0]):
        raise refusals.incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term."
        )
    key_id, day, region, service, terminator = words
    if not all(_SCOPE_WORD.fullmatch(word) for word in (region, service)):
        raise refusals.incomplete("Credential names no region or no service.")
    if terminator != _TERMINATOR:
        raise refusals.wrong_scope(service, f"with a valid terminator: '{_TERMINATOR}'")
    stamp = refusals.basic(time)
    if not _DAY.fullmatch(day) or day != stamp[:8]:
        raise refusals.wrong_day(service, day[:8], stamp)
    headers = tuple(signed_headers.split(";"))
    if (
        len(headers) > _MAX_SIGNED_HEADERS
        or len(set(headers)) != len(headers)
        or not all(_HEADER.fullmatch(name) for name in headers)
    ):
        raise refusals.incomplete("SignedHeaders is no list of header names in lower case.")
    if "host" not in headers:
        raise refusals.incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    if not _SIGNATURE.fullmatch(signature):
        raise refusals.incomplete("Signature is not 64 hexadecimal digits in lower case.")
    return Claim(
        key_id,
        day,
        region,
        service,
        time,
        stamp,
        expires_seconds,
        headers,
        signature,
        session_token,
    )


def _time(text: str) -> dt.datetime:
    try:
        if found := _BASIC_TIME.fullmatch(text):
            # strptime takes ten times as long
            year, month, day, hour, minute, second = map(int, found.groups())
            return dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
        parsed = email.utils.parsedate_to_datetime(text)
        return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise refusals.incomplete(
            "Date must be in ISO-8601 'basic format', such as 20260102T030405Z."
        ) from None


# -- the query


def _presigned(query: str) -> dict[str, str]:
    """Answer the parameters of a presigned request, if there are any; each may come once."""
    found: dict[str, str] = {}
    for name, value in _pairs(query):
        if name in _QUERY or name == "X-Amz-Security-Token":
            if name in found:
                raise refusals.incomplete(f"{name} comes twice.")
            found[name] = value
    return found


def without_signature(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Answer what remains for the action once the signature's own parameters are taken out."""
    return [pair for pair in pairs if pair[0] not in _QUERY and pair[0] != "X-Amz-Security-Token"]


def _pairs(query: str) -> list[tuple[str, str]]:
    pairs = []
    for parameter in query.split("&"):
        if parameter:
            name, _, value = parameter.partition("=")
            pairs.append((_unquote(name), _unquote(value)))
    return pairs


def _canonical_query(query: str) -> str:
    encoded = sorted(
        (_quote(name), _quote(value)) for name, value in _pairs(query) if name != "X-Amz-Signature"
    )
    return "&".join(f"{name}={value}" for name, value in encoded)


def _sorted_query(query: str) -> str:
    split = (parameter.partition("=") for parameter in query.split("&") if parameter)
    kept = sorted((name, value) for name, _, value in split if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in kept)


def _unquote(text: str) -> str:
    return unquote_plus(text, errors="surrogateescape") if "%" in text or "+" in text else text


def _quote(text: str) -> str:
    return quote(text, safe="-_.~", errors="surrogateescape")
