"""What becomes of the rows of a state that is older than its hosts, once all hosts were looked at.

Until then nothing changes, here or there. What hosts show is the truth of what is; what they have
heard, by generations, tells which wishes in the rows are the last ones.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import lifecycle, models, recovering, storage
from translators import driven
from translators.ec2.instances import adoption, cards, findings, intents, seed_rows, strays, surveys
from translators.hyperv import vm
from translators.hyperv.survey import Survey
from translators.settings import Settings

_STRIDE: Final = 1000
"""Epochs only rise, also over restored states: generations above so many of them are new."""
_TO_RUNNING: Final[Mapping[lifecycle.Phase, Sequence[lifecycle.Found]]] = {
    "pending": ("launched",),
    "starting": ("started",),
    "rebooting": ("rebooted",),
    "stopping": ("stopped", "seen-running"),
    "stopped": ("seen-running",),
}
_TO_STOPPED: Final[Mapping[lifecycle.Phase, Sequence[lifecycle.Found]]] = {
    "pending": ("launched", "guest-stopped"),
    "starting": ("not-started",),
    "running": ("guest-stopped",),
    "rebooting": ("guest-stopped",),
    "stopping": ("stopped",),
}
_TO_TERMINATED: Final[Mapping[lifecycle.Phase, Sequence[lifecycle.Found]]] = {
    "pending": ("failed", "removed"),
    "starting": ("vanished",),
    "rebooting": ("vanished",),
    "stopping": ("vanished",),
}
"""Phase of a row whose wish is outdated -> the findings that bring it to where its VM is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A host as it was looked at since the recovery began."""

    survey: Survey
    floors: Mapping[str, int]
    """Subject -> the newest generation that the host has heard of."""
    addresses: Mapping[str, Sequence[str]]
    """VM's GUID -> what its guest reports."""


