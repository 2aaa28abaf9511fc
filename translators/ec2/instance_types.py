"""DescribeInstanceTypes, from the configured types.

What EC2 knows of a type and a Hyper-V host does not offer is said to be unsupported, never left
out: clients read these members without asking whether they are there.

Source: EC2 API Reference, DescribeInstanceTypes, data type InstanceTypeInfo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from translators import errors, filters, paging
from translators.filters import Getter
from translators.registry import Context, Result, action
from translators.settings import InstanceType

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import DescribeInstanceTypesRequestTypeDef

_BOUNDS: Final = (5, 100)
"""Of MaxResults; without it EC2 answers as many as may be."""
_MOST_NAMES: Final = 100
_GIVEN: Final = "instanceTypeSet"


def _at(*path: str) -> Getter[Any]:
    """Look a member up; through a list, in each of its items."""

    def get(shown: Any) -> object:
        for position, name in enumerate(path):
            if isinstance(shown, list):
                return [_at(*path[position:])(one) for one in shown]
            if not isinstance(shown, Mapping) or name not in shown:
                return None
            shown = shown[name]
        return shown

    return get


_OPTIMIZED: Final = ("EbsInfo", "EbsOptimizedInfo")
_STORAGE: Final = "InstanceStorageInfo"
FILTERS: Final[Mapping[str, Getter[Any]]] = {
    "auto-recovery-supported": _at("AutoRecoverySupported"),
    "bare-metal": _at("BareMetal"),
    "burstable-performance-supported": _at("BurstablePerformanceSupported"),
    "current-generation": _at("CurrentGeneration"),
    "dedicated-hosts-supported": _at("DedicatedHostsSupported"),
    "ebs-info.attachment-limit-type": _at("EbsInfo", "AttachmentLimitType"),
    "ebs-info.maximum-ebs-attachments": _at("EbsInfo", "MaximumEbsAttachments"),
    "ebs-info.ebs-optimized-info.baseline-bandwidth-in-mbps": _at(
        *_OPTIMIZED, "BaselineBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.baseline-iops": _at(*_OPTIMIZED, "BaselineIops"),
    "ebs-info.ebs-optimized-info.baseline-throughput-in-mbps": _at(
        *_OPTIMIZED, "BaselineThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-info.maximum-bandwidth-in-mbps": _at(
        *_OPTIMIZED, "MaximumBandwidthInMbps"
    ),
    "ebs-info.ebs-optimized-info.maximum-iops": _at(*_OPTIMIZED, "MaximumIops"),
    "ebs-info.ebs-optimized-info.maximum-throughput-in-mbps": _at(
        *_OPTIMIZED, "MaximumThroughputInMBps"
    ),
    "ebs-info.ebs-optimized-support": _at("EbsInfo", "EbsOptimizedSupport"),
    "ebs-info.encryption-support": _at("EbsInfo", "EncryptionSupport"),
    "ebs-info.nvme-support": _at("EbsInfo", "NvmeSupport"),
    "free-tier-eligible": _at("FreeTierEligible"),
    "hibernation-supported": _at("HibernationSupported"),
    "hypervisor": _at("Hypervisor"),
    "instance-storage-info.disk.count": _at(_STORAGE, "Disks", "Count"),
    "instance-storage-info.disk.size-in-gb": _at(_STORAGE, "Disks", "SizeInGB"),
    "instance-storage-info.disk.type": _at(_STORAGE, "Disks", "Type"),
    "instance-storage-info.encryption-support": _at(_STORAGE, "EncryptionSupport"),
    "instance-storage-info.nvme-support": _at(_STORAGE, "NvmeSupport"),
    "instance-storage-info.total-size-in-gb": _at(_STORAGE, "TotalSizeInGB"),
    "instance-storage-supported": _at("InstanceStorageSupported"),
    "instance-type": _at("InstanceType"),
    "memory-info.size-in-mib": _at("MemoryInfo", "SizeInMiB"),
    "network-info.bandwidth-weightings": _at("NetworkInfo", "BandwidthWeightings"),
    "network-info.efa-info.maximum-efa-interfaces": _at(
        "NetworkInfo", "EfaInfo", "MaximumEfaInterfaces"
    ),
    "network-info.efa-supported": _at("NetworkInfo", "EfaSupported"),
    "network-info.ena-support": _at("NetworkInfo", "EnaSupport"),
    "network-info.encryption-in-transit-supported": _at(
        "NetworkInfo", "EncryptionInTransitSupported"
    ),
    "network-info.flexible-ena-queues-support": _at("NetworkInfo", "FlexibleEnaQueuesSupport"),
    "network-info.ipv4-addresses-per-interface": _at("NetworkInfo", "Ipv4AddressesPerInterface"),
    "network-info.ipv6-addresses-per-interface": _at("NetworkInfo", "Ipv6AddressesPerInterface"),
    "network-info.ipv6-supported": _at("NetworkInfo", "Ipv6Supported"),
    "network-info.maximum-network-cards": _at("NetworkInfo", "MaximumNetworkCards"),
    "network-info.maximum-network-interfaces": _at("NetworkInfo", "MaximumNetworkInterfaces"),
    "network-info.network-performance": _at("NetworkInfo", "NetworkPerformance"),
    "nitro-enclaves-support": _at("NitroEnclavesSupport"),
    "nitro-tpm-info.supported-versions": _at("NitroTpmInfo", "SupportedVersions"),
    "nitro-tpm-support": _at("NitroTpmSupport"),
    "processor-info.supported-architecture": _at("ProcessorInfo", "SupportedArchitectures"),
    "processor-info.supported-features": _at("ProcessorInfo", "SupportedFeatures"),
    "processor-info.sustained-clock-speed-in-ghz": _at("ProcessorInfo", "SustainedClockSpeedInGhz"),
    "reboot-migration-support": _at("RebootMigrationSupport"),
    "supported-boot-mode": _at("SupportedBootModes"),
    "supported-root-device-type": _at("SupportedRootDeviceTypes"),
    "supported-usage-class": _at("SupportedUsageClasses"),
    "supported-virtualization-type": _at("SupportedVirtualizationTypes"),
    "vcpu-info.default-cores": _at("VCpuInfo", "DefaultCores"),
    "vcpu-info.default-threads-per-core": _at("VCpuInfo", "DefaultThreadsPerCore"),
    "vcpu-info.default-vcpus": _at("VCpuInfo", "DefaultVCpus"),
    "vcpu-info.valid-cores": _at("VCpuInfo", "ValidCores"),
    "vcpu-info.valid-threads-per-core": _at("VCpuInfo", "ValidThreadsPerCore"),
}


@action("DescribeInstanceTypes")
def describe_instance_types(ctx: Context, request: DescribeInstanceTypesRequestTypeDef) -> Result:
    """List the instance types on offer, by name, at most a hundred on a page.

    :raises Ec2Error: ``InvalidInstanceType``, ``InvalidParameterValue``
    """
    named = request.get("InstanceTypes") or ()
    limit = paging.limit(request, _BOUNDS, cut=False)
    if named and limit is not None:
        raise errors.invalid_parameter_combination(_GIVEN, "maxResults")
    if len(named) > _MOST_NAMES:
        raise errors.too_many_ids(len(named), _MOST_NAMES, "instance type")
    types = ctx.settings.instance_types
    if missing := [name for name in dict.fromkeys(named) if name not in types]:
        raise errors.invalid_instance_type(missing)
    shown = [_shown(one) for one in types.values() if not named or one.name in named]
    kept = filters.select(shown, request.get("Filters") or (), FILTERS)
    by_name = {one["InstanceType"]: one for one in kept}
    page, following = paging.cut(
        ctx, "DescribeInstanceTypes", request, by_name, limit or _BOUNDS[1]
    )
    answer: dict[str, Any] = {"InstanceTypes": page}
    if following is not None:
        answer["NextToken"] = following
    return answer


def _shown(one: InstanceType) -> dict[str, Any]:
    threads = 1 if one.processors % 2 else 2
    cores = one.processors // threads
    return {
        "AutoRecoverySupported": False,
        "BareMetal": False,
        "BurstablePerformanceSupported": one.burstable,
        "CurrentGeneration": one.current_generation,
        "DedicatedHostsSupported": False,
        "EbsInfo": {
            "EbsOptimizedSupport": "supported",
            "EncryptionSupport": "unsupported",
            "NvmeSupport": "unsupported",
        },
        "FreeTierEligible": False,
        "HibernationSupported": False,
        # Of the two that EC2 knows the one whose disks are no NVMe devices.
        "Hypervisor": "xen",
        "InstanceStorageSupported": False,
        "InstanceType": one.name,
        "MemoryInfo": {"SizeInMiB": one.memory_mib},
        "NetworkInfo": _network(one),
        "NitroEnclavesSupport": "unsupported",
        "NitroTpmInfo": {"SupportedVersions": []},
        "NitroTpmSupport": "unsupported",
        "PhcSupport": "unsupported",
        "PlacementGroupInfo": {"SupportedStrategies": []},
        "ProcessorInfo": {"SupportedArchitectures": [one.architecture]},
        "RebootMigrationSupport": "unsupported",
        "SupportedBootModes": ["legacy-bios", "uefi"],
        "SupportedRootDeviceTypes": ["ebs"],
        "SupportedUsageClasses": ["on-demand"],
        "SupportedVirtualizationTypes": ["hvm"],
        "VCpuInfo": {
            "DefaultCores": cores,
            "DefaultThreadsPerCore": threads,
            "DefaultVCpus": one.processors,
            "ValidCores": [cores],
            "ValidThreadsPerCore": sorted({1, threads}),
        },
    }


def _network(one: InstanceType) -> dict[str, Any]:
    return {
        "DefaultNetworkCardIndex": 0,
        "EfaSupported": False,
        "EnaSrdSupported": False,
        "EnaSupport": "supported",
        "EncryptionInTransitSupported": False,
        "FlexibleEnaQueuesSupport": "unsupported",
        "Ipv4AddressesPerInterface": 1,
        "Ipv6AddressesPerInterface": 0,
        "Ipv6Supported": False,
        "MaximumNetworkCards": 1,
        "MaximumNetworkInterfaces": one.network_interfaces,
        "NetworkCards": [
            {
                "MaximumNetworkInterfaces": one.network_interfaces,
                "NetworkCardIndex": 0,
                "NetworkPerformance": one.network_performance,
            }
        ],
        "NetworkPerformance": one.network_performance,
    }
