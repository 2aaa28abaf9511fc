"""What a client of real hosts runs into, as the door reproduces it and pywinrm shows it.

What pywinrm makes of each failure is asserted, since the link is built on it.
"""

from __future__ import annotations

import threading
import time

import pytest
import requests
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from ec2gw.lab.door.limits import Limits

from .conftest import Opened
from .host import PROGRAM, Host, Session, fault_code


def test_a_sealed_connection_that_was_idle_too_long_poisons_its_protocol(opened: Opened) -> None:
    session = Session(opened(limits=Limits(connection_idle_seconds=0.6)).protocol())
    time.sleep(1.2)
    for _ in range(2):
        with pytest.raises(WinRMTransportError) as error:
            session.ask(b"hi")
        assert error.value.code == 400
    session.renew()
    assert session.ask(b"hi") == b"HI\n"


def test_an_idle_connection_is_no_matter_to_basic(opened: Opened) -> None:
    host = opened(basic=True, limits=Limits(connection_idle_seconds=0.6))
    session = Session(host.protocol("basic"))
    time.sleep(1.2)
    assert session.ask(b"hi") == b"HI\n"


def test_receive_without_output_is_an_operation_timeout_and_loses_nothing(host: Host) -> None:
    session = Session(host.protocol())
    for _ in range(2):
        with pytest.raises(WinRMOperationTimeoutError):
            session.receive()
    assert session.ask(b"late") == b"LATE\n"


def test_the_server_caps_what_a_client_is_ready_to_wait(host: Host) -> None:
    session = Session(host.protocol(operation_timeout_sec=20, read_timeout_sec=30))
    began = time.monotonic()
    with pytest.raises(WinRMOperationTimeoutError):
        session.receive()
    assert time.monotonic() - began < 2


def test_output_comes_in_slices_that_fit_the_clients_envelope(host: Host) -> None:
    session = Session(host.protocol())
    output = b"x" * 1_000_000
    writer = threading.Thread(target=host.programs[0].output.stdout, args=(output,))
    writer.start()
    slices: list[bytes] = []
    while sum(len(one) for one in slices) < len(output):
        slices.append(session.receive())
    writer.join(5)
    assert b"".join(slices) == output
    assert max(len(one) for one in slices) * 4 / 3 < 153600
    assert len(slices) >= 9


def test_a_message_over_the_envelopes_limit_is_413_and_the_session_goes_on(host: Host) -> None:
    session = Session(host.protocol())
    with pytest.raises(WinRMTransportError) as error:
        session.send(b"x" * 600_000)
    assert error.value.code == 413
    assert session.ask(b"hi") == b"HI\n"


def test_a_shell_that_hears_nothing_for_its_idle_time_is_gone(host: Host) -> None:
    protocol = host.protocol()
    shell = protocol.open_shell(idle_timeout="PT0.2S")
    time.sleep(0.8)
    with pytest.raises(WSManFaultError) as error:
        protocol.run_command(shell, PROGRAM, skip_cmd_shell=True)
    assert fault_code(error) == 2150858843


def test_an_idle_time_that_is_no_duration_is_refused(host: Host) -> None:
    with pytest.raises(WSManFaultError) as error:
        host.protocol().open_shell(idle_timeout=120)
    assert fault_code(error) == 2150858817


def test_a_send_to_a_program_that_does_not_read_times_out(host: Host) -> None:
    session = Session(host.protocol())
    host.programs[0].reads = False
    for _ in range(3):
        session.send(b"x" * 340_000)
    with pytest.raises(WinRMOperationTimeoutError):
        session.send(b"x" * 340_000)
    assert host.programs[0].unread() == 3 * 340_000


def test_after_a_programs_end_its_code_is_told_once_and_its_pipe_is_ended(host: Host) -> None:
    session = Session(host.protocol())
    session.send(b"bye\n")
    assert session.protocol.get_command_output(session.shell, session.command)[2] == 3
    with pytest.raises(WSManFaultError) as error:
        session.send(b"more\n")
    assert fault_code(error) == 109
    with pytest.raises(WSManFaultError) as error:
        session.receive()
    assert fault_code(error) == 2150858843


@pytest.mark.parametrize("program", ["powershell.exe", r"%SystemRoot%\x.exe", r"C:\nothing.exe"])
def test_without_cmd_only_a_full_path_starts_a_program(host: Host, program: str) -> None:
    protocol = host.protocol()
    shell = protocol.open_shell()
    with pytest.raises(WSManFaultError) as error:
        protocol.run_command(shell, program, skip_cmd_shell=True)
    assert fault_code(error) == 2147942402


def through_cmd(host: Host, line: str) -> tuple[bytes, bytes, int]:
    protocol = host.protocol()
    shell = protocol.open_shell()
    return protocol.get_command_output(shell, protocol.run_command(shell, line))


def test_cmd_refuses_in_its_own_words(host: Host) -> None:
    too_long = b"The command line is too long.\r\n"
    assert through_cmd(host, "powershell.exe " + "x" * 8177) == (b"", too_long, 1)
    _, complaint, code = through_cmd(host, "nonsense -x")
    assert complaint.startswith(b"'nonsense' is not recognized as an internal or external command")
    assert code == 1


def test_cmd_finds_a_program_by_its_bare_name(host: Host) -> None:
    protocol = host.protocol()
    protocol.run_command(protocol.open_shell(), "powershell.exe -NoProfile", ["x" * 8165])
    assert host.programs[0].arguments == ["-NoProfile", "x" * 8165]


def test_quotas_are_faults_with_their_numbers(opened: Opened) -> None:
    limits = Limits(
        max_shells_per_user=1, max_processes_per_shell=1, max_concurrent_operations_per_user=2
    )
    host = opened(limits=limits)
    session = Session(host.protocol())
    with pytest.raises(WSManFaultError) as error:
        host.protocol().open_shell()
    assert fault_code(error) == 2150859173
    with pytest.raises(WSManFaultError) as error:
        session.protocol.run_command(session.shell, PROGRAM, skip_cmd_shell=True)
    assert fault_code(error) == 2147943416
    session.protocol.cleanup_command(session.shell, session.command)
    session.protocol.run_command(session.shell, PROGRAM, skip_cmd_shell=True)
    with pytest.raises(WSManFaultError) as error:
        session.protocol.run_command(session.shell, PROGRAM, skip_cmd_shell=True)
    assert fault_code(error) == 2150859174


def test_a_receive_whose_client_gave_up_takes_nothing_of_what_comes(opened: Opened) -> None:
    host = opened(limits=Limits())
    session = Session(host.protocol())
    impatient = Session(host.protocol(), of=session)
    impatient.protocol.transport.read_timeout_sec = 1
    with pytest.raises(requests.exceptions.ReadTimeout):
        impatient.receive()
    assert session.ask(b"hi") == b"HI\n"
