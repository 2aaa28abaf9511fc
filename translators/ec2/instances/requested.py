"""What a RunInstances request asks for, read and checked as far as the request alone tells.

Runs before the transaction: decoding and checking need not hold up other changes.

Source: EC2 API Reference, RunInstances.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from state import ids
from translators import errors, tags
from translators.ec2.instances import instance_errors, refusals
from translators.registry import Context
from translators.settings import InstanceType

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        BlockDeviceMappingTypeDef,
        InstanceNetworkInterfaceSpecificationTypeDef,
        RunInstancesRequestTypeDef,
    )

USER_DATA_BYTES: Final = 16384
_ENCODED_USER_DATA_BYTES: Final = 25600
_TAGGED: Final = ("instance", "volume", "network-interface")
_ALSO_TAGGABLE: Final = (*_TAGGED, "elastic-gpu", "spot-instances-request")
"""EC2 takes tags for these as well; nothing of the kind is ever made by a launch here."""
_BLANKS: Final = str.maketrans("", "", " \t\r\n")
_MOST_GROUPS: Final = 5
"""Security groups of one interface."""
_HOPS: Final = range(1, 65)
_SHUTDOWN_BEHAVIORS: Final = ("stop", "terminate")
_CPU_CREDITS: Final = ("standard", "unlimited")
_HOSTNAME_TYPES: Final = ("ip-name", "resource-name")
_AUTO_RECOVERY: Final = ("default", "disabled")
_METADATA_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "HttpTokens": ("optional", "required"),
    "HttpEndpoint": ("enabled", "disabled"),
    "InstanceMetadataTags": ("enabled", "disabled"),
}


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch as it was asked for."""

    image_id: str
    type: InstanceType
    processors: int
    minimum: int
    maximum: int
    key_name: str | None
    zone: str | None
    zone_id: str | None
    subnet_id: str | None
    group_ids: tuple[str, ...]
    group_names: tuple[str, ...]
    interface_id: str | None
    interface_description: str
    private_ip: str | None
    block_devices: tuple[BlockDeviceMappingTypeDef, ...]
    tags: Mapping[str, Mapping[str, str]]
    """By the type of what they are for."""
    options: Mapping[str, Any]
    """What changes nothing on a host and is shown as it was chosen."""
    columns: Mapping[str, object]
    """Columns of the instance that hold what was asked for as it stands."""
    metadata_options: Mapping[str, Any]
    """Those that were chosen."""


def read(ctx: Context, request: RunInstancesRequestTypeDef) -> Launch:
    """Read the request.

    :raises Ec2Error: for whatever is malformed, out of bounds, or cannot be honoured
    """
    refusals.check(request, refusals.LAUNCH)
    minimum, maximum = _counts(request)
    image_id = request.get("ImageId")
    if not image_id:
        raise errors.missing_parameter("imageId")
    if not ids.is_well_formed("ami", image_id):
        raise errors.invalid_ami_id_malformed(image_id)
    kind = _type(ctx, request)
    interface = _interface(request)
    where: Mapping[str, Any] = {**request, **(interface or {})}
    placement = request.get("Placement", {})
    if group := placement.get("GroupName"):
        raise instance_errors.invalid_placement_group_unknown(group)
    private_ip = _private_ip(where)
    if private_ip is not None and maximum > 1:
        sentence = "A single private IP address cannot be assigned to more than one instance"
        raise errors.invalid_parameter_combination_text(sentence)
    interface_id = where.get("NetworkInterfaceId")
    if interface_id is not None and not ids.is_well_formed("eni", interface_id):
        raise errors.invalid_network_interface_id_malformed(interface_id)
    listed = group_ids(where.get("SecurityGroupIds" if interface is None else "Groups", ()))
    group_names = () if interface is not None else _once(request.get("SecurityGroups", ()))
    if len(listed) + len(group_names) > _MOST_GROUPS:
        raise errors.security_groups_per_interface_limit_exceeded()
    chosen = metadata_options(request.get("MetadataOptions", {}), "MetadataOptions.")
    return Launch(
        image_id=image_id,
        type=kind,
        processors=_processors(request, kind),
        minimum=minimum,
        maximum=maximum,
        key_name=request.get("KeyName"),
        zone=placement.get("AvailabilityZone") or None,
        zone_id=placement.get("AvailabilityZoneId") or None,
        subnet_id=_id(where.get("SubnetId") or None, "subnet", "subnetId"),  # Packer says ""
        group_ids=listed,
        group_names=group_names,
        interface_id=interface_id,
        interface_description=interface.get("Description", "") if interface else "",
        private_ip=private_ip,
        block_devices=tuple(request.get("BlockDeviceMappings", ())),
        tags={
            kind: tags.from_specifications(request, kind, allowed=_ALSO_TAGGABLE)
            for kind in _TAGGED
        },
        options=_options(request),
        columns={
            "user_data": user_data(request.get("UserData")),
            "shutdown_behavior": shutdown_behavior(
                request.get("InstanceInitiatedShutdownBehavior", "stop")
            ),
            "disable_api_termination": request.get("DisableApiTermination", False),
            "disable_api_stop": request.get("DisableApiStop", False),
            "ebs_optimized": request.get("EbsOptimized", False),
            "monitoring": request.get("Monitoring", {}).get("Enabled", False),
            "metadata_options": chosen,
            "client_token": request.get("ClientToken", ""),
        },
        metadata_options=chosen,
    )


