"""DescribeNetworkInterfaces and ModifyNetworkInterfaceAttribute.

Source: EC2 API Reference, the two actions, data type NetworkInterface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state import ids
from state.models import Instance, InterfaceGroup, NetworkInterface, SecurityGroup, Subnet, Vpc
from translators import errors, listing, port_rules, refusals, tags, zones
from translators.filters import (
    Column,
    Filter,
    always,
    flag,
    mapped,
    never,
    number,
    owner,
    text,
    through,
    time,
)
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeNetworkInterfacesRequestTypeDef,
        ModifyNetworkInterfaceAttributeRequestTypeDef,
        NetworkInterfaceTypeDef,
    )


def _attached(inner: Filter) -> Filter:
    return lambda ctx, values: sa.and_(
        NetworkInterface.attachment_id.is_not(None), inner(ctx, values)
    )


def _group(column: Column) -> Filter:
    return through(
        NetworkInterface.key,
        InterfaceGroup.interface_key,
        through(InterfaceGroup.group_key, SecurityGroup.key, text(column)),
    )


def _private_dns_name(ctx: Context) -> Column:
    dashed = sa.func.replace(NetworkInterface.private_ip, ".", "-", type_=sa.String)
    return sa.literal("ip-") + dashed + f".{zones.domain(ctx.region)}"


_ADDRESS: Final = text(NetworkInterface.private_ip)
FILTERS: Final[Mapping[str, Filter]] = {
    "addresses.association.owner-id": never,
    "addresses.association.public-ip": never,
    "addresses.primary": always("true"),
    "addresses.private-ip-address": _ADDRESS,
    "association.allocation-id": never,
    "association.association-id": never,
    "association.ip-owner-id": never,
    "association.public-dns-name": never,
    "association.public-ip": never,
    "attachment.attach-time": time(NetworkInterface.attach_time),
    "attachment.attachment-id": text(NetworkInterface.attachment_id),
    "attachment.delete-on-termination": _attached(flag(NetworkInterface.delete_on_termination)),
    "attachment.device-index": _attached(number(NetworkInterface.device_index)),
    "attachment.instance-id": through(
        NetworkInterface.instance_key, Instance.key, text(Instance.id)
    ),
    "attachment.instance-owner-id": _attached(owner),
    "attachment.status": text(NetworkInterface.attachment_status),
    "availability-zone": text(NetworkInterface.zone),
    "availability-zone-id": mapped(
        NetworkInterface.zone, lambda ctx: zones.ids(ctx.session, ctx.region)
    ),
    "description": text(NetworkInterface.description),
    "group-id": _group(SecurityGroup.id),
    "group-name": _group(SecurityGroup.name),
    "interface-type": always("interface"),
    "ipv6-addresses.ipv6-address": never,
    "mac-address": text(NetworkInterface.mac),
    "network-interface-id": text(NetworkInterface.id),
    "operator.managed": always("false"),
    "operator.principal": never,
    "owner-id": owner,
    "private-dns-name": text(_private_dns_name),
    "private-ip-address": _ADDRESS,
    "requester-id": never,
    "requester-managed": flag(NetworkInterface.requester_managed),
    "source-dest-check": flag(NetworkInterface.source_dest_check),
    "status": text(NetworkInterface.status),
    "subnet-id": through(NetworkInterface.subnet_key, Subnet.key, text(Subnet.id)),
    "vpc-id": through(NetworkInterface.vpc_key, Vpc.key, text(Vpc.id)),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    groups: dict[int, list[Any]] = {key: [] for key in keys}
    for interface_key, group_id, name in ctx.session.execute(
        sa.select(InterfaceGroup.interface_key, SecurityGroup.id, SecurityGroup.name)
        .join(SecurityGroup, SecurityGroup.key == InterfaceGroup.group_key)
        .where(InterfaceGroup.interface_key.in_(keys))
        .order_by(InterfaceGroup.group_key)
    ):
        groups[interface_key].append({"GroupId": group_id, "GroupName": name})
    rows = ctx.session.execute(
        sa.select(
            NetworkInterface.__table__,
            Vpc.id.label("vpc_id"),
            Subnet.id.label("subnet_id"),
            Instance.id.label("instance_id"),
        )
        .join(Vpc, Vpc.key == NetworkInterface.vpc_key)
        .join(Subnet, Subnet.key == NetworkInterface.subnet_key)
        .outerjoin(Instance, Instance.key == NetworkInterface.instance_key)
        .where(NetworkInterface.key.in_(keys))
    )
    tagged = tags.of(ctx, "network-interface", keys)
    return {row.key: _shown(ctx, row, groups[row.key], tagged[row.key]) for row in rows}


def _shown(ctx: Context, row: Any, groups: list[Any], tagged: list[Any]) -> NetworkInterfaceTypeDef:
    name = f"ip-{row.private_ip.replace('.', '-')}.{zones.domain(ctx.region)}"
    shown: NetworkInterfaceTypeDef = {
        "AvailabilityZone": row.zone,
        "Description": row.description,
        "Groups": groups,
        "InterfaceType": "interface",
        "Ipv6Addresses": [],
        "MacAddress": row.mac,
        "NetworkInterfaceId": row.id,
        "Operator": {"Managed": False},
        "OwnerId": ctx.account_id,
        "PrivateDnsName": name,
        "PrivateIpAddress": row.private_ip,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateDnsName": name, "PrivateIpAddress": row.private_ip}
        ],
        "RequesterManaged": row.requester_managed,
        "SourceDestCheck": row.source_dest_check,
        "Status": row.status,
        "SubnetId": row.subnet_id,
        "TagSet": tagged,
        "VpcId": row.vpc_id,
    }
    if row.instance_id is not None:
        shown["Attachment"] = {
            "AttachTime": row.attach_time,
            "AttachmentId": row.attachment_id,
            "DeleteOnTermination": row.delete_on_termination,
            "DeviceIndex": row.device_index,
            "InstanceId": row.instance_id,
            "InstanceOwnerId": ctx.account_id,
            "NetworkCardIndex": 0,
            "Status": row.attachment_status,
        }
    return shown


NETWORK_INTERFACES: Final = listing.Resource(
    action="DescribeNetworkInterfaces",
    kind="network-interface",
    model=NetworkInterface,
    prefix="eni",
    id_member="NetworkInterfaceIds",
    ids_word="networkInterfaceIdSet",
    malformed=errors.invalid_network_interface_id_malformed,
    not_found=errors.invalid_network_interface_id_not_found,
    filters=FILTERS,
    view=_view,
)


@action("DescribeNetworkInterfaces")
def describe_network_interfaces(
    ctx: Context, request: DescribeNetworkInterfacesRequestTypeDef
) -> Result:
    """List the account's network interfaces.

    :raises Ec2Error: ``InvalidNetworkInterfaceId.Malformed``,
        ``InvalidNetworkInterfaceID.NotFound``
    """
    page = listing.describe(ctx, NETWORK_INTERFACES, request)
    return page.answer("NetworkInterfaces", page.fragments())


# -- changes

_MOST_GROUPS: Final = 5
_DESCRIPTION_CHARACTERS: Final = 255
INTERFACE_ATTRIBUTES: Final[refusals.Table] = {
    "AssociatePublicIpAddress": (),
    "AssociatedSubnetIds": (),
    "Attachment.DefaultEnaQueueCount": (),
    "Attachment.EnaQueueCount": (),
    "ConnectionTrackingSpecification": (),
    "EnablePrimaryIpv6": (),
    "EnaSrdSpecification.EnaSrdEnabled": (),
}

_ON_THE_WIRE: Final = {"AssociatedSubnetIds": "AssociatedSubnetId"}


@action("ModifyNetworkInterfaceAttribute", changes=True)
def modify_network_interface_attribute(
    ctx: Context, request: ModifyNetworkInterfaceAttributeRequestTypeDef
) -> Result:
    """Change one attribute: the groups, the description, or whether addresses are checked.

    :raises Ec2Error: ``InvalidNetworkInterfaceID.NotFound``, ``InvalidGroup.NotFound``,
        ``InvalidGroupId.Malformed``, ``SecurityGroupsPerInterfaceLimitExceeded``,
        ``InvalidParameterCombination``, ``InvalidParameterValue``, ``UnsupportedOperation``
    """
    refusals.check(request, INTERFACE_ATTRIBUTES, on_the_wire=_ON_THE_WIRE)
    if request.get("Attachment", {}).get("DeleteOnTermination") is False:
        raise errors.unsupported_operation("Attachment.DeleteOnTermination")
    given = [name for name in _CHANGES if request.get(name)]
    if not given and not request.get("Attachment"):
        raise errors.no_attributes()
    if len(given) > 1:
        raise errors.invalid_parameter_combination(*(_wired(name) for name in given[:2]))
    named = request["NetworkInterfaceId"]
    key, _ = listing.find(ctx, NETWORK_INTERFACES, [named])[named]
    row = ctx.session.execute(
        sa.select(NetworkInterface.__table__).where(NetworkInterface.key == key)
    ).one()
    asked: Mapping[str, Any] = request
    for name in given:
        _CHANGES[name](ctx, row, asked[name])
    return {}


def _wired(name: str) -> str:
    return name[0].lower() + name[1:]


def _change_groups(ctx: Context, row: Any, group_ids: Sequence[str]) -> None:
    for group_id in group_ids:
        if not ids.is_well_formed("sg", group_id):
            raise errors.invalid_group_id_malformed(group_id)
    wanted = list(dict.fromkeys(group_ids))
    if len(wanted) > _MOST_GROUPS:
        raise errors.security_groups_per_interface_limit_exceeded()
    found = {
        group.id: group
        for group in ctx.session.execute(
            sa.select(SecurityGroup.id, SecurityGroup.key, SecurityGroup.vpc_key).where(
                listing.owned(ctx, SecurityGroup), SecurityGroup.id.in_(wanted)
            )
        )
    }
    if missing := [group_id for group_id in wanted if group_id not in found]:
        raise errors.invalid_group_not_found(missing)
    if any(group.vpc_key != row.vpc_key for group in found.values()):
        raise errors.different_networks()
    keys = [group.key for group in found.values()]
    ctx.wake |= port_rules.put_in(ctx.session, row.key, keys, ctx.now)


def _change_description(ctx: Context, row: Any, asked: Mapping[str, str]) -> None:
    description = asked.get("Value", "")
    if len(description) > _DESCRIPTION_CHARACTERS:
        sentence = f"Up to {_DESCRIPTION_CHARACTERS} characters are expected."
        raise errors.invalid_parameter_value(description, "description", sentence)
    _write(ctx, row, description=description)


def _change_check(ctx: Context, row: Any, asked: Mapping[str, bool]) -> None:
    value = asked.get("Value", True)
    _write(ctx, row, source_dest_check=value)
    if row.device_index == 0:
        ctx.session.execute(
            sa.update(Instance)
            .where(Instance.key == row.instance_key)
            .values(source_dest_check=value)
        )
    ctx.wake |= port_rules.moved(ctx.session, [row.key], ctx.now)


def _write(ctx: Context, row: Any, **columns: object) -> None:
    ctx.session.execute(
        sa.update(NetworkInterface).where(NetworkInterface.key == row.key).values(**columns)
    )


_CHANGES: Final[Mapping[str, Callable[[Context, Any, Any], None]]] = {
    "Groups": _change_groups,
    "Description": _change_description,
    "SourceDestCheck": _change_check,
}
