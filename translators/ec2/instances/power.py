"""StartInstances, StopInstances, RebootInstances, TerminateInstances: they move the intent.

Nothing is told to a host here; the engine finds the rows in their new phase.

Source: EC2 API Reference, the four actions; EC2 User Guide, "Amazon EC2 instance state changes".
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import lifecycle
from state.models import Instance, Volume
from translators import errors, forms, listing
from translators.ec2.instances import instance_errors, placement, views
from translators.ec2.instances.describe import RESOURCE
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        InstanceStateChangeTypeDef,
        RebootInstancesRequestTypeDef,
        StartInstancesRequestTypeDef,
        StopInstancesRequestTypeDef,
        TerminateInstancesRequestTypeDef,
    )

_REASON: Final = {
    "state_reason_code": "Client.UserInitiatedShutdown",
    "state_reason_message": "Client.UserInitiatedShutdown: User initiated shutdown",
}
_NO_REASON: Final = {
    "state_reason_code": None,
    "state_reason_message": None,
    "transition_reason": "",
}


@action("StartInstances", changes=True)
def start_instances(ctx: Context, request: StartInstancesRequestTypeDef) -> Result:
    """Ask for stopped instances to run again, on the hosts that hold their disks.

    A host out of reach is no obstacle: the instance starts when it is back.

    :raises Ec2Error: ``IncorrectInstanceState``, ``InsufficientInstanceCapacity``,
        ``InvalidParameterValue`` for one without its root volume
    """
    rows = _find(ctx, request["InstanceIds"])
    moves = _ask(rows, "start")
    starting = [row for row, phase in moves if phase != row.phase]
    _check_roots(ctx, starting)
    needs = [(row.host_key, placement.Need(row.processors, row.memory_bytes)) for row in starting]
    if not placement.can_start(ctx, needs):
        raise errors.insufficient_capacity()
    _write(ctx, moves, {"launch_time": ctx.now, "force": False, **_NO_REASON})
    return {"StartingInstances": [_change(row, phase) for row, phase in moves]}


@action("StopInstances", changes=True)
def stop_instances(ctx: Context, request: StopInstancesRequestTypeDef) -> Result:
    """Ask for instances to shut down; `Force` and `SkipOsShutdown` cut the power instead.

    With `Force`, an instance that is already stopping is cut off as well.

    :raises Ec2Error: ``IncorrectInstanceState``, ``OperationNotPermitted``,
        ``UnsupportedHibernationConfiguration``
    """
    rows = _find(ctx, request["InstanceIds"])
    if request.get("Hibernate"):
        raise instance_errors.unsupported_hibernation_configuration(rows[0].id)
    for row in rows:
        if row.disable_api_stop:
            raise instance_errors.operation_not_permitted(row.id, "stopped", "disableApiStop")
    moves = _ask(rows, "stop")
    force = bool(request.get("Force") or request.get("SkipOsShutdown"))
    _write(
        ctx,
        moves,
        {"force": force, "transition_reason": _initiated(ctx.now), **_REASON},
        also=lambda row: force and row.phase == "stopping" and not row.force,
    )
    return {"StoppingInstances": [_change(row, phase) for row, phase in moves]}


@action("RebootInstances", changes=True)
def reboot_instances(ctx: Context, request: RebootInstancesRequestTypeDef) -> Result:
    """Ask for running instances to restart; they are shown as running all the while.

    :raises Ec2Error: ``IncorrectInstanceState``
    """
    _write(ctx, _ask(_find(ctx, request["InstanceIds"]), "reboot"), {})
    return {}


_NAMED: Final = forms.Form(("i",), instance_errors.malformed_in_a_termination, "instancesSet")


def _check(request: TerminateInstancesRequestTypeDef) -> None:
    for text in request["InstanceIds"]:
        _NAMED.check(text)


@action("TerminateInstances", changes=True, check=_check)
def terminate_instances(ctx: Context, request: TerminateInstancesRequestTypeDef) -> Result:
    """Ask for instances to be removed with their disks; terminating twice is no error.

    The guest is never asked to shut down first, so `Force` and `SkipOsShutdown` add nothing.

    :raises Ec2Error: ``OperationNotPermitted``
    """
    rows = _find(ctx, request["InstanceIds"])
    for row in rows:
        if row.phase in ("shutting-down", "terminated"):
            continue
        # Stop protection protects from this as well.
        for attribute, protected in (
            ("disableApiTermination", row.disable_api_termination),
            ("disableApiStop", row.disable_api_stop),
        ):
            if protected:
                raise instance_errors.operation_not_permitted(row.id, "terminated", attribute)
    moves = _ask(rows, "terminate")
    _write(ctx, moves, {"transition_reason": _initiated(ctx.now), **_REASON})
    return {"TerminatingInstances": [_change(row, phase) for row, phase in moves]}


# -- what the four share

_Moves = list[tuple[Any, lifecycle.Phase]]
"""Rows in the order asked for, each with the phase it is to have."""

_ROWS: Final = sa.select(
    Instance.key,
    Instance.id,
    Instance.phase,
    Instance.force,
    Instance.host_key,
    Instance.processors,
    Instance.memory_bytes,
    Instance.disable_api_stop,
    Instance.disable_api_termination,
    Instance.root_device_name,
).where(Instance.key.in_(sa.bindparam("keys", expanding=True)))
_ROOTS: Final = sa.select(Volume.instance_key).where(
    Volume.instance_key.in_(sa.bindparam("keys", expanding=True)),
    Volume.location.is_(None),
    Volume.phase == "in-use",
)
_MOVE: Final = (
    sa.update(Instance)
    .where(Instance.key.in_(sa.bindparam("keys", expanding=True)))
    .values(generation=Instance.generation + 1)
)
"""The other columns that change come as parameters."""


def _find(ctx: Context, wanted: Sequence[str]) -> list[Any]:
    """Read the instances, each once however often it is named.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``
    """
    keys = [key for key, _ in listing.find(ctx, RESOURCE, wanted).values()]
    rows = ctx.session.connection().execute(_ROWS, {"keys": keys})
    found = {row.key: row for row in rows}
    return [found[key] for key in keys]


def _check_roots(ctx: Context, rows: Sequence[Any]) -> None:
    """Refuse to start an instance whose root volume was taken away."""
    keys = [row.key for row in rows]
    there = set(ctx.session.connection().scalars(_ROOTS, {"keys": keys}))
    for row in rows:
        if row.key not in there:
            raise instance_errors.no_root_volume(row.id, row.root_device_name)


def _ask(rows: Sequence[Any], verb: lifecycle.Ask) -> _Moves:
    """Say where each instance goes; one that cannot refuses them all."""
    moves: _Moves = []
    for row in rows:
        try:
            moves.append((row, lifecycle.ask(row.phase, verb)))
        except lifecycle.Refused as refused:
            raise _refusal(row.id, refused) from None
    return moves


def _refusal(instance_id: str, refused: lifecycle.Refused) -> errors.Ec2Error:
    if refused.event == "start":
        return instance_errors.incorrect_instance_state_start(instance_id)
    if refused.event == "reboot":
        return instance_errors.incorrect_instance_state_reboot(instance_id)
    if refused.phase == "pending":
        return instance_errors.incorrect_instance_state_never_ran(instance_id)
    return instance_errors.incorrect_instance_state_stop(instance_id)


def _write(
    ctx: Context,
    moves: _Moves,
    values: Mapping[str, object],
    *,
    also: Callable[[Any], bool] = lambda row: False,
) -> None:
    """Write the new phases of those that really move, and of those whose intent changes `also`."""
    changed: dict[lifecycle.Phase, list[Any]] = {}
    for row, phase in moves:
        if phase != row.phase or also(row):
            changed.setdefault(phase, []).append(row)
    for phase, rows in changed.items():
        ctx.session.connection().execute(
            _MOVE,
            {
                "keys": [row.key for row in rows],
                "phase": phase,
                "phase_since": ctx.now,
                **values,
            },
        )
        ctx.wake.update(row.host_key for row in rows)


def _change(row: Any, phase: lifecycle.Phase) -> InstanceStateChangeTypeDef:
    return {
        "InstanceId": row.id,
        "PreviousState": views.state(row.phase),
        "CurrentState": views.state(phase),
    }


def _initiated(now: dt.datetime) -> str:
    return f"User initiated ({now:%Y-%m-%d %H:%M:%S} GMT)"
