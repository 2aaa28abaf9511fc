"""Where disks are fetched from, and what a server may do to whoever fetches one."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ec2gw.depot import certificate
from ec2gw.intake import allowed, fetch
from ec2gw.intake.refusals import Cancelled, NoRoom, Refused
from tests.unit.outside_server import Outside, serving

BODY = bytes(range(256)) * 4096
ROOMY = fetch.Limits(largest_bytes=64 * 1024**2, spare_bytes=0)


@pytest.fixture
def outside() -> Iterator[Outside]:
    with serving() as served:
        yield served


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "fetched"


def listens(came: int, total: int | None) -> None:
    """Whoever is told how far it is, and does not care."""


def bring(outside: Outside, path: str, target: Path, limits: fetch.Limits = ROOMY) -> int:
    rules = allowed.rules_of([f"{outside.url}/"])
    return fetch.fetch(outside.url + path, target, rules, limits, listens)


def why(outside: Outside, path: str, target: Path, limits: fetch.Limits = ROOMY) -> str:
    with pytest.raises(Refused) as caught:
        bring(outside, path, target, limits)
    return str(caught.value)


# -- what comes


def test_a_disk_comes_whole_without_cookies_credentials_or_encodings(
    outside: Outside, target: Path
) -> None:
    outside.gives("/disk?signature=secret", BODY)
    assert bring(outside, "/disk?signature=secret", target) == len(BODY)
    assert target.read_bytes() == BODY
    assert target.stat().st_mode & 0o777 == 0o600
    (_, headers), *_ = outside.asked
    assert headers["Accept-Encoding"] == "identity"
    assert headers["Host"] == f"127.0.0.1:{outside.port}"
    assert not {"Cookie", "Authorization", "Referer"} & set(headers)


def test_a_file_that_is_there_is_never_written_over(outside: Outside, target: Path) -> None:
    outside.gives("/disk", BODY)
    kept = target.with_name("kept")
    kept.write_text("mine")
    target.symlink_to(kept)
    with pytest.raises((OSError, Refused)):
        bring(outside, "/disk", target)
    assert kept.read_text() == "mine"


@pytest.mark.parametrize(
    ("status", "said"),
    [(403, "refuses"), (404, "nothing"), (500, "500"), (206, "206"), (304, "304")],
)
def test_other_answers_are_told(outside: Outside, target: Path, status: int, said: str) -> None:
    outside.gives("/disk", b"", status)
    assert said in why(outside, "/disk?signature=secret" if status == 404 else "/disk", target)
    assert not target.exists()


def test_no_message_holds_the_query(outside: Outside, target: Path) -> None:
    assert "secret" not in why(outside, "/disk?signature=secret", target)


def test_an_encoded_body_is_refused(outside: Outside, target: Path) -> None:
    outside.gives("/disk", b"\x1f\x8b", Content_Encoding="gzip")
    assert "encoded" in why(outside, "/disk", target)


# -- how much, how fast


def test_a_body_that_announces_too_much_is_not_begun(outside: Outside, target: Path) -> None:
    outside.gives("/disk", BODY, Content_Length=str(2**50))
    assert "larger" in why(outside, "/disk", target)
    assert not target.exists()


def test_a_body_of_no_announced_length_ends_at_the_limit(outside: Outside, target: Path) -> None:
    def answer(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        try:
            while not outside.ending.is_set():
                handler.wfile.write(BODY)  # type: ignore[attr-defined]
        except OSError:
            pass

    outside.answers["/disk"] = answer
    limits = fetch.Limits(largest_bytes=3 * len(BODY), spare_bytes=0)
    assert "larger" in why(outside, "/disk", target, limits)
    assert target.stat().st_size <= 4 * len(BODY)


@pytest.mark.parametrize("announced", [len(BODY) + 1, 2 * len(BODY)])
def test_a_body_shorter_than_announced_broke_off(
    outside: Outside, target: Path, announced: int
) -> None:
    outside.gives("/disk", BODY, Content_Length=str(announced))
    assert "broke" in why(outside, "/disk", target)


def test_of_a_body_longer_than_announced_only_so_much_is_taken(
    outside: Outside, target: Path
) -> None:
    outside.gives("/disk", BODY, Content_Length="1000")
    assert bring(outside, "/disk", target) == 1000


def test_nothing_is_begun_that_does_not_fit(outside: Outside, target: Path) -> None:
    outside.gives("/disk", BODY)
    with pytest.raises(NoRoom):
        bring(outside, "/disk", target, fetch.Limits(len(BODY), spare_bytes=2**62))


def test_who_drips_is_too_slow(
    outside: Outside, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "IDLE_SECONDS", 1.0)
    monkeypatch.setattr(fetch, "_TICK_SECONDS", 0.05)
    outside.drips("/disk", b"x", 0.1, 1_000_000)
    began = time.monotonic()
    assert "too slow" in why(outside, "/disk", target)
    assert time.monotonic() - began < 8


def test_who_never_answers_is_left(
    outside: Outside, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(fetch, "_TICK_SECONDS", 0.05)
    outside.says_nothing("/disk")
    assert "does not answer" in why(outside, "/disk", target)


def test_headers_without_end_are_left(outside: Outside, target: Path) -> None:
    def answer(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        for number in range(500):
            handler.send_header(f"X-{number}", "x" * 100)  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]

    outside.answers["/disk"] = answer
    assert "broke" in why(outside, "/disk", target)


def test_a_fetch_is_cancelled_while_nothing_comes(
    outside: Outside, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_TICK_SECONDS", 0.05)
    outside.drips("/disk", b"x", 20, 1_000_000)
    threads = threading.active_count()

    def tick(came: int, total: int | None) -> None:
        if total is not None:
            raise Cancelled

    began = time.monotonic()
    with pytest.raises(Cancelled):
        fetch.fetch(f"{outside.url}/disk", target, allowed.rules_of([outside.url]), ROOMY, tick)
    assert time.monotonic() - began < 5
    assert threading.active_count() <= threads + 1  # the server's own


# -- redirects


def test_a_redirect_within_what_is_allowed_is_followed(outside: Outside, target: Path) -> None:
    outside.redirects("/latest", "/2026/disk", 301)
    outside.redirects("/2026/disk", f"{outside.url}/there", 307)
    outside.gives("/there", BODY)
    assert bring(outside, "/latest", target) == len(BODY)


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://127.0.0.1:1/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/disk",
        "//169.254.169.254/",
        "http://user:word@127.0.0.1/disk",
        "gopher://127.0.0.1/",
        "",
        "http://[::1]/",
    ],
)
def test_a_redirect_out_of_what_is_allowed_is_not(
    outside: Outside, target: Path, place: str
) -> None:
    outside.redirects("/disk", place)
    said = why(outside, "/disk", target)
    assert "redirect" in said or "may come from" in said
    assert len(outside.asked) == 1
    assert not target.exists()


def test_redirects_without_end_end(outside: Outside, target: Path) -> None:
    outside.redirects("/disk", "/disk")
    assert "more than 5" in why(outside, "/disk", target)
    assert len(outside.asked) == fetch.MOST_REDIRECTS + 1


def test_a_prefix_ends_at_a_folder(outside: Outside, target: Path) -> None:
    outside.gives("/images/disk", BODY)
    outside.gives("/images-of-others/disk", BODY)
    rules = allowed.rules_of([f"{outside.url}/images"])
    fetch.fetch(f"{outside.url}/images/disk", target, rules, ROOMY, listens)
    for path in (
        "/images-of-others/disk",
        "/images/../secret",
        "/images/%2e%2e/secret",
        "/images/%252e%252e/secret",
        "/images/..%2fsecret",
        "/images/..%5csecret",
    ):
        with pytest.raises(Refused):
            fetch.fetch(outside.url + path, target, rules, ROOMY, listens)
    assert len(outside.asked) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "disk.qcow2",
        "file:///etc/passwd",
        "s3://bucket/disk",
        "http://",
        "http:///disk",
        "http://user@host/",
        "http://user:word@host/",
        "http://host\\@other/",
        "http://host/a b",
        "http://host/\n",
        "http://höst/",
        "http://host:99999/",
        "http://[fe80::1%25eth0]/",
        "http://host/%25252525252e/",
    ],
)
def test_what_two_programs_might_read_differently_is_no_url(text: str) -> None:
    with pytest.raises(Refused):
        allowed.parse(text)


# -- addresses

NAMED = allowed.rules_by_hand("https://images.example.org/disk")
OTHERS = allowed.Rules(prefixes=(allowed.parse("https://elsewhere.example.org/"),))


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def answer(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.1", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1"),
        *("255.255.255.255", "240.0.0.1", "::", "::1", "fe80::1", "ff02::1", "fe80::1%eth0"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::"),
    ],
)
def test_some_addresses_are_nobodys_images_whoever_names_them(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, "93.184.215.14", address)
    with pytest.raises(Refused):
        allowed.addresses(allowed.parse("https://images.example.org/disk"), NAMED)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.0.9", "172.16.5.5", "100.64.0.1", "fd00::7"]
)
def test_private_addresses_are_gone_to_where_the_operator_named_the_host(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolving(monkeypatch, address)
    url = allowed.parse("https://images.example.org/disk")
    assert [str(one) for one in allowed.addresses(url, NAMED)] == [address]
    with pytest.raises(Refused):
        allowed.addresses(url, OTHERS)


def test_loopback_is_gone_to_only_where_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written = allowed.parse("http://127.0.0.1:8000/disk")
    assert allowed.addresses(written, allowed.rules_of(["http://127.0.0.1:8000/"]))
    with pytest.raises(Refused):
        allowed.addresses(written, OTHERS)
    for odd in ("http://2130706433/", "http://0x7f.1/", "http://127.1/"):
        with pytest.raises(Refused):
            allowed.addresses(allowed.parse(odd), allowed.rules_by_hand(odd))
    with pytest.raises(Refused):
        allowed.addresses(
            allowed.parse("http://169.254.169.254/"), allowed.rules_of(["http://169.254.169.254/"])
        )


def test_a_name_is_resolved_once_and_gone_to_where_that_said(
    outside: Outside, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.gives("/disk", BODY)
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def changing(host: str, *rest: object, **named: object) -> object:
        if host != "localhost":
            return resolve(host, *rest, **named)  # type: ignore[arg-type]
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "127.0.0.9"
        return resolve(address, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    url = f"http://localhost:{outside.port}/disk"
    assert fetch.fetch(url, target, allowed.rules_by_hand(url), ROOMY, listens) == len(BODY)
    assert asked == ["localhost"]
    assert outside.asked[0][1]["Host"] == f"localhost:{outside.port}"


def test_no_prefix_means_no_place() -> None:
    with pytest.raises(Refused, match="no place is configured"):
        allowed.rules_of(())


# -- https


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path, target: Path) -> None:
    own = certificate.ensured(tmp_path)
    with serving(certificate.context(own)) as outside:
        outside.gives("/disk", BODY)
        assert "certificate" in why(outside, "/disk", target)
        assert outside.asked == []
        trusting = ssl.create_default_context(cafile=str(own.file))
        trusting.check_hostname = False  # it has no name: it is the depot's
        rules = allowed.rules_of([outside.url])
        there = fetch.fetch(f"{outside.url}/disk", target, rules, ROOMY, listens, trusting)
        assert there == len(BODY)


def test_https_never_leads_to_http() -> None:
    with pytest.raises(Refused, match="https to http"):
        NAMED.judge(allowed.parse("http://images.example.org/disk"))
