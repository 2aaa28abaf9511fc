"""How many connections may be open at once, in all and from one address.

Whoever comes when all places are taken gets that of the one who has been idle longest, if there is
one; who is being answered is never sent away.

Source: RFC 9112, section 9.5 (a server may close idle connections whenever it likes).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Protocol


class Connection(Protocol):
    remote: str
    counted: bool
    """False: it does not count for its address. Only `Places` says so, of a forwarder's."""

    def abort(self) -> None: ...


class Places:
    def __init__(self, total: int, per_address: int) -> None:
        self._total = total
        self._per_address = per_address
        self._open: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._idle: OrderedDict[Connection, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, new: Connection) -> bool:
        """Give it a place, if there is one or can be made."""
        if self._by_address[new.remote] >= self._per_address and not self._give_up(new.remote):
            self._drop(new.remote, 0)
            return False
        if len(self._open) >= self._total and not self._give_up(None):
            self._drop(new.remote, 0)
            return False
        self._open.add(new)
        self._by_address[new.remote] += 1
        new.counted = True
        return True

    def idle(self, one: Connection) -> None:
        """Say that it waits for its peer; its place may go to another from now on."""
        if one in self._open:
            self._idle[one] = None
            self._idle.move_to_end(one)

    def busy(self, one: Connection) -> None:
        self._idle.pop(one, None)

    def trust(self, one: Connection) -> None:
        """Stop counting it for its address."""
        if one in self._open and one.counted:
            one.counted = False
            self._drop(one.remote, 1)

    def leave(self, one: Connection) -> None:
        if one not in self._open:
            return
        self._open.discard(one)
        self._idle.pop(one, None)
        if one.counted:
            self._drop(one.remote, 1)

    def _drop(self, remote: str, count: int) -> None:
        self._by_address[remote] -= count
        if self._by_address[remote] <= 0:
            del self._by_address[remote]

    def _give_up(self, remote: str | None) -> bool:
        for one in self._idle:
            if remote is None or (one.remote == remote and one.counted):
                self.leave(one)
                one.abort()
                return True
        return False
