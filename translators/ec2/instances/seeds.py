"""The disc that a guest reads at its first boot, on its host: ejected in time, renewed at a start.

It is made with its VM (`steps`), and goes with it. Here is what happens in between. A disc that
somebody else put into the drive is left alone, and so is a drive of a VM that was moved, where ours
has another path by then.

Source: docs/guests.md, "On the host".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import guests, models
from translators import driven
from translators.ec2.instances import intents, steps
from translators.guests import disc, facts, policy
from translators.hyperv import file, seed, vm
from translators.hyperv.host import Failed, Plan, Unreachable
from translators.settings import Settings
from translators.steps import Decision, Do, Rest, Wait, step

_TRIES: Final = 6
"""Tries to put a disc in, whose failure ends the start that waits for it."""
_LONGEST_PAUSE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A disc as it is wanted: `there` is to be ejected now, `stale` to be made anew."""

    phase: guests.SeedPhase
    root: str
    vm_id: str
    vm_generation: int
    stays_seconds: float
    """From the first answer of its guest on; only where it is to be ejected."""
    told: facts.Facts | None
    """What the next one says, bare or not; None: there is to be none."""

    @property
    def subject(self) -> str:
        return f"seed-{self.id.removeprefix('i-')}"


class Seeds(driven.Kind[Intent]):
    """How discs are driven; see `translators.driven.Kind`. A row's key is its instance's."""

    name = "seed"

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        query = (
            sa.select(models.Seed.instance_key, models.Seed.generation)
            .where(_may_be_driven(now))
            .where(_has_instance(models.Instance.host_key == host_key, _is_driven(now)))
            .order_by(models.Seed.phase_since)
        )
        return [
            driven.Due(key, number, driven.vm_lane(key)) for key, number in session.execute(query)
        ]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        query = (
            sa.select(models.Seed, models.Instance, models.Image.guest, models.Host.root)
            .join(models.Instance, models.Instance.key == models.Seed.instance_key)
            .join(models.Image, models.Image.key == models.Instance.image_key)
            .join(models.Host, models.Host.key == models.Instance.host_key)
            .where(models.Seed.instance_key == key, _is_driven(now))
        )
        found = session.execute(query).one_or_none()
        if found is None or found[1].vm_id is None:
            return None
        row, instance, said, root = found
        guest = policy.of_image(settings.guest, said)
        stays = policy.eject_after_seconds(guest, has_password=row.has_password)
        stale = row.phase == "stale"
        return Intent(
            key=key,
            id=instance.id,
            host_key=instance.host_key,
            phase=row.phase,
            generation=row.generation,
            since=row.phase_since,
            now=now,
            attempt=driven.attempt(session, self.name, key),
            settings=settings,
            root=root,
            vm_id=instance.vm_id,
            vm_generation=instance.vm_generation,
            stays_seconds=stays or 0.0,
            told=facts.read(session, key, settings.guest) if stale or guest.bare_seed else None,
        )

    def look(self, intent: Intent, run: driven.Run) -> seed.Sight | None:
        try:
            return seed.seen(run(seed.look(intent.vm_id, intent.id)))
        except Failed as failed:
            if vm.is_missing(failed.error.id):
                return None
            raise Unreachable(f"look at disc failed: {failed}") from failed

    def is_still(self, session: Session, intent: Intent) -> bool:
        query = (
            sa.select(models.Seed.phase, models.Seed.generation, models.Instance.host_key)
            .join(models.Instance, models.Instance.key == models.Seed.instance_key)
            .where(models.Seed.instance_key == intent.key)
            .where(models.Instance.phase == _WHILE[intent.phase])
        )
        row = session.execute(query).one_or_none()
        return row is not None and tuple(row) == (intent.phase, intent.generation, intent.host_key)

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        row = session.get_one(models.Seed, intent.key)
        row.generation += 1
        row.phase_since = now
        if rest.found == "failed":
            instance = session.get_one(models.Instance, intent.key)
            intents.move(session, instance, "not-started", rest.reason, now)
        elif rest.found == "put":
            row.phase, row.answered_at, row.eject_at = "there", None, None
            row.has_password = bool(rest.facts["has_password"])
        else:
            row.phase = "gone"

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        session.get_one(models.Seed, intent.key).generation = seen + 1
        return True


