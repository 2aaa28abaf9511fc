"""GetConsoleOutput and GetConsoleScreenshot: what a guest has written, and what its screen shows.

Both ask the host when they are asked. The output that was last seen is kept: a host out of reach
and an instance that has gone leave it as it was, with the time it is of.

Source: EC2 API Reference, the actions of these names; EC2 User Guide, "Instance console output".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import models
from translators import errors, listing
from translators.ec2.instances import instance_errors
from translators.ec2.instances.console import questions
from translators.ec2.instances.describe import ONE
from translators.registry import Awaits, Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        GetConsoleOutputRequestTypeDef,
        GetConsoleScreenshotRequestTypeDef,
    )

_HAVE_A_SCREEN: Final = ("running", "rebooting")
_SECONDS: Final = 25.0


def _instance(ctx: Context, instance_id: str) -> models.Instance:
    key, _ = listing.find(ctx, ONE, [instance_id])[instance_id]
    return ctx.session.get_one(models.Instance, key)


def _is_reachable(ctx: Context, instance: models.Instance) -> bool:
    return ctx.session.get_one(models.Host, instance.host_key).reachable


# -- the screen


def _shown(ctx: Context, _request: Any, asked: Any) -> Result | None:
    question = questions.asked(ctx, asked["InstanceId"], "screenshot")
    if question is None:
        raise errors.unavailable()  # who waits for so long is not told any more
    if question.phase == "asked":
        return None
    if question.answer is None:
        if question.trouble == questions.OFF:
            raise instance_errors.incorrect_instance_state_not_running(asked["InstanceId"])
        raise errors.internal_error()
    data = base64.b64encode(question.answer).decode("ascii")
    return {"InstanceId": asked["InstanceId"], "ImageData": data}


def _not_shown(ctx: Context, request: Any, asked: Any) -> Result | Exception:
    return _shown(ctx, request, asked) or errors.unavailable()


@action("GetConsoleScreenshot", changes=True, awaits=Awaits(_shown, _not_shown, _SECONDS))
def get_console_screenshot(ctx: Context, request: GetConsoleScreenshotRequestTypeDef) -> Result:
    """Answer a JPEG of the screen as it is now. No screen sleeps: `WakeUp` has nothing to do.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``; ``Unavailable`` when the host does not answer, ``InternalError``
        when it cannot
    """
    instance = _instance(ctx, request["InstanceId"])
    if instance.phase not in _HAVE_A_SCREEN:
        raise instance_errors.incorrect_instance_state_not_running(instance.id)
    if not _is_reachable(ctx, instance):
        raise errors.unavailable()
    questions.ask(ctx, instance, "screenshot")
    return {"InstanceId": instance.id}


# -- the serial console


def _written(ctx: Context, _request: Any, asked: Any) -> Result | None:
    question = questions.asked(ctx, asked["InstanceId"], "console")
    if question is not None and question.phase == "asked":
        return None
    last = _last(ctx, asked["InstanceId"])
    if last is None and question is not None and question.phase == "failed":
        raise errors.internal_error()
    # Without `Output`, as EC2 answers of an instance that has not written anything yet.
    return last or {"InstanceId": asked["InstanceId"], "Timestamp": ctx.now}


def _not_written(ctx: Context, request: Any, asked: Any) -> Result | Exception:
    last = _last(ctx, asked["InstanceId"])
    return _written(ctx, request, asked) or last or errors.unavailable()


@action("GetConsoleOutput", changes=True, awaits=Awaits(_written, _not_written, _SECONDS))
def get_console_output(ctx: Context, request: GetConsoleOutputRequestTypeDef) -> Result:
    """Answer the last 64 KiB that the guest wrote to its serial console, `Latest` or not.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``; while nothing
        of it was ever seen, ``Unavailable`` when the host does not answer, ``InternalError`` when
        it cannot
    """
    instance = _instance(ctx, request["InstanceId"])
    if instance.phase != "terminated":
        if _is_reachable(ctx, instance):
            questions.ask(ctx, instance, "console")
        elif _last(ctx, instance.id) is None:
            raise errors.unavailable()
    return {"InstanceId": instance.id}


def _last(ctx: Context, instance_id: str) -> Result | None:
    query = (
        sa.select(models.Console.output, models.Console.seen_at)
        .join(models.Instance, models.Instance.key == models.Console.instance_key)
        .where(models.Instance.id == instance_id)
    )
    kept = ctx.session.execute(query).one_or_none()
    if kept is None:
        return None
    data = base64.b64encode(kept.output).decode("ascii")
    return {"InstanceId": instance_id, "Output": data, "Timestamp": kept.seen_at}
