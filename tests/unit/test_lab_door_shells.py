"""Shells and commands: quotas, idle time, and pipes that hold only so much."""

from __future__ import annotations

import threading

import pytest

from ec2gw.lab.door import soapfault
from ec2gw.lab.door.command import Command, Gone, Received
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.shells import Shells

BOTH = ("stdout", "stderr")


class Program:
    """A process that reads nothing by itself."""

    def __init__(self) -> None:
        self.input = bytearray()
        self.ended = self.killed = False

    def write(self, data: bytes) -> None:
        self.input += data

    def unread(self) -> int:
        return len(self.input)

    def close_input(self) -> None:
        self.ended = True

    def kill(self) -> None:
        self.killed = True


def started(limits: Limits | None = None) -> tuple[Command, Program]:
    command, program = Command(limits or Limits()), Program()
    command.attach(program)
    return command, program


def receive(
    command: Command, *, max_bytes: int = 100_000, streams: tuple[str, ...] = BOTH
) -> Received:
    return command.receive(streams, max_bytes=max_bytes, timeout_seconds=0.05, gone=lambda: False)


def code_of(error: pytest.ExceptionInfo[soapfault.Fault]) -> int:
    return error.value.code


def test_output_is_received_in_order_and_the_exit_code_last() -> None:
    command, _ = started()
    command.stdout(b"one")
    command.stderr(b"two")
    command.stdout(b"three")
    assert receive(command) == Received(
        (("stdout", b"one"), ("stderr", b"two"), ("stdout", b"three")), None
    )
    command.stdout(b"four")
    command.exited(3)
    assert receive(command) == Received((("stdout", b"four"),), 3)


def test_output_larger_than_the_envelope_comes_in_slices_and_done_with_the_last() -> None:
    command, _ = started()
    command.stdout(b"a" * 70_000)
    command.exited(0)
    slices = [receive(command, max_bytes=30_000) for _ in range(3)]
    sizes = [sum(len(data) for _, data in part.chunks) for part in slices]
    assert sum(sizes) == 70_000
    assert max(sizes) <= 30_000
    assert [part.exit_code for part in slices] == [None, None, 0]


def test_what_is_told_about_the_pieces_counts_towards_the_envelope() -> None:
    command, _ = started()
    for _ in range(100):
        command.stdout(b"o")
        command.stderr(b"e")
    assert len(receive(command, max_bytes=10_000).chunks) < 100


def test_a_stream_that_was_not_asked_for_stays_waiting() -> None:
    command, _ = started()
    command.stderr(b"err")
    command.stdout(b"out")
    assert receive(command, streams=("stdout",)).chunks == (("stdout", b"out"),)
    assert receive(command).chunks == (("stderr", b"err"),)


def test_once_its_end_was_told_a_command_is_not_there_to_receive() -> None:
    command, _ = started()
    command.exited(0)
    receive(command)
    with pytest.raises(soapfault.Fault) as error:
        receive(command)
    assert code_of(error) == soapfault.UNEXPECTED_SELECTORS


@pytest.mark.parametrize(("told", "shown"), [(0xC000013A, -1073741510), (-1, -1), (256, 256)])
def test_exit_codes_are_signed_as_windows_shows_them(told: int, shown: int) -> None:
    command, _ = started()
    command.exited(told)
    assert receive(command).exit_code == shown


def test_receiving_without_output_times_out_and_loses_nothing() -> None:
    command, _ = started()
    with pytest.raises(soapfault.Fault) as error:
        receive(command)
    assert code_of(error) == soapfault.OPERATION_TIMED_OUT
    command.stdout(b"late")
    assert receive(command).chunks == (("stdout", b"late"),)


def test_a_program_that_nobody_listens_to_blocks_as_at_a_full_pipe() -> None:
    command, _ = started(Limits(max_waiting_bytes=1000))
    wrote = threading.Event()

    def write() -> None:
        command.stdout(b"x" * 1500)
        wrote.set()

    threading.Thread(target=write, daemon=True).start()
    assert not wrote.wait(0.1)
    ((_, first),) = receive(command).chunks
    assert len(first) <= 1000
    assert wrote.wait(5)
    ((_, second),) = receive(command).chunks
    assert first + second == b"x" * 1500


def test_a_program_that_blocks_on_its_output_is_freed_when_it_is_ended() -> None:
    command, program = started(Limits(max_waiting_bytes=10))
    writer = threading.Thread(target=command.stdout, args=(b"x" * 100,), daemon=True)
    writer.start()
    command.abort()
    writer.join(5)
    assert not writer.is_alive()
    assert program.killed


def test_many_small_writes_do_not_become_many_objects() -> None:
    command, _ = started()
    for _ in range(1000):
        command.stdout(b"x")
    assert receive(command).chunks == (("stdout", b"x" * 1000),)


