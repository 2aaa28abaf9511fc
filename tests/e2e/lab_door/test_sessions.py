"""What works: sessions over NTLM, Basic and TLS, and who is let in."""

from __future__ import annotations

import base64
import socket
import threading
import time
from typing import Literal

import pytest
from winrm.exceptions import InvalidCredentialsError, WSManFaultError

from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.server import Door

from .conftest import Opened
from .host import CREDENTIALS, OTHER_PASSWORD, PASSWORD, PROGRAM, Host, Session, fault_code


class Tap:
    """Passes one TCP connection on and keeps what passed."""

    def __init__(self, port: int) -> None:
        self.seen = b""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._to))
        with client, server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join(5)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(65536):
            self.seen += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def __enter__(self) -> Tap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(5)
        self._listener.close()


def test_a_session_from_create_to_delete(host: Host) -> None:
    protocol = host.protocol()
    shell = protocol.open_shell(codepage=65001, noprofile=True, idle_timeout="PT180S")
    command = protocol.run_command(shell, PROGRAM, ["-NoLogo", "-Command"], skip_cmd_shell=True)
    protocol.send_command_input(shell, command, b"hello\nbye\n")
    assert protocol.get_command_output(shell, command) == (b"HELLO\nBYE\n", b"", 3)
    protocol.cleanup_command(shell, command)
    protocol.close_shell(shell)
    assert host.programs[0].arguments == ["-NoLogo -Command"]
    assert len(host.door.service.shells) == 0


def test_ntlm_over_http_is_sealed_both_ways(host: Host) -> None:
    with Tap(host.door.port) as tap:
        protocol = host.protocol(endpoint=f"http://127.0.0.1:{tap.port}/wsman")
        session = Session(protocol)
        assert session.ask(b"readable question") == b"READABLE QUESTION\n"
        protocol.close_shell(session.shell)
    for said in (b"readable question", b"READABLE QUESTION", PASSWORD.encode(), b"rsp:"):
        assert said not in tap.seen
        assert base64.b64encode(said)[:-4] not in tap.seen
    assert b"multipart/encrypted" in tap.seen


def test_basic_works_where_it_is_offered_and_only_there(opened: Opened) -> None:
    assert Session(opened(basic=True).protocol("basic")).ask(b"hi") == b"HI\n"
    plain = opened()
    with pytest.raises(InvalidCredentialsError):
        plain.protocol("basic").open_shell()
    with pytest.raises(ValueError, match="loopback"):
        Door(("192.0.2.1", 0), plain.start, CREDENTIALS, basic=True)


def test_a_waiting_receive_leaves_a_second_connection_free_to_send(opened: Opened) -> None:
    host = opened(limits=Limits())
    session = Session(host.protocol())
    reader = Session(host.protocol(), of=session)
    received: list[bytes] = []
    thread = threading.Thread(target=lambda: received.append(reader.receive()))
    thread.start()
    time.sleep(0.1)
    began = time.monotonic()
    session.send(b"hi\n")
    thread.join(4)
    assert received == [b"HI\n"]
    assert time.monotonic() - began < 3


def test_several_doors_of_a_process_keep_their_shells_apart(opened: Opened) -> None:
    one, two = opened(), opened()
    session = Session(one.protocol())
    with pytest.raises(WSManFaultError) as error:
        two.protocol().run_command(session.shell, PROGRAM, skip_cmd_shell=True)
    assert fault_code(error) == 2150858843
    assert session.ask(b"hi") == b"HI\n"


def test_identify_is_answered(host: Host) -> None:
    xml = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
        '<i:Identify xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/>'
        "</s:Body></s:Envelope>"
    )
    answer = host.protocol().transport.send_message(xml)
    assert b"IdentifyResponse" in answer
    assert b"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" in answer


@pytest.mark.parametrize(("user", "password"), [("LAB\\op", "wrong"), ("LAB\\nobody", PASSWORD)])
@pytest.mark.parametrize("transport", ["ntlm", "basic"])
def test_a_wrong_name_or_password_is_401(
    opened: Opened, transport: Literal["ntlm", "basic"], user: str, password: str
) -> None:
    host = opened(basic=True)
    with pytest.raises(InvalidCredentialsError):
        host.protocol(transport, user, password).open_shell()
    assert host.protocol(transport).open_shell()


@pytest.mark.parametrize("user", ["op", "lab\\OP", "LAB\\op"])
def test_an_account_is_known_with_and_without_its_domain(host: Host, user: str) -> None:
    session = Session(host.protocol())
    assert Session(host.protocol(user=user), of=session).ask(b"mine") == b"MINE\n"


@pytest.mark.parametrize("basic", [False, True])
def test_what_ntlm_did_not_seal_is_refused_over_http(opened: Opened, basic: bool) -> None:
    host = opened(basic=basic)
    with pytest.raises(InvalidCredentialsError):
        host.protocol(message_encryption="never").open_shell()
    assert len(host.door.service.shells) == 0


def test_another_users_shell_is_not_there(host: Host) -> None:
    session = Session(host.protocol())
    stranger = Session(host.protocol(user="LAB\\other", password=OTHER_PASSWORD), of=session)
    for act in (
        lambda: stranger.send(b"x\n"),
        stranger.receive,
        lambda: stranger.protocol.close_shell(session.shell),
    ):
        with pytest.raises(WSManFaultError) as error:
            act()
        assert fault_code(error) == 2150858843
    assert session.ask(b"mine") == b"MINE\n"
