"""ReportInstanceStatus: what users say of their instances, kept for the operator to read.

Nothing is concluded from it: DescribeInstanceStatus goes on to tell what the hosts say.

Source: EC2 API Reference, ReportInstanceStatus.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Instance, StatusReport
from state.statements import Insertion, Statement, listed
from translators import errors, listing
from translators.ec2.instances import describe, instance_errors, views
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ReportInstanceStatusRequestTypeDef

_log = logging.getLogger("translators.instances")

KEPT: Final = 20
"""Reports of one instance; an older one makes way."""
REASONS: Final[Mapping[str, str]] = {
    "instance-stuck-in-state": "stuck in a state",
    "unresponsive": "does not respond",
    "not-accepting-credentials": "does not take its owner's credentials",
    "password-not-available": "has no password to tell",
    "performance-network": "slow, by the network it seems",
    "performance-instance-store": "slow, by its instance store it seems",
    "performance-ebs-volume": "slow, by a volume it seems",
    "performance-other": "slow",
    "other": "see the description",
}
"""EC2's reason codes -> what they say, for the operator."""
_STATUSES: Final = ("ok", "impaired")
_MOST_IDS: Final = 100
_LONGEST_DESCRIPTION: Final = 1024
_NAMED_IN_LOG: Final = 10
_PHASES: Final = Statement(
    sa.select(Instance.id, Instance.phase).where(Instance.key.in_(listed("keys", sa.BigInteger)))
)
_REPORTS: Final = Insertion(StatusReport)
_RANKED: Final = (
    sa.select(
        StatusReport.key,
        sa.func.row_number()
        .over(partition_by=StatusReport.instance_key, order_by=StatusReport.key.desc())
        .label("rank"),
    )
    .where(StatusReport.instance_key.in_(listed("keys", sa.BigInteger)))
    .subquery()
)
_TRIM: Final = Statement(
    sa.delete(StatusReport).where(
        StatusReport.key.in_(sa.select(_RANKED.c.key).where(_RANKED.c.rank > KEPT))
    )
)


@action("ReportInstanceStatus", changes=True)
def report_instance_status(ctx: Context, request: ReportInstanceStatusRequestTypeDef) -> Result:
    """Keep a report for each instance named.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``, ``InvalidParameterValue``, ``InvalidRequest``
    """
    report = _read(request)
    named = request["Instances"]
    if len(named) > _MOST_IDS:
        raise errors.too_many_ids(len(named), _MOST_IDS, "instance")
    found = listing.find(ctx, describe.RESOURCE, named)
    keys = [key for key, _ in found.values()]
    for instance_id, phase in _PHASES.run(ctx.session, {"keys": keys}):
        if views.state(phase)["Name"] != "running":
            raise instance_errors.incorrect_instance_state_not_running(instance_id)
    _REPORTS.run(
        ctx.session, [{"instance_key": key, "reported_at": ctx.now, **report} for key in keys]
    )
    _TRIM.run(ctx.session, {"keys": keys})
    _tell(ctx, list(found), report)
    return {}


def _read(request: ReportInstanceStatusRequestTypeDef) -> dict[str, object]:
    """Read the columns that all reports of a request have in common.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    status = _word(request["Status"], "status", _STATUSES)
    reasons = [_word(one, "reasonCode", list(REASONS)) for one in request["ReasonCodes"]]
    begin: Any = request.get("StartTime")
    end: Any = request.get("EndTime")
    if begin is not None and end is not None and end < begin:
        raise errors.invalid_parameter_value_text("The end time must not be before the start time")
    description = request.get("Description") or None
    if description is not None and len(description) > _LONGEST_DESCRIPTION:
        sentence = f"The description is limited to {_LONGEST_DESCRIPTION} characters"
        raise errors.invalid_parameter_value_text(sentence)
    return {
        "status": status,
        "reasons": list(dict.fromkeys(reasons)),
        "description": description,
        "starts_at": begin,
        "ends_at": end,
    }


def _word(value: str, name: str, words: Sequence[str]) -> str:
    if value not in words:
        sentence = f"Expecting one of: {', '.join(words)}."
        raise errors.invalid_parameter_value(value, name, sentence)
    return value


def _tell(ctx: Context, named: Sequence[str], report: Mapping[str, object]) -> None:
    """Log it, without the description: what users write is nobody's but the operator's."""
    more = len(named) - _NAMED_IN_LOG
    shown = [*named[:_NAMED_IN_LOG], *([f"and {more} more"] if more > 0 else [])]
    reasons = report["reasons"]
    assert isinstance(reasons, list)
    _log.info(
        "status-reported",
        extra={
            "request": ctx.request_id,
            "instance": ",".join(shown),
            "status": report["status"],
            "reasons": ",".join(reasons),
        },
    )
