"""The WS-Management shell service of one host: a request and its caller in, an answer out.

Holds what each action means; transport and sign-in are `server`'s, quotas `shells`'.

Source: MS-WSMV 3.1.4.5 (Delete), 3.1.4.10 (Create), 3.1.4.11 (Command), 3.1.4.12 (Signal),
3.1.4.13 (Send), 3.1.4.14 (Receive); recorded answers of live hosts.
"""

from __future__ import annotations

import base64
import binascii
import ntpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from ec2gw.lab.door import answer, envelope, soapfault
from ec2gw.lab.door.command import Command
from ec2gw.lab.door.envelope import NAMES, Request
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import ProgramNotFound, Starter
from ec2gw.lab.door.shells import Shell, Shells

_CMD_LINE_CHARACTERS = 8191
_WINDOWS_LINE_CHARACTERS = 32767
_SIGNALS = f"{envelope.SHELL}/signal/"
_STREAMS = ("stdout", "stderr")
_VERSION = "OS: 10.0.20348 SP: 0.0 Stack: 3.0"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request and how; `gone` tells whether the connection was closed by them."""

    user: str
    address: str
    endpoint: str
    gone: Callable[[], bool]


class Service:
    """The shells of one host behind their actions."""

    def __init__(self, starter: Starter, limits: Limits, machine: str) -> None:
        self._starter = starter
        self._limits = limits
        self._machine = machine
        self.shells = Shells(limits)

    def answer(self, request: Request, caller: Caller) -> tuple[int, bytes]:
        """Do what is asked; give the HTTP status and the answer.

        :raises Gone: the caller has left while it waited, nothing is to be answered
        """
        if request.kind == "Identify":
            return 200, answer.identified(_VERSION)
        try:
            with self.shells.operation(caller.user):
                body = self._do(request, caller)
        except soapfault.Fault as fault:
            return self.refuse(fault, request)
        return 200, answer.answered(request.kind, request.action, request.message_id, body)

    def refuse(self, fault: soapfault.Fault, request: Request | None = None) -> tuple[int, bytes]:
        """Give the HTTP status and the answer for a fault."""
        message_id = request.message_id if request else ""
        return 500, answer.failed(fault, message_id, self._machine)

    def _do(self, request: Request, caller: Caller) -> str:
        timeout_seconds = self._timeout_seconds(request)
        if not (request.action and request.message_id):
            raise soapfault.header_required()
        if request.kind == "Unknown":
            raise soapfault.action_not_supported()
        if request.resource_uri != answer.CMD:
            raise soapfault.resource_not_found()
        if request.kind == "Create":
            return self._create(request, caller)
        shell_id = request.selectors.get("ShellId", "").strip()
        if not shell_id:
            raise soapfault.selector_required()
        with self.shells.use(caller.user, shell_id) as shell:
            match request.kind:
                case "Delete":
                    self.shells.delete(shell)
                    return ""
                case "Command":
                    return self._command(request, shell)
                case "Signal":
                    return self._signal(request, shell)
                case "Send":
                    return self._send(request, shell, timeout_seconds)
            return self._receive(request, shell, timeout_seconds, caller)

    def _timeout_seconds(self, request: Request) -> float:
        if not request.operation_timeout:
            return self._limits.max_timeout_seconds
        seconds = envelope.duration_seconds(request.operation_timeout)
        if seconds is None:
            raise soapfault.invalid_timeout(request.operation_timeout)
        return min(seconds, self._limits.max_timeout_seconds)

    def _create(self, request: Request, caller: Caller) -> str:
        wanted = _body(request, "Shell")
        idle_text = _text(wanted, "rsp:IdleTimeOut")
        idle_seconds = envelope.duration_seconds(idle_text or "PT0S")
        if idle_seconds is None:
            raise soapfault.schema_violated()
        environment = {
            variable.get("Name", ""): variable.text or ""
            for variable in wanted.iterfind("rsp:Environment/rsp:Variable", NAMES)
        }
        idle_seconds = min(idle_seconds or self._limits.shell_idle_seconds, 2**31 / 1000)
        shell = self.shells.create(caller.user, environment, idle_seconds)
        return answer.created(
            endpoint=caller.endpoint,
            shell_id=shell.id,
            owner=caller.user,
            client_address=caller.address,
            environment=environment,
            working_directory=_text(wanted, "rsp:WorkingDirectory"),
            idle_seconds=idle_seconds,
            input_streams=_text(wanted, "rsp:InputStreams") or "stdin",
            output_streams=_text(wanted, "rsp:OutputStreams") or " ".join(_STREAMS),
        )

    def _command(self, request: Request, shell: Shell) -> str:
        line = _body(request, "CommandLine")
        program = _text(line, "rsp:Command")
        arguments = [item.text or "" for item in line.iterfind("rsp:Arguments", NAMES)]
        length = len(" ".join([program, *arguments]))
        if not program:
            raise soapfault.parameter_incorrect()
        if length > _WINDOWS_LINE_CHARACTERS:
            raise soapfault.command_line_too_long()
        through_cmd = not request.option("WINRS_SKIP_CMD_SHELL")
        # Without cmd nothing searches PATH or expands a variable: recorded as 2147942402.
        if not through_cmd and not ntpath.isabs(program):
            raise soapfault.program_not_found()
        command = self.shells.add_command(shell)
        if through_cmd and length > _CMD_LINE_CHARACTERS:
            command.stderr(b"The command line is too long.\r\n")
            command.exited(1)
            return answer.started(command.id)
        if through_cmd:
            program, arguments = _split(program, arguments)
        try:
            self._start(command, shell, program, arguments)
        except ProgramNotFound:
            if not through_cmd:
                self.shells.release(shell, command)
                raise soapfault.program_not_found() from None
            text = (
                f"'{program}' is not recognized as an internal or external command,\r\n"
                "operable program or batch file.\r\n"
            )
            command.stderr(text.encode())
            command.exited(1)
        return answer.started(command.id)

    def _start(
        self, command: Command, shell: Shell, program: str, arguments: Sequence[str]
    ) -> None:
        command.attach(self._starter(program, arguments, shell.environment, command))

    def _send(self, request: Request, shell: Shell, timeout_seconds: float) -> str:
        stream = _body(request, "Send").find("rsp:Stream", NAMES)
        if stream is None or stream.get("Name") != "stdin":
            raise soapfault.parameter_incorrect()
        command = self._named(shell, stream)
        try:
            data = base64.b64decode("".join((stream.text or "").split()), validate=True)
        except (binascii.Error, ValueError):
            raise soapfault.schema_violated() from None
        end = stream.get("End", "").casefold() in ("true", "1")
        command.send(data, end=end, timeout_seconds=timeout_seconds)
        return "<rsp:SendResponse/>"

    def _receive(
        self, request: Request, shell: Shell, timeout_seconds: float, caller: Caller
    ) -> str:
        desired = _body(request, "Receive").find("rsp:DesiredStream", NAMES)
        streams = (desired.text or "").split() if desired is not None else []
        if desired is None or not streams or not set(streams) <= set(_STREAMS):
            raise soapfault.parameter_incorrect()
        command = self._named(shell, desired)
        envelope_bytes = min(request.max_envelope_bytes, self._limits.max_envelope_bytes)
        received = command.receive(
            streams,
            max_bytes=(envelope_bytes - answer.ENVELOPE_OVERHEAD_BYTES) * 3 // 4,
            timeout_seconds=timeout_seconds,
            gone=caller.gone,
        )
        return answer.received(command.id, received.chunks, received.exit_code, " ".join(streams))

    def _signal(self, request: Request, shell: Shell) -> str:
        signal = _body(request, "Signal")
        command = self._named(shell, signal)
        code = _text(signal, "rsp:Code").removeprefix(_SIGNALS)
        if code not in ("terminate", "ctrl_c", "ctrl_break"):
            raise soapfault.parameter_incorrect()
        if code != "terminate" and command.running:
            command.interrupt()
        else:
            self.shells.release(shell, command)
        return "<rsp:SignalResponse/>"

    def _named(self, shell: Shell, element: Element) -> Command:
        command_id = element.get("CommandId")
        if not command_id:
            raise soapfault.parameter_incorrect()
        return self.shells.command(shell, command_id)


def _split(program: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Find the program in a line as cmd does: the first word, or what is in quotes."""
    if program.startswith('"') and '"' in program[1:]:
        name, _, rest = program[1:].partition('"')
    else:
        name, _, rest = program.partition(" ")
    rest = rest.strip()
    return name, [rest, *arguments] if rest else list(arguments)


def _body(request: Request, name: str) -> Element:
    if request.body is None or request.body.tag != f"{{{envelope.SHELL}}}{name}":
        raise soapfault.schema_violated()
    return request.body


def _text(parent: Element, path: str) -> str:
    return (parent.findtext(path, "", NAMES) or "").strip()
