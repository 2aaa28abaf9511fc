"""Security groups through boto3, in the order of Terraform and of an operator, held by the hosts.

What is written shows at once; what passes on the hosts is asked of the laboratory.

Source: terraform-provider-aws, create and update paths of `aws_security_group` and of its rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from ec2gw.lab.console import Console
from ec2gw.lab.world import World
from tests.gateway import LINUX_IMAGE, Gateway

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

REGION = "sa-east-1"
ZONE = f"{REGION}a"
HOST = "lab-a"
OUTSIDE = "203.0.113.7"
ANYWHERE: Any = [{"CidrIp": "0.0.0.0/0"}]


@pytest.fixture(scope="module")
def ec2(gateway: Gateway) -> Iterator[EC2Client]:
    client: EC2Client = gateway.client(region=REGION)
    yield client
    client.close()


@pytest.fixture(scope="module")
def console(gateway: Gateway) -> Iterator[Console]:
    world = World(gateway.data / "lab" / "world.sqlite3", hosts=())
    yield Console(world)
    world.close()


def code(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**request)
    said: str = caught.value.response["Error"]["Code"]
    return said


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit, f"never happened: {what}"
        time.sleep(0.05)


def make(ec2: EC2Client, name: str) -> str:
    """Make a group as Terraform does: with neither of the rules that EC2 may have given it."""
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    made = ec2.create_security_group(
        GroupName=name,
        Description="Managed by Terraform",
        VpcId=vpc["VpcId"],
        TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "Name", "Value": name}]}
        ],
    )
    group_id = made["GroupId"]
    ec2.revoke_security_group_egress(
        GroupId=group_id, IpPermissions=[{"IpProtocol": "-1", "IpRanges": ANYWHERE}]
    )
    v6: Any = [{"IpProtocol": "-1", "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}]
    refused = code(ec2.revoke_security_group_egress, GroupId=group_id, IpPermissions=v6)
    assert refused == "InvalidPermission.NotFound"
    return group_id


def launch(ec2: EC2Client, *group_ids: str) -> tuple[str, str, str]:
    """An instance's id, its address, and its interface."""
    answer = ec2.run_instances(
        ImageId=LINUX_IMAGE,
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=group_ids,
        Placement={"AvailabilityZone": ZONE},
    )
    [one] = answer["Instances"]
    found: Any = ec2.get_waiter("instance_running")
    found.wait(InstanceIds=[one["InstanceId"]], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    interface = one["NetworkInterfaces"][0]["NetworkInterfaceId"]
    return one["InstanceId"], one["PrivateIpAddress"], interface


def test_a_group_s_life(ec2: EC2Client, console: Console) -> None:
    web, admins = make(ec2, "web"), make(ec2, "admins")
    made = ec2.authorize_security_group_ingress(
        GroupId=web,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": ANYWHERE},
            {
                "IpProtocol": "tcp",
                "FromPort": 22,
                "ToPort": 22,
                "UserIdGroupPairs": [{"GroupId": admins, "Description": "by hand"}],
            },
        ],
    )["SecurityGroupRules"]
    assert [one["IsEgress"] for one in made] == [False, False]
    assert made[1]["ReferencedGroupInfo"]["GroupId"] == admins
    server, address, interface = launch(ec2, web)

    def lets(port: int, remote: str = OUTSIDE, way: str = "Inbound", protocol: int = 6) -> bool:
        ports = (port, 50000) if way == "Inbound" else (50000, port)
        return console.would_pass(HOST, server, way, protocol, address, remote, *ports)

    assert (lets(443), lets(22), lets(443, way="Outbound")) == (True, False, False)

    # One who is let in by name of the group, from when it runs until it does no more.
    admin, desk, _ = launch(ec2, admins)
    until(lambda: lets(22, desk), "the admin is let in")
    assert not lets(23, desk)

    # Terraform changes a rule in place, then takes it away by its id.
    rule_id = made[0]["SecurityGroupRuleId"]
    ec2.modify_security_group_rules(
        GroupId=web,
        SecurityGroupRules=[
            {
                "SecurityGroupRuleId": rule_id,
                "SecurityGroupRule": {
                    "IpProtocol": "udp",
                    "FromPort": 443,
                    "ToPort": 443,
                    "CidrIpv4": "0.0.0.0/0",
                    "Description": "quic",
                },
            }
        ],
    )
    [shown] = ec2.describe_security_group_rules(SecurityGroupRuleIds=[rule_id])[
        "SecurityGroupRules"
    ]
    assert (shown["IpProtocol"], shown["Description"]) == ("udp", "quic")
    until(lambda: lets(443, protocol=17) and not lets(443), "the rule is another one")
    ec2.revoke_security_group_ingress(GroupId=web, SecurityGroupRuleIds=[rule_id])
    gone = code(ec2.describe_security_group_rules, SecurityGroupRuleIds=[rule_id])
    assert gone == "InvalidSecurityGroupRuleId.NotFound"
    until(lambda: not lets(443, protocol=17), "the rule is gone")

    # What an instance is in changes while it runs; what is needed is not deleted.
    assert code(ec2.delete_security_group, GroupId=admins) == "DependencyViolation"
    ec2.authorize_security_group_egress(
        GroupId=admins, IpPermissions=[{"IpProtocol": "-1", "IpRanges": ANYWHERE}]
    )
    ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=[web, admins])
    mine: Any = [{"Name": "group-id", "Values": [admins]}]
    listed = ec2.describe_network_interfaces(Filters=mine)["NetworkInterfaces"]
    assert interface in {one["NetworkInterfaceId"] for one in listed}
    until(lambda: lets(443, way="Outbound"), "it gets out")

    ec2.terminate_instances(InstanceIds=[server, admin])
    done: Any = ec2.get_waiter("instance_terminated")
    done.wait(InstanceIds=[server, admin], WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    assert code(ec2.delete_security_group, GroupId=admins) == "DependencyViolation"
    ec2.delete_security_group(GroupId=web)
    ec2.delete_security_group(GroupId=admins)
    assert code(ec2.describe_security_groups, GroupIds=[web]) == "InvalidGroup.NotFound"
    [default] = ec2.describe_security_groups()["SecurityGroups"]
    assert code(ec2.delete_security_group, GroupId=default["GroupId"]) == "CannotDelete"


def test_what_is_wrong_changes_nothing(ec2: EC2Client) -> None:
    group_id = make(ec2, "strict")
    fine: Any = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": ANYWHERE}
    many = [{"CidrIp": f"10.0.{number}.0/24"} for number in range(61)]
    for wrong, said in (
        ({**fine, "IpProtocol": "tpc"}, "InvalidParameterValue"),
        ({**fine, "ToPort": 70000}, "InvalidPermission.Malformed"),
        ({**fine, "IpRanges": [{"CidrIp": "10.0.0.0/40"}]}, "InvalidParameterValue"),
        ({**fine, "IpRanges": many}, "RulesPerSecurityGroupLimitExceeded"),
        ({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-01234567"}]}, "InvalidGroup"),
        (fine, "InvalidParameterValue"),
    ):
        call = ec2.authorize_security_group_ingress
        refused = code(call, GroupId=group_id, IpPermissions=[fine, wrong])
        assert refused.startswith(said), wrong
    [group] = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    assert group["IpPermissions"] == []
    dry = code(ec2.delete_security_group, GroupId=group_id, DryRun=True)
    assert dry == "DryRunOperation"
    ec2.delete_security_group(GroupId=group_id)
