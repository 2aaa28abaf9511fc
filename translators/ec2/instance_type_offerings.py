"""DescribeInstanceTypeOfferings: every configured type is offered in the region and all its zones.

Whether a zone's hosts have room for one more is asked at a launch.

Source: EC2 API Reference, DescribeInstanceTypeOfferings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from translators import errors, filters, paging, zones
from translators.filters import Getter
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeInstanceTypeOfferingsRequestTypeDef

_BOUNDS: Final = (5, 1000)
_LOCATIONS: Final[Mapping[str, Callable[[Context], list[str]]]] = {
    "region": lambda ctx: [ctx.region],
    "availability-zone": lambda ctx: [one.name for one in zones.zones(ctx.session, ctx.region)],
    "availability-zone-id": lambda ctx: [one.id for one in zones.zones(ctx.session, ctx.region)],
    "outpost": lambda ctx: [],
}
FILTERS: Final[Mapping[str, Getter[Any]]] = {
    "instance-type": lambda one: one["InstanceType"],
    "location": lambda one: one["Location"],
}


@action("DescribeInstanceTypeOfferings")
def describe_instance_type_offerings(
    ctx: Context, request: DescribeInstanceTypeOfferingsRequestTypeDef
) -> Result:
    """List which types are offered where, by type.

    :raises Ec2Error: ``InvalidParameterValue``, ``InvalidNextToken``
    """
    limit = paging.limit(request, _BOUNDS, cut=False)
    kind: Any = request.get("LocationType", "region")
    if kind not in _LOCATIONS:
        sentence = f"Expecting one of: {', '.join(_LOCATIONS)}."
        raise errors.invalid_parameter_value(kind, "locationType", sentence)
    offered = [
        {"InstanceType": name, "LocationType": kind, "Location": location}
        for location in _LOCATIONS[kind](ctx)
        for name in ctx.settings.instance_types
    ]
    kept = filters.select(offered, request.get("Filters") or (), FILTERS)
    by_name = {f"{one['InstanceType']} {one['Location']}": one for one in kept}
    page, following = paging.cut(
        ctx, "DescribeInstanceTypeOfferings", request, by_name, limit or _BOUNDS[1]
    )
    answer: dict[str, Any] = {"InstanceTypeOfferings": page}
    if following is not None:
        answer["NextToken"] = following
    return answer
