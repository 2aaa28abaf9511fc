"""Unmodified pywinrm reads every answer that live hosts gave, as we would read a host's.

Recorded answers are handed to its session as HTTP answers; they differ from the recording in one
thing: they relate to the request that was just sent, which pywinrm insists on.

Source: tests/data/winrm-recordings.json, from pypsrp's tests (MIT, licence beside it).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import pytest
import requests
import requests.adapters
from winrm import exceptions
from winrm.protocol import Protocol

from ec2gw.lab.door import envelope
from tests.truth.conversations import (
    CONFIGURATIONS,
    CONVERSATIONS,
    FAULTS,
    GUID,
    Exchange,
    new_ids,
)
from tests.truth.ledger import Ledger

TIMEOUT: Final = 2150858793
SHELL: Final = "11111111-1111-1111-1111-111111111111"
COMMAND: Final = "22222222-2222-2222-2222-222222222222"

ALL: Final = [
    pytest.param(exchange, id=f"{name}-{number}")
    for part in (CONVERSATIONS, CONFIGURATIONS, FAULTS)
    for name, exchanges in part.items()
    for number, exchange in enumerate(exchanges)
]


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


class Recorded(requests.adapters.BaseAdapter):
    """Answers any request with a recorded answer."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__()
        self._exchange = exchange

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **_options: object
    ) -> requests.Response:
        assert isinstance(request.body, bytes)
        [ours] = re.findall(r"uuid:([0-9A-Fa-f-]{36})</a:MessageID>", request.body.decode())
        related = re.sub(
            r"(<a:RelatesTo>)[^<]*(<)", rf"\g<1>uuid:{ours.upper()}\2", self._exchange["response"]
        )
        answer = requests.Response()
        answer.status_code = self._exchange["status"]
        answer._content = related.encode()
        answer.url = str(request.url)
        answer.request = request
        return answer

    def close(self) -> None:
        pass


def asked(exchange: Exchange) -> Protocol:
    """A client that gets the recorded answer."""
    protocol = Protocol("http://127.0.0.1:1/wsman", username="u", password="p")
    protocol.transport.build_session().mount("http://", Recorded(exchange))
    return protocol


def read(exchange: Exchange) -> object:
    """Ask what was asked there, in pywinrm's own words, and answer what it makes of the answer."""
    protocol = asked(exchange)
    methods: Mapping[str, Callable[[], object]] = {
        "Create": protocol.open_shell,
        "Command": lambda: protocol.run_command(SHELL, "powershell.exe", ["-"]),
        "Send": lambda: protocol.send_command_input(SHELL, COMMAND, b"x"),
        "Receive": lambda: protocol.get_command_output_raw(SHELL, COMMAND),
        "Signal": lambda: protocol.cleanup_command(SHELL, COMMAND),
        "Delete": lambda: protocol.close_shell(SHELL),
        "Unknown": lambda: protocol.send_message(_any_message(protocol)),
    }
    return methods[kind(exchange)]()


def kind(exchange: Exchange) -> str:
    return envelope.read(exchange["request"].encode()).kind


def _any_message(protocol: Protocol) -> str:
    header = protocol.build_wsman_header("http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", "x")
    return f"<a:MessageID>{header['env:Header']['a:MessageID']}</a:MessageID>"


def said(exchange: Exchange) -> object:
    """What an answer says, read by other means."""
    answer = exchange["response"]
    match kind(exchange):
        case "Create" | "Command":
            return new_ids(answer)[0]
        case "Receive":
            code = re.search(r"<rsp:ExitCode>(-?\d+)<", answer)
            done = "CommandState/Done" in answer
            streams = [b"".join(_stream(answer, name)) for name in ("stdout", "stderr")]
            return (*streams, int(code[1]) if code and done else -1, done)
        case "Unknown":
            return answer
    return None


def _stream(answer: str, name: str) -> Iterator[bytes]:
    for text in re.findall(rf'<rsp:Stream Name="{name}"[^>]*>([^<]+)<', answer):
        yield base64.b64decode(text)


def fault(answer: str) -> tuple[str, str, int | None]:
    """Code, subcode and number of a fault."""
    values = re.findall("<s:Value>([^<]*)</s:Value>", answer)
    number = re.search(r'WSManFault[^>]* Code="(\d+)"', answer)
    return values[0], values[1] if len(values) > 1 else "", int(number[1]) if number else None


@pytest.mark.parametrize("exchange", ALL)
def test_pywinrm_reads_what_a_live_host_answered(exchange: Exchange, ledger: Ledger) -> None:
    hold(exchange)
    ledger.note("door: answers that pywinrm reads", "live hosts' answers", checked=1)


def hold(exchange: Exchange) -> None:
    if exchange["status"] == 200:
        told = read(exchange)
        if isinstance(told, bytes):  # with another id that it relates to
            told = re.sub(GUID, "ID", told.decode())
            assert told == re.sub(GUID, "ID", exchange["response"])
        else:
            assert told == said(exchange)
        return
    code, subcode, number = fault(exchange["response"])
    if number == TIMEOUT:
        with pytest.raises(exceptions.WinRMOperationTimeoutError):
            read(exchange)
        return
    with pytest.raises(exceptions.WSManFaultError) as caught:
        read(exchange)
    told_of = caught.value
    assert (told_of.fault_code, told_of.fault_subcode or "") == (code, subcode)
    assert (told_of.code, told_of.wsman_fault_code) == (exchange["status"], number)


def test_every_kind_of_answer_is_among_them() -> None:
    kinds = {kind(exchange.values[0]) for exchange in ALL}  # type: ignore[arg-type]
    assert kinds == {"Create", "Command", "Send", "Receive", "Signal", "Delete", "Unknown"}
    numbers = {
        fault(one["response"])[2]
        for part in (CONVERSATIONS, FAULTS)
        for exchanges in part.values()
        for one in exchanges
        if one["status"] != 200
    }
    assert {TIMEOUT, 2147942402, 2150858843} <= numbers
