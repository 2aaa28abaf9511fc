"""ModifyInstanceAttribute and ResetInstanceAttribute: one attribute of one instance a call.

Nothing is told to a host here. A new type reaches it at the next start, other groups the ports of
all whom they concern; the rest is remembered, and heeded when its time comes.

Source: EC2 API Reference, the two actions; EC2 User Guide, "Modify a stopped instance" and
"Amazon EC2 instance type changes".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from state.models import (
    Image,
    Instance,
    NetworkInterface,
    Subnet,
    Volume,
    Vpc,
)
from translators import errors, listing, port_rules
from translators.ec2.instances import (
    instance_errors,
    placement,
    refusals,
    requested,
    seed_rows,
    targets,
)
from translators.ec2.instances.describe import ONE
from translators.registry import Context, Result, action
from translators.settings import MIB

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        InstanceBlockDeviceMappingSpecificationTypeDef,
        ModifyInstanceAttributeRequestTypeDef,
        ResetInstanceAttributeRequestTypeDef,
    )

_GONE: Final = ("shutting-down", "terminated")
_FLAGS: Final = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Attribute:
    """How an attribute is changed."""

    member: str
    """Of the request."""
    read: Callable[[Any], Any]
    """Check and shape what was asked, before the transaction."""
    write: Callable[[Context, Any, Any], Mapping[str, object]]
    """Change what hangs on the instance; answer the columns of its own row that change."""
    text: Callable[[str], Any] = str
    """Read it where it is given as `Attribute` and `Value`."""
    stopped: bool = False
    """Only while the instance is stopped."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change as it was asked for."""

    name: str
    value: Any


def read(ctx: Context, request: ModifyInstanceAttributeRequestTypeDef) -> Change:
    """Read which attribute is to be changed; it must be exactly one.

    :raises Ec2Error: ``InvalidParameterCombination``, ``InvalidParameterValue``,
        ``UnsupportedInstanceAttribute``, ``UnsupportedOperation``
    """
    refusals.check(request, refusals.ATTRIBUTES)
    given: dict[str, Any] = {}
    for name, attribute in _ATTRIBUTES.items():
        value: Any = request.get(attribute.member)
        if isinstance(value, Mapping):  # {"Value": ...} or {"Enabled": ...}
            value = next(iter(value.values()), None)
        if value is not None and value != []:
            given[name] = value
    named: str | None = request.get("Attribute")
    if named is not None:
        if named in _FIXED:
            raise instance_errors.unsupported_instance_attribute(named)
        if named in _REFUSED:
            raise errors.unsupported_operation(named)
        if named not in _ATTRIBUTES:
            raise errors.invalid_parameter_value(named, "attribute", "Unknown attribute.")
        if "Value" in request:
            given[named] = _ATTRIBUTES[named].text(request["Value"])
        elif named not in given:
            raise errors.missing_parameter("value")
    if not given:
        raise errors.no_attributes()
    if len(given) > 1:
        raise instance_errors.multiple_attributes(given)
    [(name, value)] = given.items()
    return Change(name, _ATTRIBUTES[name].read(value))


@action("ModifyInstanceAttribute", changes=True, prepare=read)
def modify_instance_attribute(
    ctx: Context, request: ModifyInstanceAttributeRequestTypeDef
) -> Result:
    """Change an attribute; whether the host has room for a new type is asked at the next start.

    :raises Ec2Error: see `read`; ``IncorrectInstanceState``, ``InvalidInstanceAttributeValue``,
        ``InvalidGroup.NotFound``, ``InvalidParameter``, ``Unsupported``
    """
    change: Change = ctx.prepared
    attribute = _ATTRIBUTES[change.name]
    row = find(ctx, request["InstanceId"], stopped=attribute.stopped)
    write(ctx, row, attribute.write(ctx, row, change.value))
    return {}


