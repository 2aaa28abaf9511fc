"""Open mode: an account id for a key, so many accounts and no more, and no web page gets in."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from ec2gw.auth.request import Request
from ec2gw.exchange import Response
from state.secrets import Vault
from state.store import Store
from tests.unit.doors import HOST, Door, text
from translators.settings import Settings


@pytest.fixture
def open_door(store: Store, vault: Vault, settings: Settings) -> Door:
    return Door(store, vault, settings, "open", limit=2)


def _open(door: Door, key: str | None = None, **headers: str) -> Response:
    query = {"Action": "GetCallerIdentity", "Version": "2011-06-15"}
    if key is not None:
        query["AWSAccessKeyId"] = key
    return door.send(Request("GET", "/", urlencode(query), {"host": HOST, **headers}, b""))


def test_in_open_mode_an_account_id_for_a_key_is_the_account(open_door: Door) -> None:
    signed = open_door.ask(
        "GetCallerIdentity", service="sts", key=("111111111111", "any"), version="2011-06-15"
    )
    assert text(signed, "Account") == "111111111111"
    assert text(_open(open_door, "111111111111"), "Account") == "111111111111"
    mine = open_door.credentials.account_id
    assert text(_open(open_door, "test"), "Account") == mine
    assert text(_open(open_door), "Account") == mine


def test_in_open_mode_a_new_account_has_its_first_request_too(open_door: Door) -> None:
    assert open_door.ask(key=("111111111111", "any")).status == 200
    assert open_door.first == [("111111111111", "us-east-1")]


def test_open_mode_makes_only_so_many_accounts(open_door: Door) -> None:
    accounts_made = [_open(open_door, str(number) * 12) for number in range(1, 4)]
    assert [answer.status for answer in accounts_made] == [200, 200, 403]
    assert text(_open(open_door, "1" * 12), "Account") == "1" * 12


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"referer": "http://evil.example/page"},
    {"sec-fetch-site": "cross-site"},
    {"host": "evil.example:8773"},
    {"host": "127.0.0.1.evil.example"},
    {"host": ""},
    {"host": "10.0.0.1:8773"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_open_mode_is_closed_to_web_pages_and_foreign_names(
    open_door: Door, headers: dict[str, str]
) -> None:
    assert _open(open_door, **headers).status == 403
    assert open_door.first == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "[::1]:8773", "127.0.0.2:80"])
def test_open_mode_knows_the_names_of_loopback(open_door: Door, host: str) -> None:
    assert _open(open_door, host=host).status == 200
