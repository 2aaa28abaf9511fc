"""What `ec2gw host console` writes, and how `host remove` takes a host's console reader away.

Source: docs/guests.md, "Console".
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from state import models
from translators.ec2.instances.console import watched
from translators.hyperv import console
from translators.hyperv.host import HostError

if TYPE_CHECKING:
    from ec2gw.winrm import endpoint

_SECONDS = 60.0


def turn(host: models.Host, on: bool) -> None:
    """Say who reads a host's consoles; the service tells the host."""
    host.options = {**host.options, watched.OPTION: watched.RESIDENT if on else watched.OFF}


def is_read(host: models.Host) -> bool:
    """Whether a task of ours is to read them."""
    return host.options.get(watched.OPTION) == watched.RESIDENT


def forget(host: models.Host) -> bool:
    """Give the reader up with its host; tells whether there may be one on it."""
    there = watched.OPTION in host.options
    host.options = {name: one for name, one in host.options.items() if name != watched.OPTION}
    return there


def take_away(address: endpoint.HostAddress, root: str) -> str:
    """Remove the task from its host, and say in a line what became of it."""
    from ec2gw.winrm import probe, timing  # heavy

    try:
        with contextlib.closing(probe.link_to(address, root, timing.Timing())) as link:
            link.run(console.stop_reader(), deadline_seconds=_SECONDS)
    except HostError as error:
        return (
            f"its console reader may still be there ({error}): remove the task \\ec2gw\\console ..."
            " on the host"
        )
    return "its console reader was removed"
