"""Where the depot is: settled by `serve` before anybody starts, read by whoever needs it.

The parent holds the listening socket, so the place stays the same however often the depot dies.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from state.secrets import Vault
from translators.settings import Depot

_FILE: Final = "depot.json"


def tell(run: Path, url: str, certificate: str) -> None:
    """Write down where hosts find the depot and which certificate it shows."""
    fresh = run / f"{_FILE}.new"
    fresh.write_text(json.dumps({"url": url, "certificate": certificate}))
    fresh.replace(run / _FILE)


def forget(run: Path) -> None:
    (run / _FILE).unlink(missing_ok=True)


def told(run: Path, vault: Vault) -> Depot | None:
    """Read what was told; None where there is no depot."""
    try:
        document = json.loads((run / _FILE).read_text())
    except FileNotFoundError:
        return None
    return Depot(document["url"], document["certificate"], token_key(vault))


def token_key(vault: Vault) -> bytes:
    return vault.derive("depot tokens")
