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

from translators import refusals
from translators.refusals import Table

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
    refusals.check(given, table, prefix, _ON_THE_WIRE)
