"""Keeps a host's journal short and whole: tokens that are done with, lines that are damaged.

Source: docs/architecture.md, "The host link"; ec2gw/winrm/agent/agent.ps1, the journal.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Final

from translators.hyperv import host as port
from translators.hyperv import journal
from translators.settings import Settings

_log = logging.getLogger("ec2gw.engine.keeping")
_SECONDS: Final = 120.0
_FORGET_AFTER_SECONDS: Final = 900.0
_FORGET_TOGETHER: Final = 200
_FORGET_AT_MOST: Final = 2000


class Keeper:
    """Of one host's journal, for as long as one driver holds the host."""

    def __init__(self, host: port.Host, settings: Settings, host_name: str) -> None:
        self._host = host
        self._settings = settings
        self._host_name = host_name
        self._acknowledged: deque[tuple[float, str]] = deque()
        """When, and of which token, the end was heard; oldest first."""
        self._damaged_since: float | None = None

    def heard_of(self, token: str) -> None:
        """Note that the token's end is known, so that the host may forget it in time."""
        self._acknowledged.append((time.monotonic(), token))

    def is_whole(self) -> None:
        """Note that the host took a change, which it does of a whole journal only."""
        self._damaged_since = None

    def compact(self) -> None:
        """Have the host forget tokens that were heard of long ago.

        Not sooner: a copy of a request may sit in an old agent's pipe, and only its token keeps
        it from running. Agents that hear nothing end after two minutes.
        """
        limit = time.monotonic() - _FORGET_AFTER_SECONDS
        ripe = sum(1 for at, _token in self._acknowledged.copy() if at < limit)
        if ripe < _FORGET_TOGETHER:
            return
        tokens = [self._acknowledged[number][1] for number in range(min(ripe, _FORGET_AT_MOST))]
        try:
            self._host.run(journal.compact(tokens), deadline_seconds=_SECONDS)
        except port.Failed as failed:
            _log.warning("journal-kept", extra={"host": self._host_name, "why": str(failed)})
            return
        for _token in tokens:
            self._acknowledged.popleft()

    def mend(self, damaged: port.Damaged) -> None:
        """Give up the journal's damaged lines, once what they may have told of has ended.

        From then on the looks alone count for what was under way.
        """
        if self._damaged_since is None:
            self._damaged_since = time.monotonic()
            _log.error("journal-damaged", extra={"host": self._host_name, "lines": damaged.lines})
        if time.monotonic() - self._damaged_since < self._settings.journal_mended_after_seconds:
            return
        self._damaged_since = None
        try:
            plan = journal.compact([], damaged.lines)
            self._host.run(plan, deadline_seconds=_SECONDS)
        except port.HostError as error:
            _log.warning("journal-not-mended", extra={"host": self._host_name, "why": str(error)})
            return
        _log.warning("journal-mended", extra={"host": self._host_name, "lines": damaged.lines})
