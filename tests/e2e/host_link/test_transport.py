"""TLS, sealing, and peers that are not what they should be."""

from __future__ import annotations

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from ec2gw.winrm import agent, endpoint, session, timing
from translators.hyperv.host import Unreachable

from . import peers
from .conftest import Linked, Opened
from .scripted import PASSWORD, QUICK, ScriptedHost, fence, look, work


def address(url: str) -> endpoint.HostAddress:
    return endpoint.HostAddress(url, "ntlm", "LAB\\op", lambda: PASSWORD, laboratory=True)


def test_over_tls_the_pinned_certificate_and_its_channel_are_checked(
    opened: Opened, linked: Linked, tmp_path: Path
) -> None:
    tls = peers.certificate(tmp_path)
    host = opened(tls=tls)
    pinned = host.address(ca_file=str(tls.certificate), laboratory=False)
    link = linked(host, address=pinned)
    link.run(work(), fence=fence(1))
    host.faults.plan("after", "Send")
    host.faults.plan("within", "Receive")
    link.run(look())
    assert len(host.agents) == 1


def test_the_laboratory_may_be_spoken_to_by_basic(opened: Opened, linked: Linked) -> None:
    host = opened(basic=True)
    link = linked(host, address=host.address(transport="basic"))
    link.run(work(), fence=fence(1))
    host.faults.go_down()
    host.faults.go_up()
    link.run(look())
    assert len(host.agents) == 1


@pytest.mark.parametrize("which", ["another authority", "another name", "the usual ones"])
def test_another_certificate_than_the_trusted_one_is_refused(
    opened: Opened, linked: Linked, tmp_path: Path, which: str
) -> None:
    tls = peers.certificate(tmp_path, "127.0.0.2" if which == "another name" else "127.0.0.1")
    (tmp_path / "other").mkdir()
    trusted = {
        "another authority": str(peers.certificate(tmp_path / "other").certificate),
        "another name": str(tls.certificate),
        "the usual ones": None,
    }[which]
    host = opened(tls=tls)
    link = linked(host, address=host.address(ca_file=trusted, laboratory=False))
    with pytest.raises(Unreachable, match="certificate"):
        link.run(look(), deadline_seconds=5)
    assert isinstance(link.cause, session.Untrusted)
    assert not host.agents


def test_a_host_that_answers_no_handshake_costs_the_time_to_connect_alone() -> None:
    limits = timing.Timing(connect_seconds=0.3)
    with peers.unanswering() as url:
        connection = session.Connection(address(url), limits)
        began = time.monotonic()
        with pytest.raises(session.Unconnected):
            connection.create_shell()
        assert 0.25 < time.monotonic() - began < 2


def test_when_the_sign_in_was_cut_the_next_message_is_not_sent_unsealed() -> None:
    with peers.listening() as listener:
        connection = session.Connection(address(listener.url), QUICK)
        for _ in range(3):
            with pytest.raises(session.Unconnected):
                connection.create_shell()
        assert b"Content-Length: 0" in listener.heard
        assert b"Envelope" not in listener.heard


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "TooManyRedirects",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n", "Oversized"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + 40 * (b"10000\r\n" + 65536 * b"x" + b"\r\n"),
            "Oversized",
        ),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "status 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", "ParseError"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ConnectionError"),
    ],
    ids=["redirect", "announced", "endless", "not found", "no xml", "no http"],
)
def test_what_is_no_winrm_is_told_apart_from_one_and_never_followed_or_kept(
    answer: bytes, why: str
) -> None:
    with peers.listening(answer) as listener:
        basic = endpoint.HostAddress(listener.url, "basic", "op", lambda: PASSWORD, laboratory=True)
        connection = session.Connection(basic, QUICK)
        with pytest.raises(session.Lost, match=why):
            connection.create_shell()
        connection.close()


def test_a_sealed_connection_idle_for_too_long_is_rebuilt_before_use(
    host: ScriptedHost, linked: Linked
) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("asked")
        return PASSWORD

    limits = dataclasses.replace(QUICK, renew_seconds=0.05)
    link = linked(host, address=host.address(password=password), limits=limits)
    link.run(look())
    before = len(asked)
    time.sleep(0.1)
    link.run(work(), fence=fence(1))
    assert len(asked) > before


def test_whoever_waits_in_a_receive_wakes_when_the_connection_is_cut(
    host: ScriptedHost,
) -> None:
    host.mute = True
    connection = session.Connection(host.address(), timing.Timing())
    shell = connection.create_shell()
    command = connection.start(shell, agent.PROGRAM, agent.arguments())
    threading.Timer(0.2, connection.abort).start()
    began = time.monotonic()
    with pytest.raises(session.LinkError):
        connection.receive(shell, command)
    assert time.monotonic() - began < 3
    with pytest.raises(session.LinkError):
        connection.receive(shell, command)
