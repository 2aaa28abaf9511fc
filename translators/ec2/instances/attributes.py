"""DescribeInstanceAttribute: what an instance has, one attribute a call.

An attribute without a value is answered as an empty structure, as EC2 does.

Source: EC2 API Reference, DescribeInstanceAttribute.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from state.models import Instance
from translators import errors, listing
from translators.ec2.instances import views
from translators.ec2.instances.describe import ONE
from translators.registry import Context, Result, action

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeInstanceAttributeRequestTypeDef

_Show = Callable[[Context, int], object]
"""Answers the value of the instance of that key."""


def _column(column: InstrumentedAttribute[Any]) -> _Show:
    query = sa.select(column).where(Instance.key == sa.bindparam("key"))
    return lambda ctx, key: {"Value": ctx.session.scalar(query, {"key": key})}


def _viewed(member: str) -> _Show:
    """As DescribeInstances shows it."""

    def show(ctx: Context, key: int) -> object:
        shown: Mapping[str, Any] = views.load(ctx, [key])[key]
        return shown[member]

    return show


def _always(value: object) -> _Show:
    return lambda ctx, key: value


def _user_data(ctx: Context, key: int) -> object:
    data = ctx.session.scalar(sa.select(Instance.user_data).where(Instance.key == key))
    return {"Value": base64.b64encode(data).decode("ascii")} if data else {}


_ATTRIBUTES: Final[Mapping[str, tuple[str, _Show]]] = {
    "blockDeviceMapping": ("BlockDeviceMappings", _viewed("BlockDeviceMappings")),
    "disableApiStop": ("DisableApiStop", _column(Instance.disable_api_stop)),
    "disableApiTermination": ("DisableApiTermination", _column(Instance.disable_api_termination)),
    "ebsOptimized": ("EbsOptimized", _column(Instance.ebs_optimized)),
    "enaSupport": ("EnaSupport", _always({"Value": True})),
    "enclaveOptions": ("EnclaveOptions", _viewed("EnclaveOptions")),
    "groupSet": ("Groups", _viewed("SecurityGroups")),
    "instanceInitiatedShutdownBehavior": (
        "InstanceInitiatedShutdownBehavior",
        _column(Instance.shutdown_behavior),
    ),
    "instanceType": ("InstanceType", _column(Instance.type)),
    "kernel": ("KernelId", _always({})),
    "productCodes": ("ProductCodes", _viewed("ProductCodes")),
    "ramdisk": ("RamdiskId", _always({})),
    "rootDeviceName": ("RootDeviceName", _column(Instance.root_device_name)),
    "sourceDestCheck": ("SourceDestCheck", _column(Instance.source_dest_check)),
    "sriovNetSupport": ("SriovNetSupport", _always({})),
    "userData": ("UserData", _user_data),
}
"""EC2's name of an attribute -> the answer's member, and where it comes from."""


@action("DescribeInstanceAttribute")
def describe_instance_attribute(
    ctx: Context, request: DescribeInstanceAttributeRequestTypeDef
) -> Result:
    """Answer one attribute of an instance.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``InvalidParameterValue``
    """
    instance_id, name = request["InstanceId"], request["Attribute"]
    if name not in _ATTRIBUTES:
        raise errors.invalid_parameter_value(name, "attribute", "Unknown attribute.")
    key, _ = listing.find(ctx, ONE, [instance_id])[instance_id]
    member, show = _ATTRIBUTES[name]
    return {"InstanceId": instance_id, member: show(ctx, key)}
