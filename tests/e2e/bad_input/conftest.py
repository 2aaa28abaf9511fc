"""One client and one instance that the wrong requests of all modules here are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.bad_input.asked import LAUNCH, REGION
from tests.gateway import Gateway


@pytest.fixture(scope="session")
def ec2(gateway: Gateway) -> Iterator[Any]:
    """A client that checks nothing itself and asks once."""
    client = gateway.client(region=REGION, parameter_validation=False)
    yield client
    client.close()


@pytest.fixture(scope="session")
def facts(ec2: Any) -> dict[str, str]:
    """Ids that stand in sentences: {vpc}, {subnet}, {group}, {instance}, {interface}."""
    subnet = ec2.describe_subnets()["Subnets"][0]
    group = ec2.describe_security_groups()["SecurityGroups"][0]
    instance = ec2.run_instances(**LAUNCH, SubnetId=subnet["SubnetId"])["Instances"][0]
    interface = instance["NetworkInterfaces"][0]
    ec2.create_key_pair(KeyName="taken", KeyType="ed25519")
    return {
        "vpc": subnet["VpcId"],
        "subnet": subnet["SubnetId"],
        "group": group["GroupId"],
        "instance": instance["InstanceId"],
        "interface": interface["NetworkInterfaceId"],
        "address": instance["PrivateIpAddress"],
        "volume": instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"],
    }