def _counts(request: RunInstancesRequestTypeDef) -> tuple[int, int]:
    minimum, maximum = request["MinCount"], request["MaxCount"]
    if minimum < 1:
        sentence = "Minimum instance count must be greater than zero"
        raise errors.invalid_parameter_value_text(sentence)
    if maximum < 1:
        sentence = "Maximum instance count must be greater than zero"
        raise errors.invalid_parameter_value_text(sentence)
    if minimum > maximum:
        sentence = "Maximum instance count must not be smaller than minimum instance count"
        raise errors.invalid_parameter_value_text(sentence)
    return minimum, maximum


def _type(ctx: Context, request: RunInstancesRequestTypeDef) -> InstanceType:
    name = request.get("InstanceType") or ctx.settings.default_instance_type
    kind = ctx.settings.instance_types.get(name)
    if kind is None:
        raise instance_errors.invalid_value_for_instance_type(name)
    return kind


def _processors(request: RunInstancesRequestTypeDef, kind: InstanceType) -> int:
    options = request.get("CpuOptions", {})
    cores, threads = options.get("CoreCount"), options.get("ThreadsPerCore")
    if cores is None and threads is None:
        return kind.processors
    if cores is None or threads is None:
        raise errors.missing_parameter(
            "CpuOptions.CoreCount" if cores is None else "CpuOptions.ThreadsPerCore"
        )
    if threads not in (1, 2) or cores < 1 or cores * threads > kind.processors:
        sentence = (
            f"The specified CpuOptions are not supported for the instance type '{kind.name}': "
            f"CoreCount {cores}, ThreadsPerCore {threads}"
        )
        raise errors.invalid_parameter_combination_text(sentence)
    return cores * threads


# -- where to


def _interface(
    request: RunInstancesRequestTypeDef,
) -> InstanceNetworkInterfaceSpecificationTypeDef | None:
    """Read `NetworkInterface.1`, which may stand for subnet and groups."""
    listed: Any = request.get("NetworkInterfaces")
    if not listed:
        return None
    if request.get("SubnetId"):
        raise errors.invalid_parameter_combination_text(
            "Network interfaces and an instance-level subnet ID may not be specified on the same "
            "request"
        )
    if request.get("SecurityGroupIds") or request.get("SecurityGroups"):
        raise errors.invalid_parameter_combination_text(
            "Network interfaces and an instance-level security groups may not be specified on the "
            "same request"
        )
    if request.get("PrivateIpAddress"):
        raise errors.invalid_parameter_combination_text(
            "Network interfaces and an instance-level private IP address may not be specified on "
            "the same request"
        )
    if any("DeviceIndex" not in one for one in listed):
        raise instance_errors.missing_device_index()
    if len(listed) > 1:
        raise errors.unsupported_operation("NetworkInterface.2")
    first: InstanceNetworkInterfaceSpecificationTypeDef = listed[0]
    if first["DeviceIndex"] != 0:
        raise errors.invalid_parameter_combination_text(
            "A network interface with a device index of 0 is required"
        )
    refusals.check(first, refusals.INTERFACE, "NetworkInterface.1.")
    if first.get("DeleteOnTermination") is False:
        raise errors.unsupported_operation("NetworkInterface.1.DeleteOnTermination")
    return first