@action("ResetInstanceAttribute", changes=True)
def reset_instance_attribute(ctx: Context, request: ResetInstanceAttributeRequestTypeDef) -> Result:
    """Give an attribute its default again; an instance never has a kernel or a RAM disk.

    :raises Ec2Error: ``InvalidParameterValue``, ``IncorrectInstanceState``
    """
    name = request["Attribute"]
    if name not in ("kernel", "ramdisk", "sourceDestCheck"):
        sentence = "Only kernel, ramdisk and sourceDestCheck can be reset."
        raise errors.invalid_parameter_value(name, "attribute", sentence)
    row = find(ctx, request["InstanceId"], stopped=name != "sourceDestCheck")
    if name == "sourceDestCheck":
        write(ctx, row, _source_dest_check(ctx, row, True))
    return {}


def find(ctx: Context, instance_id: str, *, stopped: bool = False) -> Any:
    """Read an instance that may be changed.

    :raises Ec2Error: ``InvalidInstanceID.Malformed``, ``InvalidInstanceID.NotFound``,
        ``IncorrectInstanceState``
    """
    key, _ = listing.find(ctx, ONE, [instance_id])[instance_id]
    row = ctx.session.execute(sa.select(Instance.__table__).where(Instance.key == key)).one()
    if stopped and row.phase != "stopped":
        raise instance_errors.incorrect_instance_state_not_stopped(instance_id)
    if row.phase in _GONE:
        raise instance_errors.incorrect_instance_state_gone(instance_id)
    return row


def write(ctx: Context, row: Any, columns: Mapping[str, object]) -> None:
    """Change columns of an instance's own row."""
    if columns:
        ctx.session.execute(sa.update(Instance).where(Instance.key == row.key).values(**columns))


# -- what each attribute does


def _to(column: str) -> Callable[[Context, Any, Any], Mapping[str, object]]:
    return lambda ctx, row, value: {column: value}


def _nothing(ctx: Context, row: Any, value: Any) -> Mapping[str, object]:
    return {}


def _type(ctx: Context, row: Any, name: str) -> Mapping[str, object]:
    kind = ctx.settings.instance_types.get(name)
    if kind is None:
        raise instance_errors.invalid_value_for_instance_type(name)
    query = sa.select(Image.architecture).where(Image.key == row.image_key)
    architecture = ctx.session.scalars(query).one()
    if kind.architecture != architecture:
        raise instance_errors.architecture_mismatch(kind.architecture, architecture)
    if name == row.type:
        return {}
    need = placement.Need(kind.processors, kind.memory_mib * MIB)
    placement.check(need, row.vm_generation)
    # What was chosen of another type's processors is not of this one's.
    options = {key: chosen for key, chosen in row.options.items() if key != "CpuOptions"}
    return {
        "type": name,
        "processors": need.processors,
        "memory_bytes": need.memory_bytes,
        "options": options,
    }


def _user_data(ctx: Context, row: Any, value: bytes | None) -> Mapping[str, object]:
    if value != row.user_data:
        seed_rows.outdate(ctx.session, row, ctx.settings, ctx.now)
    return {"user_data": value}


def _ena_support(value: bool) -> bool:
    """It is on for every instance, and cannot be turned off."""
    if not value:
        raise errors.unsupported_operation("EnaSupport")
    return value


def _enclaves(value: bool) -> bool:
    if value:
        raise errors.unsupported_operation("EnclaveOptions")
    return value


def _source_dest_check(ctx: Context, row: Any, value: bool) -> Mapping[str, object]:
    interface = _first_interface(ctx, row)
    ctx.session.execute(
        sa.update(NetworkInterface)
        .where(NetworkInterface.key == interface)
        .values(source_dest_check=value)
    )
    ctx.wake |= port_rules.moved(ctx.session, [interface], ctx.now)
    return {"source_dest_check": value}


def _first_interface(ctx: Context, row: Any) -> int:
    return ctx.session.scalars(
        sa.select(NetworkInterface.key).where(
            NetworkInterface.instance_key == row.key, NetworkInterface.device_index == 0
        )
    ).one()


