"""Stands where a Linux PowerShell would behind the laboratory's door, without one.

What it is not: PowerShell. It reads the agent's text and the first frame from stdin as the loader
does, runs the laboratory's interpreter of frames, binds each call by the same tables, and hands it
over the socket in the words of the generated functions (`ec2gw/lab/powershell/proxies.py`). So the
Python half of the bridge runs whole on any machine: sockets, live objects by number, paths of
another system, pipes.

Usage: the options of `pwsh -File SCRIPT`, all of which it ignores.

Source: proxies.py, Send-Call and ConvertTo-Sent.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ec2gw.lab import binding
from ec2gw.lab.agent.host import CmdletError, Invoked, WmiValue
from ec2gw.lab.agent.journal import Journals
from ec2gw.lab.agent.session import Session
from ec2gw.lab.powershell import values
from ec2gw.winrm import framing

KINDS = {width: kind for kind, width in values.WIDTHS.items()} | {"boolean": "System.Boolean"}


class Seen:
    """An object as `ConvertFrom-Json` leaves it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self.told = told

    @property
    def class_name(self) -> str:
        name = str(self.told[values.TYPE][-1]).removeprefix("Lab.")
        return "root/any:Any" if name == "CimInstance" else name

    def property(self, name: str) -> object:
        return _live(self.told[name])


class ProxiedHost:
    """A `LabHost` whose cmdlets are at the other end of a socket; its journal is a file."""

    name = "twin"
    host_id = "twin"
    module_versions: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._folder = ""

    @property
    def boot_time(self) -> datetime.datetime:
        [system] = self.invoke(
            "CimCmdlets\\Get-CimInstance", {"ClassName": "Win32_OperatingSystem"}
        ).objects
        assert isinstance(system, Seen)
        return datetime.datetime.fromisoformat(str(system.property("LastBootUpTime")))

    def rooted(self, root: str) -> ProxiedHost:
        self._folder = _linux(root)
        return self

    def knows(self, do: str) -> bool:
        return True

    def invoke(self, do: str, arguments: Mapping[str, object]) -> Invoked:
        if do == "Agent\\New-Folder" and not self._folder:
            Path(_linux(str(arguments["Path"]))).mkdir(parents=True, exist_ok=True)
            return Invoked()  # the agent makes its root by itself
        bound = _bind(do, arguments)
        with_ = {name: _sent(value) for name, value in bound.arguments.items()}
        for value in bound.arguments.values():
            if isinstance(value, dict):
                with_[values.KINDS] = {name: _kind(one) for name, one in value.items()}
        answer = _ask({"name": do.rpartition("\\")[2], "set": bound.set_name, "with": with_})
        if "error" in answer:
            error = answer["error"]
            codes = tuple(f"0x{code & 0xFFFFFFFF:08X}" for code in reversed(error["codes"]))
            raise CmdletError(
                error["id"],
                error["category"],
                error["text"],
                activity=error["activity"],
                target=error["target"],
                hresult=codes,
            )
        return Invoked([_live(one) for one in answer["objects"]], answer["warnings"])

    # -- the journal

    def _journal(self) -> Path:
        return Path(self._folder) / "journal"

    def agents(self, alive: int) -> None: ...

    def journal_read(self) -> bytes:
        return self._journal().read_bytes() if self._journal().exists() else b""

    def journal_size(self) -> int:
        return self._journal().stat().st_size if self._journal().exists() else 0

    def journal_append(self, data: bytes) -> None:
        with self._journal().open("ab") as file:
            file.write(data)

    def journal_replace(self, data: bytes) -> None:
        self._journal().write_bytes(data)


class Pipes:
    """Where the session writes: this process's own pipes."""

    def stdout(self, data: bytes) -> None:
        message = _only(data)
        if isinstance(message, dict):  # what it takes for a Windows path is one of this machine
            told = {name: values.mapped(one, _linux) for name, one in message.items()}
            data = framing.encode(told, largest=framing.MAX_TEXT)
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def stderr(self, data: bytes) -> None:
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    def exited(self, code: int) -> None:
        os._exit(code)  # as the agent ends: whatever its lanes do


def _ask(question: dict[str, object]) -> dict[str, Any]:
    question["key"] = os.environ["LAB_KEY"]
    with socket.create_connection(("127.0.0.1", int(os.environ["LAB_PORT"])), 60) as connection:
        connection.sendall(json.dumps(question).encode() + b"\n")
        told = b"".join(iter(lambda: connection.recv(65536), b""))
    answer: dict[str, Any] = json.loads(told)
    return answer


def _bind(do: str, arguments: Mapping[str, object]) -> binding.BoundCall:
    """What the generated function's parameters do."""
    try:
        return binding.bind(do, arguments, binding.LABORATORY)
    except binding.BindingError as error:
        identifier = f"{error.identifier},{do.rpartition(chr(92))[2]}"
        raise CmdletError(identifier, error.category, error.text, kind=error.kind) from None


def _sent(value: object) -> object:
    match value:
        case uuid.UUID():
            return str(value)
        case Seen():
            return {values.REF: value.told[values.REF]}
        case WmiValue():
            return value.value
        case dict():
            return {name: _sent(one) for name, one in value.items()}
        case list():
            return [_sent(one) for one in value]
        case str():
            return _linux(value)
    return value


def _kind(value: object) -> str:
    if isinstance(value, WmiValue):
        many = "[]" if value.type.endswith("[]") else ""
        return KINDS.get(value.type.removesuffix("[]"), "System.String") + many
    return {bool: "System.Boolean", int: "System.Int64"}.get(type(value), "System.String")


def _live(told: Any) -> object:
    if isinstance(told, dict):
        return Seen(told)
    if isinstance(told, list):
        return [_live(one) for one in told]
    return _windows(told) if isinstance(told, str) else told


# The interpreter knows Windows paths alone: what lies at /a/b is Q:\a\b to it.


def _windows(text: str) -> str:
    return "Q:" + text.replace("/", "\\") if text.startswith("/") else text


def _linux(text: str) -> str:
    return text[2:].replace("\\", "/") if text.startswith("Q:\\") else text


def _only(line: bytes) -> object:
    return next(iter(framing.Decoder().feed(line)), None)


def main() -> None:
    session = Session(Journals(ProxiedHost()), Pipes(), 120.0)
    session.start()
    source = sys.stdin.buffer
    session.write(source.readline())
    setup = _only(source.readline())
    assert isinstance(setup, dict)
    session.write(framing.encode({**setup, "root": _windows(str(setup["root"]))}))
    for line in source:
        session.write(line)
    session.close_input()
    time.sleep(70)  # until it has ended, which ends this process


if __name__ == "__main__":
    main()
