"""DescribeInstanceStatus: what the last survey of the hosts says of each instance's health.

The system status is the host's: in sight, and its worker processes well. The instance status is
the guest's heartbeat. Both are one SQL expression each, for the view and for the filters.

Source: EC2 API Reference, DescribeInstanceStatus; EC2 User Guide, "Status checks for Amazon EC2
instances"; Hyper-V, VMHeartbeatStatus.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from state.models import Host, Instance, Look
from translators import errors, listing, zones
from translators.ec2.instances import filters, views
from translators.filters import Condition, Filter, Values, always, mapped, never, text
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeInstanceStatusRequestTypeDef,
        InstanceStatusSummaryTypeDef,
        InstanceStatusTypeDef,
    )

_MOST_IDS: Final = 100
_GRACE: Final = dt.timedelta(minutes=5)
"""So long a guest may take until its heartbeat is expected."""
_SURVEYS_MISSED: Final = 3
"""After so many of the longest intervals without a survey nobody knows how a host is."""
_RUNNING: Final = ("running", "rebooting")
_IS_RUNNING: Final = Instance.phase.in_(_RUNNING)
_HEARTBEATS: Final[Mapping[str, str]] = {
    "OkApplicationsHealthy": "ok",
    "OkApplicationsUnknown": "ok",  # the usual one of a Linux guest
    "OkApplicationsCritical": "ok",
    "Error": "impaired",
    "LostCommunication": "impaired",
    "Paused": "impaired",
    "Disabled": "insufficient-data",
    "Unknown": "insufficient-data",
}
"""Heartbeat by name -> instance status; without contact it depends on the time since the start."""
_HALTED: Final = ("Paused", "Pausing", "PausedCritical", "PausingCritical", "Saving", "Saved")
_REACHABILITY: Final[Mapping[str, str]] = {
    "ok": "passed",
    "impaired": "failed",
    "initializing": "initializing",
    "insufficient-data": "insufficient-data",
}


@dataclass(frozen=True, slots=True)
class _Checks:
    """The three checks as SQL over an instance, its host and the look that was kept of it."""

    system: sa.ColumnElement[str]
    instance: sa.ColumnElement[str]
    disks: sa.ColumnElement[str]


def _checks(ctx: Context, instance: Any) -> _Checks:
    idle = instance.phase.not_in(_RUNNING)
    longest = dt.timedelta(seconds=ctx.settings.survey_longest_seconds)
    lost = sa.or_(sa.not_(Host.reachable), Host.surveyed_at < ctx.now - _SURVEYS_MISSED * longest)
    critical = Look.vm_state.endswith("Critical")
    system = sa.case(
        (idle, "not-applicable"),
        (Host.surveyed_at.is_(None), "insufficient-data"),
        (lost, "impaired"),
        (critical, "impaired"),
        else_="ok",
    )
    guest = sa.case(
        (idle, "not-applicable"),
        (sa.or_(Host.surveyed_at.is_(None), lost), "insufficient-data"),
        (Look.vm_state.in_(_HALTED), "impaired"),
        (
            Look.heartbeat.in_(list(_HEARTBEATS)),
            sa.case(dict(_HEARTBEATS), value=Look.heartbeat),
        ),
        (instance.phase_since > ctx.now - _GRACE, "initializing"),
        (Look.heartbeat == "NoContact", "impaired"),
        else_="insufficient-data",
    )
    disks = sa.case(
        (idle, "not-applicable"),
        (sa.or_(Host.surveyed_at.is_(None), lost), "insufficient-data"),
        (Look.vm_state == "PausedCritical", "impaired"),  # its host's disk is full
        else_="ok",
    )
    return _Checks(system, guest, disks)


def _check(name: str, words: Mapping[str, str] | None = None) -> Filter:
    def condition(ctx: Context, values: Values) -> Condition:
        instance = aliased(Instance)
        judged = getattr(_checks(ctx, instance), name)
        inner = text(judged) if words is None else mapped(judged, words)
        found = (
            sa.select(instance.key)
            .join(Host, Host.key == instance.host_key)
            .join(Look, Look.instance_key == instance.key, isouter=True)
            .where(
                instance.account_key == ctx.account_key,
                instance.region == ctx.region,
                inner(ctx, values),
            )
        )
        return Instance.key.in_(found)

    return condition


FILTERS: Final[Mapping[str, Filter]] = {
    "application-status.status": never,
    "attached-ebs-status.status": _check("disks"),
    "availability-zone": filters.ZONE,
    "availability-zone-id": filters.ZONE_ID,
    "event.code": never,
    "event.description": never,
    "event.instance-event-id": never,
    "event.not-after": never,
    "event.not-before": never,
    "event.not-before-deadline": never,
    "instance-state-code": filters.STATE_CODE,
    "instance-state-name": filters.STATE_NAME,
    "instance-status.reachability": _check("instance", _REACHABILITY),
    "instance-status.status": _check("instance"),
    "operator.managed": always("false"),
    "operator.principal": never,
    "system-status.reachability": _check("system", _REACHABILITY),
    "system-status.status": _check("system"),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    checks = _checks(ctx, Instance)
    zone_ids = {zone.name: zone.id for zone in zones.zones(ctx.session, ctx.region)}
    query = (
        sa.select(
            Instance.key,
            Instance.id,
            Instance.phase,
            Instance.zone,
            Host.surveyed_at,
            Look.changed_at,
            checks.system.label("system"),
            checks.instance.label("instance"),
            checks.disks.label("disks"),
        )
        .join(Host, Host.key == Instance.host_key)
        .join(Look, Look.instance_key == Instance.key, isouter=True)
        .where(Instance.key.in_(views.KEYS))
    )
    shown: dict[int, InstanceStatusTypeDef] = {}
    for row in ctx.session.connection().execute(query, {"keys": keys}):
        one: InstanceStatusTypeDef = {
            "AvailabilityZone": row.zone,
            "Operator": {"Managed": False},
            "Events": [],
            "InstanceId": row.id,
            "InstanceState": views.state(row.phase),
            "InstanceStatus": _summary(row.instance, row.changed_at),
            "SystemStatus": _summary(row.system, row.surveyed_at),
            "AttachedEbsStatus": cast(Any, _summary(row.disks, row.changed_at)),
        }
        if row.zone in zone_ids:
            one["AvailabilityZoneId"] = zone_ids[row.zone]
        shown[row.key] = one
    return cast("Mapping[int, dict[str, object]]", shown)


def _summary(status: Any, since: dt.datetime | None) -> InstanceStatusSummaryTypeDef:
    if status not in _REACHABILITY:
        return {"Status": status, "Details": []}
    detail: Any = {"Name": "reachability", "Status": _REACHABILITY[status]}
    if status == "impaired" and since is not None:
        detail["ImpairedSince"] = since
    return {"Status": status, "Details": [detail]}


RESOURCE: Final = listing.Resource(
    action="DescribeInstanceStatus",
    kind=None,
    model=Instance,
    prefix="i",
    id_member="InstanceIds",
    ids_word="instancesSet",
    malformed=errors.invalid_instance_id_malformed,
    not_found=errors.invalid_instance_id_not_found,
    filters=FILTERS,
    view=_view,
    exists=views.LISTED,
    parameters=views.listed_since,
    cut_max_results=True,
)


@action("DescribeInstanceStatus")
def describe_instance_status(ctx: Context, request: DescribeInstanceStatusRequestTypeDef) -> Result:
    """Tell how instances are; without `IncludeAllInstances` only of those that run.

    :raises Ec2Error: as DescribeInstances; ``InvalidRequest`` for more than 100 ids
    """
    named = request.get("InstanceIds", ())
    if len(named) > _MOST_IDS:
        raise errors.too_many_ids(len(named), _MOST_IDS, "instance")
    narrow = () if request.get("IncludeAllInstances") else (_IS_RUNNING,)
    page = listing.describe(ctx, RESOURCE, request, narrow=narrow)
    return page.answer("InstanceStatuses", page.views())
