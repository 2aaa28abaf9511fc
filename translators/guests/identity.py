"""What a guest's firmware says of it: on EC2, and which instance it is.

The UUID is made so that it is the same whether its first three fields are read in one byte order or
the other: firmware, host and guest do not agree about that, and how they do not differs by
generation.

Source: EC2 User Guide, "Detect whether a host is an EC2 instance"; SMBIOS Reference Specification
(DSP0134), 7.2.1 "System — UUID"; cloud-init's documentation, "ds-identify" and "Amazon EC2".
"""

from __future__ import annotations

import re
from typing import Final

ASSET_TAG: Final = "ec2gw"
"""Always set: Hyper-V's own may become Azure's, and a guest that believes that waits for Azure."""

_INSTANCE_ID: Final = re.compile(r"i-([0-9a-f])([0-9a-f]{16})")
_UUID: Final = re.compile(r"ec2([0-9a-f])2\1ec-c0c0-4a4a-([0-9a-f]{4})-([0-9a-f]{12})")


def uuid(instance_id: str) -> str:
    """The instance's UUID, lower case: ec2X2Xec-c0c0-4a4a-HHHH-HHHHHHHHHHHH of i-XHHHHHHHHHHHHHHHH.

    Its text is the serial number as well, which older guests want to see equal.

    :raises ValueError: for what is no id of 17 digits
    """
    found = _INSTANCE_ID.fullmatch(instance_id)
    if found is None:
        raise ValueError(f"{instance_id!r} is no instance id of 17 digits")
    first, rest = found.groups()
    return f"ec2{first}2{first}ec-c0c0-4a4a-{rest[:4]}-{rest[4:]}"


def instance_id(uuid: str) -> str | None:
    """The instance that a UUID is of; None: it is none of ours."""
    found = _UUID.fullmatch(uuid.lower())
    return f"i-{found[1]}{found[2]}{found[3]}" if found else None
