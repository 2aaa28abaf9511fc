"""The small OpenStack tree that cloudbase-init reads over HTTP, and posts a password to.

Pure: facts in, answers out. No `admin_pass`: a guest that reaches this makes its own password.

Source: OpenStack Compute, "Metadata service" (OpenStack format metadata); cloudbase-init,
"HttpService", "Setting user password".
"""

from __future__ import annotations

import json
from typing import Any, Final

from translators.guests.facts import Facts
from translators.guests.tree import BYTES, Answer, Tree, public_key

VERSIONS: Final = ("2013-04-04", "latest")
PASSWORD: Final = "password"
_JSON: Final = "application/json"


def tree(facts: Facts) -> Tree:
    """Make all that is below a version; the root is the empty path."""
    made = {
        "meta_data.json": Answer(json.dumps(meta_data(facts)).encode(), _JSON),
        PASSWORD: Answer((facts.password_data or "").encode()),
    }
    if facts.user_data:
        made["user_data"] = Answer(facts.user_data, BYTES)
    made[""] = Answer("\n".join(sorted(made)).encode())
    return made


def meta_data(facts: Facts) -> dict[str, Any]:
    made: dict[str, Any] = {
        "uuid": facts.id,  # what clients take for the instance's id
        "name": facts.hostname.partition(".")[0],
        "hostname": facts.hostname,
        "availability_zone": facts.zone,
        "launch_index": facts.launch_index,
        "meta": {},
    }
    if (key := public_key(facts)) is not None:
        made["public_keys"] = {facts.key_name: f"{key}\n"}
        made["keys"] = [{"name": facts.key_name, "type": "ssh", "data": f"{key}\n"}]
    return made
