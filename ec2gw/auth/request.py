"""An HTTP request as it was received, in the parts that a signature covers and an action needs.

Source: RFC 9110, sections 5 and 7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` has lower-case names; of a repeated one the values joined by commas, in order.

    `query` is the raw text behind the question mark. `body` is None when it was too large to
    be read.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None
    remote: str = ""
