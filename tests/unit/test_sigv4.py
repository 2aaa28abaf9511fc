"""Signatures: what real signers make is verified, whatever was changed afterwards is not."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ec2gw.auth import sigv4
from ec2gw.auth.request import Request
from translators.errors import Ec2Error

KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
HOST = "127.0.0.1:8773"


def _received(prepared: Any, body: bytes) -> Request:
    """Make of botocore's request what a server would see of it."""
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value)
        for name, value in prepared.headers.items()
    }
    headers["host"] = HOST
    parts = urlsplit(prepared.url)
    return Request(prepared.method, parts.path or "/", parts.query, headers, body)


def _signed(
    body: bytes = b"Action=DescribeRegions&Version=2016-11-15",
    *,
    method: str = "POST",
    query: str = "",
    headers: Mapping[str, str] | None = None,
    region: str = "us-east-1",
    service: str = "ec2",
) -> Request:
    url = f"http://{HOST}/" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
    SigV4Auth(Credentials(KEY, SECRET), service, region).add_auth(request)
    return _received(request.prepare(), body)


def _presigned(
    query: str = "Action=DescribeRegions&Version=2016-11-15",
    *,
    method: str = "GET",
    expires: int = 3600,
) -> Request:
    request = AWSRequest(method=method, url=f"http://{HOST}/?{query}", data=b"")
    SigV4QueryAuth(Credentials(KEY, SECRET), "ec2", "us-east-1", expires=expires).add_auth(request)
    return _received(request.prepare(), b"")


def _verify(request: Request, *, secret: str = SECRET, later: dt.timedelta | None = None) -> None:
    claimed = sigv4.claim(request)
    assert claimed is not None
    assert claimed.key_id == KEY
    now = dt.datetime.now(dt.UTC) + (later or dt.timedelta())
    sigv4.Verifier().check(request, claimed, secret, now)


def _with_headers(request: Request, **changed: str | None) -> Request:
    headers = dict(request.headers)
    for name, value in changed.items():
        name = name.replace("_", "-")
        if value is None:
            headers.pop(name)
        else:
            headers[name] = value
    return dataclasses.replace(request, headers=headers)


def _refused(request: Request, **how: Any) -> Ec2Error:
    with pytest.raises(Ec2Error) as caught:
        _verify(request, **how)
    return caught.value


@pytest.mark.parametrize("service", ["ec2", "sts", "iam"])
def test_a_post_signed_in_its_header_is_verified(service: str) -> None:
    _verify(_signed(service=service))


def test_a_get_signed_in_its_header_is_verified() -> None:
    _verify(_signed(b"", method="GET", query="Action=DescribeRegions&Version=2016-11-15"))


def test_presigned_requests_are_verified() -> None:
    _verify(_presigned())
    _verify(_presigned(method="POST"))
    with_body = dataclasses.replace(_presigned(method="POST"), body=b"DryRun=false")
    _refused(with_body)  # what it was signed for has none


def test_a_request_without_a_signature_claims_nothing() -> None:
    assert sigv4.claim(Request("GET", "/", "Action=DescribeRegions", {"host": HOST}, b"")) is None


texts = st.text(st.characters(codec="utf-8"), max_size=20)


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts.filter(bool), texts), max_size=6))
def test_any_names_and_values_in_the_query_are_verified(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    if "X-Amz-" not in query:
        _verify(_signed(b"", method="GET", query=query))
        _verify(_presigned(query or "a=b"))


@pytest.mark.parametrize(
    "query",
    [
        "b=2&a=1&a=0",
        "Action=A&Empty=&Bare",
        "Name=a+b&Other=%2b",
        "Filter.1.Value.1=%e4%bd%a0",
        "tag:Name=*%2A~",
    ],
)
def test_a_query_written_in_another_form_is_verified_as_it_was_sent(query: str) -> None:
    # botocore signs a query that is in the URL as it stands.
    _verify(_signed(b"", method="GET", query=query))


def test_a_query_is_verified_by_its_meaning_too() -> None:
    """Signers that encode themselves sign %20 where the client's library then sends a plus."""
    signed = _signed(b"", method="GET", query="Name=a%20b&Other=%C3%A9%2F")
    _verify(dataclasses.replace(signed, query="Name=a+b&Other=%c3%a9/"))


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200))
def test_any_body_is_verified_and_no_other_passes_for_it(body: bytes) -> None:
    signed = _signed(body)
    _verify(signed)
    error = _refused(dataclasses.replace(signed, body=body + b"x"))
    assert (error.code, error.status) == ("AuthFailure", 401)


def test_blanks_in_a_signed_header_are_folded_as_the_signer_folds_them() -> None:
    _verify(_signed(headers={"X-Amz-Meta": "  a   b  "}))


