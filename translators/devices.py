"""Device names, and where on a VM's SCSI controller each has its place.

EC2's guests are told where a disk is by its name; a guest of Hyper-V sees the location (the L of
H:C:T:L). Both follow one table here, so that a name means the same place in every instance.

Source: EC2 User Guide, "Device names for volumes on Amazon EC2 instances"; Add-VMHardDiskDrive.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

_NAME: Final = re.compile(r"(?:/dev/)?(?:sd|xvd|hd)([a-z]{1,2})([0-9]{0,2})")
_SEED_LOCATION: Final = 63
"""The DVD drive with an instance's seed."""
_LOCATIONS: Final = range(1, _SEED_LOCATION)
"""0 is the root disk's."""
MOST_ATTACHED: Final = 28
"""Volumes and interfaces of one instance together, as on EC2's virtual instances."""


def is_name(device: str) -> bool:
    """Tell whether a volume may be attached under that name.

    >>> is_name("/dev/sdf"), is_name("xvdba"), is_name("/dev/nvme0n1"), is_name("sdf")
    (True, True, False, True)
    """
    return _NAME.fullmatch(device) is not None


def same(device: str) -> str:
    """What is the same of all names of one device: `/dev/sdf`, `xvdf` and `sdf` are one.

    >>> same("/dev/sdf") == same("xvdf"), same("/dev/sda1") == same("/dev/sda")
    (True, False)
    """
    found = _NAME.fullmatch(device)
    return found[1] + found[2] if found else device


def location(device: str, taken: Collection[int]) -> int | None:
    """Where a disk of that name is put: by its letter if that is free, else the first free place.

    None when there is no place left.

    >>> location("/dev/sdf", ()), location("/dev/xvdba", ()), location("/dev/sdf", {5})
    (5, 26, 26)
    """
    found = _NAME.fullmatch(device)
    free = [one for one in _LOCATIONS if one not in taken]
    if found and len(found[1]) == 1 and not found[2]:
        own = ord(found[1]) - ord("a")
        if own in free:
            return own
    unnamed = [one for one in free if one > ord("z") - ord("a")]
    return next(iter(unnamed or free), None)
