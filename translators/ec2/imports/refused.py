"""Parameters of imports that would change the result and that we cannot honour.

Source: EC2 API Reference, ImportImage, ImportSnapshot, ImageDiskContainer.
"""

from __future__ import annotations

from typing import Final

from translators.refusals import Table

IMAGE: Final[Table] = {
    "Architecture": ("x86_64",),
    "Encrypted": (),
    "Hypervisor": ("xen",),
    "KmsKeyId": (),
    "LicenseSpecifications": (),
    "LicenseType": ("BYOL", "auto"),  # what AWS licenses, nobody does here
}
SNAPSHOT: Final[Table] = {
    "Encrypted": (),
    "KmsKeyId": (),
}
CONTAINER: Final[Table] = {
    "DeviceName": ("/dev/sda1",),
    "SnapshotId": (),
}
