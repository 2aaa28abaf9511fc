"""The door answers what live hosts were asked, word for word, but for ids and places.

Source: tests/data/winrm-recordings.json, from pypsrp's tests (MIT, licence beside it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import pytest

from ec2gw.lab.door import envelope
from ec2gw.lab.door.limits import Limits
from ec2gw.lab.door.process import Output
from tests.truth.conversations import (
    CONFIGURATIONS,
    CONVERSATIONS,
    Answer,
    Replayed,
    new_ids,
    replay,
    service,
    with_ids,
)
from tests.truth.ledger import Ledger

NOT_FOUND: Final = 'Code="2147942402"'
"""Of a WSManFault: ERROR_FILE_NOT_FOUND of a program."""


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_each_recorded_request_gets_the_recorded_answer(name: str, ledger: Ledger) -> None:
    assert replay(CONVERSATIONS[name]) == []
    ledger.note("door: answers", "live hosts' of WinRM", checked=len(CONVERSATIONS[name]))


def test_a_bare_program_is_not_found_without_a_command_shell_and_its_full_path_is() -> None:
    exchanges = CONVERSATIONS["winrs_no_cmd_shell"]
    refused = [one for one in exchanges if NOT_FOUND in one["response"]]
    commands = [one for one in exchanges if "<rsp:Command>" in one["request"]]
    assert [one["status"] for one in refused] == [500]
    assert refused == commands[:1]
    assert [re.findall("<rsp:Command>([^<]*)<", one["request"]) for one in commands] == [
        ["powershell.exe"],
        ["C:\\Windows\\system32\\WindowsPowerShell\\v1.0\\powershell.exe"],
    ]
    assert replay(exchanges) == []


def test_what_was_sent_reaches_the_program_and_nothing_else() -> None:
    programs: list[Replayed] = []

    def start(
        program: str, arguments: Sequence[str], environment: Mapping[str, str], output: Output
    ) -> Replayed:
        assert (program, list(arguments)) == ("powershell.exe", ["-"])
        programs.append(Replayed(environment, output))
        return programs[-1]

    door, caller = service(start)
    ours: dict[str, str] = {}
    for exchange in CONVERSATIONS["winrs_send"][:4]:
        text = with_ids(exchange["request"], ours)
        _, answer = door.answer(envelope.read(text.encode()), caller)
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

    door, caller = service(start)
    create, command = CONVERSATIONS["winrs_environment"][:2]
    _, answer = door.answer(envelope.read(create["request"].encode()), caller)
    (recorded_id,), (our_id,) = new_ids(create["response"]), new_ids(answer.decode())
    text = command["request"].replace(recorded_id, our_id)
    door.answer(envelope.read(text.encode()), caller)

    odd = '_-(){}[]<>*+-/\\?"!@#$^&|;:i,.`~0'
    assert environments == [{"env1": "var1", "1234": "5678", odd: odd}]


# -- limits

LIMITS: Final[Mapping[str, Callable[[Limits], int]]] = {
    "MaxEnvelopeSizekb": lambda limits: limits.max_envelope_kb,
    "MaxTimeoutms": lambda limits: int(limits.max_timeout_seconds * 1000),
    "MaxConcurrentOperationsPerUser": lambda limits: limits.max_concurrent_operations_per_user,
    "MaxConnections": lambda limits: limits.max_connections,
    "IdleTimeout": lambda limits: int(limits.shell_idle_seconds * 1000),
    "MaxShellsPerUser": lambda limits: limits.max_shells_per_user,
    "MaxProcessesPerShell": lambda limits: limits.max_processes_per_shell,
}
"""What the door has a limit for."""
UNLIMITED: Final = 2**31 - 1
STRICTER: Final = {
    "MaxShellsPerUser": "the recorded host was freed of it; the default of Windows holds",
    "MaxProcessesPerShell": "the recorded host was freed of it; the default of Windows holds",
}
WITHOUT: Final = {
    "MaxBatchItems": "nothing is enumerated at the door",
    "MaxProviderRequests": "unlimited there",
    "MaxConcurrentOperations": "unlimited there; the one per user holds",
    "EnumerationTimeoutms": "nothing is enumerated at the door",
    "MaxPacketRetrievalTimeSeconds": "of subscriptions",
    "MaxConcurrentUsers": "unlimited there; as many users have a shell as there are accounts",
    "MaxShellRunTime": "unlimited there, and a constant of newer hosts",
    "MaxMemoryPerShellMB": "unlimited there; a simulated program has no memory of its own",
}
"""What a configuration limits and the door does not, and why."""


def recorded_limits(response: str) -> dict[str, int]:
    """The numbers of the service and of its shells; the client's own are not the door's."""
    service_alone = re.sub(
        "<cfg:Client>.*</cfg:Client>|<cfg:DefaultPorts>.*?</cfg:DefaultPorts>", "", response
    )
    return {name: int(value) for name, value in re.findall(r"<cfg:(\w+)>(\d+)</cfg", service_alone)}


def beyond(limits: Limits, recorded: Mapping[str, int]) -> list[str]:
    """The limits that are not the recorded ones, and not reviewed."""
    wrong = [
        f"{name} is {ours(limits)}, not {recorded[name]}"
        for name, ours in LIMITS.items()
        if ours(limits) != recorded[name] and not (name in STRICTER and recorded[name] == UNLIMITED)
    ]
    unknown = recorded.keys() - LIMITS.keys() - WITHOUT.keys()
    return wrong + [f"nothing is said of {name}" for name in sorted(unknown)]


def test_the_limits_are_those_of_the_recorded_configuration(ledger: Ledger) -> None:
    told = [recorded_limits(one[0]["response"]) for one in CONFIGURATIONS.values()]
    assert sorted(one["MaxEnvelopeSizekb"] for one in told) == [150, 500, 4096]
    recorded = next(one for one in told if one["MaxEnvelopeSizekb"] == 500)  # Windows' default
    assert beyond(Limits(), recorded) == []
    assert WITHOUT.keys() <= recorded.keys() - LIMITS.keys()
    assert [name for name in STRICTER if recorded[name] != UNLIMITED] == []
    ledger.note(
        "door: limits",
        "a live host's configuration",
        checked=len(LIMITS),
        exceptions=len(STRICTER),
        unknown=len(WITHOUT),
    )


def test_another_limit_is_told() -> None:
    recorded = recorded_limits(CONFIGURATIONS["wsman_update_envelope_size_500"][0]["response"])
    assert beyond(Limits(max_envelope_kb=150), recorded) == ["MaxEnvelopeSizekb is 150, not 500"]
    assert beyond(Limits(), {**recorded, "MaxNew": 1}) == ["nothing is said of MaxNew"]
    assert beyond(Limits(), {**recorded, "MaxShellsPerUser": 25}) == [
        "MaxShellsPerUser is 30, not 25"
    ]


# -- trials: each change of an answer is told


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("winrs_bad_cmd_id", 'Code="2150858843"', 'Code="2150858844"'),
        ("winrs_bad_cmd_id", "w:InvalidSelectors", "w:InvalidSelector"),
        ("winrs_bad_cmd_id", "<s:Value>s:Sender<", "<s:Value>s:Receiver<"),
        ("winrs_operation_timeout", 'Code="2150858793"', 'Code="2150858794"'),
        ("winrs_no_cmd_shell", 'Code="2147942402"', 'Code="2147942403"'),
        ("winrs_standard", "CommandState/Done", "CommandState/Running"),
        ("winrs_standard", ' End="true"', ""),
        ("winrs_standard", "<rsp:IdleTimeOut>", "<rsp:IdleTimeout>"),
        ("winrs_standard", "/wbem/wsman/1/windows/shell", "/wbem/wsman/1/windows/shells"),
        ("winrs_standard", 'xmlns:w="', 'xmlns:wsman="'),
        ("winrs_stderr_rc", "<rsp:ExitCode>", "<rsp:ExitCode>1"),
    ],
)
def test_each_change_of_an_answer_is_told(name: str, old: str, new: str) -> None:
    changed: list[bool] = []

    def spoil(answer: Answer) -> Answer:
        status, body = answer
        changed.append(old.encode() in body)
        return status, body.replace(old.encode(), new.encode())

    told = replay(CONVERSATIONS[name], spoil)
    assert any(changed), "the trial spoils nothing"
    assert len(told) >= sum(changed)


def test_another_status_is_told() -> None:
    told = replay(CONVERSATIONS["winrs_bad_cmd_id"], lambda answer: (200, answer[1]))
    assert told
    assert all(one.endswith("status 200, not 500") for one in told)
