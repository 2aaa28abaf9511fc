"""What is asked of an instance's host now: rows that requests write and the engine answers.

A question only looks, so it needs no token; it is in nobody's lane. Rows live for seconds.

Source: docs/architecture.md, "What else is driven", questions.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from state import guests, models
from translators import driven
from translators.ec2.instances.console import picture
from translators.hyperv import console
from translators.hyperv.host import Failed
from translators.registry import Context
from translators.settings import Settings
from translators.steps import Decision, Rest, Wait, step

VALID_SECONDS: Final = 30.0
"""Nobody waits longer for an answer."""
SHARED_SECONDS: Final = 2.0
"""Who asks so soon after another gets the same answer."""
_KEPT_SECONDS: Final = 10.0
"""So long an answer is there for those who wait; then it goes, as nobody may have fetched it."""
_TRIES_PAUSE: Final = 1.0

OFF: Final = "off"
"""The trouble of a question whose VM has no screen, since it does not run."""


def ask(ctx: Context, instance: models.Instance, asks: guests.Asks) -> None:
    """Have the engine ask the instance's host.

    What somebody else has just asked, and nobody has answered yet, is not asked twice.
    """
    ctx.wake.add(instance.host_key)
    found = asked(ctx, instance.id, asks)
    if found is not None and found.phase == "asked" and found.host_key == instance.host_key:
        return
    row = models.Question(
        instance_key=instance.key,
        host_key=instance.host_key,
        asks=asks,
        phase="asked",
        asked_at=ctx.now,
    )
    ctx.session.add(row)


def asked(ctx: Context, instance_id: str, asks: guests.Asks) -> models.Question | None:
    """Find what was asked for a request: its own question, or that of another just before it."""
    row = models.Question
    lately = ctx.now - dt.timedelta(seconds=SHARED_SECONDS)
    query = (
        sa.select(row)
        .join(models.Instance, models.Instance.key == row.instance_key)
        .where(
            models.Instance.id == instance_id,
            row.asks == asks,
            row.asked_at.between(lately, ctx.now),
        )
        .order_by(row.key.desc())
        .limit(1)
    )
    return ctx.session.scalar(query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent(driven.Intent):
    """A question, with what its instance's VM is called on the host."""

    asks: guests.Asks
    instance_id: str
    instance_key: int
    vm_id: str | None

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for an answer any more, or has had it."""
        kept = VALID_SECONDS if self.phase == "asked" else _KEPT_SECONDS
        return self.seconds_in_phase > kept


@dataclass(frozen=True, slots=True)
class Sight:
    """What the host has shown; with a trouble, why it could not."""

    picture: console.Picture | None = None
    output: console.Output | None = None
    trouble: str | None = None


class Questions(driven.Kind[Intent]):
    """How questions are driven; see `translators.driven.Kind`."""

    name = "question"
    only_looks = True

    def due(self, session: Session, host_key: int, now: dt.datetime) -> list[driven.Due]:
        row = models.Question
        kept_since = now - dt.timedelta(seconds=_KEPT_SECONDS)
        # A row from a time to come is of a clock that was set back since: it goes too.
        over = sa.or_(row.answered_at < kept_since, row.answered_at > now)
        query = (
            sa.select(row.key)
            .where(row.host_key == host_key, sa.or_(row.phase == "asked", over))
            .order_by(row.key)
        )
        return [driven.Due(key, 1, f"question-{key}") for key in session.scalars(query)]

    def load(
        self, session: Session, key: int, settings: Settings, now: dt.datetime
    ) -> Intent | None:
        row = session.get(models.Question, key)
        if row is None:
            return None
        instance = session.get_one(models.Instance, row.instance_key)
        since = row.asked_at if row.phase == "asked" else row.answered_at or row.asked_at
        return Intent(
            key=key,
            id=f"question-{key:x}",
            host_key=row.host_key,
            phase=row.phase,
            generation=1,
            since=since,
            now=now,
            attempt=None,
            settings=settings,
            asks=row.asks,
            instance_id=instance.id,
            instance_key=instance.key,
            vm_id=instance.vm_id,
        )

    def look(self, intent: Intent, run: driven.Run) -> Sight:
        if intent.phase != "asked" or intent.is_over:
            return Sight()
        try:
            if intent.asks == "console":
                return Sight(output=console.read_output(run(console.output(intent.instance_id))))
            if intent.vm_id is None:
                return Sight(trouble=OFF)
            seen = console.read_thumbnail(run(console.thumbnail(intent.vm_id)))
        except Failed as failed:
            return Sight(trouble=f"{failed.error.id} ({failed.error.category})")
        except console.NotAsAsked as error:
            return Sight(trouble=f"not understood: {error}")
        return Sight(picture=seen) if seen is not None else Sight(trouble=OFF)

    def is_still(self, session: Session, intent: Intent) -> bool:
        row = models.Question
        return session.scalar(sa.select(row.phase).where(row.key == intent.key)) == intent.phase

    def settle(self, session: Session, intent: Intent, rest: Rest, now: dt.datetime) -> None:
        row = session.get_one(models.Question, intent.key)
        # What was told of it meanwhile: it has no generation that would outlive it.
        session.execute(
            sa.delete(models.Work).where(
                models.Work.kind == self.name, models.Work.key == intent.key
            )
        )
        if rest.found == "forgotten":
            session.delete(row)
            return
        row.answered_at = now
        row.phase = "answered" if rest.found == "answered" else "failed"
        row.trouble = rest.reason[1] if rest.reason else None
        if isinstance(jpeg := rest.facts.get("jpeg"), bytes):
            row.answer = jpeg
        if isinstance(output := rest.facts.get("output"), console.Output):
            _keep(session, intent.instance_key, output, now)

    def catch_up(self, session: Session, intent: Intent, seen: int) -> bool:
        return False  # nothing of it ever carries a generation


driven.register(Questions())


def _keep(session: Session, instance_key: int, output: console.Output, now: dt.datetime) -> None:
    seen_at = now - dt.timedelta(seconds=output.age_seconds)
    kept = session.get(models.Console, instance_key)
    if kept is None:
        kept = models.Console(instance_key=instance_key, output=output.data, seen_at=seen_at)
        session.add(kept)
    elif kept.output != output.data:
        kept.output, kept.seen_at = output.data, seen_at


@step("question", "asked")
def answer(intent: Intent, sight: Sight) -> Decision:
    """Write down what the host shows; a host that cannot be asked is tried until it is too late."""
    if intent.is_over:
        return Rest("forgotten")
    if sight.trouble is not None:
        return Rest("failed", ("Server.InternalError", sight.trouble))
    if sight.picture is not None:
        return Rest("answered", facts={"jpeg": picture.jpeg(sight.picture)})
    if sight.output is not None:
        return Rest("answered", facts={"output": sight.output})
    return Rest("answered")


@step("question", "answered")
@step("question", "failed")
def forget(intent: Intent, sight: Sight) -> Decision:
    """Remove what nobody waits for any more."""
    return Rest("forgotten") if intent.is_over else Wait(_TRIES_PAUSE)
