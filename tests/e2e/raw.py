"""Requests as programs without an SDK make them: any method and form, signed by hand or not."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.gateway import Gateway

FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def root(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.text)

    @property
    def namespace(self) -> str | None:
        """That of every element; the elements of one document never differ."""
        found = {one.tag.partition("}")[0] for one in self.root.iter() if "}" in one.tag}
        if not found:
            return None
        (only,) = found
        return only.removeprefix("{")

    def all(self, path: str) -> list[str]:
        """The texts of the elements at that path, whatever their namespace."""
        steps = "/".join("{*}" + step for step in path.split("/"))
        return [one.text or "" for one in self.root.findall(steps)]

    def one(self, path: str) -> str:
        (only,) = self.all(path)
        return only

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and message of an answer in EC2's form for errors."""
        return self.status, self.one("Errors/Error/Code"), self.one("Errors/Error/Message")


def send(
    url: str,
    method: str = "GET",
    path: str = "/",
    *,
    query: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] = {},
) -> Answer:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    try:
        target = f"{path}?{query}" if query else path
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode("utf-8")
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, text)
    finally:
        connection.close()


@dataclass(frozen=True)
class Signed:
    """A request as it was signed; tests send it as it is, or with something changed."""

    url: str
    method: str
    query: str
    body: bytes | None
    headers: Mapping[str, str]

    def send(self) -> Answer:
        return send(self.url, self.method, query=self.query, body=self.body, headers=self.headers)


def sign(
    gateway: Gateway,
    pairs: Pairs,
    method: str = "GET",
    *,
    service: str = "ec2",
    region: str = "us-east-1",
    presigned_seconds: int | None = None,
    headers: Mapping[str, str] = {},
) -> Signed:
    """Sign with the default account's key: a GET with everything in its query, or a POST."""
    form = urlencode(pairs)
    url = f"{gateway.url}/?{form}" if method == "GET" else f"{gateway.url}/"
    request: Any = AWSRequest(
        method, url, data=None if method == "GET" else form.encode(), headers=dict(headers)
    )
    if method == "POST":
        request.headers["Content-Type"] = FORM
    given = gateway.environment
    credentials = Credentials(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"])
    if presigned_seconds is None:
        SigV4Auth(credentials, service, region).add_auth(request)
    else:
        SigV4QueryAuth(credentials, service, region, presigned_seconds).add_auth(request)
    made = request.prepare()
    lines = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in made.headers.items()
    }
    return Signed(gateway.url, method, urlsplit(made.url).query, made.body, lines)