def test_a_repeated_header_is_its_values_joined_by_commas() -> None:
    signed = _signed(headers={"X-Amz-Meta": "first,second"})
    _verify(_with_headers(signed, x_amz_meta="first,second"))
    _refused(_with_headers(signed, x_amz_meta="second,first"))


MUTATIONS: dict[str, dict[str, Any]] = {
    "method": {"method": "GET"},
    "query": {"query": "DryRun=true"},
    "body": {"body": b"Action=TerminateInstances&Version=2016-11-15"},
    "no body": {"body": b""},
}


@pytest.mark.parametrize("change", MUTATIONS.values(), ids=MUTATIONS)
def test_a_changed_request_is_refused(change: dict[str, Any]) -> None:
    error = _refused(dataclasses.replace(_signed(), **change))
    assert (error.code, error.status) == ("AuthFailure", 401)
    assert error.message == "AWS was not able to validate the provided access credentials"


def test_a_changed_presigned_query_is_refused() -> None:
    signed = _presigned()
    for before, after in (
        ("DescribeRegions", "TerminateInstances"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=7200"),
        ("us-east-1", "us-west-2"),
    ):
        assert before in signed.query
        changed = dataclasses.replace(signed, query=signed.query.replace(before, after))
        assert _refused(changed).code == "AuthFailure"


def test_another_host_is_refused() -> None:
    _refused(_with_headers(_signed(), host="127.0.0.1:8774"))


def test_a_missing_signed_header_is_refused() -> None:
    signed = _signed(headers={"X-Amz-Meta": "x"})
    _refused(_with_headers(signed, x_amz_meta=None))


@pytest.mark.parametrize(("part", "other"), [("us-east-1", "us-west-2"), ("/ec2/", "/iam/")])
def test_a_changed_scope_is_refused(part: str, other: str) -> None:
    signed = _signed()
    header = signed.headers["authorization"].replace(part, other)
    _refused(_with_headers(signed, authorization=header))


def test_another_secret_is_refused() -> None:
    _refused(_signed(), secret=SECRET + "x")
    _refused(_presigned(), secret=SECRET + "x")


def test_sts_says_what_is_wrong_where_ec2_does_not() -> None:
    error = _refused(_signed(service="sts"), secret="other")
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    assert error.message.startswith("The request signature we calculated does not match")


@pytest.mark.parametrize("claim", ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"])
def test_a_body_that_is_not_signed_is_refused(claim: str) -> None:
    signed = _sign_by_hand(payload=claim, headers={"x-amz-content-sha256": claim})
    assert "has to be the body's SHA-256" in _refused(signed).message
    # Nor does it help not to say so.
    _refused(_with_headers(signed, x_amz_content_sha256=None))


def test_a_body_is_checked_against_the_hash_that_the_client_tells() -> None:
    right = hashlib.sha256(b"a=b").hexdigest()
    _verify(_sign_by_hand(b"a=b", headers={"x-amz-content-sha256": right}))
    wrong = hashlib.sha256(b"a=c").hexdigest()
    _refused(_sign_by_hand(b"a=b", headers={"x-amz-content-sha256": wrong}))


def test_the_date_header_will_do_for_x_amz_date() -> None:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    _verify(_sign_by_hand(date=now.strftime("%a, %d %b %Y %H:%M:%S GMT"), time=now))


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_skewed_clock_is_refused_in_both_directions(minutes: int) -> None:
    later = dt.timedelta(minutes=minutes)
    error = _refused(_signed(), later=later)
    assert error.code == ("RequestExpired" if minutes > 0 else "AuthFailure")
    _verify(_signed(), later=dt.timedelta(minutes=minutes * 14 / 16))


def test_sts_names_the_times_of_a_skewed_clock() -> None:
    late = _refused(_signed(service="sts"), later=dt.timedelta(minutes=16))
    assert late.message.startswith("Signature expired: ")
    assert late.message.endswith(" - 15 min.)")
    early = _refused(_signed(service="sts"), later=dt.timedelta(minutes=-16))
    assert early.message.startswith("Signature not yet current: ")


def test_a_presigned_request_is_good_until_it_expires_and_not_before_it_was_made() -> None:
    signed = _presigned(expires=3600)
    _verify(signed, later=dt.timedelta(minutes=59))
    assert _refused(signed, later=dt.timedelta(minutes=61)).code == "RequestExpired"
    assert _refused(signed, later=dt.timedelta(minutes=-16)).code == "AuthFailure"


@pytest.mark.parametrize("expires", [0, -1, 604_801, 10**30])
def test_a_presigned_request_lasts_a_week_at_most(expires: int) -> None:
    assert _refused(_presigned(expires=expires)).code == "IncompleteSignature"
    _verify(_presigned(expires=604_800))


def test_a_session_token_is_told_of() -> None:
    request = _with_headers(_signed(), x_amz_security_token="token")
    claimed = sigv4.claim(request)
    assert claimed is not None
    assert claimed.session_token


GOOD = f"{KEY}/20260102/us-east-1/ec2/aws4_request"
MALFORMED = {
    "nothing behind the algorithm": "",
    "no credential": f"SignedHeaders=host, Signature={'0' * 64}",
    "no signature": f"Credential={GOOD}, SignedHeaders=host",
    "no headers": f"Credential={GOOD}, Signature={'0' * 64}",
    "twice": f"Credential={GOOD}, Credential={GOOD}, SignedHeaders=host, Signature={'0' * 64}",
    "short scope": f"Credential={KEY}/ec2, SignedHeaders=host, Signature={'0' * 64}",
    "host not signed": f"Credential={GOOD}, SignedHeaders=x-amz-date, Signature={'0' * 64}",
    "header twice": f"Credential={GOOD}, SignedHeaders=host;host, Signature={'0' * 64}",
    "upper case": f"Credential={GOOD}, SignedHeaders=Host;host, Signature={'0' * 64}",
    "short signature": f"Credential={GOOD}, SignedHeaders=host, Signature=00",
    "non-ASCII": f"Credential={GOOD}, SignedHeaders=host, Signature={'é' * 64}",
    "garbage": "\x00=,=,,",
}


@pytest.mark.parametrize("rest", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_signature_in_form_is_refused_as_incomplete(rest: str) -> None:
    headers = {
        "host": HOST,
        "x-amz-date": "20260102T030405Z",
        "authorization": f"{sigv4.ALGORITHM} {rest}",
    }
    with pytest.raises(Ec2Error) as caught:
        sigv4.claim(Request("POST", "/", "", headers, b""))
    assert (caught.value.code, caught.value.status) == ("IncompleteSignature", 400)


@pytest.mark.parametrize("date", [None, "", "yesterday", "20261301T000000Z", "2026-01-02"])
def test_a_date_that_is_none_is_refused(date: str | None) -> None:
    signed = _with_headers(_signed(), x_amz_date=date)
    with pytest.raises(Ec2Error) as caught:
        sigv4.claim(signed)
    assert caught.value.code == "IncompleteSignature"


def test_the_day_of_the_scope_has_to_be_that_of_the_request() -> None:
    signed = _signed()
    day = signed.headers["x-amz-date"][:8]
    header = signed.headers["authorization"].replace(f"/{day}/", "/20200101/")
    with pytest.raises(Ec2Error, match="'20200101' != "):
        sigv4.claim(_with_headers(signed, authorization=header))


def test_two_ways_of_signing_at_once_are_refused() -> None:
    presigned = _presigned()
    header = _signed().headers["authorization"]
    with pytest.raises(Ec2Error, match="Only one way"):
        sigv4.claim(_with_headers(presigned, authorization=header))


def test_a_presigned_parameter_that_comes_twice_is_refused() -> None:
    presigned = _presigned()
    twice = dataclasses.replace(presigned, query=presigned.query + "&X-Amz-Expires=7200")
    with pytest.raises(Ec2Error, match="comes twice"):
        sigv4.claim(twice)


def test_keys_of_refused_requests_are_not_kept() -> None:
    verifier = sigv4.Verifier()
    now = dt.datetime.now(dt.UTC)
    good, bad = _signed(), dataclasses.replace(_signed(region="eu-west-1"), body=b"other")
    for request in (good, bad):
        claimed = sigv4.claim(request)
        assert claimed is not None
        if request is bad:
            with pytest.raises(Ec2Error):
                verifier.check(request, claimed, SECRET, now)
        else:
            verifier.check(request, claimed, SECRET, now)
            verifier.check(request, claimed, SECRET, now)
    assert [region for _, _, region, _ in verifier._kept] == ["us-east-1"]


def _sign_by_hand(
    body: bytes = b"a=b",
    *,
    headers: dict[str, str] | None = None,
    payload: str | None = None,
    date: str | None = None,
    time: dt.datetime | None = None,
) -> Request:
    """Sign as the documentation says, so as to be able to sign what botocore would not."""
    stamp = (time or dt.datetime.now(dt.UTC)).strftime("%Y%m%dT%H%M%SZ")
    all_headers = {"host": HOST, **(headers or {})}
    all_headers["date" if date else "x-amz-date"] = date or stamp
    names = sorted(all_headers)
    canonical = "\n".join(
        (
            "POST",
            "/",
            "",
            *(f"{name}:{all_headers[name]}" for name in names),
            "",
            ";".join(names),
            payload or hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{stamp[:8]}/us-east-1/ec2/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    all_headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return Request("POST", "/", "", all_headers, body)
