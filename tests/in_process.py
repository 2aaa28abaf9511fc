"""A gateway in the test's own process, and boto3's clients of it: all of the way but the socket.

Requests are serialised, signed and read as anywhere else; what would be sent is handed to the
pipeline, and its answer to botocore's parser.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from ec2gw import inventory
from ec2gw.auth import accounts
from ec2gw.auth.request import Request
from ec2gw.pipeline import Gateway
from state.secrets import Vault
from state.store import Store
from tests.reads import Reads
from translators.registry import load_families
from translators.settings import Settings

load_families()
_HOST = "127.0.0.1:8773"
_CLIENTS = Config(retries={"total_max_attempts": 1}, parameter_validation=False)
"""Without its own checks, so that a wrong request comes through."""


class InProcess:
    """boto3's clients of a gateway. The callers are the default account and `stranger`."""

    def __init__(
        self, gateway: Gateway, default: accounts.Credentials, stranger: accounts.Credentials
    ) -> None:
        self.gateway = gateway
        self.store = gateway.store
        self.default = default
        self.stranger = stranger

    @classmethod
    def fresh(cls, store: Store, vault: Vault, settings: Settings) -> InProcess:
        """Make a small cloud, with hosts in three zones and a public image called linux."""
        Reads(store, settings)
        default = inventory.prepare(store, vault)
        stranger = accounts.create(store, vault, "stranger")
        gateway = Gateway(store, accounts.Accounts(store, vault, 10), settings)
        return cls(gateway, default, stranger)

    @contextlib.contextmanager
    def client(
        self,
        service: str = "ec2",
        *,
        by: accounts.Credentials | None = None,
        region: str = "us-east-1",
    ) -> Iterator[Any]:
        """Lend boto3's client; the same one is used again."""
        client = _client(service, region)
        client.meta.events.register_first("before-send", self._answer, unique_id="gateway")
        signer = by or self.default
        client._request_signer._credentials = Credentials(signer.access_key_id, signer.secret)
        try:
            yield client
        finally:
            client.meta.events.unregister("before-send", unique_id="gateway")

    def call(
        self,
        action: str,
        *,
        service: str = "ec2",
        by: accounts.Credentials | None = None,
        region: str = "us-east-1",
        **request: Any,
    ) -> dict[str, Any]:
        """Call an action by its name in EC2; answer what boto3 would."""
        with self.client(service, by=by, region=region) as client:
            answer: dict[str, Any] = client._make_api_call(action, request)
            return answer

    def refusal(self, action: str, **request: Any) -> tuple[str, int, str]:
        """Call what is refused; answer code, status and message."""
        try:
            answer = self.call(action, **request)
        except ClientError as error:
            said = error.response
            status = said["ResponseMetadata"]["HTTPStatusCode"]
            return said["Error"]["Code"], status, said["Error"]["Message"]
        raise AssertionError(f"{action} {request} was answered: {answer}")

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        body = request.body or b""
        answer = self.gateway.answer(
            Request(
                request.method,
                urlsplit(request.url).path,
                urlsplit(request.url).query,
                {**headers, "host": _HOST},
                body if isinstance(body, bytes) else str(body).encode(),
            )
        )
        told: Any = dict(answer.headers)  # the stubs ask for botocore's own class
        return AWSResponse(request.url, answer.status, told, _Raw(answer.body))


class _Raw:
    """A body that has arrived, for botocore."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


@functools.cache
def _client(service: str, region: str) -> Any:
    # To make a client takes longer than most tests.
    return boto3.Session().client(
        service,
        region_name=region,
        endpoint_url=f"http://{_HOST}",
        aws_access_key_id="-",
        aws_secret_access_key="-",
        config=_CLIENTS,
    )
