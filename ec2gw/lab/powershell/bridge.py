"""Hands the calls that a PowerShell bound to the laboratory's cmdlets, over a loopback socket.

One connection a call: a line of JSON `{key, name, set, with}` comes, `{objects, warnings}` or
`{error}` goes back. Only who knows the key is heard.

Source: proxies.py, Send-Call.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socketserver
import threading
from collections.abc import Mapping
from typing import Any

from ec2gw.lab.agent.host import CmdletError, LabHost
from ec2gw.lab.powershell import values

_LONGEST = 16 << 20
_SECONDS = 60.0


class Bridge:
    """A socket for one agent's process; it serves until `close`."""

    def __init__(self, host: LabHost, cmdlets: Mapping[str, str], places: values.Places) -> None:
        r"""`cmdlets`: by name, the module-qualified one (`Get-VM`: `Hyper-V\Get-VM`)."""
        self.host = host
        self.key = secrets.token_hex(16)
        self._cmdlets = cmdlets
        self._places = places
        self._objects = values.Objects()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Door)
        self._server.bridge = self
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True
        ).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Any) -> dict[str, object]:
        """Run a bound call; what fails is told as an error record's parts."""
        known = isinstance(asked, dict) and isinstance(asked.get("key"), str)
        if not known or not hmac.compare_digest(asked["key"].encode(), self.key.encode()):
            return _told(CmdletError("LabKey", "PermissionDenied", "the key is another one"))
        try:
            do = self._cmdlets.get(str(asked.get("name")), "")
            with self._lock:
                sent = values.mapped(asked.get("with"), self._places.there)
                arguments = self._objects.arguments(sent if isinstance(sent, dict) else {})
            invoked = self.host.invoke(do, arguments)
            with self._lock:
                objects = [self._objects.give(one) for one in invoked.objects]
        except CmdletError as failed:
            return _told(failed)
        return {
            "objects": [values.mapped(one, self._places.here) for one in objects],
            "warnings": list(invoked.warnings),
        }


def _told(failed: CmdletError) -> dict[str, object]:
    # .NET has them as signed numbers, and is given the innermost exception first.
    codes = [int(code, 16) for code in reversed(failed.hresult)] or [0x80131501]
    error = {
        "id": failed.id,
        "category": failed.category,
        "text": failed.text,
        "target": failed.target,
        "activity": failed.activity,
        "codes": [code - (1 << 32) if code >= 1 << 31 else code for code in codes],
    }
    return {"objects": [], "warnings": [], "error": error}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    bridge: Bridge


class _Door(socketserver.StreamRequestHandler):
    timeout = _SECONDS
    server: _Server

    def handle(self) -> None:
        try:
            line = self.rfile.readline(_LONGEST)
            self.wfile.write(json.dumps(self.server.bridge.answer(json.loads(line))).encode())
        except (OSError, ValueError):
            return  # the process died while it asked, or asked for nothing
