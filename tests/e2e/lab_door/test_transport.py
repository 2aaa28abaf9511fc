"""HTTP and TLS as http.sys does them, and what a client may not do."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import logging
import os
import random
import re
import socket
import threading
import time
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from winrm.exceptions import InvalidCredentialsError

from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.server import Door, Tls

from .conftest import Opened
from .host import LOST, PASSWORD, Host, Session

BASIC = base64.b64encode(f"op:{PASSWORD}".encode()).decode()
SIGNED_IN = f"POST /wsman HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {BASIC}\r\n"


@pytest.fixture(scope="session", params=[hashes.SHA256(), hashes.SHA384()], ids=lambda h: h.name)
def tls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate that signs itself, for loopback; its hash is what channels are bound by."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "laboratory")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, request.param)
    )
    folder = tmp_path_factory.mktemp("tls")
    made = Tls(folder / "certificate.pem", folder / "key.pem")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def test_ntlm_over_tls_is_bound_to_the_channel(opened: Opened, tls: Tls) -> None:
    host = opened(tls=tls)
    ca = str(tls.certificate)
    assert Session(host.protocol(ca=ca)).ask(b"hi") == b"HI\n"
    with pytest.raises(InvalidCredentialsError):
        host.protocol(ca=ca, send_cbt=False).open_shell()


def test_basic_over_tls_and_a_certificate_that_nobody_knows(opened: Opened, tls: Tls) -> None:
    host = opened(tls=tls, basic=True)
    assert Session(host.protocol("basic", ca=str(tls.certificate))).ask(b"hi") == b"HI\n"
    with pytest.raises(requests.exceptions.SSLError):
        host.protocol("basic", ca=requests.utils.DEFAULT_CA_BUNDLE_PATH).open_shell()


def test_a_client_that_says_nothing_holds_up_nobody(opened: Opened, tls: Tls) -> None:
    host = opened(tls=tls, basic=True)
    with socket.create_connection(("127.0.0.1", host.door.port)):
        began = time.monotonic()
        Session(host.protocol("basic", ca=str(tls.certificate)))
        assert time.monotonic() - began < 2


def exchange(host: Host, sent: bytes, *, end: bool = False) -> tuple[int, bytes]:
    """Send bytes; the status, and all that came until the door closed or was quiet."""
    with socket.create_connection(("127.0.0.1", host.door.port), timeout=5) as client:
        client.sendall(sent)
        if end:
            client.shutdown(socket.SHUT_WR)
        client.settimeout(0.3)
        got = b""
        try:
            while data := client.recv(65536):
                got += data
        except TimeoutError:
            pass
        except ConnectionResetError:
            pass
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", got)
    return int(status[1]) if status else 0, got


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ("POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 401),
        (SIGNED_IN + "Content-Length: 0\r\n\r\n", 200),
        (SIGNED_IN + "\r\n", 411),
        (SIGNED_IN + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (SIGNED_IN + "Content-Length: -1\r\n\r\n", 400),
        (SIGNED_IN + "Content-Length: 9999999999999\r\n\r\n", 400),
        (SIGNED_IN + "Content-Length: 99999999\r\n\r\n", 413),
        (SIGNED_IN.replace("/wsman", "/elsewhere") + "Content-Length: 0\r\n\r\n", 404),
        (SIGNED_IN.replace("POST", "GET") + "\r\n", 405),
        (SIGNED_IN.replace("POST", "BREW") + "\r\n", 501),
        (SIGNED_IN + "X: " + "x" * 70_000 + "\r\n\r\n", 431),
        ("POST " + "x" * 70_000 + " HTTP/1.1\r\n\r\n", 414),
        (SIGNED_IN + "X: 1\r\n" * 200 + "\r\n", 431),
        ("nonsense\r\n\r\n", 400),
        (SIGNED_IN + "Content-Length: 5\r\n\r\nabcde", 500),
        (SIGNED_IN.replace(BASIC, "!!!") + "Content-Length: 0\r\n\r\n", 401),
        (SIGNED_IN.replace(BASIC, "/w==") + "Content-Length: 0\r\n\r\n", 401),
    ],
)
def test_odd_requests_get_a_status_and_no_page(
    opened: Opened, caplog: pytest.LogCaptureFixture, sent: str, status: int
) -> None:
    host = opened(basic=True)
    answered, answer = exchange(host, sent.encode())
    assert answered == status or (status in (431, 414) and answered == 0)  # reset while it sent
    assert b"<html" not in answer.lower()
    assert caplog.records == []
    assert Session(host.protocol("basic")).ask(b"hi") == b"HI\n"


def test_a_document_type_is_refused_and_expands_nothing(opened: Opened) -> None:
    host = opened(basic=True)
    body = b"<!DOCTYPE a [<!ENTITY b 'expanded'>]><a>&b;</a>"
    status, answer = exchange(
        host, f"{SIGNED_IN}Content-Length: {len(body)}\r\n\r\n".encode() + body
    )
    assert status == 500
    assert b'Code="2150858819"' in answer
    assert b"expanded" not in answer


def test_a_body_that_ends_early_does_nothing(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    host = opened(basic=True)
    assert exchange(host, f"{SIGNED_IN}Content-Length: 100\r\n\r\nabc".encode(), end=True)[0] == 0
    assert caplog.records == []


def test_tokens_that_are_none_are_refused_and_the_door_stays_open(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)
    signature = b"NTLMSSP\x00"
    tokens = [b"", signature, b"\x60\x82\xff\xff", *(chance.randbytes(n) for n in (1, 16, 64, 400))]
    tokens += [
        signature + bytes([kind, 0, 0, 0]) + chance.randbytes(size)
        for kind in (1, 2, 3)
        for size in (0, 4, 28, 60, 200)
    ]
    for token in tokens:
        for first in (b"", negotiate_message()):
            with requests.Session() as client:
                client.trust_env = False
                for sent in filter(None, (first, token)):
                    value = f"Negotiate {base64.b64encode(sent).decode()}"
                    answer = client.post(
                        host.door.endpoint, headers={"Authorization": value}, timeout=5
                    )
                    assert answer.status_code == 401
    assert caplog.records == []
    assert Session(host.protocol()).ask(b"hi") == b"HI\n"


def negotiate_message() -> bytes:
    """A plain first NTLM message: Unicode, NTLM, extended session security."""
    return b"NTLMSSP\x00\x01\x00\x00\x00" + (0x00080201).to_bytes(4, "little") + bytes(16)


def test_more_connections_than_allowed_are_closed_and_come_in_later(opened: Opened) -> None:
    host = opened(basic=True, limits=Limits(max_connections=2))
    address = ("127.0.0.1", host.door.port)
    held = [socket.create_connection(address) for _ in range(2)]
    with pytest.raises(LOST):
        host.protocol("basic").open_shell()
    for connection in held:
        connection.close()
    deadline = time.monotonic() + 5
    while True:
        try:
            assert host.protocol("basic").open_shell()
            break
        except LOST:
            assert time.monotonic() < deadline


def test_a_door_closes_at_once_though_receives_are_waiting(opened: Opened) -> None:
    host = opened(limits=Limits())
    session = Session(host.protocol())

    def wait() -> None:
        with pytest.raises(LOST):
            session.receive()

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    host.door.stop()
    assert time.monotonic() - began < 2
    thread.join(5)
    assert not thread.is_alive()
    assert host.programs[0].killed


def test_a_door_whose_port_is_taken_says_so_and_leaves_nothing(opened: Opened) -> None:
    taken = opened()
    before = Path(os.environ["NTLM_USER_FILE"]).read_text()
    account = Account("third", "third password")
    door = Door(("127.0.0.1", taken.door.port), taken.start, Credentials([account]))
    with pytest.raises(OSError, match="in use"):
        door.start()
    door.stop()
    assert Path(os.environ["NTLM_USER_FILE"]).read_text() == before


def test_nothing_secret_is_logged_or_left_on_disk(
    opened: Opened, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    host = opened()
    path = Path(os.environ["NTLM_USER_FILE"])
    with pytest.raises(InvalidCredentialsError):
        host.protocol(password="a wrong secret").open_shell()
    Session(host.protocol()).ask(b"hi")
    host.door.stop()
    assert PASSWORD not in caplog.text
    assert "a wrong secret" not in caplog.text
    assert not path.exists()