def _groups(ctx: Context, row: Any, ids: Sequence[str]) -> Mapping[str, object]:
    subnet = ctx.session.execute(
        sa.select(Subnet.id, Subnet.vpc_key, Vpc.id.label("vpc_id"))
        .join(Vpc, Vpc.key == Subnet.vpc_key)
        .where(Subnet.key == row.subnet_key)
    ).one()
    groups = targets.named_groups(ctx, list(ids), [], subnet)
    interface = _first_interface(ctx, row)
    keys = [group.key for group in groups]
    ctx.wake |= port_rules.put_in(ctx.session, interface, keys, ctx.now)
    return {}


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    volume_id: str | None
    delete_on_termination: bool


def _devices(mappings: Sequence[InstanceBlockDeviceMappingSpecificationTypeDef]) -> list[_Device]:
    devices: list[_Device] = []
    for number, mapping in enumerate(mappings, 1):
        refusals.check(mapping, refusals.MAPPING, f"BlockDeviceMapping.{number}.")
        name = mapping.get("DeviceName")
        if not name:
            raise errors.missing_parameter("deviceName")
        disk = mapping.get("Ebs", {})
        flag = disk.get("DeleteOnTermination", True)
        devices.append(_Device(name, disk.get("VolumeId"), flag))
    return devices


def _devices_from_text(text: str) -> list[_Device]:
    sentence = "A block device mapping is not given as a value."
    raise errors.invalid_parameter_value(text, "value", sentence)


def _delete_on_termination(
    ctx: Context, row: Any, devices: Sequence[_Device]
) -> Mapping[str, object]:
    query = sa.select(Volume.key, Volume.id, Volume.device).where(Volume.instance_key == row.key)
    mapped = {volume.device: volume for volume in ctx.session.execute(query)}
    for device in devices:
        volume = mapped.get(device.name)
        if volume is None or device.volume_id not in (None, volume.id):
            sentence = f"No device is currently mapped at {device.name}"
            raise instance_errors.invalid_instance_attribute_value(sentence)
        ctx.session.execute(
            sa.update(Volume)
            .where(Volume.key == volume.key)
            .values(delete_on_termination=device.delete_on_termination)
        )
    return {}


def _flag(text: str) -> bool:
    if text.lower() not in _FLAGS:
        raise errors.invalid_parameter_value(text, "value", "Expecting true or false.")
    return _FLAGS[text.lower()]


_ATTRIBUTES: Final[Mapping[str, _Attribute]] = {
    "blockDeviceMapping": _Attribute(
        "BlockDeviceMappings", _devices, _delete_on_termination, _devices_from_text
    ),
    "disableApiStop": _Attribute("DisableApiStop", bool, _to("disable_api_stop"), _flag),
    "disableApiTermination": _Attribute(
        "DisableApiTermination", bool, _to("disable_api_termination"), _flag
    ),
    "ebsOptimized": _Attribute("EbsOptimized", bool, _to("ebs_optimized"), _flag, stopped=True),
    "enaSupport": _Attribute("EnaSupport", _ena_support, _nothing, _flag, stopped=True),
    "enclaveOptions": _Attribute("EnclaveOptions", _enclaves, _nothing, _flag, stopped=True),
    "groupSet": _Attribute("Groups", requested.group_ids, _groups, lambda text: [text]),
    "instanceInitiatedShutdownBehavior": _Attribute(
        "InstanceInitiatedShutdownBehavior", requested.shutdown_behavior, _to("shutdown_behavior")
    ),
    "instanceType": _Attribute("InstanceType", str, _type, stopped=True),
    "sourceDestCheck": _Attribute("SourceDestCheck", bool, _source_dest_check, _flag),
    "userData": _Attribute(
        "UserData",
        requested.checked_user_data,
        _user_data,
        lambda text: requested.user_data(text) or b"",
        stopped=True,
    ),
}
"""EC2's name of an attribute -> how it is changed."""
_REFUSED: Final = ("kernel", "ramdisk", "sriovNetSupport")
_FIXED: Final = ("productCodes", "rootDeviceName")
