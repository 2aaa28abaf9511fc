"""Connections that are kept: answers follow each other without waiting for the network's timers."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from benchmarks.client import Connection
from benchmarks.signing import Signer
from tests.gateway import Gateway


@pytest.fixture
def signer(gateway: Gateway) -> Signer:
    said = gateway.environment
    port = urlsplit(said["AWS_ENDPOINT_URL"]).port
    assert port is not None
    return Signer(port, said["AWS_ACCESS_KEY_ID"], said["AWS_SECRET_ACCESS_KEY"])


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/elsewhere", 404)])
def test_a_small_answer_does_not_wait_for_an_acknowledgement(
    signer: Signer, path: str, status: int
) -> None:
    # In two segments, with Nagle's algorithm on, each would take 40 ms, once the connection is
    # past its beginning.
    signed = signer.request("DescribeRegions")
    request = signed.replace(b"POST / ", f"POST {path} ".encode(), 1)
    with Connection(signer.port, timeout_seconds=30) as connection:
        answers = [connection.ask(request) for _ in range(60)]
    assert {answer.status for answer in answers} == {status}
    assert min(answer.seconds for answer in answers[-20:]) < 0.03
