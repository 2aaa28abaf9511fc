"""One PowerShell process on the host, in a WinRS shell, over two connections.

Starts it with the agent, writes to it, reads from it, ends it; what the bytes say is the worker's.
Receives wait on a connection of their own, since pywinrm's Protocol is not thread-safe and a Send
must not wait for them.

Source: [MS-WSMV] 3.1.4 (Create, Command, Send, Receive, Delete); docs/architecture.md, "The host
link".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from ec2gw.winrm import endpoint, ledger, session, timing


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """What a process is started with: the loader on its command line, the rest over stdin."""

    program: str
    arguments: Sequence[str]
    input: bytes
    """The agent's text and the first frame."""


class Shell:
    """One thread writes, starts and ends; one reads; `abort` may come from any."""

    def __init__(
        self,
        address: endpoint.HostAddress,
        limits: timing.Timing,
        shells: ledger.Ledger | None = None,
    ) -> None:
        """`shells`: where it is written down, so that somebody else may give it back."""
        self._limits = limits
        self._ledger = shells
        self._sending = session.Connection(address, limits)
        self._receiving = session.Connection(address, limits)
        self._shell = ""
        self._command = ""

    @property
    def id(self) -> str:
        """The host's name for it; empty before there is one."""
        return self._shell

    def start(self, bootstrap: Bootstrap) -> None:
        """Create the shell, run the loader, hand it the agent and the first frame.

        :raises LinkError: nothing of a half-made start is left, as far as the host can be reached
        """
        self._shell = self._sign_in()
        self._note()
        try:
            self._command = self._sending.start(self._shell, bootstrap.program, bootstrap.arguments)
            self._note()
            self.write(bootstrap.input)
        except session.LinkError:
            self._delete()
            raise
        self._sending.hurry(self._limits.send_seconds)

    def _sign_in(self) -> str:
        try:
            return self._sending.create_shell()
        except session.Denied as error:
            if error.is_final:
                raise
            # A spoilt connection is refused like wrong credentials: only a second, new sign-in
            # tells them apart, and a third could lock the account.
            return self._sending.create_shell()

    def write(self, data: bytes) -> None:
        """Send it in slices.

        :raises LinkError: any part of `data` may have arrived, unless it is Unconnected
        """
        for start in range(0, len(data), timing.SEND_BYTES):
            piece = data[start : start + timing.SEND_BYTES]
            try:
                self._sending.send(self._shell, self._command, piece)
            except session.Unconnected as error:
                if start == 0:
                    raise
                raise session.Lost(str(error), error.code) from error

    def read(self) -> session.Output:
        """What the process has written, waiting for it up to the operation's time.

        :raises LinkError: NoOutput when it wrote nothing; with any other, output may be lost
        """
        return self._receiving.receive(self._shell, self._command)

    def end(self, *, delete: bool) -> None:
        """Close the process's input, which ends the agent, and remove the shell; never raises.

        Without `delete` what still runs there may go on: the host removes the idle shell.
        """
        self._sending.hurry(self._limits.farewell_seconds)
        if self._command:
            with contextlib.suppress(session.LinkError):
                self._sending.send(self._shell, self._command, b"", end=True)
        if delete and self._shell:
            self._delete()
        self._sending.close()

    def abort(self) -> None:
        """Cut both connections, so that no thread waits in one."""
        self._sending.abort()
        self._receiving.abort()

    def stop_reading(self) -> None:
        self._receiving.abort()

    def _note(self) -> None:
        if self._ledger is not None:
            self._ledger.opened(self._shell, self._command)

    def _delete(self) -> None:
        self._sending.hurry(self._limits.farewell_seconds)
        try:
            with contextlib.suppress(session.Gone):
                self._sending.delete_shell(self._shell)
        except session.LinkError:
            return  # it stays written down
        if self._ledger is not None:
            self._ledger.deleted(self._shell)
