"""The ports of instances' interfaces: how the engine is told of them, and their one step.

What a port is to let through is `translators.port_rules`'s; how a table of rules becomes another
is `translators.hyperv.acl`'s. Of a port nothing shows in EC2.

Source: docs/hyperv.md, "Security groups".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state.models import Instance, InterfaceRules, NetworkInterface
from translators import driven, port_rules
from translators.hyperv import acl, nic, vm
from translators.hyperv.host import Failed, Unreachable
from translators.settings import Settings
from translators.steps import Decision, Do, Rest, Wait, step

_PAUSE: Final = 60.0
_DOUBLED: Final = 10
"""So often a pause grows; it is as long as it gets by then."""
_GOING: Final = ("pending", "shutting-down", "terminated")
"""Phases of an instance that has no VM, or soon none: its own step sees to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A port as its interface's groups want it; the generation counts what they wanted so far."""

    phase: Literal["open"]
    vm_id: str
    rules: frozenset[acl.Rule]


class Ports(driven.Kind[Intent]):
    """How ports are driven; see `translators.driven.Kind`."""

    name = "interface"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        return [
            driven.Due(key, wanted, driven.vm_lane(instance_key))
            for key, wanted, instance_key in port_rules.due(session, host_key, now)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        row = session.get(InterfaceRules, key)
        if row is None or row.wanted <= row.applied:
            return None
        interface = session.get_one(NetworkInterface, key)
        instance = session.get(Instance, interface.instance_key)
        if instance is None or instance.vm_id is None or instance.phase in _GOING:
            return None
        return Intent(
            key=key,
            id=interface.id,
            host_key=instance.host_key,
            phase="open",
            generation=row.wanted,
            since=row.changed_at,
            now=now,
            attempt=driven.attempt(session, self.name, key),
            settings=settings,
            vm_id=instance.vm_id,
            rules=acl.desired(port_rules.port(session, key)),
        )

    def look(self, intent: Intent, run: driven.Run) -> nic.Sight | None:
        try:
            return nic.seen(run(nic.look(intent.vm_id, intent.id)))
        except Failed as failed:
            if failed.done == 0 and not vm.is_missing(failed.error.id):
                raise Unreachable(f"look failed: {failed}") from failed
            return None

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = session.execute(
            sa.select(InterfaceRules.wanted, Instance.host_key, Instance.vm_id)
            .join(NetworkInterface, NetworkInterface.key == InterfaceRules.interface_key)
            .join(Instance, Instance.key == NetworkInterface.instance_key)
            .where(InterfaceRules.interface_key == intent.key, Instance.phase.not_in(_GOING))
        ).one_or_none()
        return row is not None and tuple(row) == (intent.generation, intent.host_key, intent.vm_id)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        session.execute(
            sa.update(InterfaceRules)
            .where(InterfaceRules.interface_key == intent.key)
            .values(applied=intent.generation, changed_at=now)
        )

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        session.get_one(InterfaceRules, intent.key).wanted = seen + 1
        return True


driven.register(Ports())


@step("interface", "open")
def hold(intent: Intent, sight: nic.Sight | None) -> Decision:
    """Bring the table of a port to what is wanted, a part at a time."""
    if sight is None:
        return Wait(_PAUSE, "its adapter is not there")
    if acl.count(intent.rules) > acl.MOST_RULES:
        return Wait(_PAUSE, f"its groups want more than {acl.MOST_RULES} rules of its port")
    try:
        change = acl.compare(intent.rules, sight.rules)
    except acl.Full as full:
        return Wait(_PAUSE, str(full))
    if sight.guarded and not change:
        return Rest("applied")
    plan = nic.change(intent.vm_id, intent.id, sight, change)
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    # Each plan adds and removes some; a host that forgets what it is told would keep us at it.
    fair = 2 + (len(intent.rules) + len(sight.rules)) // nic.MOST_CHANGES
    pause = 0.0
    if last.error is not None:
        pause = min(_PAUSE, 0.25 * 2 ** min(last.tries, _DOUBLED))
    elif last.tries > fair:
        pause = min(_PAUSE, 2.0 ** min(last.tries - fair, _DOUBLED))
    passed = (intent.now - last.at).total_seconds()
    left = pause - passed if passed >= 0 else 0.0
    if left <= 0:
        return Do(plan)
    why = last.error.id if last.error else "the host does not keep what it is told"
    return Wait(min(left, 1.0), f"{plan.purpose}: {why}")
