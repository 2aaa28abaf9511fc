"""Does what the simulated hosts' scheduled tasks do: HTTPS to the depot, in pieces, pinned.

A disk of the laboratory is a record and a few bytes: that is what travels, and what its length and
digest are of. The tasks are kept in the world, so they go on after a restart of the laboratory.

Source: RFC 9110 (ranges); `ec2gw/winrm/agent/transfer.ps1`, which does the same on real hosts.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import http.client
import json
import ssl
import threading
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ec2gw.lab.world import World, model, paths

PIECE_BYTES = 64 * 1024
_AT_ONCE = 4
_POLL_SECONDS = 0.1
_SILENT_SECONDS = 20.0
_LENGTH = "X-Ec2gw-Length"


class _Failed(Exception):
    """The task ends; the text is what Get-Transfer tells."""


class _Stopped(Exception):
    """The task was taken away or begun anew, or the laboratory ends: nothing is to be told."""


class Porter:
    """Runs the tasks of every host of a world until it is stopped."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stopping = threading.Event()
        self._under_way: dict[tuple[str, str, int], Future[None]] = {}
        self._thread = threading.Thread(target=self._run, name="porter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_SILENT_SECONDS)

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "porter") as pool:
            while not self._stopping.wait(_POLL_SECONDS):
                for host in self._world.hosts:
                    with self._world.reading(host) as session:
                        tasks = list(session.machine.tasks)
                    for task in tasks:
                        which = (host, task.name, task.generation)
                        if task.state == "Running" and which not in self._under_way:
                            self._under_way[which] = pool.submit(self._carry, host, task)
                for which in [one for one, done in self._under_way.items() if done.done()]:
                    self._under_way.pop(which).result()

    def _carry(self, host: str, task: model.Task) -> None:
        try:
            if task.direction == "Send":
                self._send(host, task)
            else:
                self._receive(host, task)
        except _Stopped:
            return
        except (_Failed, OSError, http.client.HTTPException, ValueError) as error:
            self._end(host, task, state="Failed", error=f"{type(error).__name__}: {error}")
        else:
            self._end(host, task, state="Done")

    def _end(self, host: str, task: model.Task, **changes: Any) -> None:
        with contextlib.suppress(_Stopped):
            self._note(host, task, **changes)

    def _note(self, host: str, task: model.Task, **changes: Any) -> None:
        """Write how far it is.

        :raises _Stopped:
        """
        with self._world.changing(host) as session:
            for one in session.machine.tasks:
                if (one.name, one.generation) == (task.name, task.generation):
                    for name, value in changes.items():
                        setattr(one, name, value)
                    session.put_machine()
                    break
            else:
                raise _Stopped
        if self._stopping.is_set():
            raise _Stopped

    def _send(self, host: str, task: model.Task) -> None:
        payload = self._pack(host, task.path)
        status, headers, _ = _ask(task, "HEAD", {})
        if status != 204:
            raise _Failed(f"HEAD: {status}")
        here = int(headers[_LENGTH])
        while here < len(payload):
            piece = payload[here : here + PIECE_BYTES]
            span = f"bytes {here}-{here + len(piece) - 1}/{len(payload)}"
            status, headers, _ = _ask(task, "PUT", {"Content-Range": span}, piece)
            if status not in (204, 409):
                raise _Failed(f"PUT: {status}")
            here = int(headers[_LENGTH])
            self._note(host, task, done=here)

    def _receive(self, host: str, task: model.Task) -> None:
        part = task.path + ".part"
        with self._world.reading(host) as session:
            found = session.content(part) if session.file(part) else b""
        total = task.length or 0
        while len(found) < total:
            status, _, body = _ask(task, "GET", {"Range": f"bytes={len(found)}-"}, most=PIECE_BYTES)
            if status != 206 or not body:
                raise _Failed(f"GET: {status}")
            with self._world.changing(host) as session:
                session.make_folders(paths.parent(part))
                session.write_chunk(part, len(found), body)
            found += body
            self._note(host, task, done=len(found))
        if hashlib.sha256(found).hexdigest() != task.sha256:
            with self._world.changing(host) as session:
                session.drop_file(part)
            raise _Failed("its digest is another one")
        self._unpack(host, task.path, found)

    def _pack(self, host: str, path: str) -> bytes:
        with self._world.reading(host) as session:
            file = session.file(path)
            if file is None:
                raise _Failed("the file is gone")
            if paths.key(path) in session.written_files():
                raise _Failed("the file is in use")
            record = model.encode(file)
            content = b"" if file.vhd else session.content(path)
        document = {"file": record, "content": base64.b64encode(content).decode()}
        return json.dumps(document, sort_keys=True).encode()

    def _unpack(self, host: str, path: str, payload: bytes) -> None:
        document = json.loads(payload)
        file = model.decode(model.File, document["file"])
        with self._world.changing(host) as session:
            session.drop_file(path + ".part")
            if file.vhd is None:
                session.write_chunk(path, 0, base64.b64decode(document["content"]))
            session.put_file(dataclasses.replace(file, path=paths.canonical(path)))


def _ask(
    task: model.Task,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    most: int = 0,
) -> tuple[int, Mapping[str, str], bytes]:
    """Ask the depot, once it has shown the certificate that the order names."""
    url = urllib.parse.urlsplit(task.url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # whose it is the digest tells
    connection = http.client.HTTPSConnection(
        url.hostname or "", url.port, timeout=_SILENT_SECONDS, context=context
    )
    try:
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        if not hmac.compare_digest(hashlib.sha256(shown or b"").hexdigest(), task.certificate):
            raise _Failed("the depot shows another certificate")
        connection.request(
            method, url.path, body, {"Authorization": f"Bearer {task.token}", **headers}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read(most) if most else b""
    finally:
        connection.close()
