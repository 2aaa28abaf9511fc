"""A real PowerShell as the door's process: its pipes, and what a Linux cannot know of the host.

The first frame's root becomes a folder of this machine; the hello's host and modules become the
simulated host's; paths in answers become the host's again. All other frames go as they are.

Source: docs/laboratory.md, "The agent itself behind the door".
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ec2gw.lab.agent.host import CmdletError, LabHost
from ec2gw.lab.door.process import Output
from ec2gw.lab.powershell import bridge, values
from ec2gw.winrm import framing

_LONGEST = framing.MAX_LINE + 2


class PowerShell:
    """One started PowerShell. The door's `Process`: every method may be called in any thread."""

    def __init__(
        self,
        command: Sequence[str],
        host: LabHost,
        cmdlets: Mapping[str, str],
        base: Path,
        proxies: Path,
        output: Output,
    ) -> None:
        self._host = host
        self._places = values.Places(str(base))
        self._bridge = bridge.Bridge(host, cmdlets, self._places)
        self._output = output
        self._begun = bytearray()
        self._head: list[bytes] = []
        self._unread = 0
        self._modules: list[str] = []
        self._lock = threading.Lock()
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "LAB_PORT": str(self._bridge.port),
                "LAB_KEY": self._bridge.key,
                "PROXIES": str(proxies),
                "POWERSHELL_TELEMETRY_OPTOUT": "1",
                "POWERSHELL_UPDATECHECK": "Off",
                "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1",
            },
        )
        for work in (self._feed, self._listen, self._complain):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()

    # -- what the door calls

    def write(self, data: bytes) -> None:
        with self._lock:
            self._unread += len(data)
        self._input.put(data)

    def unread(self) -> int:
        with self._lock:
            return self._unread

    def close_input(self) -> None:
        self._input.put(None)

    def kill(self) -> None:
        self._process.kill()
        self._input.put(None)

    # -- stdin

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError), pipe:  # it may end while it is written to
            while (data := self._input.get()) is not None:
                pipe.write(self._ours(data))
                pipe.flush()
                with self._lock:
                    self._unread -= len(data)

    def _ours(self, data: bytes) -> bytes:
        """The data, but for the first frame, which says where the root is."""
        if len(self._head) == 2:
            return data
        self._begun += data
        while len(self._head) < 2 and (end := self._begun.find(b"\n")) >= 0:
            self._head.append(bytes(self._begun[: end + 1]))
            del self._begun[: end + 1]
        if len(self._head) < 2:
            if len(self._begun) > _LONGEST:
                self.kill()  # it is no agent that is being started
            return b""
        text, setup = self._head
        rest, self._begun = bytes(self._begun), bytearray()
        return text + self._placed(setup) + rest

    def _placed(self, line: bytes) -> bytes:
        [setup] = framing.Decoder().feed(line) or [None]
        if not isinstance(setup, dict) or not isinstance(setup.get("root"), str):
            return line  # the agent says what is wrong with it
        root = setup["root"]
        self._modules = [str(one) for one in setup.get("modules") or []]
        with contextlib.suppress(CmdletError):  # so too of a root that is none
            self._host.invoke("Agent\\New-Folder", {"Path": root})
            self._host = self._bridge.host = self._host.rooted(root)
        return framing.encode({**setup, "root": self._places.here(root)})

    # -- stdout and stderr

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            for line in iter(lambda: pipe.readline(_LONGEST), b""):
                self._output.stdout(self._theirs(line))
        code = self._process.wait()
        self._input.put(None)
        self._bridge.close()
        self._output.exited(code)

    def _theirs(self, line: bytes) -> bytes:
        messages = framing.Decoder().feed(line)
        if len(messages) != 1 or not isinstance(messages[0], dict):
            return line
        told: dict[str, Any] = {
            name: values.mapped(one, self._places.there) for name, one in messages[0].items()
        }
        if "hello" in told:
            versions = self._host.module_versions
            told["host"] = self._host.host_id
            told["modules"] = {one: versions[one] for one in self._modules if one in versions}
        return framing.encode(told, largest=framing.MAX_TEXT)

    def _complain(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        with pipe:
            for piece in iter(lambda: pipe.readline(_LONGEST), b""):
                self._output.stderr(piece)
