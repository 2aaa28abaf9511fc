"""DescribeInstances: instances as they were last known, grouped by launch.

Source: EC2 API Reference, DescribeInstances.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

import sqlalchemy as sa

from state.models import Instance, Reservation
from translators import errors, forms, listing
from translators.ec2.instances import filters, views
from translators.registry import Context, Result, action
from translators.views import Fragments

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeInstancesRequestTypeDef


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, dict[str, object]]:
    return cast("Mapping[int, dict[str, object]]", views.load(ctx, keys))


RESOURCE: Final = listing.Resource(
    action="DescribeInstances",
    kind="instance",
    model=Instance,
    prefix="i",
    id_member="InstanceIds",
    ids_word="instancesSet",
    malformed=errors.invalid_instance_id_malformed,
    not_found=errors.invalid_instance_id_not_found,
    filters=filters.FILTERS,
    view=_view,
    exists=views.LISTED,
    parameters=views.listed_since,
    also=(
        sa.select(Reservation.id)
        .where(Reservation.key == Instance.reservation_key)
        .scalar_subquery(),
    ),
    cut_max_results=True,
)
ONE: Final = dataclasses.replace(
    RESOURCE, ids_word="instanceId", malformed=forms.not_an_instance_id
)
"""As actions on one instance name it."""


@action("DescribeInstances")
def describe_instances(ctx: Context, request: DescribeInstancesRequestTypeDef) -> Result:
    """List instances, those terminated within the last hour too.

    MaxResults counts instances: a launch may go on on the next page.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``InvalidParameterCombination``, ``InvalidParameterValue``, ``InvalidNextToken``
    """
    page = listing.describe(ctx, RESOURCE, request)
    launches: dict[str, list[tuple[int, int]]] = {}
    for key, version, reservation_id in page.rows:
        launches.setdefault(reservation_id, []).append((key, version))
    reservations = [
        {
            "ReservationId": reservation_id,
            "OwnerId": ctx.account_id,
            "Groups": [],
            "Instances": Fragments("instance", pairs, page.load),
        }
        for reservation_id, pairs in launches.items()
    ]
    return page.answer("Reservations", reservations)
