"""DescribeRouteTables and DescribeInternetGateways.

Source: EC2 API Reference, DescribeRouteTables, DescribeInternetGateways, data type RouteTable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import InternetGateway, Route, RouteTable, Vpc
from translators import errors, listing, tags
from translators.filters import Filter, always, flag, never, owner, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeInternetGatewaysRequestTypeDef,
        DescribeRouteTablesRequestTypeDef,
        InternetGatewayTypeDef,
        RouteTableTypeDef,
    )


def _route(inner: Filter) -> Filter:
    return through(RouteTable.key, Route.route_table_key, inner)


def _associated(inner: Filter) -> Filter:
    """Hold the filter against tables that have an association; here that is the main one's."""
    return lambda ctx, values: sa.and_(
        RouteTable.main_association_id.is_not(None), inner(ctx, values)
    )


ROUTE_TABLE_FILTERS: Final[Mapping[str, Filter]] = {
    "association.gateway-id": never,
    "association.main": _associated(flag(RouteTable.main)),
    "association.route-table-association-id": text(RouteTable.main_association_id),
    "association.route-table-id": _associated(text(RouteTable.id)),
    "association.subnet-id": never,  # subnets are with the main table, which says so of none
    "owner-id": owner,
    "route-table-id": text(RouteTable.id),
    "route.destination-cidr-block": _route(text(Route.destination_cidr)),
    "route.destination-ipv6-cidr-block": never,
    "route.destination-prefix-list-id": never,
    "route.egress-only-internet-gateway-id": never,
    "route.gateway-id": _route(text(Route.gateway_id)),
    "route.instance-id": never,
    "route.nat-gateway-id": never,
    "route.origin": _route(text(Route.origin)),
    "route.state": _route(always("active")),
    "route.transit-gateway-id": never,
    "route.vpc-peering-connection-id": never,
    "vpc-id": through(RouteTable.vpc_key, Vpc.key, text(Vpc.id)),
}
GATEWAY_FILTERS: Final[Mapping[str, Filter]] = {
    "attachment.state": through(InternetGateway.vpc_key, Vpc.key, always("available")),
    "attachment.vpc-id": through(InternetGateway.vpc_key, Vpc.key, text(Vpc.id)),
    "internet-gateway-id": text(InternetGateway.id),
    "owner-id": owner,
}


def _tables(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    routes: dict[int, list[Any]] = {key: [] for key in keys}
    for route in ctx.session.execute(
        sa.select(Route.__table__).where(Route.route_table_key.in_(keys)).order_by(Route.key)
    ):
        routes[route.route_table_key].append(
            {
                "DestinationCidrBlock": route.destination_cidr,
                "GatewayId": route.gateway_id,
                "Origin": route.origin,
                "State": "active",
            }
        )
    rows = ctx.session.execute(
        sa.select(RouteTable.__table__, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == RouteTable.vpc_key)
        .where(RouteTable.key.in_(keys))
    )
    tagged = tags.of(ctx, "route-table", keys)
    return {row.key: _table(ctx, row, routes[row.key], tagged[row.key]) for row in rows}


def _table(ctx: Context, row: Any, routes: list[Any], tagged: list[Any]) -> RouteTableTypeDef:
    shown: RouteTableTypeDef = {
        "Associations": [],
        "OwnerId": ctx.account_id,
        "PropagatingVgws": [],
        "RouteTableId": row.id,
        "Routes": routes,
        "Tags": tagged,
        "VpcId": row.vpc_id,
    }
    if row.main_association_id is not None:
        shown["Associations"] = [
            {
                "AssociationState": {"State": "associated"},
                "Main": row.main,
                "RouteTableAssociationId": row.main_association_id,
                "RouteTableId": row.id,
            }
        ]
    return shown


def _gateways(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(InternetGateway.key, InternetGateway.id, Vpc.id.label("vpc_id"))
        .outerjoin(Vpc, Vpc.key == InternetGateway.vpc_key)
        .where(InternetGateway.key.in_(keys))
    )
    tagged = tags.of(ctx, "internet-gateway", keys)
    return {row.key: _gateway(ctx, row, tagged[row.key]) for row in rows}


def _gateway(ctx: Context, row: Any, tagged: list[Any]) -> InternetGatewayTypeDef:
    shown: InternetGatewayTypeDef = {
        "Attachments": [],
        "InternetGatewayId": row.id,
        "OwnerId": ctx.account_id,
        "Tags": tagged,
    }
    if row.vpc_id is not None:
        # Not the enumeration's "attached": EC2 says "available" of internet gateways.
        state: Any = "available"
        shown["Attachments"] = [{"State": state, "VpcId": row.vpc_id}]
    return shown


ROUTE_TABLES: Final = listing.Resource(
    action="DescribeRouteTables",
    kind="route-table",
    model=RouteTable,
    prefix="rtb",
    id_member="RouteTableIds",
    ids_word="routeTableIdSet",
    malformed=errors.invalid_route_table_id_malformed,
    not_found=errors.invalid_route_table_id_not_found,
    filters=ROUTE_TABLE_FILTERS,
    view=_tables,
    max_results=(5, 100),
)
INTERNET_GATEWAYS: Final = listing.Resource(
    action="DescribeInternetGateways",
    kind="internet-gateway",
    model=InternetGateway,
    prefix="igw",
    id_member="InternetGatewayIds",
    ids_word="internetGatewayIdSet",
    malformed=errors.invalid_internet_gateway_id_malformed,
    not_found=errors.invalid_internet_gateway_id_not_found,
    filters=GATEWAY_FILTERS,
    view=_gateways,
)


@action("DescribeRouteTables")
def describe_route_tables(ctx: Context, request: DescribeRouteTablesRequestTypeDef) -> Result:
    """List the account's route tables.

    :raises Ec2Error: ``InvalidRouteTableId.Malformed``, ``InvalidRouteTableID.NotFound``
    """
    page = listing.describe(ctx, ROUTE_TABLES, request)
    return page.answer("RouteTables", page.fragments())


@action("DescribeInternetGateways")
def describe_internet_gateways(
    ctx: Context, request: DescribeInternetGatewaysRequestTypeDef
) -> Result:
    """List the account's internet gateways.

    :raises Ec2Error: ``InvalidInternetGatewayId.Malformed``, ``InvalidInternetGatewayID.NotFound``
    """
    page = listing.describe(ctx, INTERNET_GATEWAYS, request)
    return page.answer("InternetGateways", page.fragments())
