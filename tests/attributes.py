"""Calls about one instance that tests of its attributes share."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.launches import Cloud
from translators.ec2.instances import attribute_changes, attributes
from translators.errors import Ec2Error

ROOMS: Final = (attribute_changes, attributes)
"""Imported for the actions that they register."""
MEMBERS: Final = {
    "blockDeviceMapping": "BlockDeviceMappings",
    "groupSet": "Groups",
    "kernel": "KernelId",
    "productCodes": "ProductCodes",
    "ramdisk": "RamdiskId",
}
"""Members of the answer that are not the attribute's own name."""


def launched(cloud: Cloud, **request: Any) -> str:
    [instance_id] = cloud.run(**request)
    cloud.found("launched", instance_id)
    return instance_id


def stopped(cloud: Cloud, **request: Any) -> str:
    instance_id = launched(cloud, **request)
    cloud.call("StopInstances", InstanceIds=[instance_id])
    cloud.found("stopped", instance_id)
    cloud.waken.clear()
    return instance_id


def terminated(cloud: Cloud) -> str:
    instance_id = launched(cloud)
    cloud.call("TerminateInstances", InstanceIds=[instance_id])
    cloud.found("removed", instance_id)
    return instance_id


def told(cloud: Cloud, instance_id: str, name: str) -> Any:
    answer = cloud.call("DescribeInstanceAttribute", InstanceId=instance_id, Attribute=name)
    assert answer.pop("InstanceId") == instance_id
    [(member, value)] = answer.items()
    assert member == MEMBERS.get(name, name[0].upper() + name[1:])
    return value


def modify(cloud: Cloud, instance_id: str, **request: Any) -> None:
    answer = cloud.call("ModifyInstanceAttribute", InstanceId=instance_id, **request)
    assert answer == {}


def refused(cloud: Cloud, instance_id: str, **request: Any) -> tuple[str, str]:
    before = cloud.seen()
    with pytest.raises(Ec2Error) as caught:
        modify(cloud, instance_id, **request)
    assert cloud.seen() == before
    return caught.value.code, caught.value.message
