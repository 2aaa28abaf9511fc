"""The shells of one host: who owns them, how many there may be, when an idle one is reaped.

Holds no XML; a shell keeps its commands. Counts are per user. As on Windows, an operation is a
message in work or a command started in a shell that still exists: a command counts until its
shell is deleted, whatever Signal did, so a client that never renews its shell is refused one day.

Source: MS-WSMV 3.1.4.5, 3.1.4.12 with product behaviour note 118.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ec2gw.lab.door import answer, soapfault
from ec2gw.lab.door.command import Command
from ec2gw.lab.door.limits import Limits


@dataclass(slots=True, eq=False)
class Shell:
    """One Windows Remote Shell; its fields are guarded by the lock of its `Shells`."""

    user: str
    environment: Mapping[str, str]
    idle_seconds: float
    touched: float
    id: str = field(default_factory=answer.new_id)
    commands: dict[str, Command] = field(default_factory=dict)
    commands_started: int = 0
    messages_in_work: int = 0


class Shells:
    """All shells of one host. Another user's shell is as good as none."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._messages_in_work: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._shells)

    @contextmanager
    def operation(self, user: str) -> Iterator[None]:
        """Count one message of the user while it is in work.

        :raises Fault: the user has too many operations (2150859174)
        """
        with self._lock:
            limit = self._limits.max_concurrent_operations_per_user
            commands = sum(s.commands_started for s in self._shells.values() if s.user == user)
            if self._messages_in_work[user] + commands >= limit:
                raise soapfault.too_many_operations(limit)
            self._messages_in_work[user] += 1
        try:
            yield
        finally:
            with self._lock:
                self._messages_in_work[user] -= 1

    def create(self, user: str, environment: Mapping[str, str], idle_seconds: float) -> Shell:
        """Open a shell.

        :raises Fault: the user has too many shells (2150859173)
        """
        shell = Shell(user, environment, idle_seconds, touched=self._clock())
        with self._lock:
            limit = self._limits.max_shells_per_user
            if sum(1 for other in self._shells.values() if other.user == user) >= limit:
                raise soapfault.too_many_shells(limit)
            self._shells[shell.id] = shell
        return shell

    @contextmanager
    def use(self, user: str, shell_id: str) -> Iterator[Shell]:
        """Find the user's shell and keep it from being idle meanwhile.

        :raises Fault: there is none, or it is another user's (2150858843)
        """
        with self._lock:
            shell = self._shells.get(shell_id.upper())
            if shell is None or shell.user != user:
                raise soapfault.shell_not_found(shell_id)
            shell.messages_in_work += 1
        try:
            yield shell
        finally:
            with self._lock:
                shell.messages_in_work -= 1
                shell.touched = self._clock()

    def add_command(self, shell: Shell) -> Command:
        """Make a command; its process is not started yet.

        :raises Fault: the shell has too many processes (2147943416), or was deleted meanwhile
        """
        with self._lock:
            if shell.id not in self._shells:
                raise soapfault.shell_not_found(shell.id)
            alive = sum(1 for command in shell.commands.values() if command.running)
            if alive >= self._limits.max_processes_per_shell:
                raise soapfault.too_many_processes()
            command = Command(self._limits)
            shell.commands[command.id] = command
            shell.commands_started += 1
        return command

    def command(self, shell: Shell, command_id: str) -> Command:
        """Find a command of the shell.

        :raises Fault: there is none (2150858843)
        """
        with self._lock:
            command = shell.commands.get(command_id.upper())
        if command is None:
            raise soapfault.command_not_found()
        return command

    def release(self, shell: Shell, command: Command) -> None:
        """Forget a command, ending its process."""
        with self._lock:
            shell.commands.pop(command.id, None)
        command.abort()

    def delete(self, shell: Shell) -> None:
        """Close a shell, ending its processes."""
        with self._lock:
            self._shells.pop(shell.id, None)
            commands = list(shell.commands.values())
            shell.commands.clear()
        for command in commands:
            command.abort()

    def delete_all(self) -> None:
        """Close every shell, as a restart of the WinRM service does."""
        with self._lock:
            shells = list(self._shells.values())
        for shell in shells:
            self.delete(shell)

    def end_programs(self) -> None:
        """End every process as a crash does; its shell stays, and its output is still received."""
        with self._lock:
            commands = [one for shell in self._shells.values() for one in shell.commands.values()]
        for command in commands:
            command.crash()

    def let_pass(self, seconds: float) -> None:
        """Let every shell that has no message in work have been idle for so much longer."""
        with self._lock:
            for shell in self._shells.values():
                if not shell.messages_in_work:
                    shell.touched -= seconds
        self.reap()

    def reap(self) -> None:
        """Close the shells that heard nothing for their idle time."""
        now = self._clock()
        with self._lock:
            idle = [
                shell
                for shell in self._shells.values()
                if not shell.messages_in_work and now - shell.touched > shell.idle_seconds
            ]
        for shell in idle:
            self.delete(shell)
