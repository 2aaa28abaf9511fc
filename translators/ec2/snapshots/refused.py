"""Parameters of snapshots that would change the result and that we cannot honour.

Source: EC2 API Reference, CreateSnapshot, CreateSnapshots, CopySnapshot.
"""

from __future__ import annotations

from typing import Final

from translators.refusals import Table

SNAPSHOT: Final[Table] = {
    "Location": ("regional",),
    "OutpostArn": (),
}
SNAPSHOT_COPY: Final[Table] = {
    "CompletionDurationMinutes": (),
    "DestinationAvailabilityZone": (),
    "DestinationOutpostArn": (),
    "Encrypted": (),
    "KmsKeyId": (),
}
