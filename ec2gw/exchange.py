"""What passes through the stages of a request, and what comes out at their end.

Source: docs/architecture.md, "Life of a request".
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ec2gw.auth import sigv4
from ec2gw.auth.accounts import Account
from ec2gw.auth.request import Request
from ec2gw.config import DEFAULT_REGION
from ec2gw.wire import model, render
from translators import errors
from translators.registry import Action


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Exchange:
    """A request on its way through the stages, with what each of them found."""

    request: Request
    id: str
    now: dt.datetime
    service: str = "ec2"
    form: Sequence[tuple[str, str]] = ()
    version: str = ""
    claim: sigv4.Claim | None = None
    key_id: str = ""
    account: Account | None = None
    region: str = DEFAULT_REGION  # of requests that name none: only open mode lets them in
    action_name: str = ""
    action: Action | None = None
    operation: model.Operation | None = None
    params: dict[str, Any] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    body: bytes = b""


def broken() -> Response:
    """Answer for a pipeline that failed as a whole; nothing is known of the request."""
    return refused(errors.internal_error())


def refused(error: errors.Ec2Error) -> Response:
    """Answer a request that does not get as far as the pipeline."""
    request_id = str(uuid.uuid4())
    body = render.error("ec2", error.code, error.message, request_id, error.status)
    return respond(request_id, error.status, body)


def respond(request_id: str, status: int, body: bytes) -> Response:
    headers = (
        ("x-amzn-RequestId", request_id),
        ("Content-Type", "text/xml;charset=UTF-8"),
        ("Cache-Control", "no-cache, no-store"),
    )
    return Response(status, headers, body)
