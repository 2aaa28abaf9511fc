"""Asks hosts what they have of an image's file; reads only, and judges nothing.

Source: docs/operations.md, "Images".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ec2gw.winrm import endpoint, pool
from translators.hyperv import allowed, file, host, vhd, vm

_CONNECT_SECONDS: Final = 30
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """A host, and how it is reached."""

    host: str
    zone: str
    root: str
    address: endpoint.HostAddress


@dataclass(frozen=True, slots=True)
class Found:
    """What a host said: its disk, or why there is none; `answered` False when it said nothing."""

    host: str
    zone: str
    disk: vhd.Disk | None
    why: str = ""
    answered: bool = True


def ask(places: Sequence[Place], file_name: str) -> list[Found]:
    """Ask all at once; in their order."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="disks") as pool_of_threads:
        return list(pool_of_threads.map(lambda place: _ask(place, file_name), places))


def _ask(place: Place, file_name: str) -> Found:
    link = pool.HostLink(
        place.address,
        root=place.root,
        modules=allowed.MODULES,
        allowed=allowed.ALLOWED,
        paths=allowed.PATHS,
        epoch=None,
        name=place.host,
    )
    path = vm.IMAGES / file_name
    with contextlib.closing(link):
        try:
            link.connect(_CONNECT_SECONDS)
            there = file.seen(link.run(file.look(path)))
            if there is None:
                return Found(place.host, place.zone, None, "not there")
            if there.is_directory:
                return Found(place.host, place.zone, None, "a folder")
            return Found(place.host, place.zone, vhd.read(link.run(vhd.look(path))))
        except host.Failed as error:
            why = f"there, but no disk that can be read: {error.error.identifier}"
            return Found(place.host, place.zone, None, why)
        except host.HostError as error:
            why = str(link.cause or error)
            return Found(place.host, place.zone, None, f"out of reach: {why}", answered=False)
