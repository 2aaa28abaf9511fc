"""A folder for one import's files, held by whoever works on it and gone with its work.

The folder itself is locked, so the kernel knows whether anybody still works in it, however that one
ended and whatever the clock says.

Source: flock(2).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ec2gw.intake.refusals import Refused

ROOM: Final = "intake"
"""In the data folder."""
_ATTEMPTS: Final = 20


class Busy(Exception):
    """Somebody works in it."""


@contextlib.contextmanager
def held(data: Path, name: str) -> Iterator[Path]:
    """Make an empty folder of that name, held until the block ends, and then removed.

    :raises Busy: when another process holds it
    """
    room = _room(data)
    path = room / name
    for _ in range(_ATTEMPTS):
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        descriptor = _lock(path)
        if descriptor is not None:
            break
    else:
        raise Busy(name)
    try:
        _empty(path)
        yield path
    finally:
        _remove(path)
        os.close(descriptor)


def sweep(data: Path) -> list[str]:
    """Remove what nobody works on any more; answers the names."""
    swept = []
    for path in sorted(_room(data).iterdir()):
        if not path.is_dir() or path.is_symlink():
            continue
        try:
            descriptor = _lock(path)
        except Busy:
            continue
        if descriptor is not None:
            _remove(path)
            os.close(descriptor)
            swept.append(path.name)
    return swept


def is_held(data: Path, name: str) -> bool:
    """Tell whether somebody works on it."""
    try:
        descriptor = _lock(_room(data) / name)
    except Busy:
        return True
    if descriptor is not None:
        os.close(descriptor)
    return False


def give(path: Path, data: Path) -> None:
    """Have the path belong to whom the data folder does: root may run commands beside a service."""
    if os.geteuid() == 0:
        owner = data.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _room(data: Path) -> Path:
    room = data / ROOM
    if not room.exists():
        room.mkdir(mode=0o700, exist_ok=True)
        give(room, data)
    if room.is_symlink() or room.stat().st_mode & 0o077:
        raise Refused(f"{room} is open to others, or not where it seems: chmod 700")
    return room


def _lock(path: Path) -> int | None:
    """Lock the folder; None when it went away meanwhile."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(path.name) from None
    except FileNotFoundError:
        pass
    os.close(descriptor)
    return None


def _empty(path: Path) -> None:
    for one in path.iterdir():
        _remove(one)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
