"""GetConsoleOutput and GetConsoleScreenshot: what a guest has written, and what its screen shows.

Both ask the host when they are asked. The output that was last seen is kept: a host out of reach
and an instance that has gone leave it as it was, with the time it is of.

Source: EC2 API Reference, the actions of these names; EC2 User Guide, "Instance console output".
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

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
    question = ctx.session.get(models.Question, asked["Question"])
    if question is None:
        raise errors.unavailable()  # whoever waits for so long waits no more
    if question.phase == "asked":
        return None
    if question.phase == "failed" or question.answer is None:
        if question.trouble == questions.OFF:
            raise instance_errors.incorrect_instance_state_not_running(asked["InstanceId"])
        raise errors.internal_error()
    data = base64.b64encode(question.answer).decode("ascii")
    return {"InstanceId": asked["InstanceId"], "ImageData": data}


def _not_shown(ctx: Context, request: Any, asked: Any) -> Result | Exception:
    return _shown(ctx, request, asked) or errors.unavailable()


@action("GetConsoleScreenshot", changes=True, awaits=Awaits(_shown, _not_shown, _SECONDS))
def get_console_screenshot(ctx: Context, request: GetConsoleScreenshotRequestTypeDef) -> Result:
    """Answer a JPEG of the screen as it is now. A screen of Hyper-V's never sleeps: `WakeUp` is so.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``; ``Unavailable`` when the host does not answer, ``InternalError``
        when it cannot
    """
    instance = _instance(ctx, request["InstanceId"])
    if instance.phase not in _HAVE_A_SCREEN:
        raise instance_errors.incorrect_instance_state_not_running(instance.id)
    if not _is_reachable(ctx, instance):
        raise errors.unavailable()
    question = questions.ask(ctx, instance, "screenshot")
    return {"InstanceId": instance.id, "Question": question}


# -- the serial console


def _written(ctx: Context, _request: Any, asked: Any) -> Result | None:
    if asked["Question"] is None:
        return _last(ctx, asked) or _nothing(ctx, asked)
    question = ctx.session.get(models.Question, asked["Question"])
    if question is not None and question.phase == "asked":
        return None
    if question is not None and question.phase == "answered":
        return _last(ctx, asked) or _nothing(ctx, asked)
    return _last(ctx, asked) or _refused()


def _not_written(ctx: Context, request: Any, asked: Any) -> Result | Exception:
    return _written(ctx, request, asked) or _last(ctx, asked) or errors.unavailable()


@action("GetConsoleOutput", changes=True, awaits=Awaits(_written, _not_written, _SECONDS))
def get_console_output(ctx: Context, request: GetConsoleOutputRequestTypeDef) -> Result:
    """Answer the last 64 KiB that the guest wrote to its serial console, `Latest` or not.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``;
        ``Unavailable`` when the host does not answer and nothing of it was seen before
    """
    instance = _instance(ctx, request["InstanceId"])
    asked: dict[str, object] = {
        "InstanceId": instance.id,
        "Instance": instance.key,
        "Question": None,
    }
    if instance.phase == "terminated":
        return asked
    if _is_reachable(ctx, instance):
        asked["Question"] = questions.ask(ctx, instance, "console")
    elif _last(ctx, asked) is None:
        raise errors.unavailable()
    return asked


def _last(ctx: Context, asked: Any) -> Result | None:
    kept = ctx.session.get(models.Console, asked["Instance"])
    if kept is None:
        return None
    data = base64.b64encode(kept.output).decode("ascii")
    return {"InstanceId": asked["InstanceId"], "Output": data, "Timestamp": kept.seen_at}


def _nothing(ctx: Context, asked: Any) -> Result:
    """Without `Output`, as EC2 answers of an instance that has not written anything yet."""
    return {"InstanceId": asked["InstanceId"], "Timestamp": ctx.now}


def _refused() -> Result:
    raise errors.unavailable()