@dataclass(slots=True)
class Outcome:
    """What was found; while it `waits`, nothing was done."""

    waits: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    settled: list[tuple[str, lifecycle.Phase]] = field(default_factory=list)
    """Instances whose wish was outdated, and where they are now."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """VMs with our Notes that were not adopted, and why."""


@dataclass(frozen=True, slots=True)
class _Place:
    host_key: int
    one: vm.Vm
    boot_time: dt.datetime


# -- what to ask the hosts


def subjects(session: Session, settings: Settings, now: dt.datetime) -> list[str]:
    """List what is being driven, of every kind: of it each host is asked what it has heard."""
    return sorted({intent.subject for _kind, intent in _working(session, settings, now)})


# -- the end of it


def conclude(
    session: Session, seen: Mapping[int, Seen], settings: Settings, now: dt.datetime
) -> Outcome:
    """Bring rows and hosts together and let changes happen again, all in this transaction.

    Does nothing while a host is still to be looked at, or a VM may be on its way.
    """
    outcome = Outcome()
    hosts = session.scalars(sa.select(models.Host).where(models.Host.state != "removed")).all()
    outcome.waits += [host.name for host in hosts if host.recovering or host.key not in seen]
    if outcome.waits:
        return outcome
    deployment = session.scalars(sa.select(models.Deployment.id)).one()
    places = _Places(deployment, {host.key: seen[host.key].survey for host in hosts})
    rows = session.scalars(
        sa.select(models.Instance)
        .join(models.Host, models.Host.key == models.Instance.host_key)
        .where(models.Instance.phase != "terminated", models.Host.state != "removed")
    ).all()
    gone = _gone(session, rows, places, settings, now, outcome)
    if outcome.waits:
        return outcome
    floors = _floors(seen[host.key].floors for host in hosts)
    base = _STRIDE * max((host.epoch for host in hosts), default=0) + 1
    for row in rows:
        _settle(session, row, places, gone, floors, base, now, outcome)
    _raise_others(session, floors, base, settings, now)
    for host in hosts:
        host.strays = []
    addresses = {guid: told for one in seen.values() for guid, told in one.addresses.items()}
    _adopt(session, places, addresses, base, settings, now, outcome)
    recovering.end(session)
    return outcome


class _Places:
    """Where VMs of ours stand: by GUID, and by the instance that their Notes name."""

    def __init__(self, deployment: str, surveys_of: Mapping[int, Survey]) -> None:
        self.by_guid: dict[str, list[_Place]] = {}
        self.by_name: dict[str, list[_Place]] = {}
        for host_key, survey in surveys_of.items():
            for one in survey.vms:
                place = _Place(host_key, one, survey.boot_time)
                self.by_guid.setdefault(one.id, []).append(place)
                owner = vm.owner(one.notes)
                if owner is not None and owner[0] == deployment:
                    self.by_name.setdefault(owner[1], []).append(place)

    def of(self, row: models.Instance) -> _Place | None:
        """The row's VM on the row's own host; before its GUID is known, on any one."""
        if row.vm_id is None:
            return _choose(self.by_name.get(row.id, ()))
        found = self.by_guid.get(row.vm_id, ())
        return next((place for place in found if place.host_key == row.host_key), None)


def _gone(
    session: Session,
    rows: Sequence[models.Instance],
    places: _Places,
    settings: Settings,
    now: dt.datetime,
    outcome: Outcome,
) -> set[int]:
    """Rows whose VM is on no host. One that is not where it was is waited for: it may have moved.

    Rows at rest are ended by surveys alone, also now.
    """
    gone = set[int]()
    for row in rows:
        if row.vm_id is None or row.phase == "shutting-down" or places.of(row) is not None:
            continue
        if row.phase in lifecycle.WORKING and surveys.is_gone(session, row.key, settings, now):
            gone.add(row.key)
        else:
            outcome.waits.append(row.id)
    return gone


def _settle(
    session: Session,
    row: models.Instance,
    places: _Places,
    gone: set[int],
    floors: Mapping[str, int],
    base: int,
    now: dt.datetime,
    outcome: Outcome,
) -> None:
    """Let a row be where its VM is, unless its wish is the last one that anybody has heard."""
    floor, before, place = floors.get(row.id, 0), row.phase, places.of(row)
    if row.phase == "shutting-down":
        row.generation = max(row.generation, floor)  # nothing takes that back
        return
    # A reboot is not asked for twice; every other step may be. Nobody asked for a launch twice.
    old = row.phase == "pending" or recovering.is_old_wish(session, row)
    over = (
        (old and floor > row.generation)
        or (old and row.phase == "rebooting" and floor == row.generation)
        or (place is not None and place.host_key != row.host_key)
    )
    if row.phase in lifecycle.WORKING and not over and row.key not in gone:
        if floor > row.generation:
            row.generation = max(floor + 1, base)
        return
    if place is None:
        path = _TO_TERMINATED.get(row.phase, ())
    elif place.one.state in vm.OFF_STATES:
        path = _TO_STOPPED.get(row.phase, ())
    else:
        path = _TO_RUNNING.get(row.phase, ())
    if place is not None and row.vm_id is None:
        row.vm_id, row.host_key = place.one.id, place.host_key
        session.execute(
            sa.update(models.Volume)
            .where(models.Volume.instance_key == row.key)
            .values(host_key=place.host_key)
        )
    for found in path:
        intents.move(session, row, found, None if place else findings.VANISHED, now)
    row.generation = max(row.generation, floor + 1, base)
    if row.phase != before:
        outcome.settled.append((row.id, row.phase))


def _raise_others(
    session: Session,
    floors: Mapping[str, int],
    base: int,
    settings: Settings,
    now: dt.datetime,
) -> None:
    """Do the same for disks and the like: their next wish is newer than whatever was heard."""
    tables: tuple[tuple[Any, frozenset[Any]], ...] = (
        (models.Volume, storage.VOLUME_WORKING),
        (models.Snapshot, storage.SNAPSHOT_WORKING),
    )
    for table, working in tables:
        session.execute(
            sa.update(table)
            .where(table.generation < base, table.phase.not_in(working))
            .values(generation=base)
        )
    seed_rows.distrust(session, base, now)
    # Rules may have changed after the copy: no port is believed to have what it had then.
    rules = models.InterfaceRules
    session.execute(
        sa.update(rules).values(wanted=sa.func.max(rules.wanted + 1, base), changed_at=now)
    )
    for kind, intent in _working(session, settings, now):
        floor = floors.get(intent.subject, 0)
        if kind.name != "instance" and floor > intent.generation:
            kind.catch_up(session, intent, max(floor, base))


# -- adoption


def _adopt(
    session: Session,
    places: _Places,
    addresses: Mapping[str, Sequence[str]],
    base: int,
    settings: Settings,
    now: dt.datetime,
    outcome: Outcome,
) -> None:
    hosts = {host.key: host for host in session.scalars(sa.select(models.Host))}
    for name, claimed in sorted(places.by_name.items()):
        row = strays.row_of(session, name)
        if row is not None and row.phase != "terminated":
            continue
        chosen = _choose(claimed)
        for place in claimed if chosen is None else [chosen]:
            host = hosts[place.host_key]
            why = strays.why_left(session, host, place.one)
            if why is None and chosen is None:
                why = strays.TWICE
            if why is None:
                why = _try(session, name, place, places, base, settings, now)
            if why is None:
                outcome.adopted.append(name)
                continue
            outcome.left.append((place.one.name, why))
            stray = strays.told(place.one, why, addresses.get(place.one.id, ()))
            host.strays = [*host.strays, stray]


def _try(
    session: Session,
    name: str,
    place: _Place,
    places: _Places,
    base: int,
    settings: Settings,
    now: dt.datetime,
) -> str | None:
    card = cards.read(place.one.notes)
    assert card is not None  # else why it is left would have been told
    found = adoption.Found(name, card, place.host_key, place.one, place.boot_time)

    def make_room(network_key: int) -> None:
        _make_room(session, card, network_key, places, now)

    try:
        with session.begin_nested():
            adoption.adopt(session, found, base, settings, now, make_room)
    except adoption.Unadoptable as error:
        return str(error)
    except sa.exc.IntegrityError as error:
        return f"its rows meet others: {error.orig}"
    return None


def _make_room(
    session: Session, card: cards.Card, network_key: int, places: _Places, now: dt.datetime
) -> None:
    """Take the address from an instance that has no VM: it was given back since the copy.

    Nobody else's: all rows at rest have their VM by now.
    """
    interface, instance = models.NetworkInterface, models.Instance
    holders = session.scalars(
        sa.select(instance)
        .join(interface, interface.instance_key == instance.key)
        .where(interface.network_key == network_key, interface.private_ip == card.address)
    ).all()
    for holder in holders:
        if holder.id in places.by_name or holder.vm_id in places.by_guid:
            continue
        if holder.phase == "pending":
            for found in _TO_TERMINATED["pending"]:
                intents.move(session, holder, found, findings.VANISHED, now)
        elif holder.phase == "shutting-down":
            intents.release_interfaces(session, holder)
    session.flush()


def _choose(claimed: Sequence[_Place]) -> _Place | None:
    """The one VM, or of one and the same on several hosts (a replica) the one that runs."""
    if len(claimed) < 2:
        return claimed[0] if claimed else None
    if len({place.one.id for place in claimed}) > 1:
        return None
    running = [place for place in claimed if place.one.state not in vm.OFF_STATES]
    return running[0] if len(running) == 1 else None


def _floors(told: Iterator[Mapping[str, int]]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for floors in told:
        for subject, floor in floors.items():
            highest[subject] = max(floor, highest.get(subject, 0))
    return highest


def _working(
    session: Session, settings: Settings, now: dt.datetime
) -> Iterator[tuple[driven.Kind[Any], driven.Intent]]:
    """Every row that is being driven on a host of ours."""
    hosts = session.scalars(sa.select(models.Host.key).where(models.Host.state != "removed")).all()
    for kind in driven.KINDS.values():
        for host_key in hosts:
            for due in kind.due(session, host_key, now):
                intent = kind.load(session, due.key, settings, now)
                if intent is not None:
                    yield kind, intent