def _private_ip(where: Mapping[str, Any]) -> str | None:
    addresses = [one.get("PrivateIpAddress") for one in where.get("PrivateIpAddresses", ())]
    if alone := where.get("PrivateIpAddress"):
        addresses.append(alone)
    if len(set(addresses)) > 1:
        raise errors.unsupported_operation("NetworkInterface.1.PrivateIpAddresses.2")
    return addresses[0] if addresses else None


def group_ids(listed: Collection[str]) -> tuple[str, ...]:
    """Check the form of security groups' ids, and that they are not too many.

    :raises Ec2Error: ``InvalidGroupId.Malformed``, ``SecurityGroupsPerInterfaceLimitExceeded``
    """
    for text in listed:
        _id(text, "sg", "groupId")
    if len(once := _once(listed)) > _MOST_GROUPS:
        raise errors.security_groups_per_interface_limit_exceeded()
    return once


def _once(listed: Collection[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(listed))


def _id(text: str | None, prefix: str, name: str) -> str | None:
    if text is None:
        return None
    if not text:
        raise errors.invalid_parameter_value("", name, "The value cannot be empty")
    if not ids.is_well_formed(prefix, text):
        malformed = {
            "sg": errors.invalid_group_id_malformed,
            "subnet": errors.invalid_subnet_id_malformed,
        }[prefix]
        raise malformed(text)
    return text


# -- how


def user_data(text: str | None) -> bytes | None:
    """Decode; line breaks within the text are how some tools send it.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if not text:
        return None
    text = text.translate(_BLANKS)
    if len(text) > _ENCODED_USER_DATA_BYTES:
        raise instance_errors.encoded_user_data_too_long(_ENCODED_USER_DATA_BYTES)
    try:
        plain = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise instance_errors.user_data_not_base64() from None
    return checked_user_data(plain)


def checked_user_data(plain: bytes) -> bytes | None:
    """Refuse what is too long; none is the same as empty.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if len(plain) > USER_DATA_BYTES:
        raise instance_errors.user_data_too_long()
    return plain or None


def shutdown_behavior(word: str) -> str:
    """Check what an instance is to do when its guest shuts itself down.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    return _word(word, "instanceInitiatedShutdownBehavior", _SHUTDOWN_BEHAVIORS)


def metadata_options(asked: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Read those options that were given; `prefix` is where they stand on the wire.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    chosen: dict[str, Any] = {
        name: _word(asked[name], f"{prefix}{name}", words)
        for name, words in _METADATA_WORDS.items()
        if name in asked
    }
    hops = asked.get("HttpPutResponseHopLimit")
    if hops is not None:
        if hops not in _HOPS:
            sentence = f"Expecting a value from {_HOPS[0]} to {_HOPS[-1]}."
            name = f"{prefix}HttpPutResponseHopLimit"
            raise errors.invalid_parameter_value(hops, name, sentence)
        chosen["HttpPutResponseHopLimit"] = hops
    return chosen


def _options(request: RunInstancesRequestTypeDef) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    cpu = request.get("CpuOptions", {})
    if "CoreCount" in cpu:
        chosen["CpuOptions"] = {
            "CoreCount": cpu["CoreCount"],
            "ThreadsPerCore": cpu["ThreadsPerCore"],
        }
    credits: str | None = request.get("CreditSpecification", {}).get("CpuCredits")
    if credits is not None:
        name = "CreditSpecification.CpuCredits"
        chosen["CpuCredits"] = _word(credits, name, _CPU_CREDITS)
    recovery: str | None = request.get("MaintenanceOptions", {}).get("AutoRecovery")
    if recovery is not None:
        chosen["AutoRecovery"] = _word(recovery, "MaintenanceOptions.AutoRecovery", _AUTO_RECOVERY)
    reservation = request.get("CapacityReservationSpecification", {})
    if "CapacityReservationPreference" in reservation:
        preference = reservation["CapacityReservationPreference"]
        chosen["CapacityReservationPreference"] = preference
    names = request.get("PrivateDnsNameOptions", {})
    if names:
        if "HostnameType" in names:
            _word(names["HostnameType"], "PrivateDnsNameOptions.HostnameType", _HOSTNAME_TYPES)
        chosen["PrivateDnsNameOptions"] = dict(names)
    return chosen


def _word(value: str, name: str, words: Collection[str]) -> str:
    if value not in words:
        sentence = f"Expecting one of: {', '.join(words)}."
        raise errors.invalid_parameter_value(value, name, sentence)
    return value
