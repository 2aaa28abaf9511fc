"""DescribeRegions, DescribeAvailabilityZones, DescribeAccountAttributes.

Source: EC2 API Reference, the actions of these names, data types Region and AvailabilityZone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Vpc
from translators import errors, filters, listing, zones
from translators.filters import Getter
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        AvailabilityZoneTypeDef,
        DescribeAccountAttributesRequestTypeDef,
        DescribeAvailabilityZonesRequestTypeDef,
        DescribeRegionsRequestTypeDef,
        RegionTypeDef,
    )

REGION_FILTERS: Final[Mapping[str, Getter[RegionTypeDef]]] = {
    "endpoint": lambda one: one["Endpoint"],
    "opt-in-status": lambda one: one["OptInStatus"],
    "region-name": lambda one: one["RegionName"],
}
ZONE_FILTERS: Final[Mapping[str, Getter[AvailabilityZoneTypeDef]]] = {
    "group-long-name": lambda one: one["GroupLongName"],
    "group-name": lambda one: one["GroupName"],
    "message": lambda _: None,
    "opt-in-status": lambda one: one["OptInStatus"],
    "parent-zone-id": lambda _: None,
    "parent-zone-name": lambda _: None,
    "region-name": lambda one: one["RegionName"],
    "state": lambda one: one["State"],
    "zone-id": lambda one: one["ZoneId"],
    "zone-name": lambda one: one["ZoneName"],
    "zone-type": lambda one: one["ZoneType"],
}


@action("DescribeRegions")
def describe_regions(ctx: Context, request: DescribeRegionsRequestTypeDef) -> Result:
    """List the regions; all of them are open to every account.

    :raises Ec2Error: ``InvalidParameterValue`` for a name that is none of them
    """
    known = zones.regions(ctx.session)
    named = request.get("RegionNames") or ()
    if missing := [name for name in named if name not in known]:
        raise errors.invalid_parameter_value_text(f"Invalid region names: [{', '.join(missing)}]")
    shown = [_region(ctx, name) for name in known if not named or name in named]
    return {"Regions": filters.select(shown, request.get("Filters") or (), REGION_FILTERS)}


def _region(ctx: Context, name: str) -> RegionTypeDef:
    suffix = "amazonaws.com.cn" if zones.partition(name) == "aws-cn" else "amazonaws.com"
    return {
        "Endpoint": ctx.settings.public_endpoint or f"ec2.{name}.{suffix}",
        "OptInStatus": "opt-in-not-required",
        "RegionName": name,
    }


@action("DescribeAvailabilityZones")
def describe_availability_zones(
    ctx: Context, request: DescribeAvailabilityZonesRequestTypeDef
) -> Result:
    """List the region's zones.

    A zone whose hosts do not answer is available all the same: its instances are kept, and what
    is asked of them is done when they answer again.

    :raises Ec2Error: ``InvalidParameterValue`` for a name or id that is none of them
    """
    found = zones.zones(ctx.session, ctx.region)
    names, zone_ids = request.get("ZoneNames") or (), request.get("ZoneIds") or ()
    _refuse_others(names, {zone.name for zone in found})
    _refuse_others(zone_ids, {zone.id for zone in found})
    shown = [
        _zone(zone)
        for zone in found
        if (not names or zone.name in names) and (not zone_ids or zone.id in zone_ids)
    ]
    return {"AvailabilityZones": filters.select(shown, request.get("Filters") or (), ZONE_FILTERS)}


def _refuse_others(named: Sequence[str], known: set[str]) -> None:
    if missing := [name for name in named if name not in known]:
        raise errors.invalid_parameter_value_text(
            f"Invalid availability zone: [{', '.join(missing)}]"
        )


def _zone(zone: zones.Zone) -> AvailabilityZoneTypeDef:
    return {
        "GroupLongName": f"{zones.long_name(zone.region)} 1",
        "GroupName": f"{zone.region}-zg-1",
        "Messages": [],
        "NetworkBorderGroup": zone.region,
        "OptInStatus": "opt-in-not-required",
        "RegionName": zone.region,
        "State": "available",
        "ZoneId": zone.id,
        "ZoneName": zone.name,
        "ZoneType": "availability-zone",
    }


def _default_vpc(ctx: Context) -> str:
    found = ctx.session.scalar(sa.select(Vpc.id).where(listing.owned(ctx, Vpc), Vpc.is_default))
    return found or "none"


_ATTRIBUTES: Final[Mapping[str, Callable[[Context], str]]] = {
    "supported-platforms": lambda _: "VPC",
    "vpc-max-security-groups-per-interface": lambda _: "5",
    "max-elastic-ips": lambda _: "0",
    "max-instances": lambda ctx: str(ctx.settings.instance_limit),
    "vpc-max-elastic-ips": lambda _: "0",
    "default-vpc": _default_vpc,
}


@action("DescribeAccountAttributes")
def describe_account_attributes(
    ctx: Context, request: DescribeAccountAttributesRequestTypeDef
) -> Result:
    """Answer the account's attributes, all of them unless some are named.

    :raises Ec2Error: ``InvalidParameterValue`` for an unknown name
    """
    named: Sequence[str] = request.get("AttributeNames") or list(_ATTRIBUTES)
    answer: list[dict[str, Any]] = []
    for name in dict.fromkeys(named):
        if name not in _ATTRIBUTES:
            raise errors.invalid_parameter_value(name, "attributeName", "Unknown attribute.")
        value = _ATTRIBUTES[name](ctx)
        answer.append({"AttributeName": name, "AttributeValues": [{"AttributeValue": value}]})
    return {"AccountAttributes": answer}
