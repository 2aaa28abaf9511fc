"""A disk that a host sends to the depot, or fetches from it: a task that outlives the link.

The order, with its token, lies in a file that only administrators of the host read; the task's
definition holds nothing but where that is. Pieces that got through are not sent again.

Source: docs/decisions/0015-disks-travel-through-the-gateway.md; transfer.ps1 of the agent.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from translators.hyperv import tasks
from translators.hyperv.host import Answer, Argument, Call, Path, Plan

_SCRIPT: Final = Path("tasks/transfer.ps1")


@dataclass(frozen=True, slots=True)
class Order:
    """What the task is to do; `digest` and `length_bytes` are known of what is fetched."""

    name: str
    generation: int
    direction: Literal["Send", "Receive"]
    path: str
    url: str
    certificate: str
    """SHA-256 of the one certificate that the depot may show."""
    token: str
    length_bytes: int | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """How far it has got: `state` is Running, Done or Failed, `error` why it failed."""

    generation: int
    state: str
    done_bytes: int
    error: str


@dataclass(frozen=True, slots=True)
class Sight:
    """The task, if the host has it, and whether a file is at its place."""

    task: Task | None
    file_exists: bool
    has_script: bool
    """Whether what tasks run lies there, as this release has it."""


def look(name: str, path: str) -> Plan:
    """See the task and the file."""
    return Plan(
        "look-transfer",
        (
            Call(
                "Agent\\Get-Transfer",
                {"Name": name},
                keep="task",
                take={
                    "generation": "Generation:int",
                    "state": "State:text",
                    "done": "Done:int",
                    "error": "Error:text",
                },
            ),
            Call(
                "Agent\\Get-FileState",
                {"Path": Path(path)},
                keep="file",
                take={"name": "Name:text"},
            ),
            Call(
                "Agent\\Get-FileState",
                {"Path": _SCRIPT, "Hash": True},
                keep="script",
                take={"sha256": "Sha256:text"},
            ),
        ),
    )


def seen(answer: Answer) -> Sight:
    """Read what `look` brought back."""
    task = None
    for row in answer.results["task"]:
        generation, done = row["generation"], row["done"]
        task = Task(
            generation=generation if isinstance(generation, int) else 0,
            state=str(row["state"]),
            done_bytes=done if isinstance(done, int) else 0,
            error=str(row["error"] or ""),
        )
    script = any(row["sha256"] == _digest() for row in answer.results["script"])
    return Sight(task, bool(answer.results["file"]), script)


def put_script() -> Plan:
    """Put what tasks run where they run it from."""
    text = tasks.transfer()
    return Plan(
        "put-script",
        (
            Call("Agent\\New-Folder", {"Path": Path("tasks")}),
            Call(
                "Agent\\Write-FileChunk",
                {"Path": _SCRIPT, "Offset": 0, "Base64": base64.b64encode(text).decode()},
            ),
            Call(
                "Agent\\Complete-File",
                {"Path": _SCRIPT, "Sha256": _digest(), "Length": len(text)},
            ),
        ),
        changes=True,
    )


def _digest() -> str:
    return hashlib.sha256(tasks.transfer()).hexdigest()


def start(order: Order) -> Plan:
    """Begin the task, in place of an older one of that name."""
    with_: dict[str, Argument] = {
        "Name": order.name,
        "Generation": order.generation,
        "Direction": order.direction,
        "Path": Path(order.path),
        "Url": order.url,
        "Certificate": order.certificate,
        "Token": order.token,
    }
    if order.length_bytes is not None and order.digest is not None:
        with_["Length"] = order.length_bytes
        with_["Sha256"] = order.digest
    return Plan("start-transfer", (Call("Agent\\Start-Transfer", with_),), changes=True)


def clear(name: str) -> Plan:
    """Remove the task and its order; the file stays, what there is half of one goes."""
    return Plan("clear-transfer", (Call("Agent\\Remove-Transfer", {"Name": name}),), changes=True)
