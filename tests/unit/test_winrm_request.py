"""Plans as the agent's requests: what travels how, and what is refused before it does."""

from __future__ import annotations

from typing import Any

import pytest

from ec2gw.winrm import framing, request
from translators.hyperv.host import Call, Cim, Faulty, Fence, Path, Plan, Ref

TOKEN = "0123456789abcdef0123456789abcdef"


def encode(*calls: Call, fence: Fence | None = None) -> dict[str, Any]:
    return request.encode(Plan("test", calls), request_id=7, epoch=3, fence=fence)


def test_a_launch_becomes_calls_with_references_paths_and_wmi_values() -> None:
    encoded = encode(
        Call(
            "Hyper-V\\New-VM",
            {"Name": "i-1", "MemoryStartupBytes": 1 << 40, "Path": Path("instances") / "i-1"},
            keep="vm",
            take={"id": "Id:text", "up": "Uptime.TotalSeconds:int"},
        ),
        Call(
            "CimCmdlets\\Invoke-CimMethod",
            {
                "InputObject": Ref("vm", 0, "Cim"),
                "Arguments": {"Modes": Cim("uint16[]", [1, 2]), "Force": True, "Why": None},
                "Many": [Ref("vm"), Path("tmp/a"), "text"],
            },
        ),
        fence=Fence(TOKEN, "i-1", 5),
    )
    assert encoded == {
        "id": 7,
        "epoch": 3,
        "token": TOKEN,
        "subject": "i-1",
        "generation": 5,
        "calls": [
            {
                "do": "Hyper-V\\New-VM",
                "with": {
                    "Name": "i-1",
                    "MemoryStartupBytes": 1 << 40,
                    "Path": {"$path": "instances/i-1"},
                },
                "as": "vm",
                "take": {"id": "Id:text", "up": "Uptime.TotalSeconds:int"},
            },
            {
                "do": "CimCmdlets\\Invoke-CimMethod",
                "with": {
                    "InputObject": {"$ref": "vm", "at": 0, "property": "Cim"},
                    "Arguments": {
                        "Modes": {"$cim": "uint16[]", "value": [1, 2]},
                        "Force": True,
                        "Why": None,
                    },
                    "Many": [{"$ref": "vm"}, {"$path": "tmp/a"}, "text"],
                },
            },
        ],
    }
    assert framing.Decoder().feed(framing.encode(encoded)) == [encoded]


def test_without_a_fence_nothing_of_one_travels() -> None:
    assert encode() == {"id": 7, "epoch": 3, "calls": []}


@pytest.mark.parametrize(
    "fence",
    [
        Fence("0123", "i-1", 1),
        Fence(TOKEN.upper(), "i-1", 1),
        Fence(TOKEN + "\n", "i-1", 1),
        Fence(TOKEN, "I-1", 1),
        Fence(TOKEN, "i-1", -1),
        Fence(TOKEN, "i-1", 10**15),
        Fence(TOKEN, "i-1", True),
    ],
)
def test_a_fence_of_another_form_is_refused(fence: Fence) -> None:
    with pytest.raises(Faulty):
        encode(fence=fence)


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        b"bytes",
        object(),
        1 << 64,
        -(1 << 63) - 1,
        {"$ref": "vm"},
        {"": 1},
        {"Name": 1, "NAME": 2},
        Ref("nobody"),
        Cim("uint128", 1),
        Cim("uint8", True),
        Cim("uint8", "1"),
        Cim("uint8[]", 1),
        Cim("uint8", [1]),
        Cim("boolean", 0),
        Cim("uint8\n", 1),
        Path(""),
        Path("/etc"),
        Path("a//b"),
        Path("a/../b"),
        Path("a\\b"),
        Path("C:"),
        Path("a."),
        Path("a\n"),
        Path("-a"),
        Path("a" * 101),
        nested(40),
    ],
)
def test_an_argument_that_the_agent_would_refuse_is_refused_here(value: Any) -> None:
    with pytest.raises(Faulty):
        encode(Call("Toy\\Do", {"Value": value}))


@pytest.mark.parametrize(
    "call",
    [
        Call("Toy\\Do", take={"a": "A:text"}),
        Call("Toy\\Do", keep="it", take={"a": "A:float"}),
        Call("Toy\\Do", keep="it", take={"a": "A:text\n"}),
        Call("Toy\\Do", keep="it", take={"a b": "A:text"}),
        Call("Toy\\Do", keep="an it"),
        Call("Toy\\Do", {"$path": "x"}),
    ],
)
def test_a_call_of_another_form_is_refused(call: Call) -> None:
    with pytest.raises(Faulty):
        encode(call)


def test_a_result_is_named_once_and_before_it_is_used() -> None:
    with pytest.raises(Faulty):
        encode(Call("Toy\\Do", keep="it"), Call("Toy\\Do", keep="it"))
    with pytest.raises(Faulty):
        encode(Call("Toy\\Do", {"Value": Ref("it")}, keep="it"))


def test_a_generation_travels_without_a_token_but_never_with_calls() -> None:
    asked = encode(fence=Fence(None, "i-1", 0))
    assert asked == {"id": 7, "epoch": 3, "subject": "i-1", "generation": 0, "calls": []}
    with pytest.raises(Faulty, match="calls under a fence have a token"):
        encode(Call("Hyper-V\\Get-VM"), fence=Fence(None, "i-1", 0))
