"""What an account does not have here, truly: empty lists, asked for as EC2 lets one ask.

One row an action. There are no spot requests, reservations, VPNs, peerings, endpoints and the like,
and no action here makes any, so that an empty list is the truth and an id that is named is not
found. Whoever makes one of these real takes its row out.

Source: EC2 API Reference, the actions of these names, "Error codes for the Amazon EC2 API"; where
that has no code, the errors that the AWS provider of Terraform knows.
"""

from __future__ import annotations

from typing import Final

from translators.ec2.nothing.asking import Named, Nothing
from translators.registry import action

_UUID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FLEETS: Final = (
    "fleet",
    "InvalidFleetId.NotFound",
    "fleet ID",
    None,
    f"fleet-{_UUID}",
)
_PREFIX_LISTS: Final = Named(
    "PrefixListIds",
    "pl",
    "InvalidPrefixListId.NotFound",
    "prefix list ID",
    "InvalidPrefixListId.Malformed",
)
_GROUP: Final = "InvalidPlacementGroup.Unknown", "The Placement Group '{}' is unknown."

TABLE: Final = (
    Nothing(
        "DescribeAddresses",
        "allocation-id association-id instance-id network-border-group network-interface-id "
        "network-interface-owner-id private-ip-address public-ip tag-key",
        (
            Named(
                "PublicIps",
                "",
                "InvalidAddress.NotFound",
                "Address '{}' not found.",
                form=r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}",
            ),
            Named(
                "AllocationIds",
                "eipalloc",
                "InvalidAllocationID.NotFound",
                "allocation ID",
                "InvalidAllocationID.NotFound",
            ),
        ),
        pages=None,
    ),
    Nothing(
        "DescribeCapacityReservations",
        "availability-zone end-date end-date-type instance-match-criteria instance-platform "
        "instance-type outpost-arn owner-id placement-group-arn start-date state tag-key tenancy",
        (
            Named(
                "CapacityReservationIds",
                "cr",
                "InvalidCapacityReservationId.NotFound",
                "capacity reservation ID",
            ),
        ),
        pages=(1, 1000),
    ),
    Nothing(
        "DescribeCustomerGateways",
        "bgp-asn customer-gateway-id ip-address state tag-key type",
        (
            Named(
                "CustomerGatewayIds",
                "cgw",
                "InvalidCustomerGatewayID.NotFound",
                "customerGateway ID",
                "InvalidCustomerGatewayId.Malformed",
            ),
        ),
        pages=None,
    ),
    Nothing(
        "DescribeEgressOnlyInternetGateways",
        "tag-key",
        (
            Named(
                "EgressOnlyInternetGatewayIds",
                "eigw",
                "InvalidGatewayID.NotFound",
                "gateway ID",
            ),
        ),
        pages=(5, 255),
    ),
    Nothing(
        "DescribeExportImageTasks",
        "task-state tag-key",
        (
            Named(
                "ExportImageTaskIds", "export-ami", "InvalidExportTaskID.NotFound", "export task ID"
            ),
        ),
        pages=(1, 500),
    ),
    Nothing(
        "DescribeFleetInstances",
        "instance-type",
        (Named("FleetId", *_FLEETS),),
        list_member="ActiveInstances",
    ),
    Nothing(
        "DescribeFleets",
        "activity-status excess-capacity-termination-policy fleet-state "
        "replace-unhealthy-instances type",
        (Named("FleetIds", *_FLEETS),),
    ),
    Nothing(
        "DescribeFlowLogs",
        "deliver-log-status flow-log-id log-destination-type log-group-name resource-id tag-key "
        "traffic-type",
        (Named("FlowLogIds", "fl", "InvalidFlowLogId.NotFound", "flow log ID"),),
        filters_member="Filter",
    ),
    Nothing(
        "DescribeHosts",
        "auto-placement availability-zone client-token host-reservation-id instance-type state "
        "tag-key",
        (Named("HostIds", "h", "InvalidHostID.NotFound", "host ID", "InvalidHostID.Malformed"),),
        pages=(5, 500),
        filters_member="Filter",
    ),
    Nothing(
        "DescribeIamInstanceProfileAssociations",
        "instance-id state",
        (
            Named(
                "AssociationIds",
                "iip-assoc",
                "InvalidAssociationID.NotFound",
                "association ID",
            ),
        ),
    ),
    Nothing(
        "DescribeLaunchTemplates",
        "create-time launch-template-name tag-key",
        (
            Named(
                "LaunchTemplateIds",
                "lt",
                "InvalidLaunchTemplateId.NotFound",
                "The specified launch template, with template ID {}, does not exist.",
                "InvalidLaunchTemplateId.Malformed",
            ),
            Named(
                "LaunchTemplateNames",
                "",
                "InvalidLaunchTemplateName.NotFoundException",
                "At least one of the launch templates specified in the request does not exist.",
            ),
        ),
        pages=(1, 200),
    ),
    Nothing(
        "DescribeManagedPrefixLists",
        "owner-id prefix-list-id prefix-list-name tag-key",
        (_PREFIX_LISTS,),
        pages=(1, 100),
        list_member="PrefixLists",
    ),
    Nothing(
        "DescribeNatGateways",
        "nat-gateway-id state subnet-id tag-key vpc-id",
        (
            Named(
                "NatGatewayIds",
                "nat",
                "NatGatewayNotFound",
                "The specified NAT gateway does not exist.",
                "NatGatewayMalformed",
            ),
        ),
        filters_member="Filter",
    ),
    Nothing(
        "DescribePlacementGroups",
        "group-arn group-name spread-level state strategy tag-key",
        (
            Named("GroupIds", "pg", *_GROUP, "InvalidPlacementGroup.Unknown"),
            Named("GroupNames", "", *_GROUP),
        ),
        pages=None,
    ),
    Nothing("DescribePrefixLists", "prefix-list-id prefix-list-name", (_PREFIX_LISTS,)),
    Nothing(
        "DescribeReservedInstances",
        "availability-zone availability-zone-id duration end fixed-price instance-type "
        "product-description reserved-instances-id scope start state tag-key usage-price",
        (
            Named(
                "ReservedInstancesIds",
                "",
                "InvalidReservedInstancesId",
                "reserved instances ID",
                "InvalidReservedInstancesId",
                _UUID,
            ),
        ),
        pages=None,
    ),
    Nothing(
        "DescribeSpotInstanceRequests",
        "availability-zone-group create-time fault-code fault-message instance-id launch-group "
        "launch.block-device-mapping.delete-on-termination "
        "launch.block-device-mapping.device-name launch.block-device-mapping.snapshot-id "
        "launch.block-device-mapping.volume-size launch.block-device-mapping.volume-type "
        "launch.group-id launch.group-name launch.image-id launch.instance-type launch.kernel-id "
        "launch.key-name launch.monitoring-enabled launch.network-interface.device-index "
        "launch.ramdisk-id launched-availability-zone launched-availability-zone-id "
        "network-interface.addresses.primary network-interface.delete-on-termination "
        "network-interface.description network-interface.device-index network-interface.group-id "
        "network-interface.network-interface-id network-interface.private-ip-address "
        "network-interface.subnet-id product-description spot-instance-request-id spot-price state "
        "status-code status-message tag-key type valid-from valid-until",
        (
            Named(
                "SpotInstanceRequestIds",
                "sir",
                "InvalidSpotInstanceRequestID.NotFound",
                "spot instance request ID",
                "InvalidSpotInstanceRequestID.Malformed",
                form="sir-[0-9a-z]{8,17}",
            ),
        ),
    ),
    Nothing(
        "DescribeSpotPriceHistory",
        "availability-zone availability-zone-id instance-type product-description spot-price "
        "timestamp",
        pages=(1, 1000),
    ),
    Nothing(
        "DescribeTransitGateways",
        "options.amazon-side-asn options.association-default-route-table-id "
        "options.auto-accept-shared-attachments options.default-route-table-association "
        "options.default-route-table-propagation options.dns-support "
        "options.propagation-default-route-table-id options.vpn-ecmp-support owner-id state "
        "tag-key transit-gateway-id",
        (
            Named(
                "TransitGatewayIds",
                "tgw",
                "InvalidTransitGatewayID.NotFound",
                "Transit Gateway {} was deleted or does not exist.",
            ),
        ),
    ),
    Nothing(
        "DescribeVpcEndpoints",
        "ip-address-type service-name service-region tag-key vpc-endpoint-id vpc-endpoint-state "
        "vpc-endpoint-type vpc-id",
        (
            Named(
                "VpcEndpointIds",
                "vpce",
                "InvalidVpcEndpointId.NotFound",
                "Vpc Endpoint Id",
                "InvalidVpcEndpointId.Malformed",
            ),
        ),
        cut_max_results=True,
    ),
    Nothing(
        "DescribeVpcPeeringConnections",
        "accepter-vpc-info.cidr-block accepter-vpc-info.owner-id accepter-vpc-info.vpc-id "
        "expiration-time requester-vpc-info.cidr-block requester-vpc-info.owner-id "
        "requester-vpc-info.vpc-id status-code status-message tag-key vpc-peering-connection-id",
        (
            Named(
                "VpcPeeringConnectionIds",
                "pcx",
                "InvalidVpcPeeringConnectionID.NotFound",
                "vpcPeeringConnection ID",
                "InvalidVpcPeeringConnectionId.Malformed",
            ),
        ),
    ),
    Nothing(
        "DescribeVpnConnections",
        "bgp-asn customer-gateway-configuration customer-gateway-id option.static-routes-only "
        "route.destination-cidr-block state tag-key transit-gateway-id type vpn-connection-id "
        "vpn-gateway-id",
        (
            Named(
                "VpnConnectionIds",
                "vpn",
                "InvalidVpnConnectionID.NotFound",
                "vpnConnection ID",
                "InvalidVpnConnectionID",
            ),
        ),
        pages=None,
    ),
    Nothing(
        "DescribeVpnGateways",
        "amazon-side-asn attachment.state attachment.vpc-id availability-zone state tag-key type "
        "vpn-gateway-id",
        (
            Named(
                "VpnGatewayIds",
                "vgw",
                "InvalidVpnGatewayID.NotFound",
                "vpnGateway ID",
                "InvalidVpnGatewayID.NotFound",
            ),
        ),
        pages=None,
    ),
)

for _row in TABLE:
    action(_row.name, check=_row.check)(_row)
