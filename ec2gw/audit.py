"""What is written down of a request, and what its client is told when something went wrong.

The client learns EC2's code; the cause stays in the log, beside the request's id. A line says who
asked for what and how it ended, never what was in it.

Source: docs/operations.md, "Logs"; SQLAlchemy, "Core Exceptions".
"""

from __future__ import annotations

import logging
import re
import sqlite3
from typing import Final

import sqlalchemy as sa

from ec2gw import logs
from ec2gw.wire.values import Malformed
from state.store import Closed
from translators import errors
from translators.errors import Ec2Error

_PLAIN: Final = re.compile(r"[A-Za-z0-9.:_-]{1,64}")

_audit = logging.getLogger("ec2gw.audit")
_log = logging.getLogger("ec2gw.pipeline")


def refusal(error: Exception, request_id: str, service: str, action: str) -> Ec2Error:
    """Answer what the client is told; log what it is not."""
    match error:
        case Ec2Error():
            return error
        case Malformed():
            return Ec2Error(error.code, error.message)
        case (
            Closed()
            | sa.exc.OperationalError()
            | sa.exc.TimeoutError()
            | sqlite3.OperationalError()
        ):
            # Locked too long, disk full, unreadable: nothing was kept, so asking again is safe.
            cause = getattr(error, "orig", error)
            fields = {
                "request": request_id,
                "error": type(error).__name__,
                "sqlite": getattr(cause, "sqlite_errorname", "-"),
            }
            _log.error("store-unavailable", extra=fields)
            return errors.unavailable()
        case _:
            asked = {"request": request_id, "service": plain(service), "action": plain(action)}
            _log.error("request-failed", exc_info=error, extra=asked)
            return errors.internal_error()


def tell(**fields: str | int) -> None:
    """Write a request's line."""
    if _audit.isEnabledFor(logging.INFO):
        shown = [
            f"{name}={plain(value) if isinstance(value, str) else value}"
            for name, value in fields.items()
        ]
        _audit.info("answered", extra={logs.RENDERED: " ".join(shown)})


def plain(text: str) -> str:
    """Keep a client's word only if it is one: no line is to be forged, no secret kept."""
    return text if _PLAIN.fullmatch(text) else "-"