_WHILE: Final = {"there": "running", "stale": "starting"}
"""Phase of a disc -> that of its instance in which something is done about it."""

driven.register(Seeds())


def _may_be_driven(now: dt.datetime) -> sa.ColumnElement[bool]:
    """What an index tells, each second: hardly any disc of thousands."""
    row = models.Seed
    return sa.or_(sa.and_(row.phase == "there", row.eject_at <= now), row.phase == "stale")


def _has_instance(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    instance = models.Instance
    mine = sa.exists().where(instance.key == models.Seed.instance_key, instance.vm_id.is_not(None))
    return mine.where(*conditions)


def _is_driven(now: dt.datetime) -> sa.ColumnElement[bool]:
    row, instance = models.Seed, models.Instance
    return sa.or_(
        sa.and_(row.phase == "there", row.eject_at <= now, instance.phase == _WHILE["there"]),
        sa.and_(row.phase == "stale", instance.phase == _WHILE["stale"]),
    )


# -- steps


@step("seed", "there")
def eject(intent: Intent, sight: seed.Sight | None) -> Decision:
    """Take the disc out, or put a bare one in its place; then remove its file."""
    if sight is None:
        return Wait(10.0)  # surveys tell where the VM went
    # However clocks were set: no guest loses it that may still be reading it.
    left = intent.stays_seconds - sight.vm.uptime_seconds
    if left > 0:
        return Wait(min(left, _LONGEST_PAUSE))
    drive = sight.holding(intent.root, intent.id)
    if drive is not None:
        bare = disc.bare(intent.told, intent.settings) if intent.told is not None else None
        plan = seed.eject(intent.vm_id, drive.place)
        if bare is not None:
            plan = seed.swap(intent.vm_id, drive.place, intent.id, bare.content)
        return _try(intent, plan)
    if sight.file is not None:
        return _try(intent, seed.remove(intent.id))
    return Rest("gone")


@step("seed", "stale")
def renew(intent: Intent, sight: seed.Sight | None) -> Decision:
    """Put a disc in that says what is true now; the VM is started after."""
    if sight is None or sight.vm.state != "Off":
        return Wait(1.0)  # the instance's own step says what becomes of it
    made = disc.make(intent.told, intent.settings) if intent.told is not None else None
    if made is None:
        return _without(intent, sight)
    mine = sight.holding(intent.root, intent.id)
    if mine is not None and file.is_whole(sight.file, made.content):
        return Rest("put", facts={"has_password": made.has_password})
    drive = sight.at(intent.vm_generation)
    ours = mine or sight.holding_bare(intent.root, intent.id)
    if ours is None and drive is not None and drive.path:
        return Rest("gone")  # somebody's own disc is in the drive
    plan = seed.put(
        intent.vm_id, intent.vm_generation, intent.id, made.content, has_drive=drive is not None
    )
    return _try(intent, plan, Rest("failed", steps.START_FAILED))


def _without(intent: Intent, sight: seed.Sight) -> Decision:
    """Have no disc of ours at all."""
    holding = (sight.holding, sight.holding_bare)
    drive = next((found for one in holding if (found := one(intent.root, intent.id))), None)
    if drive is not None:
        return _try(intent, seed.eject(intent.vm_id, drive.place))
    if sight.file is not None or sight.has_bare:
        return _try(intent, seed.clear(intent.id))
    return Rest("gone")


def _try(intent: Intent, plan: Plan, failure: Rest | None = None) -> Do | Rest | Wait:
    last = intent.tried.get(plan.purpose)
    if last is None or last.ran is False:
        return Do(plan)
    if failure is not None and last.tries >= _TRIES:
        return failure
    left = intent.left_of(min(_LONGEST_PAUSE, 0.25 * 2 ** min(last.tries, 8)), last)
    if left <= 0:
        return Do(plan)
    return Wait(min(left, 1.0), f"{plan.purpose}: {last.error.id}" if last.error else None)
