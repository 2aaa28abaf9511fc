"""What is remembered of the discs that guests read at their first boot: made, outdated, answered.

What becomes of them on hosts `seeds` says.

Source: docs/guests.md, "On the host".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import Image, Instance, Seed
from translators.guests import passwords, policy
from translators.settings import Settings


def of_launch(
    image: Any,
    public_key: str | None,
    settings: Settings,
    options: Mapping[str, Any],
    now: dt.datetime,
) -> dict[str, Any] | None:
    """The columns of each row of a launch but its key; None: the guests have no disc."""
    guest = policy.of_image(settings.guest, image.guest)
    if policy.datasource(guest, image.platform) is None:
        return None
    ours = passwords.is_ours(image.platform, guest, settings, options)
    has_password = ours and passwords.is_rsa(public_key)
    return {"phase": "there", "phase_since": now, "has_password": has_password}


def outdate(session: Session, instance: Any, settings: Settings, now: dt.datetime) -> None:
    """Let an instance that is stopped have a new disc at its next start, if it is to have one."""
    row = session.get(Seed, instance.key)
    if row is not None:
        row.phase, row.phase_since = "stale", now
        row.generation += 1
        return
    image = session.get_one(Image, instance.image_key)
    guest = policy.of_image(settings.guest, image.guest)
    if policy.datasource(guest, instance.platform) is not None:
        session.add(Seed(instance_key=instance.key, phase="stale", phase_since=now))


def is_stale(session: Session, instance: Instance) -> bool:
    """Tell whether a new disc has to be put in before the instance starts."""
    query = sa.select(Seed.phase).where(Seed.instance_key == instance.key)
    return instance.vm_id is not None and session.scalar(query) == "stale"


def unanswered(session: Session, host_key: int) -> frozenset[int]:
    """Instances of a host that run, and whose guest has not answered since its disc is there."""
    query = (
        sa.select(Seed.instance_key)
        .join(Instance, Instance.key == Seed.instance_key)
        .where(
            Seed.phase == "there",
            Seed.eject_at.is_(None),
            Seed.answered_at.is_(None),
            Instance.host_key == host_key,
            Instance.phase == "running",
        )
    )
    return frozenset(session.scalars(query))


def lifetimes(
    session: Session, keys: Collection[int], settings: Settings
) -> dict[int, float | None]:
    """Seconds that each of these discs stays once its guest has answered; None: for good."""
    found: dict[int, float | None] = {}
    for key in keys:  # seldom more than one: a guest first answers once
        query = (
            sa.select(Seed.has_password, Image.guest)
            .join(Instance, Instance.key == Seed.instance_key)
            .join(Image, Image.key == Instance.image_key)
            .where(Seed.instance_key == key)
        )
        has_password, said = session.execute(query).one()
        guest = policy.of_image(settings.guest, said)
        found[key] = policy.eject_after_seconds(guest, has_password=has_password)
    return found


def note_answer(
    session: Session, instance_key: int, seconds: float | None, now: dt.datetime
) -> None:
    """Write down that a guest answered, and when its disc is to go."""
    row = session.get(Seed, instance_key)
    if row is not None and row.phase == "there" and row.answered_at is None:
        row.answered_at = now
        row.eject_at = None if seconds is None else now + dt.timedelta(seconds=seconds)


def adopted(instance_key: int, now: dt.datetime) -> Seed:
    """The row of an instance of which only its VM is known: its disc goes as if it had a password.

    Whether there is one, or what is on it, nobody knows.
    """
    return Seed(instance_key=instance_key, phase="there", phase_since=now, has_password=True)


def distrust(session: Session, generation: int, now: dt.datetime) -> None:
    """Take up a state that is older than its hosts: what it calls gone may have been put since."""
    session.execute(
        sa.update(Seed).where(Seed.generation < generation).values(generation=generation)
    )
    session.execute(sa.update(Seed).where(Seed.phase == "gone").values(phase="there", eject_at=now))
