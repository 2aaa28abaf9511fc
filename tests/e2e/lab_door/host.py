"""One simulated host: a door with a small program behind it, and sessions of pywinrm with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import pytest
import requests
from winrm.exceptions import WSManFaultError
from winrm.protocol import Protocol

from ec2gw.lab.door.accounts import Account, Credentials
from ec2gw.lab.door.faults import Faults
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Output, ProgramNotFound
from ec2gw.lab.door.server import Door, Tls

PROGRAM = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"
PASSWORD = "laboratory password"
OTHER_PASSWORD = "another password"
CREDENTIALS = Credentials([Account("op", PASSWORD, "LAB"), Account("other", OTHER_PASSWORD, "LAB")])
QUICK = Limits(max_timeout_seconds=0.2)  # the server's cap: a long poll ends soon
LOST = (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
"""What pywinrm lets through when a connection breaks."""


class Program:
    """Answers each line in upper case; `bye` ends it with exit code 3."""

    def __init__(self, arguments: Sequence[str], output: Output) -> None:
        self.arguments = list(arguments)
        self.output = output
        self.lines: list[bytes] = []
        self.reads = True
        self.killed = False
        self._rest = b""

    def write(self, data: bytes) -> None:
        self._rest += data
        if not self.reads:
            return
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self.lines.append(line)
            self.output.stdout(line.upper() + b"\n")
            if line == b"bye":
                self.output.exited(3)

    def unread(self) -> int:
        return len(self._rest)

    def close_input(self) -> None:
        self.output.exited(0)

    def kill(self) -> None:
        self.killed = True


class Host:
    """One door with its programs."""

    def __init__(
        self, *, limits: Limits = QUICK, basic: bool = False, tls: Tls | None = None
    ) -> None:
        self.programs: list[Program] = []
        self.faults = Faults("host-1")
        self.door = Door(
            ("127.0.0.1", 0),
            self.start,
            CREDENTIALS,
            limits=limits,
            basic=basic,
            tls=tls,
            faults=self.faults,
        )
        self.door.start()

    def start(
        self, program: str, arguments: Sequence[str], environment: Mapping[str, str], out: Output
    ) -> Program:
        if program not in (PROGRAM, "powershell.exe"):
            raise ProgramNotFound
        self.programs.append(Program(arguments, out))
        return self.programs[-1]

    def protocol(
        self,
        transport: Literal["ntlm", "basic"] = "ntlm",
        user: str = "LAB\\op",
        password: str = PASSWORD,
        *,
        endpoint: str = "",
        operation_timeout_sec: int = 4,
        read_timeout_sec: int = 5,
        message_encryption: Literal["auto", "never"] = "auto",
        send_cbt: bool = True,
        ca: str | None = None,
    ) -> Protocol:
        return Protocol(
            endpoint or self.door.endpoint,
            transport=transport,
            username=user,
            password=password,
            operation_timeout_sec=operation_timeout_sec,
            read_timeout_sec=read_timeout_sec,
            message_encryption=message_encryption,
            send_cbt=send_cbt,
            ca_trust_path=ca,  # type: ignore[arg-type]  # None: the environment's is not used
            proxy=None,
        )


class Session:
    """A shell with a started program, as a worker has it; or a second connection to one."""

    shell: str
    command: str

    def __init__(self, protocol: Protocol, of: Session | None = None) -> None:
        self.protocol = protocol
        if of is not None:
            self.shell, self.command = of.shell, of.command
            return
        self.shell = protocol.open_shell(codepage=65001, noprofile=True)
        self.command = protocol.run_command(
            self.shell, PROGRAM, console_mode_stdin=False, skip_cmd_shell=True
        )

    def send(self, data: bytes) -> None:
        self.protocol.send_command_input(self.shell, self.command, data)

    def receive(self) -> bytes:
        return self.protocol.get_command_output_raw(self.shell, self.command)[0]

    def ask(self, line: bytes) -> bytes:
        self.send(line + b"\n")
        return self.receive()

    def renew(self) -> None:
        """Drop the connection and what was sealed for it; the shell stays."""
        self.protocol.transport.close_session()


def fault_code(error: pytest.ExceptionInfo[WSManFaultError]) -> int | None:
    return error.value.wsman_fault_code
