"""Requests as bytes, signed before they are sent, so that no signing is in any figure.

Signatures live for 15 minutes: sign right before a burst, not once for a run.

Source: botocore's `SigV4Auth`; EC2 API Reference, "Making API requests".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION: Final = "us-east-1"
_VERSION: Final = "2016-11-15"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests to one endpoint on loopback as one account."""

    port: int
    access_key_id: str
    secret: str = field(repr=False)

    def request(self, action: str, parameters: Mapping[str, str | int] = {}) -> bytes:
        """Make one EC2 request, ready to be sent as often as wanted."""
        body = urlencode({"Action": action, "Version": _VERSION, **parameters}).encode()
        host = f"127.0.0.1:{self.port}"
        request = AWSRequest(
            method="POST",
            url=f"http://{host}/",
            data=body,
            headers={
                "Host": host,
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "Content-Length": str(len(body)),
            },
        )
        credentials = Credentials(self.access_key_id, self.secret)
        SigV4Auth(credentials, "ec2", REGION).add_auth(request)
        lines = [f"{name}: {value}\r\n" for name, value in request.headers.items()]
        return f"POST / HTTP/1.1\r\n{''.join(lines)}\r\n".encode() + body
