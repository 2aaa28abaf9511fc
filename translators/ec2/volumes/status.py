"""DescribeVolumeStatus, EnableVolumeIO, and the attributes of a volume.

What is known of a volume's health is whether its host answers. I/O is never taken from a volume
here, so there is nothing to enable again.

Source: EC2 API Reference, the four actions; EBS User Guide, "Amazon EBS volume status checks".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import Host, Instance, Volume
from translators import errors, forms, listing, zones
from translators.ec2.volumes import find
from translators.filters import Filter, always, either, mapped, never, text, through
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        DescribeVolumeAttributeRequestTypeDef,
        DescribeVolumeStatusRequestTypeDef,
        EnableVolumeIORequestTypeDef,
        ModifyVolumeAttributeRequestTypeDef,
        VolumeStatusItemTypeDef,
    )

_STATUS: Final = {True: "ok", False: "insufficient-data"}
"""Whether the volume's host answers -> EC2's word."""
_ENABLED: Final = {True: "passed"}
"""The same for I/O; while the host is silent nobody knows."""
_PROVISIONED: Final = ("io1", "io2")
"""Types whose performance EC2 watches."""


def _of_host(words: Mapping[Any, str]) -> Filter:
    return through(Volume.host_key, Host.key, mapped(Host.reachable, words))


def _performance(word: str) -> Filter:
    """Matches volumes of the types that are, or are not, watched."""
    watched = Volume.type.in_(_PROVISIONED)
    condition = watched if word == "normal" else sa.not_(watched)
    return lambda ctx, values: condition if values.match(word) else sa.false()


FILTERS: Final[Mapping[str, Filter]] = {
    **dict.fromkeys(
        (
            "action.code",
            "action.description",
            "action.event-id",
            "event.description",
            "event.event-id",
            "event.event-type",
            "event.not-after",
            "event.not-before",
        ),
        never,
    ),
    "attachment-status.instance-id": through(Volume.instance_key, Instance.key, text(Instance.id)),
    "attachment-status.io-performance": never,
    "availability-zone": text(Volume.zone),
    "volume-status.details-name": either(always("io-enabled"), always("io-performance")),
    "volume-status.details-status": either(
        _of_host(_ENABLED), _performance("normal"), _performance("not-applicable")
    ),
    "volume-status.status": _of_host(_STATUS),
}


def _view(ctx: Context, keys: Sequence[int]) -> Mapping[int, Any]:
    rows = ctx.session.execute(
        sa.select(Volume.key, Volume.id, Volume.zone, Volume.type, Host.reachable)
        .join(Host, Host.key == Volume.host_key)
        .where(Volume.key.in_(keys))
    )
    return {row.key: _shown(ctx, row) for row in rows}


def _shown(ctx: Context, row: Any) -> VolumeStatusItemTypeDef:
    performance: Any = "normal" if row.type in _PROVISIONED else "not-applicable"
    details: list[Any] = [{"Name": "io-performance", "Status": performance}]
    if row.reachable:
        details.insert(0, {"Name": "io-enabled", "Status": _ENABLED[True]})
    status: Any = _STATUS[row.reachable]
    return {
        "Actions": [],
        "AvailabilityZone": row.zone,
        "AvailabilityZoneId": zones.zone_id(ctx.region, row.zone[-1]),
        "Events": [],
        "VolumeId": row.id,
        "VolumeStatus": {"Details": details, "Status": status},
    }


STATUSES: Final = listing.Resource(
    action="DescribeVolumeStatus",
    kind=None,
    model=Volume,
    prefix="vol",
    id_member="VolumeIds",
    ids_word="volumeSet",
    malformed=forms.not_a_volume_id,
    not_found=errors.invalid_volume_not_found,
    filters=FILTERS,
    view=_view,
    cut_max_results=True,
)


@action("DescribeVolumeStatus")
def describe_volume_status(ctx: Context, request: DescribeVolumeStatusRequestTypeDef) -> Result:
    """Say of each volume whether its host can be asked for it.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidParameterValue``
    """
    page = listing.describe(ctx, STATUSES, request)
    return page.answer("VolumeStatuses", page.views())


@action("EnableVolumeIO")
def enable_volume_io(ctx: Context, request: EnableVolumeIORequestTypeDef) -> Result:
    """Let a volume do I/O, which it always may.

    :raises Ec2Error: ``InvalidVolume.NotFound``
    """
    find.volume(ctx, request["VolumeId"])
    return {}


@action("DescribeVolumeAttribute")
def describe_volume_attribute(
    ctx: Context, request: DescribeVolumeAttributeRequestTypeDef
) -> Result:
    """Tell one attribute of a volume; none has a product code.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidParameterValue``
    """
    row = find.volume(ctx, request["VolumeId"])
    name: str = request["Attribute"]
    if name == "autoEnableIO":
        return {"VolumeId": row.id, "AutoEnableIO": {"Value": row.auto_enable_io}}
    if name == "productCodes":
        return {"VolumeId": row.id, "ProductCodes": []}
    raise errors.invalid_parameter_value(name, "attribute", "Unknown attribute.")


@action("ModifyVolumeAttribute", changes=True)
def modify_volume_attribute(ctx: Context, request: ModifyVolumeAttributeRequestTypeDef) -> Result:
    """Remember whether I/O is to be enabled by itself after a fault.

    :raises Ec2Error: ``InvalidVolume.NotFound``, ``InvalidParameterCombination``
    """
    row = find.volume(ctx, request["VolumeId"])
    value = request.get("AutoEnableIO", {}).get("Value")
    if value is None:
        raise errors.no_attributes()
    ctx.session.execute(sa.update(Volume).where(Volume.key == row.key).values(auto_enable_io=value))
    return {}
