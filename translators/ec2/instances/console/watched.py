"""Whose consoles a host is to read: a function of the instances that are there.

Source: docs/guests.md, "Console".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import models
from state.lifecycle import Phase

OPTION: Final = "console"
"""Of a host: `RESIDENT` once its operator wants the reader there, `OFF` when not any more."""
RESIDENT: Final = "resident"
OFF: Final = "off"

_READ: Final[tuple[Phase, ...]] = (
    *("pending", "starting", "running", "rebooting", "stopping", "shutting-down"),
)
_KEPT: Final[tuple[Phase, ...]] = ("stopped",)


@dataclass(frozen=True, slots=True)
class Watched:
    """Names of VMs that write, or may do so soon, of those that do not, and who is to read."""

    names: frozenset[str]
    others: frozenset[str]
    reader: str | None


def watched(session: Session, host_key: int) -> Watched:
    """List what a host is to be told."""
    row = models.Instance
    query = sa.select(row.id, row.phase).where(
        row.host_key == host_key, row.phase.in_((*_READ, *_KEPT))
    )
    found = session.execute(query).all()
    options = session.get_one(models.Host, host_key).options
    return Watched(
        names=frozenset(one.id for one in found if one.phase in _READ),
        others=frozenset(one.id for one in found if one.phase in _KEPT),
        reader=options.get(OPTION),
    )
