"""Whether our state is the newest that a host knows of: asked before anything is done there.

A host keeps the epochs of its drivers, and a number that it is told after changes (the beat). One
that knows a higher one was driven by a later state than ours, which was put back since.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

import threading
from typing import Final, Protocol

import sqlalchemy as sa

from ec2gw.engine import recovery
from ec2gw.winrm import reply
from state import models, recovering, store
from translators.hyperv import host as port

_CONNECT_SECONDS: Final = 60.0


class Link(port.Host, Protocol):
    """A host that tells who it is, and is let go of in the end."""

    def connect(self, deadline_seconds: float) -> reply.Hello: ...

    def close(self) -> None: ...


class Standing:
    """Of one host, for as long as one driver holds it."""

    def __init__(
        self, state: store.Store, shared: recovery.Recovery, host_name: str, epoch_before: int
    ) -> None:
        self._state = state
        self._recovery = shared
        self._host_name = host_name
        self._epoch_before = epoch_before
        with state.read() as session:
            self.deployment = session.scalars(sa.select(models.Deployment.id)).one()
        self._told = -1
        """How far the host has been told that the state is."""
        self.confirmed = threading.Event()
        """The host knows no later state than ours, or a recovery goes on."""
        self.changed = threading.Event()
        """Something was done here that an older state does not know of."""

    def confirm(self, link: Link) -> None:
        """Ask whether the host knows a later state than ours.

        :raises HostError: it cannot say
        """
        seen = link.connect(_CONNECT_SECONDS).epoch
        if seen > self._epoch_before:
            self.is_old(f"it was driven by epoch {seen}, ours was {self._epoch_before}")
        self.beat(link)
        self._state.write(recovering.confirm)
        self.confirmed.set()

    def beat(self, link: Link) -> None:
        """Tell the host how far the state is, so that it knows an older one when it comes.

        :raises HostError: it was not told
        """
        if self.changed.is_set():
            self.changed.clear()
            self._state.write(recovering.raise_beat)
        with self._state.read() as session:
            number = recovering.beat(session)
        if number <= self._told:
            return
        later = recovery.tell_beat(link, self.deployment, number)
        if later is None:
            self._told = number
        else:
            self.is_old(f"it was told of state {later}, ours is {number}", later + 1)

    def is_old(self, why: str, beat: int = 0) -> None:
        """Have the state compared with all hosts before anything changes."""
        self._recovery.begin(why, self._host_name, beat)
