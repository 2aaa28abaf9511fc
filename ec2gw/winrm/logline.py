"""One log line of key=value fields, whatever the values hold; no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

_PLAIN = re.compile(r"[\w.:/+-]+")
_LONGEST = 300


def line(event: str, fields: Mapping[str, object]) -> str:
    """``event=... key=value ...``, texts quoted where needed and cut; None is left out.

    >>> line("start-failed", {"cause": "no connection", "code": None})
    'event=start-failed cause="no connection"'
    """
    shown = {"event": event} | {k: v for k, v in fields.items() if v is not None}
    return " ".join(f"{key}={_text(str(value))}" for key, value in shown.items())


def _text(value: str) -> str:
    cut = value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
    return cut if _PLAIN.fullmatch(cut) else json.dumps(cut)
