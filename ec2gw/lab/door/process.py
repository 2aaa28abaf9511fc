"""What the laboratory plugs into its door: programs that are started, fed and listened to.

Holds the interface alone. The door calls a `Starter` for every Command, hands the bytes of each
Send to the `Process`, and answers Receive with what the process told its `Output`.

Source: MS-WSMV 3.1.4.10 to 3.1.4.14 (shell operations), CreateProcess (Win32).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol


class ProgramNotFound(Exception):
    """The host has no such program; a `Starter` raises it."""


class Process(Protocol):
    """One remote process, as the door drives it; every method may be called from any thread."""

    def write(self, data: bytes) -> None:
        """Take bytes for stdin without blocking; after its end the process ignores them."""

    def unread(self) -> int:
        """How many bytes of stdin the process has not read yet.

        The door bounds them: over 1 MiB a Send waits, then faults with OperationTimeout.
        """

    def close_input(self) -> None:
        """Nothing follows on stdin: the process reads end of file after what was written."""

    def kill(self) -> None:
        """End it at once, whatever it does; a second call does nothing.

        The door no longer listens: what the process says from then on is dropped.
        """


class Output(Protocol):
    """Where a process writes; every method may be called from any thread.

    `stdout` and `stderr` block like a full pipe while 1 MiB waits for the client, until it
    receives or the process is killed: hold no lock that others need while writing.
    """

    def stdout(self, data: bytes) -> None: ...

    def stderr(self, data: bytes) -> None: ...

    def exited(self, code: int) -> None:
        """Tell the exit code, once and last; what was written before is still delivered."""


Starter = Callable[[str, Sequence[str], Mapping[str, str], Output], Process]
"""Starts `(program, arguments, environment, output)` and returns at once, in any thread.

The output may be written to before the starter has returned.
Without a cmd shell (WINRS_SKIP_CMD_SHELL) the program is always a full path, since nothing
searches PATH there; through the cmd shell it may be a bare name. The environment is the
shell's. `ProgramNotFound` becomes what a host says: fault 2147942402, or cmd's complaint on
stderr and exit code 1.
"""
