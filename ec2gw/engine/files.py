"""Puts a small file on a host and removes it: look, write what is missing, look again.

Source: docs/architecture.md, "The life of an instance".
"""

from __future__ import annotations

import secrets

from translators.hyperv import file
from translators.hyperv import host as port


class Unsettled(port.HostError):
    """The file is not as it was put; somebody else writes there, or the host lost it."""


def put(host: port.Host, path: port.Path, content: bytes, *, subject: str, generation: int) -> None:
    """See to it that the host has this file; safe to repeat, and a no-op when it is there.

    :raises port.HostError: as the host's; a lost reply is looked into before it is told
    """
    if file.is_whole(_look(host, path), content):
        return
    for plan in file.put(path, content):
        _run(host, plan, subject, generation)
    if not file.is_whole(_look(host, path), content):
        raise Unsettled(f"{path.segments} is not as it was put")


def remove(host: port.Host, path: port.Path, *, subject: str, generation: int) -> None:
    """See to it that nothing is at that place.

    :raises port.HostError: `port.Failed` while the file is in use
    """
    _run(host, file.remove(path), subject, generation)
    if file.seen(host.run(file.look(path))) is not None:
        raise Unsettled(f"{path.segments} is still there")


def _look(host: port.Host, path: port.Path) -> file.FileState | None:
    return file.seen(host.run(file.look(path, digest=True)))


def _run(host: port.Host, plan: port.Plan, subject: str, generation: int) -> None:
    fence = port.Fence(secrets.token_hex(16), subject, generation)
    try:
        host.run(plan, fence=fence, deadline_seconds=60)
    except port.Token as known:
        if known.word == "running":
            raise
        # It ran, or whoever ran it died: the look at the end tells.
