"""Does what the simulated hosts' scheduled tasks do: HTTPS to the depot, in pieces, pinned.

A disk of the laboratory is a record and a few bytes: that is what travels, and what its length and
digest are of. A real file, that the gateway was given from outside, becomes such a record where it
arrives: what it says of itself as a VHDX, else its first bytes. The tasks are kept in the world, so
they go on after a restart of the laboratory.

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
import logging
import ssl
import tempfile
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

from ec2gw.lab.world import World, model, paths, vhdx
from ec2gw.lab.world.session import ADMINISTRATORS, Session

PIECE_BYTES = 1024**2
LARGE_PIECE_BYTES = 8 * 1024**2
KEPT_BYTES = 64 * 1024**2
"""Of a larger file the bytes are not kept in the world: fetching it is begun anew."""
_AT_ONCE = 4
_POLL_SECONDS = 0.1
_SILENT_SECONDS = 20.0
_LENGTH = "X-Ec2gw-Length"
_log = logging.getLogger("ec2gw.lab")
_RECORD = b'{"content": '


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
                try:
                    self._look(pool)
                except Exception:  # the thread's boundary: the tasks are still there, and tried on
                    _log.warning("porter-failed", exc_info=True)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        """Begin what is to run, and take in what has ended."""
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

    def _note(
        self,
        host: str,
        task: model.Task,
        write: Callable[[Session], None] | None = None,
        **changes: Any,
    ) -> None:
        """Write how far it is, together with what it has done.

        :raises _Stopped:
        """
        with self._world.changing(host) as session:
            for one in session.machine.tasks:
                if (one.name, one.generation) == (task.name, task.generation):
                    break
            else:
                raise _Stopped
            if write is not None:
                write(session)
            for name, value in changes.items():
                setattr(one, name, value)
            session.put_machine()
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
        total = task.length or 0
        with tempfile.TemporaryFile() as whole:
            here = self._here(host, task, whole)
            digest = hashlib.sha256()
            whole.seek(0)
            while piece := whole.read(PIECE_BYTES):
                digest.update(piece)
            while here < total:
                most = PIECE_BYTES if total <= KEPT_BYTES else LARGE_PIECE_BYTES
                asked = {"Range": f"bytes={here}-"}
                status, _, body = _ask(task, "GET", asked, most=most)
                if status != 206 or not body:
                    raise _Failed(f"GET: {status}")
                whole.write(body)
                digest.update(body)
                self._note(host, task, _part(task, here, body), done=here + len(body))
                here += len(body)
            if digest.hexdigest() != task.sha256:
                self._note(host, task, _drop(task.path + ".part"))
                raise _Failed("its digest is another one")
            self._note(host, task, _made(task, whole, total))

    def _here(self, host: str, task: model.Task, whole: BinaryIO) -> int:
        """Go on from what is kept of an earlier try; of a large file nothing is."""
        part = task.path + ".part"
        with self._world.reading(host) as session:
            kept = (task.length or 0) <= KEPT_BYTES and session.file(part) is not None
            found = session.content(part) if kept else b""
        whole.write(found)
        return len(found)

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


def _drop(path: str) -> Callable[[Session], None]:
    def write(session: Session) -> None:
        if session.file(path) is not None:
            session.drop_file(path)

    return write


def _part(task: model.Task, offset: int, body: bytes) -> Callable[[Session], None]:
    """What there is of the file so far; the bytes of a large one are not kept."""
    path = task.path + ".part"

    def write(session: Session) -> None:
        if len(body) > session.free_disk():
            raise _Failed("there is not enough space on the disk")
        session.make_folders(paths.parent(path))
        if (task.length or 0) <= KEPT_BYTES:
            session.write_chunk(path, offset, body)
        else:
            _put(session, path, offset + len(body), None)

    return write


def _made(task: model.Task, whole: BinaryIO, total: int) -> Callable[[Session], None]:
    """The file under its own name: the record that it is, or what a real file says of itself."""
    record = _record(whole, total)
    vhd = _told(whole, total) if record is None else None
    whole.seek(0)
    head = whole.read(PIECE_BYTES)

    def write(session: Session) -> None:
        _drop(task.path + ".part")(session)
        if record is None:
            session.write_chunk(task.path, 0, head)
            _put(session, task.path, total, vhd)
            return
        file, content = record
        if file.vhd is None:
            session.write_chunk(task.path, 0, content)
        session.put_file(dataclasses.replace(file, path=paths.canonical(task.path)))

    return write


def _put(session: Session, path: str, size: int, vhd: model.Vhd | None) -> None:
    session.put_file(
        model.File(
            paths.canonical(path),
            False,
            ADMINISTRATORS,
            size=size,
            created_at=session.now,
            changed_at=session.now,
            vhd=vhd,
        )
    )


def _record(whole: BinaryIO, total: int) -> tuple[model.File, bytes] | None:
    """What another host of the laboratory sent; None for anything else."""
    whole.seek(0)
    if total > KEPT_BYTES or whole.read(len(_RECORD)) != _RECORD:
        return None
    whole.seek(0)
    try:
        document = json.loads(whole.read())
        file: model.File = model.decode(model.File, document["file"])
        return file, base64.b64decode(document["content"])
    except (ValueError, TypeError, KeyError):
        return None


def _told(whole: BinaryIO, total: int) -> model.Vhd | None:
    """What a real file says of itself; who starts from it is taken for a Linux."""
    try:
        found = vhdx.read(whole, total)
    except (vhdx.Foreign, vhdx.Damaged):
        return None
    return model.Vhd(
        format="VHDX",
        type=found.type,
        size=found.size,
        identifier=found.identifier,
        block_size=found.block_size,
        logical_sector=found.logical_sector,
        physical_sector=found.physical_sector,
        guest="linux" if found.generations else "",
        generations=found.generations,
    )


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
