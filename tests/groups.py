"""Words for tests of security groups: groups, their rules, and permissions as boto3 says them."""

from __future__ import annotations

from typing import Any

from tests.in_process import InProcess


def make(cloud: InProcess, name: str, **more: Any) -> str:
    made = cloud.call("CreateSecurityGroup", GroupName=name, Description="for tests", **more)
    group_id: str = made["GroupId"]
    return group_id


def shown(cloud: InProcess, group_id: str) -> dict[str, Any]:
    [group] = cloud.call("DescribeSecurityGroups", GroupIds=[group_id])["SecurityGroups"]
    found: dict[str, Any] = group
    return found


def rules(cloud: InProcess, group_id: str, *, egress: bool = False) -> list[dict[str, Any]]:
    mine = [{"Name": "group-id", "Values": [group_id]}]
    listed = cloud.call("DescribeSecurityGroupRules", Filters=mine)["SecurityGroupRules"]
    return [one for one in listed if one["IsEgress"] is egress]


def tcp(port: int = 22, *cidrs: str, **more: Any) -> dict[str, Any]:
    ranges = [{"CidrIp": cidr} for cidr in cidrs or ("10.0.0.0/8",)]
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges, **more}


def allow(cloud: InProcess, group_id: str, *permissions: Any, way: str = "Ingress") -> Any:
    action = f"AuthorizeSecurityGroup{way}"
    return cloud.call(action, GroupId=group_id, IpPermissions=list(permissions))


def refusal(cloud: InProcess, group_id: str, *permissions: Any, way: str = "Ingress") -> str:
    """The code and the message of a refused authorization, which changes nothing."""
    before = shown(cloud, group_id)
    action = f"AuthorizeSecurityGroup{way}"
    code, status, message = cloud.refusal(action, GroupId=group_id, IpPermissions=list(permissions))
    assert status == 400
    assert shown(cloud, group_id) == before
    return f"{code}: {message}"


def from_group(group_id: str, **more: Any) -> dict[str, Any]:
    return {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group_id, **more}]}


def modify(cloud: InProcess, group_id: str, *changes: tuple[str, dict[str, Any]]) -> Any:
    listed = [
        {"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule} for rule_id, rule in changes
    ]
    return cloud.call("ModifySecurityGroupRules", GroupId=group_id, SecurityGroupRules=listed)


def launch(cloud: InProcess, *group_ids: str) -> dict[str, Any]:
    [image] = cloud.call("DescribeImages")["Images"]
    [instance] = cloud.call(
        "RunInstances",
        ImageId=image["ImageId"],
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=list(group_ids),
    )["Instances"]
    launched: dict[str, Any] = instance
    return launched
