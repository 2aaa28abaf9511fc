"""The agent's own functions on files below the root: no cmdlet offers them.

Source: docs/architecture.md, "The host link"; `ec2gw/winrm/agent`.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
from collections.abc import Sequence

from ec2gw.lab.agent.host import CmdletError
from ec2gw.lab.cmdlets import faults
from ec2gw.lab.cmdlets.objects import Live, Values
from ec2gw.lab.cmdlets.shell import Shell, cmdlet
from ec2gw.lab.world import model, paths
from ec2gw.lab.world.session import Session

CHUNK_BYTES = 64 * 1024
KEPT_BYTES = 64 * 1024**2
"""The largest file whose bytes the laboratory keeps."""


def _fail(shell: Shell, identifier: str, category: str, code: str, text: str) -> CmdletError:
    return CmdletError(
        id=f"{identifier},{shell.activity}",
        category=category,
        activity=shell.activity,
        kind="System.IO.IOException",
        hresult=(code,),
        text=text,
    )


def _busy(shell: Shell, path: str) -> CmdletError:
    text = f"The process cannot access the file '{path}': it is used by another process."
    return _fail(shell, "FileInUse", "ResourceBusy", faults.SHARING_VIOLATION, text)


@cmdlet("Agent\\Test-Root", simulates="")
def test_root(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        root = shell.root
        file = session.file(root)
        values = {
            "Root": root,
            "Exists": file is not None and file.folder,
            "Owner": file.owner if file else "",
            "FreeBytes": session.free_disk(),
            "FileSystem": session.machine.file_system,
        }
        return [Values.of("Root", values)]


@cmdlet("Agent\\New-Folder", simulates="Path")
def new_folder(shell: Shell) -> Sequence[Live]:
    with shell.changing() as session:
        path = shell.text("Path")
        at = path
        while paths.below(at, shell.root):
            file = session.file(at)
            if file is not None and not file.folder:
                text = f"'{at}' is a file."
                raise _fail(shell, "FileExists", "ResourceExists", "0x800700B7", text)
            at = paths.parent(at)
        session.make_folders(path)
    return []


@cmdlet("Agent\\Remove-Tree", simulates="Path")
def remove_tree(shell: Shell) -> Sequence[Live]:
    """Remove file by file, the deepest first: a file in use stops it half-way, as on a host."""
    failed: CmdletError | None = None
    with shell.changing() as session:
        path = shell.text("Path")
        top = session.file(path)
        doomed = [*session.children(path), top] if top else []
        for file in doomed:
            if not file.folder and _held(session, file):
                failed = _busy(shell, file.path)
                break
            session.drop_file(file.path)
    if failed:
        raise failed
    return []


def _held(session: Session, file: model.File) -> bool:
    return session.in_use(file.path) or session.owned_by_vm(file.path)


@cmdlet("Agent\\Get-FileState", simulates="Path Hash")
def get_file_state(shell: Shell) -> Sequence[Live]:
    with shell.reading() as session:
        file = session.file(shell.text("Path"))
        if file is None:
            return []
        values: dict[str, object] = {
            "Name": paths.name(file.path),
            "Length": _length(session, file),
            "IsDirectory": file.folder,
            "Sha256": None,
        }
        if shell.flag("Hash") and not file.folder:
            if file.vhd is not None or file.size > KEPT_BYTES:
                raise faults.not_simulated(shell.activity, "-Hash of a virtual disk")
            values["Sha256"] = session.digest(file.path)
        return [Values.of("FileState", values)]


def _length(session: Session, file: model.File) -> int:
    """The size by now: what the host's service makes grows while it does."""
    for job in session.machine.jobs:
        if not job.ended and paths.key(job.destination) == paths.key(file.path):
            return max(job.bytes * job.progress(session.now) // 100, file.size)
    return file.size


@cmdlet("Agent\\Move-File", simulates="Path Destination ReadOnly")
def move_file(shell: Shell) -> Sequence[Live]:
    """Give a file its final name; nothing is ever overwritten."""
    with shell.changing() as session:
        path, target = shell.text("Path"), shell.text("Destination")
        file = session.file(path)
        if file is None or file.folder:
            text = f"'{path}' does not exist."
            raise _fail(shell, "FileNotFound", "ObjectNotFound", faults.FILE_NOT_FOUND, text)
        folder = session.file(paths.parent(target))
        if folder is None or not folder.folder:
            text = f"The folder of '{target}' does not exist."
            raise _fail(shell, "PathNotFound", "ObjectNotFound", faults.PATH_NOT_FOUND, text)
        if session.file(target) is not None:
            text = f"'{target}' exists."
            raise _fail(shell, "FileExists", "ResourceExists", faults.ALREADY_EXISTS, text)
        if _held(session, file):
            raise _busy(shell, path)
        session.rename(path, target)
        if shell.flag("ReadOnly"):
            moved = session.file(target)
            assert moved is not None
            session.put_file(dataclasses.replace(moved, read_only=True))
    return []


@cmdlet("Agent\\Write-FileChunk", simulates="Path Offset Base64")
def write_file_chunk(shell: Shell) -> Sequence[Live]:
    offset = shell.number("Offset")
    try:
        data = base64.b64decode(shell.text("Base64"), validate=True)
    except binascii.Error:
        text = "The chunk is no Base64."
        raise _fail(shell, "BadChunk", "InvalidArgument", "0x80131537", text) from None
    if offset < 0 or len(data) > CHUNK_BYTES:
        text = "The chunk is too large, or lies before the file."
        raise _fail(shell, "BadChunk", "InvalidArgument", faults.INVALID_PARAMETER, text)
    if offset + len(data) > KEPT_BYTES:
        raise faults.not_simulated(shell.activity, f"a file over {KEPT_BYTES} bytes")
    with shell.changing() as session:
        part = shell.text("Path") + ".part"
        folder = session.file(paths.parent(part))
        if folder is None or not folder.folder:
            text = f"The folder of '{part}' does not exist."
            raise _fail(shell, "PathNotFound", "ObjectNotFound", faults.PATH_NOT_FOUND, text)
        if len(data) > session.free_disk():
            text = "There is not enough space on the disk."
            raise _fail(shell, "DiskFull", "ResourceUnavailable", faults.DISK_FULL, text)
        file = session.write_chunk(part, offset, data)
        return [Values.of("FileChunk", {"Length": file.size})]


@cmdlet("Agent\\Complete-File", simulates="Path Sha256 Length")
def complete_file(shell: Shell) -> Sequence[Live]:
    digest, length = shell.text("Sha256").lower(), shell.number("Length")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        text = "The digest is no SHA-256."
        raise _fail(shell, "BadDigest", "InvalidArgument", faults.INVALID_PARAMETER, text)
    with shell.changing() as session:
        path = shell.text("Path")
        part = path + ".part"
        source = session.file(part)
        if _is_already(session, path, digest, length):
            if source is not None:
                session.drop_file(part)  # a piece that came again, late
        elif source is None:
            text = f"'{part}' does not exist."
            raise _fail(shell, "FileNotFound", "ObjectNotFound", faults.FILE_NOT_FOUND, text)
        else:
            if source.size > length:  # what a longer, earlier attempt left
                kept = session.content(part)[:length]
                session.empty(part)
                source = session.write_chunk(part, 0, kept)
            if source.size != length or session.digest(part) != digest:
                text = f"'{part}' is not what it should be."
                raise _fail(shell, "BadDigest", "InvalidData", "0x80070017", text)
            if session.in_use(path):
                raise _busy(shell, path)
            session.rename(part, path)
            _recognise(session, path)
        return [Values.of("FileChunk", {"Length": length})]


def _is_already(session: Session, path: str, digest: str, length: int) -> bool:
    file = session.file(path)
    return file is not None and file.size == length and session.digest(path) == digest


def _recognise(session: Session, path: str) -> None:
    """A file that overwrote a virtual disk is one no longer."""
    file = session.file(path)
    if file is not None and file.vhd is not None:
        session.put_file(dataclasses.replace(file, vhd=None))
