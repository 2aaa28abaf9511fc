"""Signing in by a client certificate that is mapped to an account."""

from __future__ import annotations

import datetime as dt
import re
import shlex
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from ec2gw.lab.door.accounts import Account
from ec2gw.lab.door.server import Door, Tls
from ec2gw.winrm import endpoint, probe, session

from . import rig
from .authority import Authority
from .rig import Machine

DAY = dt.timedelta(days=1)


def way(
    door: Door, authority: Authority, files: tuple[Path, Path], **options: str
) -> endpoint.HostAddress:
    certificate, key = map(str, files)
    return endpoint.HostAddress(
        door.endpoint,
        "certificate",
        **{"ca_file": str(authority.file), "certificate_file": certificate, "key_file": key}
        | options,  # type: ignore[arg-type]
    )


@pytest.fixture
def door(machine: Machine, authority: Authority) -> Door:
    return machine.door(tls=authority.host(clients=True))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_mapped_certificate_gets_in_whenever_the_host_asks_for_it(
    machine: Machine, authority: Authority, newest: ssl.TLSVersion
) -> None:
    tls = authority.host()
    door = machine.door(tls=Tls(tls.certificate, tls.key, authority.file, newest))
    rig.works(way(door, authority, authority.client(rig.PRINCIPAL)))


def test_host_check_tells_in_time_when_our_certificate_ends(
    authority: Authority, door: Door
) -> None:
    for ends, advice in ((dt.timedelta(days=9), "Renew the certificate soon."), (30 * DAY, "")):
        address = way(door, authority, authority.client(rig.PRINCIPAL, ends=ends))
        (step,) = (one for one in probe.probe(address, rig.ROOT) if one.name == "sign-in")
        assert (step.ok, step.advice) == (True, advice)
        assert f"valid until {dt.datetime.now(dt.UTC) + ends:%Y-%m-%d}" in step.found


@pytest.mark.parametrize("takes_part", [True, False])
def test_whoever_shows_no_certificate_is_refused(
    authority: Authority, door: Door, takes_part: bool
) -> None:
    context = ssl.create_default_context(cafile=authority.file)
    context.post_handshake_auth = takes_part
    plain = socket.create_connection(("127.0.0.1", door.port), 5)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        client.sendall(
            b"POST /wsman HTTP/1.1\r\nContent-Length: 0\r\nAuthorization: "
            b"http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual\r\n\r\n"
        )
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_the_certificate_that_the_documentation_makes_gets_in(
    machine: Machine, authority: Authority, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    page = (Path(__file__).parents[3] / "docs" / "hyperv.md").read_text()
    command = re.search(r"^    (openssl req (?:.*\\\n)*.*)$", page, re.MULTILINE)
    assert command is not None
    words = shlex.split(command[1].replace("\\\n", ""))
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, timeout=30)
    files = (tmp_path / "ec2gw.pem", tmp_path / "ec2gw.key")
    account = Account(rig.USER, rig.PASSWORD, rig.REALM, certificate="ec2gw@localhost")
    tls = authority.host()
    door = machine.door(account, tls=Tls(tls.certificate, tls.key, clients=files[0]))
    rig.works(way(door, authority, files))


def test_a_certificate_that_is_mapped_to_nobody_is_refused(
    machine: Machine, authority: Authority, door: Door
) -> None:
    cause, step = rig.refused(way(door, authority, authority.client("other@LAB.EXAMPLE")))
    assert isinstance(cause, session.Denied)
    assert (step.name, "ClientCertificate" in step.advice) == ("sign-in", True)
    unmapped = machine.door(
        Account(rig.USER, rig.PASSWORD, rig.REALM), tls=authority.host(clients=True)
    )
    cause, _ = rig.refused(way(unmapped, authority, authority.client(rig.PRINCIPAL)))
    assert isinstance(cause, session.Denied)


def test_a_host_that_takes_no_certificates_refuses_ours(
    machine: Machine, authority: Authority
) -> None:
    door = machine.door(tls=authority.host())
    cause, _ = rig.refused(way(door, authority, authority.client(rig.PRINCIPAL)))
    assert isinstance(cause, session.Denied)


def test_a_certificate_of_an_authority_that_the_host_does_not_know_is_refused(
    authority: Authority, door: Door, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "a stranger").client(rig.PRINCIPAL)
    cause, step = rig.refused(way(door, authority, stranger))
    assert isinstance(cause, session.Denied)
    assert "our certificate" in str(cause)
    assert step.name == "sign-in"


def test_the_hosts_certificate_is_checked_all_the_same(
    authority: Authority, door: Door, tmp_path: Path
) -> None:
    other = str(Authority(tmp_path, "another").file)
    files = authority.client(rig.PRINCIPAL)
    cause, step = rig.refused(way(door, authority, files, ca_file=other))
    assert isinstance(cause, session.Untrusted)
    assert step.name == "TLS"


def test_files_that_are_of_no_use_are_told_before_anything_is_sent(
    authority: Authority, door: Door, tmp_path: Path
) -> None:
    certificate, key = authority.client(rig.PRINCIPAL)
    _, another_key = authority.client("other@LAB.EXAMPLE")
    expired = authority.client(rig.PRINCIPAL, ends=-DAY)
    sealed = authority.client(rig.PRINCIPAL, passphrase=b"a passphrase")
    empty = tmp_path / "empty.pem"
    empty.touch()
    for files, words in (
        (expired, "it ended on"),
        (sealed, "the key is encrypted"),
        ((certificate, another_key), "the key is another certificate's"),
        ((certificate, tmp_path / "none"), "No such file"),
        ((empty, key), "no certificate in PEM"),
        ((certificate, certificate), "no certificate in PEM, or no key"),
    ):
        cause, step = rig.refused(way(door, authority, files))
        assert isinstance(cause, session.Unusable)
        assert words in str(cause)
        assert (step.name, words in step.found) == ("sign-in", True)
