"""The small OpenStack tree that cloudbase-init reads over HTTP, and posts a password to.

The same as on a config drive, but for the password: a guest that reaches this makes its own.

Source: OpenStack Compute, "Metadata service" (OpenStack format metadata); cloudbase-init,
"HttpService", "Setting user password".
"""

from __future__ import annotations

from typing import Final

from translators.guests import configdrive
from translators.guests.facts import Facts
from translators.guests.tree import BYTES, Answer, Tree

VERSIONS: Final = ("2013-04-04", "latest")
PASSWORD: Final = "password"
_JSON: Final = "application/json"


def tree(facts: Facts) -> Tree:
    """Make all that is below a version; the root is the empty path."""
    made = {
        "meta_data.json": Answer(configdrive.written(configdrive.meta_data(facts, None)), _JSON),
        "network_data.json": Answer(configdrive.written(configdrive.network_data(facts)), _JSON),
        PASSWORD: Answer((facts.password_data or "").encode()),
    }
    if facts.user_data:
        made["user_data"] = Answer(facts.user_data, BYTES)
    made[""] = Answer("\n".join(sorted(made)).encode())
    return made
