"""DescribeInstanceStatus: what the last survey of the hosts says of each instance's health.

The system status is the host's: in sight, and its worker processes well. The instance status is
the guest's heartbeat. Both are one SQL expression each, for the view and for the filters. The
events are what is planned for the host.

Source: EC2 API Reference, DescribeInstanceStatus; EC2 User Guide, "Status checks for Amazon EC2
instances"; Hyper-V, VMHeartbeatStatus.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from state.models import Host, HostEvent, Instance, Look, Utc
from state.statements import Statement
from translators import errors, listing, zones
from translators.ec2.instances import filters, views
from translators.filters import Condition, Filter, Values, always, mapped, never, text, time
from translators.guests import maintenance
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeInstanceStatusRequestTypeDef,
        InstanceStatusEventTypeDef,
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
    "Paused": "impaired",
    "Disabled": "insufficient-data",
    "Unknown": "insufficient-data",
}
"""Heartbeat by name -> instance status; of one that is silent it depends on what was before."""
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
    system_since: sa.ColumnElement[Any]
    instance: sa.ColumnElement[str]
    disks: sa.ColumnElement[str]


def _checks(instance: Any) -> _Checks:
    """Make the checks; `_asked` answers their parameters."""
    idle = instance.phase.not_in(_RUNNING)
    seen_since = sa.bindparam("seen_since", type_=Utc)
    lost = sa.or_(sa.not_(Host.reachable), Host.surveyed_at < seen_since)
    # It may be on its way to another host.
    missed = sa.and_(Look.changed_at.is_not(None), Look.vm_state.is_(None))
    critical = Look.vm_state.endswith("Critical")
    system = sa.case(
        (idle, "not-applicable"),
        (Host.surveyed_at.is_(None), "insufficient-data"),
        (lost, "impaired"),
        (missed, "insufficient-data"),
        (critical, "impaired"),
        else_="ok",
    )
    unseen = sa.or_(Host.surveyed_at.is_(None), lost, missed)
    # A host that restarted has started it again, and nobody asked for that.
    started_since = sa.bindparam("started_since", type_=Utc)
    starts = sa.or_(instance.phase_since > started_since, Host.boot_time > started_since)
    guest = sa.case(
        (idle, "not-applicable"),
        (unseen, "insufficient-data"),
        (Look.vm_state.in_(_HALTED), "impaired"),
        (
            Look.heartbeat.in_(list(_HEARTBEATS)),
            sa.case(dict(_HEARTBEATS), value=Look.heartbeat),
        ),
        (starts, "initializing"),
        (Look.heartbeat == "LostCommunication", "impaired"),
        # An image without integration services never has a heartbeat, however well it is.
        (sa.and_(Look.heartbeat == "NoContact", Look.answered_at.is_not(None)), "impaired"),
        else_="insufficient-data",
    )
    disks = sa.case(
        (idle, "not-applicable"),
        (unseen, "insufficient-data"),
        (Look.vm_state == "PausedCritical", "impaired"),  # its host's disk is full
        else_="ok",
    )
    return _Checks(system, sa.case((lost, Host.surveyed_at), else_=Look.changed_at), guest, disks)


def _asked(ctx: Context) -> dict[str, object]:
    longest = dt.timedelta(seconds=ctx.settings.survey_longest_seconds)
    return {
        "seen_since": ctx.now - _SURVEYS_MISSED * longest,
        "started_since": ctx.now - _GRACE,
        **views.listed_since(ctx),
        **maintenance.since(ctx.now),
    }


def _check(name: str, words: Mapping[str, str] | None = None) -> Filter:
    def condition(ctx: Context, values: Values) -> Condition:
        instance = aliased(Instance)
        judged = getattr(_checks(instance), name)
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


def _told(*columns: Any) -> sa.Select[Any]:
    """Instances of the caller, each with an event that it is told of."""
    return (
        sa.select(*columns)
        .select_from(HostEvent)
        .join(Instance, Instance.host_key == HostEvent.host_key)
        .where(Instance.account_key == listing.ACCOUNT, Instance.region == listing.REGION)
        .where(maintenance.TOLD)
        .correlate(None)
    )


def _event(inner: Filter) -> Filter:
    def condition(ctx: Context, values: Values) -> Condition:
        looked_up = dataclasses.replace(values, checked=False)
        return Instance.key.in_(_told(Instance.key).where(inner(ctx, looked_up)))

    return condition


def _event_id(ctx: Context, values: Values) -> Condition:
    # The ids are made of what is there, and are nowhere kept.
    told = ctx.session.execute(
        _told(Instance.key, Instance.id, HostEvent.key),
        {"account": ctx.account_key, "region": ctx.region, **maintenance.since(ctx.now)},
    )
    keys = [
        key
        for key, instance_id, event_key in told
        if values.match(maintenance.event_id(event_key, instance_id))
    ]
    each = sa.func.json_each(json.dumps(keys)).table_valued("value")
    return Instance.key.in_(sa.select(each.c.value))


FILTERS: Final[Mapping[str, Filter]] = {
    "application-status.status": never,
    "attached-ebs-status.status": _check("disks"),
    "availability-zone": filters.ZONE,
    "availability-zone-id": filters.ZONE_ID,
    "event.code": _event(text(HostEvent.code)),
    "event.description": _event(text(maintenance.DESCRIPTION)),
    "event.instance-event-id": _event_id,
    "event.not-after": _event(time(HostEvent.not_after)),
    "event.not-before": _event(time(HostEvent.not_before)),
    "event.not-before-deadline": never,  # only what its owner may put off has one
    "instance-state-code": filters.STATE_CODE,
    "instance-state-name": filters.STATE_NAME,
    "instance-status.reachability": _check("instance", _REACHABILITY),
    "instance-status.status": _check("instance"),
    "operator.managed": always("false"),
    "operator.principal": never,
    "system-status.reachability": _check("system", _REACHABILITY),
    "system-status.status": _check("system"),
}


_CHECKS: Final = _checks(Instance)
_SHOWN: Final = Statement(
    sa.select(
        Instance.key,
        Instance.id,
        Instance.phase,
        Instance.zone,
        Look.changed_at,
        _CHECKS.system.label("system"),
        _CHECKS.system_since.label("system_since"),
        _CHECKS.instance.label("instance"),
        _CHECKS.disks.label("disks"),
    )
    .join(Host, Host.key == Instance.host_key)
    .join(Look, Look.instance_key == Instance.key, isouter=True)
    .where(Instance.key.in_(views.KEYS))
)


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    zone_ids = {zone.name: zone.id for zone in zones.zones(ctx.session, ctx.region)}
    events = maintenance.of(ctx.session, keys, ctx.now)
    shown: dict[int, InstanceStatusTypeDef] = {}
    for row in _SHOWN.named(ctx.session, {**_asked(ctx), "keys": keys}):
        one: InstanceStatusTypeDef = {
            "AvailabilityZone": row.zone,
            "Operator": {"Managed": False},
            "Events": [_shown(event) for event in events.get(row.key, ())],
            "InstanceId": row.id,
            "InstanceState": views.state(row.phase),
            "InstanceStatus": _summary(row.instance, row.changed_at),
            "SystemStatus": _summary(row.system, row.system_since),
            "AttachedEbsStatus": cast(Any, _summary(row.disks, row.changed_at)),
        }
        if row.zone in zone_ids:
            one["AvailabilityZoneId"] = zone_ids[row.zone]
        shown[row.key] = one
    return cast("Mapping[int, dict[str, object]]", shown)


def _shown(event: maintenance.Event) -> InstanceStatusEventTypeDef:
    shown: InstanceStatusEventTypeDef = {
        "InstanceEventId": event.id,
        "Code": cast(Any, event.code),
        "Description": event.description,
        "NotBefore": event.not_before,
    }
    if event.not_after is not None:
        shown["NotAfter"] = event.not_after
    return shown


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
    parameters=_asked,
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
