"""`--auth open`: for experiments on one's own machine, where a key's name is the account.

Source: docs/architecture.md; how local AWS stand-ins have taken any key since moto and LocalStack.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from botocore.config import Config

from tests.e2e import raw
from tests.gateway import LINUX_IMAGE, Gateway, clean_environment

VERSION = "2016-11-15"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, quick: dict[str, str]) -> Iterator[Gateway]:
    data = tmp_path_factory.mktemp("opened") / "data"
    environ = {**quick, "EC2GW_OPEN_ACCOUNT_LIMIT": "8"}
    with Gateway(data, "--auth", "open", environ=environ) as running:
        yield running


def client(gateway: Gateway, key: str, secret: str = "any", service: str = "ec2") -> Any:
    made: Any = boto3.client  # by the service's name, which only tests do not know before
    return made(
        service,
        region_name="us-east-1",
        endpoint_url=gateway.url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
    )


def account(gateway: Gateway, key: str, secret: str = "any") -> str:
    sts = client(gateway, key, secret, "sts")
    try:
        found: str = sts.get_caller_identity()["Account"]
        return found
    finally:
        sts.close()


def unsigned(
    gateway: Gateway, action: str, headers: Mapping[str, str] = {}, **more: str
) -> raw.Answer:
    query = urlencode({"Action": action, "Version": VERSION, **more})
    return raw.send(gateway.url, query=query, headers=headers)


def test_a_key_of_twelve_digits_is_the_account(opened: Gateway) -> None:
    assert account(opened, "123456789012") == "123456789012"
    assert account(opened, "210987654321", "another secret") == "210987654321"


@pytest.mark.parametrize("key", ["test", "AKIAIOSFODNN7EXAMPLE", "12345678901", "1234567890123"])
def test_any_other_key_is_the_default_account(opened: Gateway, key: str) -> None:
    assert account(opened, key) == account(opened, "whoever")
    assert account(opened, key) not in ("123456789012", key)


def test_every_account_has_its_own_network_and_instances(opened: Gateway) -> None:
    one, other = client(opened, "111111111111"), client(opened, "222222222222")
    vpcs = [each.describe_vpcs()["Vpcs"][0]["VpcId"] for each in (one, other)]
    assert len(set(vpcs)) == 2
    launched = one.run_instances(ImageId=LINUX_IMAGE, MinCount=1, MaxCount=1)
    (mine,) = [each["InstanceId"] for each in launched["Instances"]]
    assert other.describe_instances()["Reservations"] == []
    with pytest.raises(other.exceptions.ClientError, match=r"InvalidInstanceID\.NotFound"):
        other.terminate_instances(InstanceIds=[mine])
    one.get_waiter("instance_running").wait(
        InstanceIds=[mine], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300}
    )
    one.close()
    other.close()


def test_a_request_without_any_signature_is_the_default_accounts(opened: Gateway) -> None:
    answer = unsigned(opened, "DescribeVpcs")
    assert answer.status == 200
    assert answer.one("vpcSet/item/ownerId") == account(opened, "whoever")
    named = unsigned(opened, "DescribeVpcs", AWSAccessKeyId="333333333333")
    assert named.one("vpcSet/item/ownerId") == "333333333333"


def test_a_web_page_gets_nothing(opened: Gateway) -> None:
    port = opened.url.rpartition(":")[2]
    for headers in (
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Host": f"rebound.example.org:{port}"},
        {"Host": f"localhost.example.org:{port}"},
    ):
        answer = unsigned(opened, "DescribeVpcs", headers)
        assert answer.error[:2] == (403, "UnauthorizedOperation"), headers
        assert "vpcSet" not in answer.text
    for name in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert unsigned(opened, "DescribeVpcs", {"Host": name}).status == 200


def test_accounts_are_not_made_without_end(opened: Gateway) -> None:
    answers = [
        unsigned(opened, "DescribeVpcs", AWSAccessKeyId=f"{number:012}")
        for number in range(900_000_000_000, 900_000_000_010)
    ]
    refused = [one for one in answers if one.status != 200]
    assert len(refused) >= 2
    assert {one.error[1] for one in refused} == {"AuthFailure"}
    assert account(opened, "whoever")


def test_open_is_for_the_laboratory_alone(tmp_path: Path) -> None:
    data = ("--data", str(tmp_path / "data"))

    def ec2gw(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ec2gw", *arguments, *data],
            env={**clean_environment(), **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    added = ec2gw(
        *("host", "add", "hv1", "--url", "https://hv1.example.org:5986/wsman"),
        *("--zone", "eu-central-1a", "--transport", "ntlm", "--username", "ec2gw"),
        EC2GW_HOST_SECRET="secret",
    )
    assert added.returncode == 0, added.stderr
    refused = ec2gw("serve", "--listen", "127.0.0.1:0", "--auth", "open")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        "ec2gw: auth open is for the laboratory alone; there are real hosts"
    )
