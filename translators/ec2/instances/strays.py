"""VMs with our Notes that belong to no instance: why, which of them are news, what they hold.

They are told and counted, and nobody touches them.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import ids, models
from translators.ec2.instances import cards
from translators.hyperv import vm

_EARLY: Final = "its Notes are of an early release and do not tell whose it is"
_TERMINATED: Final = "its instance was terminated"
_COPY: Final = "it is a copy: its instance has another VM"
_ELSEWHERE: Final = "it is not in its own folder below our root"
TWICE: Final = "several VMs claim to be it"


def is_news(session: Session, host_key: int, strays: Sequence[vm.Vm]) -> str | None:
    """Name a VM of ours that a newer state than this one must have known."""
    if not strays:
        return None
    host = session.get_one(models.Host, host_key)
    known = {stray["name"] for stray in host.strays}
    for one in strays:
        if one.name not in known and why_left(session, host, one) is None:
            return one.name
    return None


def note(
    session: Session,
    host_key: int,
    strays: Sequence[vm.Vm],
    addresses: Mapping[str, Sequence[str]],
) -> None:
    """Keep for the operator which VMs of ours belong to no instance, and why.

    Nobody else is given an address that one of them is known to have.
    """
    host = session.get_one(models.Host, host_key)
    known = {stray["name"]: stray["why"] for stray in host.strays}
    listed = []
    for one in sorted(strays, key=lambda one: one.name):
        why = known.get(one.name) or why_left(session, host, one) or TWICE
        listed.append(told(one, why, addresses.get(one.id, ())))
    if listed != host.strays:
        host.strays = listed


def told(one: vm.Vm, why: str, addresses: Sequence[str]) -> dict[str, Any]:
    card = cards.read(one.notes)
    held = {*addresses, *([card.address] if card is not None else [])}
    return {"name": one.name, "why": why, "addresses": sorted(held)}


def why_left(session: Session, host: models.Host, one: vm.Vm) -> str | None:
    """Say why a VM with our Notes cannot be adopted; None: as far as can be seen it can be."""
    owner = vm.owner(one.notes)
    name = owner[1] if owner is not None else one.name
    row = row_of(session, name)
    if row is not None:
        return _TERMINATED if row.phase == "terminated" else _COPY
    if not ids.is_well_formed("i", name) or cards.read(one.notes) is None:
        return _EARLY
    if one.folder.rstrip("\\").lower() != vm.folder_of(host.root, name).lower():
        return _ELSEWHERE
    return None


def row_of(session: Session, name: str) -> models.Instance | None:
    query = sa.select(models.Instance).where(models.Instance.id == name)
    return session.scalars(query).one_or_none()
