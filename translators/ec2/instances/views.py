"""What an instance looks like to EC2's clients; shapes rows, decides nothing.

The same shapes serve a launch, which knows its rows before they are read back, and the reads.

Source: EC2 API Reference, data type Instance; which members are always there, and what a
terminated instance has lost, is held against recorded answers by tests/truth.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from state import lifecycle
from state.models import (
    Image,
    Instance,
    InterfaceGroup,
    NetworkInterface,
    SecurityGroup,
    Subnet,
    Utc,
    Volume,
    Vpc,
)
from state.statements import Statement, listed
from translators import tags, zones
from translators.guests import facts
from translators.registry import Context

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        GroupIdentifierTypeDef,
        InstanceBlockDeviceMappingTypeDef,
        InstanceNetworkInterfaceTypeDef,
        InstanceStateTypeDef,
        InstanceTypeDef,
        TagTypeDef,
    )

Row = Mapping[str, Any] | sa.RowMapping
"""A row by column names, read or about to be written."""

PENDING: Final = ("pending", "starting")
"""Phases whose StateReason says only that they are pending."""
PLATFORM_DETAILS: Final[Mapping[str | None, tuple[str, str]]] = {
    None: ("Linux/UNIX", "RunInstances"),
    "windows": ("Windows", "RunInstances:0002"),
}
"""Platform -> PlatformDetails, UsageOperation."""
BOOT_MODES: Final[Mapping[int, Any]] = {1: "legacy-bios", 2: "uefi"}
"""Generation of the VM -> boot mode."""


@dataclass(slots=True)
class Parts:
    """What hangs on one instance. Interfaces carry `groups`, each with its id and name."""

    interfaces: list[tuple[Row, list[GroupIdentifierTypeDef]]] = field(default_factory=list)
    volumes: list[Row] = field(default_factory=list)
    tags: Sequence[TagTypeDef] = ()


LISTED: Final = sa.or_(
    Instance.phase != "terminated", Instance.terminated_at > sa.bindparam("listed_since", type_=Utc)
)
"""Leaves out what was terminated long ago: EC2 forgets an instance after about an hour."""


def listed_since(ctx: Context) -> dict[str, object]:
    """Answer what `LISTED` is to be told."""
    return {"listed_since": ctx.now - dt.timedelta(seconds=ctx.settings.terminated_visible_seconds)}


def state(phase: lifecycle.Phase) -> InstanceStateTypeDef:
    code, name = lifecycle.STATES[phase]
    return {"Code": code, "Name": name}


def metadata_state(phase: lifecycle.Phase) -> Literal["pending", "applied"]:
    return "pending" if phase == "pending" else "applied"


def instance(ctx: Context, row: Row, parts: Parts) -> InstanceTypeDef:
    """Shape one instance; `row` also holds `vpc_id`, `subnet_id` and what its image says."""
    options = row["options"]
    details, usage = PLATFORM_DETAILS[row["platform"]]
    gone = row["phase"] == "terminated"
    interfaces = [_interface(ctx, row, interface, groups) for interface, groups in parts.interfaces]
    shown: InstanceTypeDef = {
        "AmiLaunchIndex": row["launch_index"],
        "Architecture": row["architecture"],
        "BlockDeviceMappings": [_block_device(volume) for volume in parts.volumes],
        "CapacityReservationSpecification": {
            "CapacityReservationPreference": options.get("CapacityReservationPreference", "open")
        },
        "ClientToken": row["client_token"],
        "CpuOptions": _cpu_options(row["processors"], options.get("CpuOptions")),
        "CurrentInstanceBootMode": BOOT_MODES[row["vm_generation"]],
        "EbsOptimized": row["ebs_optimized"],
        "EnaSupport": True,
        "EnclaveOptions": {"Enabled": False},
        "HibernationOptions": {"Configured": False},
        "Hypervisor": "xen",  # EC2 says so of every hypervisor; tools look for nothing else
        "ImageId": row["image_id"],
        "InstanceId": row["id"],
        "InstanceType": row["type"],
        "LaunchTime": row["launch_time"],
        "MaintenanceOptions": {
            "AutoRecovery": options.get("AutoRecovery", "default"),
            "RebootMigration": "default",
        },
        "MetadataOptions": _metadata_options(row),
        "Monitoring": {"State": "enabled" if row["monitoring"] else "disabled"},
        "NetworkInterfaces": interfaces,
        "NetworkPerformanceOptions": {"BandwidthWeighting": "default"},
        "Operator": {"Managed": False},
        "Placement": {
            "AvailabilityZone": row["zone"],
            "GroupName": "",
            "Tenancy": "default",
        },
        "PlatformDetails": details,
        "PrivateDnsName": "",
        "ProductCodes": [],
        "PublicDnsName": "",
        "RootDeviceName": row["root_device_name"],
        "RootDeviceType": "ebs",
        "SecurityGroups": parts.interfaces[0][1] if parts.interfaces else [],
        "State": state(row["phase"]),
        "StateTransitionReason": row["transition_reason"],
        "UsageOperation": usage,
        "UsageOperationUpdateTime": row["launch_time"],
        "VirtualizationType": "hvm",
    }
    if interfaces:
        first = interfaces[0]
        shown["PrivateIpAddress"] = first["PrivateIpAddress"]
        shown["PrivateDnsName"] = first["PrivateDnsName"]
        shown["UsageOperationUpdateTime"] = first["Attachment"]["AttachTime"]
    if not gone:
        shown["VpcId"] = row["vpc_id"]
        shown["SubnetId"] = row["subnet_id"]
        shown["SourceDestCheck"] = row["source_dest_check"]
        shown["PrivateDnsNameOptions"] = _private_dns_name_options(options)
    if row["boot_mode"] is not None:  # what the image says; CurrentInstanceBootMode is what is
        shown["BootMode"] = row["boot_mode"]
    if row["platform"] == "windows":
        shown["Platform"] = "windows"
    if row["key_name"] is not None:
        shown["KeyName"] = row["key_name"]
    if row["phase"] in PENDING:
        shown["StateReason"] = {"Code": "pending", "Message": "pending"}
    elif row["state_reason_code"] is not None:
        shown["StateReason"] = {
            "Code": row["state_reason_code"],
            "Message": row["state_reason_message"],
        }
    if parts.tags:
        shown["Tags"] = list(parts.tags)
    return shown


def _interface(
    ctx: Context, owner: Row, row: Row, groups: list[GroupIdentifierTypeDef]
) -> InstanceNetworkInterfaceTypeDef:
    address = row["private_ip"]
    name = zones.private_dns_name(ctx.region, owner["id"], owner["options"], address)
    return {
        "Attachment": {
            "AttachTime": row["attach_time"],
            "AttachmentId": row["attachment_id"],
            "DeleteOnTermination": row["delete_on_termination"],
            "DeviceIndex": row["device_index"],
            "NetworkCardIndex": 0,
            "Status": row["attachment_status"],
        },
        "Description": row["description"],
        "Groups": groups,
        "InterfaceType": "interface",
        "Ipv6Addresses": [],
        "MacAddress": row["mac"],
        "NetworkInterfaceId": row["id"],
        "Operator": {"Managed": False},
        "OwnerId": ctx.account_id,
        "PrivateDnsName": name,
        "PrivateIpAddress": address,
        "PrivateIpAddresses": [
            {"Primary": True, "PrivateDnsName": name, "PrivateIpAddress": address}
        ],
        "SourceDestCheck": row["source_dest_check"],
        "Status": row["status"],
        "SubnetId": owner["subnet_id"],
        "VpcId": owner["vpc_id"],
    }


def _block_device(row: Row) -> InstanceBlockDeviceMappingTypeDef:
    return {
        "DeviceName": row["device"],
        "Ebs": {
            "AttachTime": row["attach_time"],
            "DeleteOnTermination": row["delete_on_termination"],
            "Status": row["attachment_state"],
            "VolumeId": row["id"],
        },
    }


def _metadata_options(row: Row) -> Any:
    state = {"State": metadata_state(row["phase"])}
    return {**state, **facts.METADATA_OPTIONS, **row["metadata_options"]}


def _cpu_options(processors: int, chosen: Mapping[str, int] | None) -> Any:
    if chosen is not None:
        return dict(chosen)
    threads = 1 if processors % 2 else 2
    return {"CoreCount": processors // threads, "ThreadsPerCore": threads}


def _private_dns_name_options(options: Mapping[str, Any]) -> Any:
    return {
        "HostnameType": "ip-name",
        "EnableResourceNameDnsARecord": False,
        "EnableResourceNameDnsAAAARecord": False,
        **options.get("PrivateDnsNameOptions", {}),
    }


# -- the same from the state

KEYS: Final = listed("keys", sa.BigInteger)
"""Any number of keys as the one parameter `keys`."""
_INSTANCES: Final = Statement(
    sa.select(
        Instance.key,
        Instance.id,
        Instance.launch_index,
        Instance.image_id,
        Instance.type,
        Instance.processors,
        Instance.key_name,
        Instance.zone,
        Instance.phase,
        Instance.launch_time,
        Instance.state_reason_code,
        Instance.state_reason_message,
        Instance.transition_reason,
        Instance.ebs_optimized,
        Instance.monitoring,
        Instance.source_dest_check,
        Instance.metadata_options,
        Instance.options,
        Instance.client_token,
        Instance.platform,
        Instance.vm_generation,
        Instance.root_device_name,
        Vpc.id.label("vpc_id"),
        Subnet.id.label("subnet_id"),
        Image.architecture,
        Image.boot_mode,
    )
    .join(Vpc, Vpc.key == Instance.vpc_key)
    .join(Subnet, Subnet.key == Instance.subnet_key)
    .join(Image, Image.key == Instance.image_key)
    .where(Instance.key.in_(KEYS))
)
_INTERFACES: Final = Statement(
    sa.select(
        NetworkInterface.key,
        NetworkInterface.instance_key,
        NetworkInterface.id,
        NetworkInterface.private_ip,
        NetworkInterface.mac,
        NetworkInterface.description,
        NetworkInterface.source_dest_check,
        NetworkInterface.status,
        NetworkInterface.device_index,
        NetworkInterface.attachment_id,
        NetworkInterface.attachment_status,
        NetworkInterface.attach_time,
        NetworkInterface.delete_on_termination,
    )
    .where(NetworkInterface.instance_key.in_(KEYS))
    .order_by(NetworkInterface.instance_key, NetworkInterface.device_index)
)
_MEMBERSHIPS: Final = Statement(
    sa.select(InterfaceGroup.interface_key, SecurityGroup.id, SecurityGroup.name)
    .join(SecurityGroup, SecurityGroup.key == InterfaceGroup.group_key)
    .join(NetworkInterface, NetworkInterface.key == InterfaceGroup.interface_key)
    .where(NetworkInterface.instance_key.in_(KEYS))
)
_VOLUMES: Final = Statement(
    sa.select(
        Volume.instance_key,
        Volume.id,
        Volume.device,
        Volume.attachment_state,
        Volume.attach_time,
        Volume.delete_on_termination,
    )
    .where(Volume.instance_key.in_(KEYS))
    .order_by(Volume.instance_key, Volume.key)
)


def load(ctx: Context, keys: Sequence[int]) -> dict[int, InstanceTypeDef]:
    """Read and shape instances: five statements, however many they are."""
    asked = {"keys": keys}
    parts = {key: Parts() for key in keys}
    groups: dict[int, list[GroupIdentifierTypeDef]] = {}
    for row in _INTERFACES.mappings(ctx.session, asked):
        held = groups[row["key"]] = []
        parts[row["instance_key"]].interfaces.append((row, held))
    for interface_key, group_id, name in _MEMBERSHIPS.run(ctx.session, asked):
        groups[interface_key].append({"GroupId": group_id, "GroupName": name})
    for row in _VOLUMES.mappings(ctx.session, asked):
        parts[row["instance_key"]].volumes.append(row)
    for key, shown in tags.of(ctx, "instance", keys).items():
        parts[key].tags = shown
    return {
        row["key"]: instance(ctx, row, parts[row["key"]])
        for row in _INSTANCES.mappings(ctx.session, asked)
    }
