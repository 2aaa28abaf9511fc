"""Log lines on stderr: a time, a level, an event, then key=value fields.

Modules log an event by name and its fields as `extra`; nothing is interpolated. Values are quoted
where they hold blanks or anything that could pass for a line of its own.

Source: Python documentation, "logging"; brandur.org/logfmt.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error")
RENDERED: Final = "rendered"
"""The one field of a record whose fields are text already, in this form and safe."""
_FIRST: Final = ("request", "instance", "host")
_CHATTY: Final = ("alembic", "asyncio", "urllib3", "spnego")
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")


class KeyValue(logging.Formatter):
    """One record, one line; a traceback is a field like any other."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        time = dt.datetime.fromtimestamp(record.created, dt.UTC)
        head = (
            f"time={time.isoformat(timespec='milliseconds')[:-6]}Z "
            f"level={record.levelname.lower()} process={self._process} "
            f"event={_value(record.getMessage())}"
        )
        rendered: str | None = getattr(record, RENDERED, None)
        if rendered is not None:
            return f"{head} {rendered}"
        fields: dict[str, object] = {}
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name in _FIRST:
            if name in extra:
                fields[name] = extra.pop(name)
        fields |= extra
        if record.levelno >= logging.WARNING:
            fields["logger"] = record.name
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return " ".join([head, *(f"{name}={_value(value)}" for name, value in fields.items())])


def begin(process: str, level: str = "info") -> None:
    """Send all of this process's logging to stderr in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(KeyValue(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(root.level, logging.WARNING))
    logging.captureWarnings(True)


def _value(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
