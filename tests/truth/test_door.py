"""The door answers what live hosts were asked, word for word, but for ids and places.

Source: tests/data/winrm-recordings.json, from pypsrp's tests (MIT, licence beside it).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import pytest

from ec2gw.lab.door import envelope
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Output
from ec2gw.lab.door.service import Caller, Service

RECORDINGS = Path(__file__).parent.parent / "data" / "winrm-recordings.json"
GUID = r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"
STREAM = r'<rsp:Stream Name="(\w+)" CommandId="ID">[A-Za-z0-9+/=]+</rsp:Stream>'


class Exchange(TypedDict):
    request: str
    status: int
    response: str


class Replayed:
    """A program that says what the recorded one said, told by the test."""

    def __init__(self, environment: Mapping[str, str], output: Output) -> None:
        self.environment = environment
        self.output = output
        self.input = b""
        self.input_closed = False

    def write(self, data: bytes) -> None:
        self.input += data

    def unread(self) -> int:
        return 0

    def close_input(self) -> None:
        self.input_closed = True

    def kill(self) -> None:
        pass

    def say(self, recorded: str) -> None:
        """Write what a recorded answer to Receive brought, and end if it tells an end."""
        for name, data in re.findall(r'<rsp:Stream Name="(\w+)"[^>]*>([^<]+)<', recorded):
            write = self.output.stdout if name == "stdout" else self.output.stderr
            write(base64.b64decode(data))
        if code := re.search(r"<rsp:ExitCode>(-?\d+)<", recorded):
            self.output.exited(int(code[1]))


def conversations() -> Iterator[tuple[str, list[Exchange]]]:
    for recording in json.loads(RECORDINGS.read_text())["recordings"]:
        yield recording["name"], recording["exchanges"]


CONVERSATIONS = dict(conversations())


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_each_recorded_request_gets_the_recorded_answer(name: str) -> None:
    programs: list[Replayed] = []

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Replayed:
        programs.append(Replayed(environment, output))
        return programs[-1]

    service = Service(start, Limits(max_timeout_seconds=0.05), "lab-host-1")
    caller = Caller("LAB\\vagrant", "127.0.0.1", "http://127.0.0.1:1/wsman", lambda: False)
    ours: dict[str, str] = {}  # recorded id -> ours

    for exchange in CONVERSATIONS[name]:
        text = exchange["request"]
        for recorded_id, our_id in ours.items():
            text = text.replace(recorded_id, our_id)
        request = envelope.read(text.encode())
        if request.kind == "Receive" and exchange["status"] == 200:
            programs[-1].say(exchange["response"])

        status, answer = service.answer(request, caller)

        assert status == exchange["status"]
        expected = normal(exchange["response"])
        if "ActivityId" not in expected:
            answer = re.sub(b"<p:ActivityId>[^<]*</p:ActivityId>", b"", answer)
        assert normal(answer.decode()) == expected
        assert (request.message_id in answer.decode()) is (request.message_id != "")
        ours |= dict(zip(new_ids(exchange["response"]), new_ids(answer.decode()), strict=True))


def test_what_was_sent_reaches_the_program_and_nothing_else() -> None:
    programs: list[Replayed] = []

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Replayed:
        assert (program, list(arguments)) == ("powershell.exe", ["-"])
        programs.append(Replayed(environment, output))
        return programs[-1]

    service = Service(start, Limits(max_timeout_seconds=0.05), "lab-host-1")
    caller = Caller("op", "127.0.0.1", "http://127.0.0.1:1/wsman", lambda: False)
    ours: dict[str, str] = {}
    for exchange in CONVERSATIONS["winrs_send"][:4]:
        text = exchange["request"]
        for recorded_id, our_id in ours.items():
            text = text.replace(recorded_id, our_id)
        _, answer = service.answer(envelope.read(text.encode()), caller)
        ours |= dict(zip(new_ids(exchange["response"]), new_ids(answer.decode()), strict=True))

    assert programs[0].input == b'Write-Host "output 1";Write-Host "output 2";'
    assert programs[0].input_closed


def test_the_environment_of_the_shell_reaches_the_program() -> None:
    environments: list[Mapping[str, str]] = []

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Replayed:
        environments.append(environment)
        return Replayed(environment, output)

    service = Service(start, Limits(), "lab-host-1")
    caller = Caller("op", "127.0.0.1", "http://127.0.0.1:1/wsman", lambda: False)
    create, command = CONVERSATIONS["winrs_environment"][:2]
    _, answer = service.answer(envelope.read(create["request"].encode()), caller)
    (recorded_id,), (our_id,) = new_ids(create["response"]), new_ids(answer.decode())
    text = command["request"].replace(recorded_id, our_id)
    service.answer(envelope.read(text.encode()), caller)

    odd = '_-(){}[]<>*+-/\\?"!@#$^&|;:i,.`~0'
    assert environments == [{"env1": "var1", "1234": "5678", odd: odd}]


def new_ids(answer: str) -> list[str]:
    """The shell or command id that an answer brings."""
    return re.findall(rf"<rsp:(?:ShellId|CommandId)>({GUID})<", answer)


def normal(answer: str) -> str:
    """Take out what differs from host to host and run to run, and nothing else."""
    text = re.sub(GUID, "ID", answer)
    text = re.sub(r'Machine="[^"]*"', 'Machine="M"', text)
    text = re.sub(r"<(a:Address|rsp:Owner|rsp:ClientIP)>[^<]*<", r"<\1>V<", text)
    # How a stream is cut into pieces depends on when the program writes.
    text = re.sub(STREAM, r"<\1/>", text)
    text = re.sub(r"(<std(?:out|err)/>)\1+", r"\1", text)
    # Recorded once: a host that loses a backslash within a variable's name.
    return re.sub(r'Name="[^"]*"', lambda match: match[0].replace("\\", ""), text)