def test_input_waits_for_a_full_stdin_and_then_times_out_whole() -> None:
    command, program = started(Limits(max_waiting_bytes=10))
    command.send(b"12345678", end=False, timeout_seconds=1)
    with pytest.raises(soapfault.Fault) as error:
        command.send(b"abc", end=True, timeout_seconds=0.05)
    assert code_of(error) == soapfault.OPERATION_TIMED_OUT
    assert (bytes(program.input), program.ended) == (b"12345678", False)

    waiting = threading.Timer(0.05, program.input.clear)
    waiting.start()
    command.send(b"abc", end=True, timeout_seconds=5)
    assert (bytes(program.input), program.ended) == (b"abc", True)


def test_a_piece_larger_than_the_pipe_passes_when_nothing_waits() -> None:
    command, program = started(Limits(max_waiting_bytes=10))
    command.send(b"x" * 100, end=False, timeout_seconds=0.05)
    assert len(program.input) == 100


def test_input_after_its_end_or_the_programs_end_finds_the_pipe_ended() -> None:
    command, _ = started()
    command.send(b"", end=True, timeout_seconds=1)
    with pytest.raises(soapfault.Fault) as error:
        command.send(b"x", end=False, timeout_seconds=1)
    assert code_of(error) == soapfault.PIPE_ENDED

    command, _ = started()
    command.exited(1)
    with pytest.raises(soapfault.Fault) as error:
        command.send(b"x", end=False, timeout_seconds=1)
    assert code_of(error) == soapfault.PIPE_ENDED


def test_a_receive_whose_client_left_takes_nothing() -> None:
    command, _ = started()
    threading.Timer(0.05, command.stdout, (b"kept",)).start()
    with pytest.raises(Gone):
        command.receive(BOTH, max_bytes=100, timeout_seconds=5, gone=lambda: True)
    assert receive(command).chunks == (("stdout", b"kept"),)


def test_ctrl_c_ends_a_program_as_windows_does_and_keeps_its_output() -> None:
    command, program = started()
    command.stdout(b"so far")
    command.interrupt()
    assert program.killed
    assert receive(command) == Received((("stdout", b"so far"),), -1073741510)


def test_whoever_waits_on_an_aborted_command_is_told_so() -> None:
    command, _ = started()
    threading.Timer(0.05, command.abort).start()
    with pytest.raises(soapfault.Fault) as error:
        command.receive(BOTH, max_bytes=100, timeout_seconds=5, gone=lambda: False)
    assert code_of(error) == soapfault.ABORTED


def test_a_program_that_starts_after_its_command_was_ended_is_killed() -> None:
    command, program = Command(Limits()), Program()
    command.abort()
    command.attach(program)
    assert program.killed


def test_each_user_has_so_many_shells_and_no_more() -> None:
    shells = Shells(Limits(max_shells_per_user=2))
    first = shells.create("ann", {}, 60)
    shells.create("ann", {}, 60)
    with pytest.raises(soapfault.Fault, match="maximum number of 2 concurrent shells") as error:
        shells.create("ann", {}, 60)
    assert code_of(error) == soapfault.QUOTA_SHELLS
    shells.create("bob", {}, 60)
    shells.delete(first)
    shells.create("ann", {}, 60)


def test_a_shell_has_so_many_living_processes() -> None:
    shells = Shells(Limits(max_processes_per_shell=1))
    shell = shells.create("ann", {}, 60)
    command = shells.add_command(shell)
    with pytest.raises(soapfault.Fault) as error:
        shells.add_command(shell)
    assert code_of(error) == soapfault.NOT_ENOUGH_QUOTA
    command.exited(0)
    shells.add_command(shell)


def test_commands_count_as_operations_until_their_shell_is_deleted() -> None:
    shells = Shells(Limits(max_concurrent_operations_per_user=3))
    shell = shells.create("ann", {}, 60)
    for _ in range(3):
        shells.release(shell, shells.add_command(shell))
    with pytest.raises(soapfault.Fault) as error, shells.operation("ann"):
        pass
    assert code_of(error) == soapfault.QUOTA_OPERATIONS
    with shells.operation("bob"):
        pass
    shells.delete(shell)
    with shells.operation("ann"):
        pass


def test_another_users_shell_is_as_good_as_none() -> None:
    shells = Shells(Limits())
    shell = shells.create("ann", {}, 60)
    for user, shell_id in (("bob", shell.id), ("ann", "nonsense")):
        with pytest.raises(soapfault.Fault) as error, shells.use(user, shell_id):
            pass
        assert code_of(error) == soapfault.UNEXPECTED_SELECTORS
    with shells.use("ann", shell.id.lower()) as found:
        assert found is shell


def test_an_idle_shell_is_reaped_but_not_while_a_message_is_in_work() -> None:
    now = 0.0
    shells = Shells(Limits(), clock=lambda: now)
    shell = shells.create("ann", {}, 60)
    command = shells.add_command(shell)
    program = Program()
    command.attach(program)

    with shells.use("ann", shell.id):
        now = 100.0
        shells.reap()
        assert len(shells) == 1
    now = 160.0
    shells.reap()
    assert len(shells) == 1
    now = 160.5
    shells.reap()
    assert len(shells) == 0
    assert program.killed
