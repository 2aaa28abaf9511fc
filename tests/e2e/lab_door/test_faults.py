"""Faults that tests put into a door: what had happened, and how a session goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import requests
from winrm.exceptions import WinRMTransportError, WSManFaultError

from ec2gw.lab.door.faults import What
from ec2gw.lab.door.limits import Limits

from .conftest import Opened
from .host import LOST, PROGRAM, Host, Session, fault_code


@pytest.mark.parametrize("transport", ["ntlm", "basic"])
@pytest.mark.parametrize(("what", "happened"), [("before", 0), ("after", 1), ("within", 1)])
def test_a_connection_cut_around_a_send_leaves_the_shell_usable(
    opened: Opened, transport: Literal["ntlm", "basic"], what: What, happened: int
) -> None:
    host = opened(basic=transport == "basic")
    session = Session(host.protocol(transport))
    host.faults.plan(what, "Send")
    with pytest.raises(LOST):
        session.send(b"one\n")
    assert len(host.programs[0].lines) == happened
    session.renew()
    assert session.ask(b"two") == b"ONE\n" * happened + b"TWO\n"


@pytest.mark.parametrize("what", ["after", "within"])
def test_a_receive_cut_after_it_was_processed_has_lost_its_output(host: Host, what: What) -> None:
    session = Session(host.protocol())
    session.send(b"one\n")
    host.faults.plan(what, "Receive")
    with pytest.raises(LOST):
        session.receive()
    session.renew()
    assert session.ask(b"two") == b"TWO\n"


def test_a_receive_cut_before_it_was_processed_has_lost_nothing(host: Host) -> None:
    session = Session(host.protocol())
    session.send(b"one\n")
    host.faults.plan("before", "Receive")
    with pytest.raises(LOST):
        session.receive()
    session.renew()
    assert session.receive() == b"ONE\n"


def test_a_swallowed_answer_is_a_read_timeout_after_the_effect(host: Host) -> None:
    session = Session(host.protocol(operation_timeout_sec=1, read_timeout_sec=2))
    session.protocol.transport.read_timeout_sec = 1
    host.faults.plan("swallow", "Send")
    with pytest.raises(requests.exceptions.ReadTimeout):
        session.send(b"one\n")
    assert host.programs[0].lines == [b"one"]


def test_a_create_answered_into_the_void_leaves_a_shell_that_counts(opened: Opened) -> None:
    host = opened(limits=Limits(max_shells_per_user=1))
    host.faults.plan("after", "Create")
    with pytest.raises(LOST):
        host.protocol().open_shell()
    assert len(host.door.service.shells) == 1
    with pytest.raises(WSManFaultError) as error:
        host.protocol().open_shell()
    assert fault_code(error) == 2150859173


def test_a_planned_fault_is_answered_and_nothing_is_done(host: Host) -> None:
    session = Session(host.protocol())
    host.faults.plan("fault", "Send", code=2147943418)
    with pytest.raises(WSManFaultError) as error:
        session.send(b"one\n")
    assert fault_code(error) == 2147943418
    assert host.programs[0].lines == []


def test_a_fault_may_be_answered_to_what_was_done(host: Host) -> None:
    session = Session(host.protocol())
    host.faults.plan("fault after", "Send", code=1460)
    with pytest.raises(WSManFaultError) as error:
        session.send(b"one\n")
    assert fault_code(error) == 1460
    assert host.programs[0].lines == [b"one"]


def test_a_program_that_crashed_tells_its_code_and_leaves_its_shell(host: Host) -> None:
    session = Session(host.protocol())
    session.ask(b"hi")
    host.faults.end_programs()
    assert session.protocol.get_command_output(session.shell, session.command)[2] == -1073741819
    assert len(host.door.service.shells) == 1


def test_time_passes_for_shells_that_are_idle_alone(host: Host) -> None:
    protocol = host.protocol()
    shell = protocol.open_shell(idle_timeout="PT180S")
    host.faults.let_pass(170)
    command = protocol.run_command(shell, PROGRAM, skip_cmd_shell=True)
    host.faults.let_pass(190)
    with pytest.raises(WSManFaultError) as error:
        protocol.send_command_input(shell, command, b"hi\n")
    assert fault_code(error) == 2150858843
    assert host.programs[0].killed


def test_a_restart_of_the_service_takes_shells_and_connections(host: Host) -> None:
    session = Session(host.protocol())
    host.faults.drop_shells()
    assert host.programs[0].killed
    with pytest.raises((WinRMTransportError, *LOST)):
        session.ask(b"hi")
    session.renew()
    with pytest.raises(WSManFaultError) as error:
        session.ask(b"hi")
    assert fault_code(error) == 2150858843


def test_a_host_that_is_down_refuses_and_comes_back_at_its_port(host: Host) -> None:
    session = Session(host.protocol())
    port = host.door.port
    host.faults.go_down()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)
    with pytest.raises(LOST):
        session.ask(b"hi")
    host.faults.go_up()
    assert host.door.port == port
    session.renew()
    assert session.ask(b"hi") == b"HI\n"


def test_a_followed_file_takes_a_host_down_and_brings_it_back(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    host.faults.follow(path)
    path.write_text(json.dumps({"down": ["host-1", "host-2"]}))
    assert soon(lambda: not connects(host))
    path.unlink()
    assert soon(lambda: connects(host))


def connects(host: Host) -> bool:
    try:
        socket.create_connection(("127.0.0.1", host.door.port), timeout=2).close()
    except ConnectionRefusedError:
        return False
    return True


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_lost_messages_at_random_are_survived_by_asking_again(host: Host) -> None:
    session = Session(host.protocol())
    host.faults.lose(0.3, seed=3)
    lost = 0
    for number in range(20):
        while True:
            try:
                session.send(b"%d\n" % number)
                break
            except LOST:
                lost += 1
                session.renew()
    host.faults.lose(0)
    times = [host.programs[0].lines.count(b"%d" % number) for number in range(20)]
    assert lost > 0
    assert min(times) == 1
    assert max(times) > 1  # without a token a resend runs twice: what the link must prevent


def test_stop_points_are_met_before_and_after_each_message(host: Host) -> None:
    told: list[tuple[str, str]] = []
    host.faults.around_message = lambda moment, kind: told.append((moment, kind))
    session = Session(host.protocol())
    session.ask(b"hi")
    session.protocol.close_shell(session.shell)
    kinds = ("Create", "Command", "Send", "Receive", "Delete")
    assert told == [(moment, kind) for kind in kinds for moment in ("before", "after")]
