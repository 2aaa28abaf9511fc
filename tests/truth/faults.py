"""What EC2 was seen to refuse: how a fault is written down, and the requests that several need.

Source: tests/data/aws-errors.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.truth.catalogue import DATA

NO: Final = "0123456789abcdef0"
"""The digits of ids that nothing has."""
NEW_RULE: Final = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1}


class Fault(NamedTuple):
    """A request that EC2 refuses so; `{i}` stands for an id of the account's."""

    action: str
    request: Mapping[str, Any]
    code: str
    words: str
    """A part of EC2's sentence that no other of that code has."""
    by_stranger: bool = False
    """Asked by another account than the one whose things are named."""

    @property
    def message(self) -> Mapping[str, Any]:
        """What is known of it."""
        listed = DATA["errors"][self.code]["messages"]
        found = [one for one in listed if self.words in one["text"]]
        assert len(found) == 1, f"{self.code}: {self.words}"
        message: Mapping[str, Any] = found[0]
        return message


def rule(**members: Any) -> list[dict[str, Any]]:
    return [{"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "10.0.0.0/8"}], **members}]


def launch(**members: Any) -> dict[str, Any]:
    return {"ImageId": "{ami}", "MinCount": 1, "MaxCount": 1, **members}


def interface(**members: Any) -> list[dict[str, Any]]:
    return [{"DeviceIndex": 0, **members}]


def disk(device: str = "/dev/sda1", **ebs: Any) -> list[dict[str, Any]]:
    return [{"DeviceName": device, "Ebs": ebs}]


def each(actions: str, request: Mapping[str, Any], code: str, words: str) -> list[Fault]:
    return [Fault(action, request, code, words) for action in actions.split()]
