"""Parameters of launches and changes that would change the result and that we cannot honour.

One table a structure: the parameter's name on the wire, and which values change nothing and are
let through. Whatever stands in no table is honoured, or is neutral.

Source: EC2 API Reference, RunInstances, InstanceNetworkInterfaceSpecification, EbsBlockDevice,
ModifyInstanceAttribute, InstanceBlockDeviceMappingSpecification, ModifyInstanceMetadataOptions,
MonitorInstances.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from translators import errors

Table = Mapping[str, tuple[object, ...]]
"""Path of a parameter -> its values that are the same as leaving it out (empty always is)."""

LAUNCH: Final[Table] = {
    "KernelId": (),
    "RamdiskId": (),
    "Ipv6AddressCount": (),
    "Ipv6Addresses": (),
    "EnablePrimaryIpv6": (),
    "ElasticGpuSpecification": (),
    "ElasticInferenceAccelerators": (),
    "LaunchTemplate": (),
    "InstanceMarketOptions": (),
    "IamInstanceProfile": (),
    "LicenseSpecifications": (),
    "SecondaryInterfaces": (),
    "Operator.Principal": (),
    "HibernationOptions.Configured": (),
    "EnclaveOptions.Enabled": (),
    "CpuOptions.AmdSevSnp": ("disabled",),
    "CpuOptions.NestedVirtualization": ("disabled",),
    "MetadataOptions.HttpProtocolIpv6": ("disabled",),
    "NetworkPerformanceOptions.BandwidthWeighting": ("default",),
    "CapacityReservationSpecification.CapacityReservationPreference": ("open", "none"),
    "CapacityReservationSpecification.CapacityReservationTarget": (),
    "Placement.Affinity": ("default",),
    "Placement.GroupId": (),
    "Placement.HostId": (),
    "Placement.HostResourceGroupArn": (),
    "Placement.PartitionNumber": (),
    "Placement.SpreadDomain": (),
    "Placement.Tenancy": ("default",),
}
INTERFACE: Final[Table] = {
    "AssociateCarrierIpAddress": (),
    "AssociatePublicIpAddress": (),
    "ConnectionTrackingSpecification": (),
    "EnaQueueCount": (),
    "EnaSrdSpecification.EnaSrdEnabled": (),
    "InterfaceType": ("interface",),
    "Ipv4PrefixCount": (),
    "Ipv4Prefixes": (),
    "Ipv6AddressCount": (),
    "Ipv6Addresses": (),
    "Ipv6PrefixCount": (),
    "Ipv6Prefixes": (),
    "NetworkCardIndex": (),
    "PrimaryIpv6": (),
    "SecondaryPrivateIpAddressCount": (),
}
DISK: Final[Table] = {
    "EbsCardIndex": (),
    "Encrypted": (),
    "KmsKeyId": (),
    "OutpostArn": (),
}
ATTRIBUTES: Final[Table] = {
    "Kernel.Value": (),
    "Ramdisk.Value": (),
    "SriovNetSupport.Value": (),
}
MAPPING: Final[Table] = {
    "NoDevice": (),
    "VirtualName": (),
}
METADATA: Final[Table] = {
    "HttpProtocolIpv6": ("disabled",),
}
MONITORING: Final[Table] = {
    "MetricCategoryIds": (),
}
_ON_THE_WIRE: Final = {
    "Ipv6Addresses": "Ipv6Address",
    "NetworkInterface.1.Ipv4Prefixes": "NetworkInterface.1.Ipv4Prefix",
    "NetworkInterface.1.Ipv6Prefixes": "NetworkInterface.1.Ipv6Prefix",
    "ElasticInferenceAccelerators": "ElasticInferenceAccelerator",
    "LicenseSpecifications": "LicenseSpecification",
    "MetricCategoryIds": "MetricCategoryId",
    "SecondaryInterfaces": "SecondaryInterface",
}


def check(given: Mapping[str, Any], table: Table, prefix: str = "") -> None:
    """Refuse the first parameter that asks for what we do not have.

    :raises Ec2Error: ``UnsupportedOperation`` that names it
    """
    for path, neutral in table.items():
        value: Any = given
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if _says_something(value) and value not in neutral:
            name = prefix + path
            raise errors.unsupported_operation(_ON_THE_WIRE.get(name, name))


def _says_something(value: object) -> bool:
    """False for what is absent, empty, zero, or a structure of such."""
    if isinstance(value, Mapping):
        return any(_says_something(inner) for inner in value.values())
    return bool(value)
