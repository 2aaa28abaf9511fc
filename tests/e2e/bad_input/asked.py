"""What a wrong request is, and how it is refused: in boto3's words for EC2's answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from tests.gateway import LINUX_IMAGE

REGION: Final = "eu-west-1"
ABSENT: Final = "0123456789abcdef0"
LAUNCH: Final[Mapping[str, Any]] = {
    "ImageId": LINUX_IMAGE,
    "InstanceType": "t3.nano",
    "MinCount": 1,
    "MaxCount": 1,
}
VALUE: Final = "InvalidParameterValue"
COMBINATION: Final = "InvalidParameterCombination"
UNSUPPORTED: Final = "UnsupportedOperation"
MISSING: Final = "MissingParameter"


def refused(call: Callable[..., Any], **given: Any) -> tuple[str, int, str]:
    """Call, and answer the refusal's code, status and message."""
    with pytest.raises(ClientError) as caught:
        call(**given)
    answer = caught.value.response
    assert re.fullmatch(r"[0-9a-f-]{36}", answer["ResponseMetadata"]["RequestId"])
    error = answer["Error"]
    return error["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


@dataclass(frozen=True)
class Case:
    """A request and its refusal; a message with `~` ahead is a pattern."""

    says: str
    action: str
    given: Mapping[str, Any]
    code: str
    message: str
    status: int = 400

    def __str__(self) -> str:
        return f"{self.action}: {self.says}"


def check(ec2: Any, facts: Mapping[str, str], case: Case) -> None:
    """Make the request; it has to be refused as the case says."""
    given = {name: filled(value, facts) for name, value in case.given.items() if value is not None}
    code, status, message = refused(getattr(ec2, case.action), **given)
    assert (code, status) == (case.code, case.status), message
    wanted = case.message
    for name, value in facts.items():
        wanted = wanted.replace(f"{{{name}}}", value)
    if wanted.startswith("~"):
        assert re.search(wanted[1:], message), message
    else:
        assert message == wanted


def filled(value: Any, facts: Mapping[str, str]) -> Any:
    """Put the facts in: "{subnet}" stands for the id of one."""
    if isinstance(value, str):
        return facts.get(value[1:-1], value) if value.startswith("{") else value
    if isinstance(value, list):
        return [filled(one, facts) for one in value]
    if isinstance(value, Mapping):
        return {name: filled(one, facts) for name, one in value.items()}
    return value


def tags(kind: str, *pairs: tuple[str, str]) -> dict[str, Any]:
    listed = [{"Key": key, "Value": value} for key, value in pairs]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]}


def many(count: int) -> tuple[tuple[str, str], ...]:
    return tuple((f"key-{number}", "") for number in range(count))
