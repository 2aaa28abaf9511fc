"""Recovery: the state is older than its hosts, or may be. Whether it is on, and what it waits for.

Holds the marks alone. What is done about it: `translators.ec2.instances.recovery` for the rows,
`ec2gw.engine.recovery` for the hosts.

Source: docs/decisions/0016-a-state-that-is-older-than-its-hosts.md.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.lifecycle import WORKING
from state.models import Deployment, Host, Instance, Look
from state.statements import Statement

_MARKS: Final = Statement(sa.select(Deployment.recovering, Deployment.confirmed).limit(1))


def is_on(session: Session) -> bool:
    """Tell whether nothing may change until the hosts were looked at."""
    return any(recovering for recovering, _confirmed in _MARKS.run(session, {}))


def may_place(session: Session) -> bool:
    """Tell whether addresses may be given out: some host has said that no state is newer."""
    return all(confirmed and not recovering for recovering, confirmed in _MARKS.run(session, {}))


def begin(session: Session, beat: int = 0) -> bool:
    """Stop all changes until every host was looked at; False: that is so already.

    `beat` is one that a host has been told before; ours goes on above it.
    """
    began = False
    for row in session.scalars(sa.select(Deployment)):
        began = not row.recovering
        row.recovering = True
        row.beat = max(row.beat, beat)
    if began:
        await_hosts(session)
    return began


def await_hosts(session: Session) -> None:
    """Have all hosts looked at, also those that were: whoever had seen them is no more."""
    session.execute(sa.update(Host).where(Host.state != "removed").values(recovering=True))


def seen(session: Session, host_key: int) -> None:
    """Note that a host was looked at."""
    session.execute(sa.update(Host).where(Host.key == host_key).values(recovering=False))


def awaited(session: Session) -> list[str]:
    """Name the hosts that are still to be looked at."""
    query = sa.select(Host.name).where(Host.recovering, Host.state != "removed")
    return list(session.scalars(query.order_by(Host.name)))


def waits_for(session: Session) -> list[str]:
    """Say for the operator what a recovery waits for: hosts first, then VMs on their way."""
    missing = (
        sa.select(Instance.id)
        .join(Look, Look.instance_key == Instance.key)
        .where(Look.vm_state.is_(None), Instance.phase != "terminated")
        .order_by(Instance.key)
    )
    return awaited(session) or list(session.scalars(missing))


def end(session: Session) -> None:
    """Let changes happen again."""
    session.execute(sa.update(Deployment).values(recovering=False, confirmed=True))
    session.execute(sa.update(Host).values(recovering=False))


# -- how an old state is noticed


def doubt(session: Session) -> None:
    """Give out no address until a host has said that it knows no newer state: we just started.

    What is being driven by now is remembered: should the state be old, later ones did not know of
    these wishes; of those that come from now on there are none later.
    """
    for row in session.scalars(sa.select(Deployment).where(Deployment.confirmed)):
        driven = session.execute(
            sa.select(Instance.key, Instance.generation).where(Instance.phase.in_(WORKING))
        )
        row.confirmed, row.wishes = False, {str(key): number for key, number in driven}


def is_old_wish(session: Session, instance: Instance) -> bool:
    """Tell whether what the instance is driven to was asked for before the service started."""
    wishes = session.scalar(sa.select(Deployment.wishes)) or {}
    return bool(wishes.get(str(instance.key)) == instance.generation)


def confirm(session: Session) -> None:
    """Note that a host has said so."""
    session.execute(sa.update(Deployment).where(~Deployment.confirmed).values(confirmed=True))


def beat(session: Session) -> int:
    """Answer what every host is to be told: whoever was told more knows a later state."""
    return session.scalar(sa.select(Deployment.beat)) or 0


def raise_beat(session: Session) -> None:
    """Note that something has changed which an older state would not know of."""
    session.execute(sa.update(Deployment).values(beat=Deployment.beat + 1))
