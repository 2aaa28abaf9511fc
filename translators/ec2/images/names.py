"""What an image and its disk may be called: for those that are registered, and the operator's.

Source: EC2 API Reference, RegisterImage; the paths that the agent accepts, docs/agent.md.
"""

from __future__ import annotations

import re
from typing import Final

from translators import errors
from translators.ec2.images import image_errors

_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NAME: Final = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
_DISKS: Final = (".vhdx", ".vhd")
_DESCRIPTION_CHARACTERS: Final = 255


def is_name(text: str) -> bool:
    """Tell whether EC2 would take it as an image's name."""
    return _NAME.fullmatch(text) is not None


def checked(text: str) -> str:
    """Refuse a name that EC2 would not take.

    :raises Ec2Error: ``InvalidAMIName.Malformed``
    """
    if not is_name(text):
        raise image_errors.invalid_ami_name_malformed()
    return text


def checked_description(text: str | None) -> str | None:
    """Refuse what is too long to be kept; an empty one is none.

    :raises Ec2Error: ``InvalidParameterValue``
    """
    if text is not None and len(text) > _DESCRIPTION_CHARACTERS:
        raise errors.invalid_parameter_value(
            text[:_DESCRIPTION_CHARACTERS] + "...",
            "description",
            f"Up to {_DESCRIPTION_CHARACTERS} characters are expected.",
        )
    return text or None


def is_file(text: str) -> bool:
    """Tell whether it is one name, without a folder, that every host takes.

    >>> is_file("debian-12.vhdx"), is_file("../debian-12.vhdx"), is_file("disk.")
    (True, False, False)
    """
    return _FILE.fullmatch(text) is not None and not text.endswith(".")


def is_disk(text: str) -> bool:
    """Tell whether the file's name is that of a virtual disk."""
    return text.lower().endswith(_DISKS)


def boots(text: str, generation: int) -> bool:
    """Tell whether VMs of that generation start from such a disk: of .vhd only those of the first.

    >>> boots("old.vhd", 1), boots("old.vhd", 2)
    (True, False)
    """
    return generation == 1 or text.lower().endswith(".vhdx")
