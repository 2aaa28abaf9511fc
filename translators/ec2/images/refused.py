"""Parameters of images that would change the result and that we cannot honour.

Source: EC2 API Reference, RegisterImage, EbsBlockDevice, DeregisterImage, ModifyImageAttribute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from translators.refusals import Table

REGISTRATION: Final[Table] = {
    "BillingProducts": (),
    "ImdsSupport": (),
    "KernelId": (),
    "RamdiskId": (),
    "SriovNetSupport": ("simple",),
    "TpmSupport": (),
    "UefiData": (),
    "VirtualizationType": ("hvm",),
}
IMAGE_DISK: Final[Table] = {
    "AvailabilityZone": (),
    "AvailabilityZoneId": (),
    "EbsCardIndex": (),
    "Encrypted": (),
    "KmsKeyId": (),
    "OutpostArn": (),
    "VolumeInitializationRate": (),
}
CREATION: Final[Table] = {
    "SnapshotLocation": ("regional",),
    "BootModeOverride": (),
}
COPY: Final[Table] = {
    "DestinationAvailabilityZone": (),
    "DestinationAvailabilityZoneId": (),
    "DestinationOutpostArn": (),
    "Encrypted": (),
    "KmsKeyId": (),
    "SnapshotCopyCompletionDurationMinutes": (),
}
IMAGE_ATTRIBUTES: Final[Table] = {
    "ImdsSupport": (),
    "OrganizationArns": (),
    "OrganizationalUnitArns": (),
    "ProductCodes": (),
}
PERMISSION: Final[Table] = {
    "OrganizationArn": (),
    "OrganizationalUnitArn": (),
}
ON_THE_WIRE: Final[Mapping[str, str]] = {
    "BillingProducts": "BillingProduct",
    "OrganizationArns": "OrganizationArn",
    "OrganizationalUnitArns": "OrganizationalUnitArn",
    "ProductCodes": "ProductCode",
}
