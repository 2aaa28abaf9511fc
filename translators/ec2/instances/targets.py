"""What a launch refers to: image, key pair, subnets, security groups; found, or EC2's error.

Source: EC2 API Reference, RunInstances; its errors, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from state.models import (
    Image,
    ImagePermission,
    KeyPair,
    Network,
    NetworkInterface,
    SecurityGroup,
    Subnet,
    Vpc,
)
from state.statements import Statement, listed
from translators import errors, zones
from translators.ec2.instances import instance_errors
from translators.ec2.instances.requested import Launch
from translators.registry import Context

_ANY_REGION: Final = "*"

_SUBNET_COLUMNS: Final = (
    Subnet.key,
    Subnet.id,
    Subnet.zone,
    Subnet.cidr,
    Subnet.network_key,
    Vpc.key.label("vpc_key"),
    Vpc.id.label("vpc_id"),
    Network.switch,
    Network.cidr.label("network_cidr"),
    Network.router,
    Network.dns,
    Network.reserved,
    Network.next_offset,
)

# Statements are made once: to make one costs several times what it costs to run it.

_SHARED: Final = sa.select(ImagePermission.image_key).where(
    ImagePermission.image_key == Image.key, ImagePermission.account_key == sa.bindparam("account")
)
_IMAGE: Final = Statement(
    sa.select(
        Image.key,
        Image.id,
        Image.account_key,
        Image.public,
        Image.state,
        Image.architecture,
        Image.platform,
        Image.generation,
        Image.root_device_name,
        Image.size_gib,
        Image.snapshot_id,
        Image.snapshot_key,
        Image.volume_type,
        Image.iops,
        Image.throughput,
        Image.delete_on_termination,
        Image.guest,
        Image.boot_mode,
        sa.exists(_SHARED).label("shared"),
    ).where(
        Image.id == sa.bindparam("image"), Image.region.in_((sa.bindparam("region"), _ANY_REGION))
    )
)
_PUBLIC_KEY: Final = Statement(
    sa.select(KeyPair.public_key).where(
        KeyPair.account_key == sa.bindparam("account"),
        KeyPair.region == sa.bindparam("region"),
        KeyPair.name == sa.bindparam("name"),
    )
)
_INTERFACE: Final = Statement(
    sa.select(NetworkInterface.key).where(
        NetworkInterface.id == sa.bindparam("interface"),
        NetworkInterface.account_key == sa.bindparam("account"),
        NetworkInterface.region == sa.bindparam("region"),
    )
)
_SUBNET: Final = Statement(
    sa.select(*_SUBNET_COLUMNS)
    .join(Vpc, Vpc.key == Subnet.vpc_key)
    .join(Network, Network.key == Subnet.network_key)
    .where(
        Subnet.id == sa.bindparam("subnet"),
        Subnet.account_key == sa.bindparam("account"),
        Subnet.region == sa.bindparam("region"),
    )
)
_DEFAULT_SUBNETS: Final = Statement(
    sa.select(*_SUBNET_COLUMNS)
    .select_from(Vpc)
    .join(Subnet, sa.and_(Subnet.vpc_key == Vpc.key, Subnet.default_for_az), isouter=True)
    .join(Network, Network.key == Subnet.network_key, isouter=True)
    .where(
        Vpc.account_key == sa.bindparam("account"),
        Vpc.region == sa.bindparam("region"),
        Vpc.is_default,
    )
    .order_by(Subnet.key)
)
_GROUPS: Final = Statement(
    sa.select(SecurityGroup.key, SecurityGroup.id, SecurityGroup.name, SecurityGroup.vpc_key).where(
        SecurityGroup.account_key == sa.bindparam("account"),
        SecurityGroup.region == sa.bindparam("region"),
        sa.or_(
            SecurityGroup.id.in_(listed("ids", sa.String)),
            sa.and_(
                SecurityGroup.vpc_key == sa.bindparam("vpc"),
                SecurityGroup.name.in_(listed("names", sa.String)),
            ),
        ),
    )
)


def _caller(ctx: Context) -> dict[str, object]:
    return {"account": ctx.account_key, "region": ctx.region}


def image(ctx: Context, launch: Launch) -> Any:
    """Find the image, if the caller may use it and the instance type can run it.

    :raises Ec2Error: ``InvalidAMIID.NotFound``, ``InvalidAMIID.Unavailable``, ``AuthFailure``,
        ``InvalidParameterValue``, ``Unsupported``
    """
    asked = {**_caller(ctx), "image": launch.image_id}
    images = _IMAGE.named(ctx.session, asked)
    if not images:
        raise errors.invalid_ami_id_not_found([launch.image_id])
    [found] = images
    if not (found.public or found.shared or found.account_key == ctx.account_key):
        raise errors.not_authorized_for_images([launch.image_id])
    if found.state != "available":
        raise errors.invalid_ami_id_unavailable(launch.image_id)
    if found.architecture != launch.type.architecture:
        raise instance_errors.architecture_mismatch(launch.type.architecture, found.architecture)
    return found


def public_key(ctx: Context, name: str | None) -> str | None:
    """Find the key pair's public half, which the instance keeps if the pair is deleted.

    :raises Ec2Error: ``InvalidKeyPair.NotFound``
    """
    if name is None:
        return None
    found = _PUBLIC_KEY.scalar(ctx.session, {**_caller(ctx), "name": name})
    if found is None:
        raise errors.invalid_key_pair_not_found([name])
    return str(found)


def refuse_interface(ctx: Context, interface_id: str) -> None:
    """An interface that exists is some instance's; none can be made by itself yet.

    :raises Ec2Error: ``InvalidNetworkInterface.InUse``, ``InvalidNetworkInterfaceID.NotFound``
    """
    asked = {**_caller(ctx), "interface": interface_id}
    if _INTERFACE.scalar(ctx.session, asked) is None:
        raise errors.invalid_network_interface_id_not_found([interface_id])
    raise errors.invalid_network_interface_in_use(interface_id)


def subnets(ctx: Context, launch: Launch) -> list[Any]:
    """List where the launch may go: the subnet asked for, or the default ones (of the zone).

    :raises Ec2Error: ``InvalidSubnetID.NotFound``, ``VPCIdNotSpecified``, ``MissingInput``,
        ``InvalidParameterValue``, ``InvalidParameterCombination``
    """
    zone = _zone(ctx, launch)
    if launch.subnet_id is not None:
        return [_subnet(ctx, launch.subnet_id, zone)]
    found = _DEFAULT_SUBNETS.named(ctx.session, _caller(ctx))
    if not found:
        raise instance_errors.vpc_id_not_specified()
    wanted = [row for row in found if row.key is not None and zone in (None, row.zone)]
    if not wanted:
        raise instance_errors.missing_input_no_subnet(found[0].vpc_id)
    return wanted


def _subnet(ctx: Context, subnet_id: str, zone: str | None) -> Any:
    asked = {**_caller(ctx), "subnet": subnet_id}
    subnets = _SUBNET.named(ctx.session, asked)
    if not subnets:
        raise errors.invalid_subnet_id_not_found([subnet_id])
    [found] = subnets
    if zone not in (None, found.zone):
        raise errors.invalid_parameter_combination_text(
            f"The Availability Zone '{zone}' does not match that of the subnet '{subnet_id}' "
            f"({found.zone})"
        )
    return found


def _zone(ctx: Context, launch: Launch) -> str | None:
    """Find the zone asked for, by name or by id."""
    if launch.zone is None and launch.zone_id is None:
        return None
    for zone in zones.zones(ctx.session, ctx.region):
        if launch.zone in (None, zone.name) and launch.zone_id in (None, zone.id):
            return zone.name
    raise instance_errors.invalid_availability_zone(launch.zone or launch.zone_id or "")


def groups(ctx: Context, launch: Launch, subnet: Any) -> Sequence[Any]:
    """Find the security groups: those asked for, or the VPC's default one.

    :raises Ec2Error: ``InvalidGroup.NotFound``, ``InvalidParameter``,
        ``InvalidParameterCombination``
    """
    if launch.group_names and launch.subnet_id is not None:
        raise errors.invalid_parameter_combination("groupName", "subnet")
    names = launch.group_names
    if not names and not launch.group_ids:
        names = ("default",)
    return named_groups(ctx, launch.group_ids, names, subnet)


def named_groups(
    ctx: Context, ids: Sequence[str], names: Sequence[str], subnet: Any
) -> Sequence[Any]:
    """Find security groups for an interface in the subnet.

    :raises Ec2Error: ``InvalidGroup.NotFound``, ``InvalidParameter``
    """
    asked = {"vpc": subnet.vpc_key, "ids": ids, "names": names}
    found = _GROUPS.named(ctx.session, {**_caller(ctx), **asked})
    by_id = {row.id: row for row in found}
    if missing := [group_id for group_id in ids if group_id not in by_id]:
        raise errors.invalid_group_not_found(missing)
    known = {row.name for row in found if row.vpc_key == subnet.vpc_key}
    for name in names:
        if name not in known:
            raise errors.invalid_group_name_not_found(name, subnet.vpc_id)
    for row in found:
        if row.vpc_key != subnet.vpc_key:
            raise instance_errors.group_of_another_network(row.id, subnet.id)
    return found
