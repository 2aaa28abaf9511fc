"""Signature Version 2: what old signers make is verified, whatever was changed is not."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ec2gw.auth import sigv2
from ec2gw.auth.request import Request
from ec2gw.wire import form
from state.secrets import Vault
from state.store import Store
from tests import old_signer
from tests.unit.doors import HOST, VERSION, Door, code, text
from translators.errors import Ec2Error
from translators.settings import Settings

KEY = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
ASKED = {"Action": "DescribeRegions", "Version": "2014-10-01"}
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def _received(sent: str, method: str = "GET", host: str = HOST) -> Request:
    query, body = ("", sent) if method == "POST" else (sent, "")
    return Request(method, "/", query, {"host": host}, body.encode())


def _verify(
    request: Request,
    *,
    secret: str = KEY[1],
    now: dt.datetime = NOW,
    service: str = "ec2",
) -> sigv2.Claim:
    pairs = form.split(request.query.encode()) + form.split(request.body or b"")
    claimed = sigv2.claim(service, pairs)
    assert claimed is not None
    sigv2.check(service, request, pairs, claimed, secret, now)
    return claimed


def _refused(request: Request, **how: Any) -> tuple[str, int]:
    with pytest.raises(Ec2Error) as caught:
        _verify(request, **how)
    return caught.value.code, caught.value.status


def _signed(
    parameters: Mapping[str, str] = ASKED,
    *,
    method: str = "GET",
    host: str = HOST,
    signed_host: str = HOST,
    time: dt.datetime = NOW,
    expires: dt.datetime | None = None,
    changed: Mapping[str, str | None] = {},
) -> Request:
    sent = old_signer.signed(
        KEY,
        parameters,
        host=signed_host,
        method=method,
        time=time,
        expires=expires,
        changed=changed,
    )
    return _received(sent, method, host)


GO = ("AKID", "SECRET", "POST", "sdb.ap-southeast-2.amazonaws.com")
KNOWN = {
    # AWS General Reference, "Signature Version 2 signing process", its one example.
    "AWS": (
        (*KEY, "GET", "elasticmapreduce.amazonaws.com"),
        {
            "Action": "DescribeJobFlows",
            "Version": "2009-03-31",
            "Timestamp": "2011-10-03T15:19:30",
        },
        "i91nKc4PWAt0JJIdXwz9HxZCJDdiy6cf/Mj6vPxyYIs=",
    ),
    # AWS SDK for Go (Apache-2.0), private/signer/v2/v2_test.go.
    "Go": (
        GO,
        {
            "Action": "CreateDomain",
            "DomainName": "TestDomain-1437033376",
            "Version": "2009-04-15",
            "Timestamp": "2015-07-16T07:56:16Z",
        },
        "tm4dX8Ks7pzFSVHz7qHdoJVXKRLuC4gWz9eti60d8ks=",
    ),
    "Go, a session": (
        GO,
        {
            "Action": "CreateDomain",
            "DomainName": "TestDomain-1437033376",
            "Version": "2009-04-15",
            "Timestamp": "2015-07-16T07:56:16Z",
            "SecurityToken": "SESSION",
        },
        "Ch6qv3rzXB1SLqY2vFhsgA1WQ9rnQIE2WJCigOvAJwI=",
    ),
    "Go, odd characters": (
        GO,
        {
            "Action": "PutAttributes",
            "DomainName": "TestDomain-1437041569",
            "Version": "2009-04-15",
            "Attribute.2.Name": "Attr2",
            "Attribute.2.Value": "Value2",
            "Attribute.2.Replace": "true",
            "Attribute.1.Name": "Attr1-%\\+ %",
            "Attribute.1.Value": " \tValue1 +!@#$%^&*(){}[]\"';:?/.>,<\x12\x00",
            "Attribute.1.Replace": "true",
            "ItemName": "Item 1",
            "Timestamp": "2015-07-16T10:12:51Z",
            "SecurityToken": "SESSION",
        },
        "WNdE62UJKLKoA6XncVY/9RDbrKmcVMdQPQOTAs8SgwQ=",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_signatures_that_others_published_are_verified(name: str) -> None:
    (key_id, secret, method, host), parameters, signature = KNOWN[name]
    sent = {
        **parameters,
        "AWSAccessKeyId": key_id,
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Signature": signature,
    }
    time = dt.datetime.fromisoformat(parameters["Timestamp"]).replace(tzinfo=dt.UTC)
    request = _received(urlencode(sent), method, host)
    claimed = _verify(request, secret=secret, now=time)
    assert claimed.session_token == ("SecurityToken" in parameters)
    other = urlencode({**sent, "Action": "Other"})
    assert _refused(_received(other, method, host), secret=secret, now=time)[0] == "AuthFailure"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_signed_request_is_verified(method: str) -> None:
    claimed = _verify(_signed(method=method))
    assert (claimed.key_id, claimed.time) == (KEY[0], NOW)


texts = st.text(st.characters(codec="utf-8"), max_size=12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    parameters=st.dictionaries(texts.map("P.".__add__), texts, max_size=6),
    escape=st.sampled_from([quote, quote_plus]),
)
def test_any_names_and_values_are_verified_however_they_were_escaped(
    parameters: dict[str, str], escape: Any
) -> None:
    request = _signed(parameters, method="POST")
    pairs = form.split(request.body or b"")
    again = "&".join(f"{escape(name)}={escape(value, safe='')}" for name, value in reversed(pairs))
    _verify(request)
    _verify(dataclasses.replace(request, body=again.encode()))


def test_parameters_are_sorted_by_their_bytes() -> None:
    names = ("Z", "a", "A.10", "A.2", "A-1", "é", "\U0001f600", "\uffff")
    _verify(_signed(dict.fromkeys(names, "x")))


def test_parts_of_query_and_form_are_signed_as_one() -> None:
    whole = _signed(method="POST")
    first, _, rest = (whole.body or b"").decode().partition("&")
    _verify(dataclasses.replace(whole, query=first, body=rest.encode()))


def test_the_host_is_the_one_that_was_sent_with_its_port_or_without() -> None:
    _verify(_signed(host="EC2.Example.ORG:8773", signed_host="ec2.example.org:8773"))
    _verify(_signed(host="ec2.example.org:8773", signed_host="ec2.example.org"))
    _verify(_signed(host="[::1]:8773", signed_host="[::1]"))
    _verify(_signed(host="[::1]", signed_host="[::1]"))
    for other in ("ec2.example.org:8774", "example.org", "EC2.example.org", ""):
        refused = _refused(_signed(host="ec2.example.org:8773", signed_host=other))
        assert refused == ("AuthFailure", 401)


def test_whatever_is_changed_the_signature_does_not_fit_any_more() -> None:
    signed = _signed()
    query = signed.query
    for changed in (
        query.replace("DescribeRegions", "DescribeVpcs"),
        query.replace("03%3A04%3A05Z", "03%3A04%3A06Z"),
        query + "&DryRun=true",
        query.replace("&Version=2014-10-01", ""),
        query.replace("Signature=", "Signature=A"),
        query.replace("Action=", "action="),
    ):
        assert changed != query
        assert _refused(dataclasses.replace(signed, query=changed)) == ("AuthFailure", 401)
    assert _refused(dataclasses.replace(signed, body=b"DryRun=true"))[0] == "AuthFailure"
    assert _refused(dataclasses.replace(signed, method="POST"))[0] == "AuthFailure"
    assert _refused(signed, secret=KEY[1] + "x") == ("AuthFailure", 401)
    assert _refused(signed, secret="x", service="sts") == ("SignatureDoesNotMatch", 403)


def test_a_request_is_good_for_fifteen_minutes_and_may_be_repeated() -> None:
    minute = dt.timedelta(minutes=1)
    signed = _signed()
    for minutes in (-14, 0, 14, 14):
        _verify(signed, now=NOW + minutes * minute)
    assert _refused(signed, now=NOW + 16 * minute) == ("RequestExpired", 400)
    assert _refused(signed, now=NOW - 16 * minute) == ("AuthFailure", 401)


def test_a_request_that_expires_is_good_until_fifteen_minutes_after_that() -> None:
    minute = dt.timedelta(minutes=1)
    signed = _signed(expires=NOW + 60 * minute)
    for minutes in (-600, 0, 59, 74):
        _verify(signed, now=NOW + minutes * minute)
    assert _refused(signed, now=NOW + 76 * minute) == ("RequestExpired", 400)
    assert _refused(signed, now=NOW + 76 * minute, service="sts") == ("SignatureDoesNotMatch", 403)


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05.000Z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02T05:04:05+02:00",
        "2026-01-02T05:04:05+0200",
    ],
)
def test_times_are_read_in_every_form_that_old_clients_write(time: str) -> None:
    assert abs(_verify(_signed(changed={"Timestamp": time})).time - NOW) < dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    "time",
    [
        *("", "now", "2026-01-02", "20260102T030405Z", "1767323045", "2026-13-02T03:04:05Z"),
        *("2026-W01-5T03:04:05Z", "0001-01-01T00:00:00+14:00", "٢026-01-02T03:04:05Z"),
    ],
)
def test_what_is_no_time_is_refused(time: str) -> None:
    assert _refused(_signed(changed={"Timestamp": time})) == ("InvalidParameterValue", 400)


REFUSED: dict[str, tuple[dict[str, str | None], str]] = {
    "no signature": ({"Signature": None}, "MissingParameter"),
    "no version": ({"SignatureVersion": None}, "MissingParameter"),
    "no method": ({"SignatureMethod": None}, "MissingParameter"),
    "no time": ({"Timestamp": None}, "MissingParameter"),
    "both times": ({"Expires": "2026-01-02T03:04:05Z"}, "InvalidParameterCombination"),
    "version 1": ({"SignatureVersion": "1"}, "InvalidParameterValue"),
    "HmacSHA1": ({"SignatureMethod": "HmacSHA1"}, "InvalidParameterValue"),
    "another method": ({"SignatureMethod": "hmacsha256"}, "InvalidParameterValue"),
    "a key that is none": ({"AWSAccessKeyId": "a b"}, "AuthFailure"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_signature_that_is_not_in_form_is_refused(what: str) -> None:
    changed, told = REFUSED[what]
    if "Signature" in changed:
        query = _signed().query.partition("&")[2]
        assert _refused(_received(query))[0] == told
    else:
        assert _refused(_signed(changed=changed))[0] == told


def test_sts_calls_what_is_missing_an_incomplete_signature() -> None:
    refused = _refused(_signed(changed={"SignatureMethod": None}), service="sts")
    assert refused == ("IncompleteSignature", 400)


@pytest.mark.parametrize("name", ["Signature", "Timestamp", "AWSAccessKeyId", "SignatureMethod"])
def test_a_part_of_the_signature_that_comes_twice_is_refused(name: str) -> None:
    signed = _signed()
    twice = dataclasses.replace(signed, query=f"{signed.query}&{name}=x")
    assert _refused(twice) == ("IncompleteSignature", 400)


def test_a_request_that_names_no_key_claims_nothing() -> None:
    assert sigv2.claim("ec2", [("Action", "DescribeRegions"), ("Signature", "x")]) is None


# -- at the door


@pytest.fixture
def door(store: Store, vault: Vault, settings: Settings) -> Door:
    made = Door(store, vault, settings)
    made.gateway.sigv2 = True
    return made


def _ask(door: Door, *, host: str = HOST, method: str = "GET", **changed: str | None) -> Any:
    given = door.credentials
    key = (given.access_key_id, given.secret)
    asked = {"Action": "DescribeRegions", "Version": VERSION}
    sent = old_signer.signed(key, asked, host=host, method=method, changed=changed)
    return door.send(_received(sent, method, host))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_door_lets_an_old_request_in_where_that_is_configured(door: Door, method: str) -> None:
    assert code(_ask(door, method=method)) == ("", 200)
    door.gateway.sigv2 = False
    assert code(_ask(door, method=method)) == ("AuthFailure", 401)


def test_keys_and_tokens_are_looked_at_as_ever(door: Door) -> None:
    assert code(_ask(door, AWSAccessKeyId="AKIAUNKNOWN")) == ("AuthFailure", 401)
    assert code(_ask(door, SecurityToken="token")) == ("AuthFailure", 401)
    answer = _ask(door, Action="GetCallerIdentity", Version="2011-06-15")
    assert text(answer, "Account") == door.credentials.account_id


def test_parts_of_the_signature_are_no_parameters_of_the_action(door: Door) -> None:
    seen: list[Any] = []

    def look(ctx: Any, request: Any) -> Any:
        seen.append(dict(request))
        return {"Regions": []}

    door.offer("DescribeRegions", look)
    assert code(_ask(door, DryRun="false", AllRegions="true")) == ("", 200)
    assert seen == [{"DryRun": False, "AllRegions": True}]


def test_the_region_is_the_endpoints_where_its_name_has_one(door: Door) -> None:
    for host in ("127.0.0.1:8773", "ec2.eu-west-1.example.org", "EU-WEST-2.cloud", "mars-1.test"):
        lowered = host.lower()
        given = door.credentials
        sent = old_signer.signed(
            (given.access_key_id, given.secret),
            {"Action": "DescribeRegions", "Version": VERSION},
            host=lowered,
        )
        assert code(door.send(_received(sent, host=host))) == ("", 200)
    assert [region for _, region in door.first] == ["us-east-1", "eu-west-1", "eu-west-2"]
