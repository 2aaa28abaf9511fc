"""What live hosts' WinRM answered, how the door answers the same, and where the two differ.

Source: tests/data/winrm-recordings.json, from pypsrp's tests (MIT, licence beside it).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

from ec2gw.lab.door import envelope
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Output, Starter
from ec2gw.lab.door.service import Caller, Service

DATA: Final = Path(__file__).parents[1] / "data" / "winrm-recordings.json"
GUID: Final = r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"
STREAM: Final = r'<rsp:Stream Name="(\w+)" CommandId="ID">[A-Za-z0-9+/=]+</rsp:Stream>'

Answer = tuple[int, bytes]
Spoil = Callable[[Answer], Answer]


class Exchange(TypedDict):
    request: str
    status: int
    response: str


def _read(part: str) -> dict[str, list[Exchange]]:
    found: Mapping[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return {one["name"]: one["exchanges"] for one in found[part]}


CONVERSATIONS: Final = _read("recordings")
"""Each is sent to the door."""
CONFIGURATIONS: Final = _read("configurations")
FAULTS: Final = _read("faults")
"""Of a protocol that neither we nor the door speak: what a client makes of them counts."""


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


def service(start: Starter) -> tuple[Service, Caller]:
    """A door's service that waits for nothing, and who speaks to it."""
    caller = Caller("LAB\\vagrant", "127.0.0.1", "http://127.0.0.1:1/wsman", lambda: False)
    return Service(start, Limits(max_timeout_seconds=0.05), "lab-host-1"), caller


def unspoilt(answer: Answer) -> Answer:
    return answer


def replay(exchanges: Sequence[Exchange], spoil: Spoil = unspoilt) -> list[str]:
    """Send each recorded request with our ids; tell where the answers are not the recorded ones."""
    programs: list[Replayed] = []

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Replayed:
        programs.append(Replayed(environment, output))
        return programs[-1]

    door, caller = service(start)
    ours: dict[str, str] = {}  # recorded id -> ours
    wrong: list[str] = []
    for number, exchange in enumerate(exchanges):
        request = envelope.read(with_ids(exchange["request"], ours).encode())
        if request.kind == "Receive" and exchange["status"] == 200:
            programs[-1].say(exchange["response"])
        answer = door.answer(request, caller)
        said = f"exchange {number}, {request.kind}"
        wrong += [f"{said}: {one}" for one in differences(exchange, spoil(answer))]
        if request.message_id.encode() not in answer[1]:
            wrong.append(f"{said}: it is not told what is answered")
        ours |= dict(zip(new_ids(exchange["response"]), new_ids(answer[1].decode()), strict=True))
    return wrong


def differences(exchange: Exchange, answer: Answer) -> list[str]:
    """Hold status, elements, namespaces, order, attributes and texts against the recorded ones."""
    status, body = answer
    found = []
    if status != exchange["status"]:
        found.append(f"status {status}, not {exchange['status']}")
    expected = normal(exchange["response"])
    text = body.decode()
    if "ActivityId" not in expected:  # older hosts have none
        text = re.sub("<p:ActivityId>[^<]*</p:ActivityId>", "", text)
    ours = normal(text)
    if ours != expected:
        at = next(
            (
                at
                for at, (one, other) in enumerate(zip(ours, expected, strict=False))
                if one != other
            ),
            min(len(ours), len(expected)),
        )
        found.append(f"{ours[max(at - 40, 0) : at + 40]!r}, not {expected[at : at + 40]!r}")
    return found


def with_ids(text: str, ours: Mapping[str, str]) -> str:
    for recorded_id, our_id in ours.items():
        text = text.replace(recorded_id, our_id)
    return text


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
