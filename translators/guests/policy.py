"""How a guest is told what it is: the deployment's [guest], and what its image says otherwise.

Source: docs/guests.md; conf/ec2gw.example.toml.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from translators.settings import Guest

_PASSWORD_SECONDS: Final = 600.0
"""A disc with a password stays no longer, whatever is said of others."""
Datasource = Literal["nocloud", "configdrive"]


def of_image(deployment: Guest, said: Mapping[str, Any]) -> Guest:
    """Join both; an image's knobs have the names of the deployment's."""
    return dataclasses.replace(deployment, **said)


def datasource(guest: Guest, platform: str | None) -> Datasource | None:
    """Which form a guest's disc has; None: it has none."""
    if guest.seed == "auto":
        return "configdrive" if platform == "windows" else "nocloud"
    return None if guest.seed == "none" else guest.seed


def is_time_to_eject(text: str) -> bool:
    """Tell whether `eject_seed_after` may be that."""
    return re.fullmatch(r"never|first-heartbeat|[0-9]{1,9}", text) is not None


def eject_after_seconds(guest: Guest, *, has_password: bool) -> float | None:
    """How long after the first heartbeat the disc goes; None: never."""
    if guest.eject_seed_after == "never":
        return _PASSWORD_SECONDS if has_password else None
    if guest.eject_seed_after == "first-heartbeat":
        return 0.0
    stays = float(guest.eject_seed_after)
    return min(stays, _PASSWORD_SECONDS) if has_password else stays
