"""MonitorInstances, UnmonitorInstances: whether detailed monitoring is wanted, remembered.

There are no metrics here; what DescribeInstances shows is all that changes.

Source: EC2 API Reference, MonitorInstances, UnmonitorInstances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Instance
from translators import listing
from translators.ec2.instances import instance_errors, refusals
from translators.ec2.instances.describe import RESOURCE
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        InstanceMonitoringTypeDef,
        MonitorInstancesRequestTypeDef,
        UnmonitorInstancesRequestTypeDef,
    )

_STATES: Final[dict[tuple[bool, bool], Any]] = {
    (False, True): "pending",
    (True, True): "enabled",
    (True, False): "disabling",
    (False, False): "disabled",
}
"""(was it on, is it to be on) -> EC2's word in the answer."""


@action("MonitorInstances", changes=True)
def monitor_instances(ctx: Context, request: MonitorInstancesRequestTypeDef) -> Result:
    """Turn detailed monitoring on.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``, ``UnsupportedOperation``
    """
    return _set(ctx, request, True)


@action("UnmonitorInstances", changes=True)
def unmonitor_instances(ctx: Context, request: UnmonitorInstancesRequestTypeDef) -> Result:
    """Turn detailed monitoring off.

    :raises Ec2Error: as `monitor_instances`
    """
    return _set(ctx, request, False)


def _set(
    ctx: Context,
    request: MonitorInstancesRequestTypeDef | UnmonitorInstancesRequestTypeDef,
    wanted: bool,
) -> Result:
    refusals.check(request, refusals.MONITORING)
    keys = [key for key, _ in listing.find(ctx, RESOURCE, request["InstanceIds"]).values()]
    query = sa.select(Instance.key, Instance.id, Instance.phase, Instance.monitoring)
    rows = {row.key: row for row in ctx.session.execute(query.where(Instance.key.in_(keys)))}
    answer: list[InstanceMonitoringTypeDef] = []
    for row in map(rows.__getitem__, keys):
        if row.phase in ("shutting-down", "terminated"):
            raise instance_errors.incorrect_instance_state_gone(row.id)
        state = _STATES[row.monitoring, wanted]
        answer.append({"InstanceId": row.id, "Monitoring": {"State": state}})
    changed = [key for key in keys if rows[key].monitoring != wanted]
    if changed:
        ctx.session.execute(
            sa.update(Instance).where(Instance.key.in_(changed)).values(monitoring=wanted)
        )
    return {"InstanceMonitorings": answer}
